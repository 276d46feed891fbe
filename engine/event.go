package engine

import "time"

// A Kind says what an [Event] tells.
type Kind uint8

const (
	KindReady Kind = iota + 1
	KindConnectionOpened
	KindGreetingReceived
	KindGreetingRejected
	KindConnectionClosed
	KindRequestStarted
	KindRequestFinished
	KindDialFailed
	KindAdmissionRefused
	KindOperatorAction
	KindDraining
	KindNotice
	KindLimitReached
	KindStopped
	kindEnd
)

var kindNames = [...]string{"", "ready", "connection_opened", "greeting_received", "greeting_rejected",
	"connection_closed", "request_started", "request_finished", "dial_failed", "admission_refused",
	"operator_action", "draining", "notice", "limit_reached", "stopped"}

func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

// Kinds is a set of [Kind].
type Kinds uint32

// KindSet returns the set of the given kinds.
func KindSet(kinds ...Kind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

// Sets of kinds that front ends ask for.
const (
	KindsAll       Kinds = (1<<kindEnd - 1) &^ 1
	KindsRequests        = KindsAll &^ (1 << KindRequestStarted)
	KindsLifecycle       = KindsRequests &^ (1 << KindRequestFinished)
)

// Has reports whether k is in the set.
func (s Kinds) Has(k Kind) bool { return s>>k&1 != 0 }

// Protocol is the language of one connection.
type Protocol uint8

const (
	ProtocolNative  Protocol = iota + 1 // adit.v1
	ProtocolClassic                     // wsp
)

var protocolNames = [...]string{"", "adit.v1", "wsp"}

func (p Protocol) String() string { return nameOf(protocolNames[:], int(p)) }

// A Greeting is what a client says of itself. Once published nobody changes it.
// Its strings are bounded and, coming from the network, hostile: a front end
// sanitises them.
type Greeting struct {
	ID       string
	PoolSize int
	Version  string
	Hostname string
	OS, Arch string
	Instance string // the client process
	Expose   []Expose
	Labels   map[string]string
	Raw      string // the message as it came, at most 1 KiB of it; a credential is never in it
	Size     int    // of the whole message, bytes

	// ExposedOnly says that the client takes no destination that a caller
	// chooses: only what it exposes can be reached through it.
	ExposedOnly bool
}

// An Expose is one route that a client offers: a host name or a TCP port.
type Expose struct {
	Host string // one DNS label, or ""
	TCP  uint16 // a port at the server, or 0
	URL  string // how callers reach it, as the server told; "" before the welcome
}

// Frames counts WebSocket frames by opcode in one direction (RFC 6455 §5.2).
type Frames struct {
	Text, Binary, Continuation, Close, Ping, Pong uint64
}

// Total returns the number of frames of every opcode.
func (f Frames) Total() uint64 {
	return f.Text + f.Binary + f.Continuation + f.Close + f.Ping + f.Pong
}

// An Event is one thing that happened, as a value. Which fields beside Seq,
// Time and Kind are set follows from Kind; strings hold at most [MaxText]
// bytes. What it points to is never changed after publication.
type Event struct {
	Seq  uint64 // from 1, without gaps at the bus
	Time time.Time
	Kind Kind

	Connection ConnectionID
	Client     string
	Peer       string // address
	Protocol   Protocol
	Way        Way // AdmissionRefused: the caller's; 0 for a client that registers
	Reason     string

	Code     uint16        // ConnectionClosed, GreetingRejected: close code; AdmissionRefused: HTTP status
	Duration time.Duration // ConnectionClosed: lifetime; DialFailed: until the next try; AdmissionRefused: since the first of Count; Stopped: uptime
	Server   string        // client's Ready, DialFailed: the server's URL without user information
	Listen   string        // server's Ready
	Action   Action        // OperatorAction
	Operator string        // OperatorAction
	Target   string        // OperatorAction: what it was done to; LimitReached: the limit, by its setting's name
	Count    int           // Draining: exchanges in flight; LimitReached, AdmissionRefused: how often since it was last told

	Greeting *Greeting // GreetingReceived, GreetingRejected where it could be read
	Closed   *Traffic  // ConnectionClosed
	Request  *Request  // RequestStarted, RequestFinished
	Totals   *Totals   // Stopped
}

// Traffic is what went over one WebSocket, as counted on the wire below the
// WebSocket library, handshake excluded. In is what this end read.
type Traffic struct {
	BytesIn, BytesOut   uint64
	FramesIn, FramesOut Frames
}

// Totals is the sum of a run.
type Totals struct {
	Requests  uint64 // that ended
	Failed    uint64 // of these, every outcome but completed
	BytesIn   uint64 // over all WebSockets, ended ones included
	BytesOut  uint64
	FramesIn  Frames
	FramesOut Frames
	Statuses  [6]uint64 // requests that ended by status / 100; 0: without a status
}

// An Action is what an operator did.
type Action string

const (
	ActionKill   Action = "kill"
	ActionDrain  Action = "drain"
	ActionBan    Action = "ban"
	ActionUnban  Action = "unban"
	ActionCancel Action = "cancel"
	ActionReplay Action = "replay"
	ActionReload Action = "reload"

	ActionRestart Action = "restart" // Target: the process that takes over

	ActionCapture Action = "capture" // Target: the mode, and for how many filters
)

// A Batch is what a subscription delivers: events in order of Seq, and how many
// were lost just before them because the subscriber was too slow.
type Batch struct {
	Events  []Event
	Dropped uint64
	Ended   uint64 // of Dropped, those that told of the end of a request
	Sorted  bool   // Ended is known: not over a link
}
