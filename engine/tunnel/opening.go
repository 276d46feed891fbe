package tunnel

import (
	"context"
	"net"
	"net/http"
	"time"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/wire"
)

// AcceptOptions is what the server's opening needs.
type AcceptOptions struct {
	ID       engine.ConnectionID
	Limits   Limits
	Protocol engine.Protocol // 0: native when offered, else classic
	Growth   *Budget         // of the process; nil: windows do not grow
	Counters *frame.Counters // counts this connection's frames; never nil

	// OnRelease is called, without a lock held, after a slot came back.
	OnRelease func()
	// OnPanic is told of a panic in a goroutine of the connection, which then
	// closes with 1011. Nil: the panic goes on.
	OnPanic func(v any)
}

// A Registration is a WebSocket whose greeting was read and not answered yet.
type Registration struct {
	Protocol engine.Protocol
	Greeting *engine.Greeting
	Peer     string // address

	// unexported: the socket
}

// An OpeningError says why an opening ended; its Code is the close code that
// was sent, 0 where the opening handshake itself failed and an HTTP status was
// sent instead.
type OpeningError struct {
	Code     engine.CloseCode
	Greeting *engine.Greeting // where it could be read
	Err      error
}

// Accept performs the opening handshake of RFC 6455 §4.2 on a request that the
// server has admitted, selects the subprotocol and reads the greeting. On error
// everything has been answered and closed; the error is an *OpeningError.
func Accept(w http.ResponseWriter, r *http.Request, o AcceptOptions) (*Registration, error) {
	panic("in work")
}

// Welcome answers the greeting and starts the connection. In classic mode
// nothing is sent.
func (g *Registration) Welcome(w *wire.Welcome) (Conn, error) { panic("in work") }

// Reject closes the connection with code and reason, and returns when it is closed.
func (g *Registration) Reject(code engine.CloseCode, reason string) { panic("in work") }

// DialOptions is what the client's opening needs.
type DialOptions struct {
	ID       engine.ConnectionID
	URL      string      // ws or wss, "/register" included; no user information
	Header   http.Header // credential; may be nil
	Greeting *engine.Greeting
	Protocol engine.Protocol // 0: offer adit.v1, go on in classic mode if it is not selected
	NeedsV1  bool            // routes are exposed: classic is an error
	Limits   Limits
	Growth   *Budget
	Counters *frame.Counters
	NetDial  func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer
	Handler  Handler
	OnPanic  func(v any)
}

// A DialError says why no session came to be.
type DialError struct {
	Status     int              // HTTP status of a refused opening handshake, or 0
	Code       engine.CloseCode // close code that the server sent, or 0
	RetryAfter time.Duration    // as the server asked, or 0
	Err        error
}

// Dial opens a WebSocket, greets and waits for the welcome; in classic mode it
// greets. The session serves exchanges at once. The error is a *DialError.
func Dial(ctx context.Context, o DialOptions) (Session, error) { panic("in work") }
