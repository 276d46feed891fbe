package engine

import "time"

// A CaptureMode says what is kept of every exchange beside its record.
type CaptureMode uint8

const (
	CaptureOff     CaptureMode = iota + 1
	CaptureHeads               // header fields: [Heads]
	CaptureContent             // the beginning of the content too: [Content]
)

var captureNames = [...]string{"", "off", "heads", "content"}

func (m CaptureMode) String() string { return nameOf(captureNames[:], int(m)) }

// A Capture says what is kept of exchanges that begin from now on.
type Capture struct {
	Mode CaptureMode

	// Content are filters of requests (engine/filter) whose content is kept
	// although Mode is not CaptureContent; at most [MaxCaptureFilters]. They are
	// asked when the request is sent: one about what is known only later, such as
	// status: or header., is refused.
	Content []string
}

// MaxCaptureFilters bounds Capture.Content.
const MaxCaptureFilters = 32

// CaptureState is what is captured now, as a snapshot tells.
type CaptureState struct {
	Capture
	Bytes    int64  // of content that are kept in memory
	Limit    int64  // of Bytes: above it the oldest content goes
	Sampling int    // the content of 1 in so many exchanges is kept, because there are too many; 1 all
	Dropped  uint64 // exchanges whose content went to make room, or was not sampled
}

// A Captured holds what is kept of the content of one exchange, while it runs
// and after. Its methods may be called from any goroutine and never hold up the
// exchange for longer than copying takes.
type Captured interface {
	// Content fills into with a copy of what is kept now, reusing its slices, and
	// reports false where everything was dropped to make room.
	Content(into *Content) bool
}

// MaxContent is the bound, in bytes, of what is kept of the content of an
// exchange in each direction, messages and content together.
const MaxContent = 64 << 10

// Content is what was kept of the content of an exchange: of what is delivered
// whole its beginning, of a stream of messages (WebSocket, server-sent events)
// the newest messages as well. As it went through the tunnel: a content coding
// (RFC 9110 §8.4) is not undone, credentials are not masked. That of a
// WebSocket is unmasked (RFC 6455 §5.3), and has no Data beside its messages.
// Events, and bytes of a protocol that is not known, share the bound with the
// beginning by halves. Of a stream that runs on after all of this was dropped
// once, the messages since then are there and no beginning.
type Content struct {
	Request, Response Part
	Messages          []Message // in order of time
	MessagesLost      uint64    // older ones that went to make room
}

// A Part is the content of one direction.
type Part struct {
	Data []byte // the beginning, at most [MaxContent] bytes
	Size int64  // that passed so far
	Over bool   // the end has passed: Data is all of it if Size is its length
}

// Whole reports whether nothing is missing.
func (p *Part) Whole() bool { return p.Over && p.Size == int64(len(p.Data)) }

// A MessageKind says what a [Message] is.
type MessageKind uint8

const (
	MessageText MessageKind = iota + 1 // RFC 6455 §5.6
	MessageBinary
	MessageClose // RFC 6455 §5.5.1; Data begins with the status code
	MessagePing
	MessagePong
	MessageEvent // a server-sent event; Data is its lines as they came
	MessageBytes // of a stream in a protocol that is not known
)

var messageNames = [...]string{"", "text", "binary", "close", "ping", "pong", "event", "bytes"}

func (k MessageKind) String() string { return nameOf(messageNames[:], int(k)) }

// A Message is one message inside a stream.
type Message struct {
	Time       time.Time // when its end passed
	FromCaller bool
	Kind       MessageKind
	Compressed bool   // RFC 7692: Data is as it was on the wire
	Data       []byte // the beginning, at most [MaxMessage] bytes
	Size       int64  // of the whole message
}

// MaxMessage is the bound, in bytes, of what is kept of one [Message].
const MaxMessage = 16 << 10

// A Field is a header field line (RFC 9110 §5).
type Field struct{ Name, Value string }

// A Replay is a request that is sent again, as it was or changed.
type Replay struct {
	Of     RequestID // what it was made of
	Client string    // of the client that is to serve it; "" as the dispatcher chooses among those that can
	Way    Way       // WayRequest, WayProxy or WayHost: what Target means. A client ignores it

	Method  string
	Target  string  // absolute: "http://host/path?query"; not masked
	Fields  []Field // as they go through the tunnel: without Host, nothing is added to them but Content-Length
	Content []byte  // at most [MaxReplay] bytes
}

// MaxReplay is the bound, in bytes, of the content of a [Replay].
const MaxReplay = 1 << 20
