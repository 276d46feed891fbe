// Package tunnel is one WebSocket between a client and a server: its opening
// handshake and greeting, its reader and writer, keepalive and closing
// handshake, and the exchanges that it carries, in adit.v1 (native) or in wsp
// (classic). Who stands above sees a [Conn] at the server, a [Session] at the
// client, and does not see which protocol is spoken.
//
// It never chooses a connection, routes a request, applies a rule or dials an
// origin. Of what carries requests only this package imports the WebSocket library.
//
// Start here; then conn.go, reader.go, writer.go and exchange.go for adit.v1,
// classic*.go for wsp. probe.go is the server's end of adit doctor's probes, which
// carry no requests.
package tunnel

import (
	"context"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// A Conn is the server's end of one registered connection. Its methods may be
// called from any goroutine.
type Conn interface {
	ID() engine.ConnectionID
	Protocol() engine.Protocol
	Greeting() *engine.Greeting

	// Reserve takes a slot for one exchange if one is free and the connection
	// is neither draining nor closing. A slot goes back with Unreserve, or with
	// Exchange.Close once Open has succeeded. Like these it may call OnRelease.
	Reserve() bool
	Unreserve()

	// InFlight returns the number of slots taken.
	InFlight() int

	// Open begins an exchange on a reserved slot: it queues the head and does
	// not wait. end says that the request has no content. ctx is the caller's:
	// when it ends, every blocked method of the exchange returns with
	// ReasonCallerGone. The request is not kept.
	// ReasonUnsupported if the protocol can't carry it, ReasonHeadTooBig,
	// ReasonMalformed, ReasonTunnelFailed; the slot is then still the caller's.
	Open(ctx context.Context, r *wire.Request, end bool) (Exchange, error)

	// OpenConnect is Open for a TCP stream to target ("host:port"), or to what
	// the route of that number leads to.
	OpenConnect(ctx context.Context, route uint64, target string) (Exchange, error)

	// Ping asks the peer for a sign of life, without waiting. The channel is closed
	// when a pong has answered a ping that was written after the first call whose
	// answer is still awaited. In classic mode nothing is asked, and it is nil.
	Ping() <-chan struct{}

	// Drain lets what runs finish, takes nothing new and then closes with 1001;
	// at once after grace.
	Drain(grace time.Duration, reason string)

	// Restart is Drain that closes with 1012: the client is to dial again at once,
	// which an adit client does when it hears of the drain.
	Restart(grace time.Duration, reason string)

	// Close ends the connection by a closing handshake and returns when its
	// goroutines have ended (within 4 s). It must not be called from OnPanic.
	Close(code engine.CloseCode, reason string)

	// Done is closed when the connection has ended and its goroutines with it.
	Done() <-chan struct{}

	// Status fills the fields of c that the tunnel knows.
	Status(c *engine.Connection)

	// Ended returns why the connection ended: the close code (1006 if no Close
	// frame came) and a reason for people. Only after Done.
	Ended() (engine.CloseCode, string)
}

// An Exchange is the server's end of one request with its response. One
// goroutine reads (ReadResponse, Next, Read, Trailers), one, the same or
// another, writes (Write, CloseWrite); Reset and Close may be called by any.
// Errors are *[engine.Error] but for io.EOF, and for a plain one from Write when
// the response's end has ended the exchange: what is left is not wanted.
type Exchange interface {
	// ReadResponse waits for the next response head: informational ones first,
	// then the final one, 101, or a CONNECT's 200, after which content or raw
	// bytes can be read.
	ReadResponse() (*wire.Response, error)

	// Next returns the next piece of content as it arrived, valid until the
	// next call; io.EOF at the true end, an error if that was not reached.
	Next() ([]byte, error)

	// Read is Next as an io.Reader.
	Read(p []byte) (int, error)

	// Buffered reports whether Next would return without waiting.
	Buffered() bool

	// Trailers returns the trailer section, after io.EOF.
	Trailers() []wire.Field

	// Write sends request content (raw bytes after 101 or 200) and returns when
	// p may be reused. It waits for credit and for the socket.
	Write(p []byte) (int, error)

	// CloseWrite says that no more content follows; FIN for raw bytes.
	CloseWrite(trailers []wire.Field) error

	// Reset ends the exchange now. It does nothing once it is over.
	Reset(code wire.ResetCode, reason string)

	// Close gives the slot back and resets an exchange that is not over. Both
	// goroutines have returned before it is called. It must be called once.
	Close()

	// Retryable reports, after an error, that nothing of this exchange reached
	// an origin: the head was not written, or the client refused it.
	Retryable() bool

	// SentAt returns when the request head was written; zero before.
	SentAt() time.Time
}

// A Session is the client's end of one registered connection.
type Session interface {
	ID() engine.ConnectionID
	Protocol() engine.Protocol
	Welcome() *wire.Welcome // nil in classic mode

	// Drain asks the server to send nothing new, lets what runs finish and
	// closes; at once after grace.
	Drain(grace time.Duration, reason string)
	// Close is Conn's. It must not be called from a Handler, which it waits for.
	Close(code engine.CloseCode, reason string)
	Done() <-chan struct{}
	Status(c *engine.Connection)
	Ended() (engine.CloseCode, string)
}

// A Handler serves one exchange at the client, on a goroutine of its own. When
// it returns, an exchange that is not over is reset with ResetInternal.
type Handler func(in Incoming)

// An Incoming is the client's end of one exchange. The rules for goroutines are
// those of [Exchange]; all have returned before the handler returns.
type Incoming interface {
	// Request returns the head; nil for a CONNECT.
	Request() *wire.Request

	// Connect returns the route and target of a CONNECT; ok is false for a request.
	Connect() (c wire.Connect, ok bool)

	// HasContent reports whether the head came without END: content may follow.
	HasContent() bool

	// Context ends when the exchange was reset, when the connection is lost,
	// and at the latest when the handler has returned.
	Context() context.Context

	// Arrived returns when the head was read.
	Arrived() time.Time

	Next() ([]byte, error)
	Read(p []byte) (int, error)
	Buffered() bool
	Trailers() []wire.Field

	// WriteInformational sends a 1xx head. Classic mode drops it.
	WriteInformational(status int, fields []wire.Field) error

	// WriteResponse sends the final head (101 and a CONNECT's 200 included,
	// after which bytes are raw). end says that there is no content.
	WriteResponse(r *wire.Response, end bool) error

	Write(p []byte) (int, error)
	CloseWrite(trailers []wire.Field) error

	// Respond is WriteResponse, Write and CloseWrite in one, which costs the
	// connection's writer one wake instead of three. It does not wait; content may
	// be reused when it returns. done is false, and nothing was sent, if there is
	// an error, or where it can't be done so: without content, with more than
	// 2 KiB or than there is credit for. In classic mode it waits for the socket
	// and takes 32 KiB.
	Respond(r *wire.Response, content []byte) (done bool, err error)

	// Reset ends the exchange with a failure that the server turns into a
	// status, or an abort if the head is out.
	Reset(code wire.ResetCode, reason string)
}

// Limits are the bounds and deadlines of one connection. Zero fields mean the
// defaults of DefaultLimits.
type Limits struct {
	MaxExchanges int           // at once; ≤ 100,000
	Window       int           // bytes of initial credit on each exchange, 16 KiB – 8 MiB
	Ping         time.Duration // interval; ± 20 %
	Greeting     time.Duration // for a greeting at the server
	Welcome      time.Duration // for a welcome at the client
	Handshake    time.Duration // opening handshake at the client, dialling included
	Head         time.Duration // for the final response head
	RawIdle      time.Duration // raw exchange without a byte
	HalfClosed   time.Duration // raw exchange with one side ended, without a byte
}

// DefaultLimits returns the defaults of the protocol.
func DefaultLimits() Limits {
	return Limits{
		MaxExchanges: 1000,
		Window:       64 << 10,
		Ping:         20 * time.Second,
		Greeting:     5 * time.Second,
		Welcome:      10 * time.Second,
		Handshake:    15 * time.Second,
		Head:         120 * time.Second,
		RawIdle:      time.Hour,
		HalfClosed:   5 * time.Minute,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.MaxExchanges <= 0 {
		l.MaxExchanges = d.MaxExchanges
	}
	l.MaxExchanges = min(l.MaxExchanges, 100_000)
	if l.Window <= 0 {
		l.Window = d.Window
	}
	l.Window = min(max(l.Window, 16<<10), 8<<20)
	def(&l.Ping, d.Ping)
	def(&l.Greeting, d.Greeting)
	def(&l.Welcome, d.Welcome)
	def(&l.Handshake, d.Handshake)
	def(&l.Head, d.Head)
	def(&l.RawIdle, d.RawIdle)
	def(&l.HalfClosed, d.HalfClosed)
	return l
}
