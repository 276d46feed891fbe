package engine

import (
	"sync/atomic"
	"time"
)

// A Way is the road by which a caller reached a client.
type Way uint8

const (
	WayRequest Way = iota + 1 // GET /request with X-PROXY-DESTINATION
	WayProxy                  // standard forward proxy, absolute-form target
	WayConnect                // forward proxy, CONNECT
	WayHost                   // a host name below the domain
	WayTCP                    // an exposed TCP port
)

var wayNames = [...]string{"", "request", "proxy", "connect", "host", "tcp"}

func (w Way) String() string { return nameOf(wayNames[:], int(w)) }

// An Outcome says how an exchange ended. Every exchange ends in exactly one.
type Outcome uint8

const (
	OutcomeNone         Outcome = iota // still in flight
	OutcomeCompleted                   // request and response went to their ends
	OutcomeCallerGone                  // the caller left or stalled
	OutcomeOriginFailed                // the origin failed before or within its answer
	OutcomeTunnelFailed                // the connection between server and client failed
	OutcomeRefused                     // credential, rule, no route, no client, limit
	OutcomeTimedOut                    // a deadline
	OutcomeTruncated                   // the head was out, the content did not reach its end
)

var outcomeNames = [...]string{"", "completed", "caller_gone", "origin_failed", "tunnel_failed", "refused", "timed_out", "truncated"}

func (o Outcome) String() string { return nameOf(outcomeNames[:], int(o)) }

// A Request is the record of one exchange at one end. While the exchange runs
// it belongs to the goroutine that serves it; once published in an [Event]
// nobody changes it.
type Request struct {
	ID         RequestID
	Connection ConnectionID // 0 where none was found
	Client     string       // client id
	Caller     string       // the caller's address; at a client the server's
	Credential string       // name of what admitted the caller, at a server, never the credential itself; "" none was asked for
	Way        Way          // 0 at a client, which is not told
	Protocol   Protocol     // of the connection
	Method     string
	Target     string // without user information, secrets in its query masked
	Status     int    // as sent to the caller; 499 if it left before; 0 for TCP
	Upgraded   bool   // 101, or a CONNECT that was accepted

	RequestBytes  int64 // content
	ResponseBytes int64 // content

	// The waterfall, since arrival at this end; negative where not reached or
	// not known.
	Arrived   time.Time
	Queued    time.Duration // until a connection was found
	Sent      time.Duration // until the request head was written to it
	Connect   time.Duration // until the origin connection was ready; 0 reused
	FirstByte time.Duration // until the first byte of the final response
	LastByte  time.Duration // until the exchange was over

	Outcome Outcome
	Reason  string // cause in words where the outcome is not completed
	Replay  bool

	Heads    *Heads   // nil where nobody asked for them (see SubscribeOptions.Heads)
	Captured Captured // what is kept of its content; nil where nothing is. In an event, and in what RequestLog.Request returns of a local log
	Live     *Live    // while the exchange runs; nil in the record of its end
	Trace    *Trace   // nil where it is not traced; in an event of this process only
}

// A Trace is where a traced exchange stands in its trace (W3C Trace Context).
type Trace struct {
	ID     [16]byte
	Parent [8]byte // span of whoever sent the request; zero where nobody told one
	Span   [8]byte // of the exchange at this end
	State  string  // tracestate as it came, at most 512 bytes
}

// Heads are the header fields of one exchange as they went through the tunnel,
// trailer sections aside: our own credentials are not among them, those of the
// traffic are, so a front end masks them. Each is lines "name: value", ended by \n, in the order in which
// they went. A request begins with its host; at a server it has lost the caller's
// order and case of names (net/http).
type Heads struct {
	Request, Response string // each at most [MaxHead] bytes
	Cut               bool   // fields were left out
}

// MaxHead is the bound, in bytes, of each head of [Heads]. Fields that do not
// fit are left out whole.
const MaxHead = 8 << 10

// Live is what moves while an exchange runs. Whoever serves it writes, anybody
// reads.
type Live struct {
	Connection    atomic.Uint64 // ConnectionID; 0 while it waits for one
	Status        atomic.Int32  // 0 before the head
	RequestBytes  atomic.Int64  // content so far
	ResponseBytes atomic.Int64

	// Captured is set at most once, to what is kept of the content.
	Captured atomic.Pointer[Captured]

	// Answered is set at most once, when its final head has passed; not for an
	// exchange that ends soon after.
	Answered atomic.Pointer[Answered]

	// Over says that the exchange has ended. It is set before the record of the
	// end is published: who lost that record, or may have, need not guess.
	Over atomic.Bool
}

// Answered is what is known of an exchange once its final head has passed, as its
// record will have it.
type Answered struct {
	Client                           string
	Protocol                         Protocol
	Queued, Sent, Connect, FirstByte time.Duration
	Upgraded                         bool
	Heads                            *Heads // nil where they are not kept
}

// Fill puts what moves into the record of the exchange, heads aside.
func (l *Live) Fill(r *Request) {
	if c := l.Connection.Load(); c != 0 {
		r.Connection = ConnectionID(c)
	}
	if s := l.Status.Load(); s != 0 {
		r.Status = int(s)
	}
	r.RequestBytes = max(r.RequestBytes, l.RequestBytes.Load())
	r.ResponseBytes = max(r.ResponseBytes, l.ResponseBytes.Load())
	if a := l.Answered.Load(); a != nil {
		r.Client, r.Protocol, r.Upgraded = a.Client, a.Protocol, a.Upgraded
		r.Queued, r.Sent, r.Connect, r.FirstByte = a.Queued, a.Sent, a.Connect, a.FirstByte
	}
}

// InFlight reports whether an exchange has not ended. One whose end was not seen has
// no outcome either, and a reason that says so.
func (r *Request) InFlight() bool { return r.Outcome == OutcomeNone && r.Reason == "" }

// HasFailed reports whether an exchange that ended is one to look at: its outcome
// is neither completed nor caller_gone, or its status is 500 or more.
func (r *Request) HasFailed() bool {
	return r.Status >= 500 || r.Outcome != OutcomeCompleted && r.Outcome != OutcomeCallerGone
}

// OutcomeOf maps the reason an exchange failed for to its outcome.
func OutcomeOf(r Reason) Outcome {
	switch r {
	case ReasonNone:
		return OutcomeCompleted
	case ReasonOriginFailed:
		return OutcomeOriginFailed
	case ReasonTunnelFailed, ReasonTunnelSilent, ReasonInternal, ReasonOperator:
		return OutcomeTunnelFailed
	case ReasonTimedOut:
		return OutcomeTimedOut
	case ReasonCallerGone:
		return OutcomeCallerGone
	}
	return OutcomeRefused
}

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}
