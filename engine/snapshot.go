package engine

import (
	"sort"
	"time"
)

// A Role says which end of the tunnel an engine is.
type Role uint8

const (
	RoleServer Role = iota + 1
	RoleClient
)

var roleNames = [...]string{"", "server", "client"}

func (r Role) String() string { return nameOf(roleNames[:], int(r)) }

// A ConnectionState is where a WebSocket is in its life.
type ConnectionState uint8

const (
	StateGreeting ConnectionState = iota + 1 // opened, not registered yet
	StateIdle                                // registered, no exchange
	StateBusy                                // at least one exchange
	StateDraining                            // no new exchange
	StateClosing                             // closing handshake
)

var stateNames = [...]string{"", "greeting", "idle", "busy", "draining", "closing"}

func (s ConnectionState) String() string { return nameOf(stateNames[:], int(s)) }

// A Connection is one WebSocket as it is now.
type Connection struct {
	ID       ConnectionID
	Client   string // client id
	Peer     string // address
	Server   string // at a client: the server's URL without user information
	Protocol Protocol
	State    ConnectionState
	Opened   time.Time
	Greeting *Greeting // nil before the greeting
	Traffic
	ShapeIn       FrameShape
	ShapeOut      FrameShape
	InFlight      int           // exchanges
	Exchanges     uint64        // that ended
	Failed        uint64        // of these: neither completed nor caller_gone, or a status of 500 or more
	RTT           time.Duration // of the newest answered ping; 0 unknown
	RTTMin        time.Duration // smallest so far; 0 unknown
	LateRecords   uint64        // records dropped because their exchange was over
	GreetingReady time.Time     // when registered; zero before
	PingEvery     time.Duration // interval of this end's pings; 0 unknown
	PingNext      time.Time     // when this end pings next; zero unknown
	Credential    string        // name of what admitted it, never the credential itself; "" none was asked for
	TLS           TLS           // between the two ends of this socket; zero: none, or none at this end
}

// A TLS says how a socket is secured. Behind a proxy that ends TLS it is that of the
// proxy, or none.
type TLS struct {
	Version string // "1.3"
	Cipher  string // suite, as IANA names it
	Peer    string // name in the certificate that the other end showed; "" it showed none. Comes from the network
}

// A FrameShape says what the frames of one direction look like.
type FrameShape struct {
	Sizes      [4]uint64 // data frames by payload: below 128 B, 1 KiB, 16 KiB, and above
	Fragmented uint64    // messages of more than one frame (RFC 6455 §5.4)
	LastOpcode uint8     // of the newest frame; meaningless while there was none
	LastLength uint64    // its payload in bytes
}

// A FrameRecord is one WebSocket frame on a tape (see [Engine.FrameTape]).
type FrameRecord struct {
	Time   time.Time
	Out    bool // sent by this end
	Opcode uint8
	Fin    bool
	Length uint64 // of the payload, bytes
	Note   string // what it carries, in words without content: "HEAD x17", "DATA x17"; "" unknown
}

// A CloseCount says how often connections ended with a close code
// (RFC 6455 §7.4).
type CloseCount struct {
	Code  CloseCode
	Count uint64
}

// A LimitCount says how often peers ran into a limit.
type LimitCount struct {
	Name  string // of the setting: "handshake-rate"
	Count uint64
}

// A Setting is one effective setting, for showing. A credential has the value
// "set" or "not set", never itself.
type Setting struct {
	Name   string // as the flag: "tcp-ports"
	Value  string
	Source string // "default", or the place: "adit.yaml:12", "ADIT_LISTEN", "--listen"
	Help   string // one line
}

// A Server is one server as a client sees it.
type Server struct {
	URL       string // without user information
	Name      string // as the server says in its welcome; "" in classic mode
	Through   string // URL of the proxy on the way, without user information; "" none
	Connected int    // registered connections
	Wanted    int    // connections the pool holds
	RetryAt   time.Time
	LastError string
}

// A Snapshot is the state of an engine at one moment: totals, no rates.
// [Engine.Snapshot] reuses its slices.
type Snapshot struct {
	Seq         uint64 // the newest event that it includes
	Time        time.Time
	Role        Role
	Name        string // of the server, or the client's id
	Instance    string // of the process: another one counts anew
	Version     string
	Started     time.Time
	Draining    bool
	Listen      []string     // bound addresses of a server
	Connections []Connection // in order of ID
	Servers     []Server     // of a client
	Expose      []Expose     // of a client
	Banned      []string     // client ids
	Waiting     int          // callers that wait for a connection
	Closes      []CloseCount // ended connections by code, in order; at most 32, beyond that all others under 0
	Limits      []LimitCount // of a server: the limits that were ever reached, in a fixed order
	Totals      Totals
	Capture     CaptureState
}

// Index returns the index of a connection in s.Connections, -1 if it is not
// there.
func (s *Snapshot) Index(id ConnectionID) int {
	i := sort.Search(len(s.Connections), func(i int) bool { return s.Connections[i].ID >= id })
	if i < len(s.Connections) && s.Connections[i].ID == id {
		return i
	}
	return -1
}
