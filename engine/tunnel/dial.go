package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/tcp"
	"adit/engine/wire"
)

// maxHandshakeHead bounds the answer to an opening handshake.
const maxHandshakeHead = 64 << 10

// DialOptions is what the client's opening needs.
type DialOptions struct {
	ID       engine.ConnectionID
	URL      string      // ws or wss, "/register" included; no user information
	Header   http.Header // credential; may be nil
	Greeting *engine.Greeting
	// ClassicPool replaces the greeting's pool size in classic mode; 0: it does not.
	ClassicPool int
	Protocol    engine.Protocol // 0: offer adit.v1, go on in classic mode if it is not selected
	NeedsV1     bool            // routes are exposed: classic is an error
	Limits      Limits
	Growth      *Budget
	Counters    *frame.Counters
	NetDial     func(ctx context.Context, network, addr string) (net.Conn, error) // nil: net.Dialer
	TLS         *tls.Config                                                       // for wss; nil: the default
	OnTLS       func(engine.TLS)                                                  // told before Dial returns, where there is TLS. May be nil
	Handler     Handler
	OnDrain     func() // told, once, that the server sends nothing new although nobody here asked; must not block. May be nil
	OnPanic     func(v any)
}

// A DialError says why no session came to be.
type DialError struct {
	Status     int              // HTTP status of a refused opening handshake, or 0
	Code       engine.CloseCode // close code that the server sent, or 0
	RetryAfter time.Duration    // as the server asked, or 0
	Err        error
}

func (e *DialError) Error() string { return e.Err.Error() }
func (e *DialError) Unwrap() error { return e.Err }

// errNotNative is the refusal to go on in wsp where only adit.v1 will do, and
// errNoRoutes that to expose routes over wsp.
var (
	errNotNative = engine.Fail("opening handshake", engine.ReasonUnsupported,
		errors.New("the server does not speak "+wire.Subprotocol+": let the protocol be chosen, or use an adit server that speaks it"))
	errNoRoutes = engine.Fail("opening handshake", engine.ReasonUnsupported,
		errors.New("the server does not speak "+wire.Subprotocol+", and wsp has no routes to expose: use --allow in place of --expose, or an adit server"))
)

// Dial opens a WebSocket, greets and waits for the welcome; in classic mode it
// greets. The session serves exchanges at once. The error is a *DialError.
func Dial(ctx context.Context, o DialOptions) (Session, error) {
	o.Limits = o.Limits.withDefaults()
	handshake, cancel := context.WithTimeout(ctx, o.Limits.Handshake)
	defer cancel()
	d := &opener{o: &o, ctx: ctx}
	dialer := websocket.Dialer{
		NetDialContext:    d.dial,
		NetDialTLSContext: d.dialTLS,
		ReadBufferSize:    wideReadBuffer,
		WriteBufferSize:   messageSize,
		WriteBufferPool:   &writeBuffers,
	}
	if o.Protocol != engine.ProtocolClassic {
		dialer.Subprotocols = []string{wire.Subprotocol}
	}
	ws, resp, err := dialer.DialContext(handshake, o.URL, o.Header)
	defer d.release()
	if err != nil {
		return nil, handshakeError(resp, err, o.Header)
	}
	tap := d.tap
	s := &socket{ws: ws, tap: tap, counters: o.Counters, peer: tap.RemoteAddr().String(), limits: o.Limits, opened: time.Now()}
	native, err := selected(resp, o.Protocol, o.NeedsV1)
	if err != nil {
		s.refuse(engine.CloseProtocolError, "no protocol in common")
		return nil, &DialError{Err: err}
	}
	if !native {
		_ = ws.SetWriteDeadline(time.Now().Add(o.Limits.Welcome))
		pool := o.Greeting.PoolSize
		if o.ClassicPool > 0 {
			pool = o.ClassicPool
		}
		greeting := wire.AppendClassicGreeting(nil, o.Greeting.ID, pool)
		if err := ws.WriteMessage(websocket.TextMessage, greeting); err != nil {
			_ = tap.Close()
			return nil, &DialError{Err: fmt.Errorf("greet: %w", err)}
		}
		o.Greeting = said(o.Greeting, greeting)
		return newClassicSession(s, o), nil
	}
	welcome, err := greet(s, &o)
	if err != nil {
		return nil, err
	}
	c := newConn(s, o.ID, o.Growth, o.OnPanic)
	c.limits.Ping = welcome.PingInterval
	c.greeting, c.welcome, c.handler, c.onDrain = o.Greeting, welcome, o.Handler, o.OnDrain
	c.capacity = int64(min(o.Limits.MaxExchanges, welcome.MaxExchanges))
	c.peerWindow = int64(welcome.Window)
	c.start()
	return clientConn{c}, nil
}

// An opener dials for the library, puts the frame tap on the connection, above
// TLS where there is any, and closes it when ctx ends before the session stands:
// the library heeds only the deadline of its context.
type opener struct {
	o    *DialOptions
	ctx  context.Context
	tap  *frame.Conn
	stop func() bool
}

func (d *opener) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.o.netDial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return d.wrap(tcp.Wrap(c)), nil
}

func (d *opener) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.o.netDial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	config := d.o.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config.NextProtos = []string{"http/1.1"}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(addr)
	}
	secure := tls.Client(tcp.Wrap(c), config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		if !strings.HasPrefix(err.Error(), "tls: ") { // some say it themselves
			err = fmt.Errorf("tls: %w", err)
		}
		return nil, err
	}
	if d.o.OnTLS != nil {
		state := secure.ConnectionState()
		d.o.OnTLS(Secured(&state))
	}
	return d.wrap(secure), nil
}

func (d *opener) wrap(c net.Conn) net.Conn {
	d.tap = frame.NewConn(c, d.o.Counters, frame.StartAfterHead, frame.StartAfterHead)
	d.stop = context.AfterFunc(d.ctx, func() { _ = c.Close() })
	return &headLimit{Conn: d.tap, left: maxHandshakeHead}
}

// release takes the connection out of the reach of ctx.
func (d *opener) release() {
	if d.stop != nil {
		d.stop()
	}
}

func (o *DialOptions) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	if o.NetDial != nil {
		return o.NetDial(ctx, network, addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// headLimit refuses to read more than left bytes before the head has ended,
// which is when the first frame was read.
type headLimit struct {
	net.Conn
	left int
	tail [4]byte // the last bytes seen
	open bool    // the head has ended
}

func (h *headLimit) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.open {
		return n, err
	}
	for i, b := range p[:n] {
		copy(h.tail[:], h.tail[1:])
		h.tail[3] = b
		if string(h.tail[:]) == "\r\n\r\n" {
			h.open = true
			return n, err
		}
		if i >= h.left {
			return 0, errors.New("the answer to the opening handshake is too long")
		}
	}
	h.left -= n
	return n, err
}

// selected reports whether the server selected the native protocol, or why its
// answer can't be accepted.
func selected(resp *http.Response, want engine.Protocol, needsV1 bool) (native bool, err error) {
	if len(resp.Header.Values("Sec-WebSocket-Extensions")) > 0 {
		// The library would inflate past its read limit.
		return false, errors.New("opening handshake: the server selected an extension that was not offered")
	}
	switch proto := resp.Header.Values("Sec-WebSocket-Protocol"); {
	case len(proto) == 0:
		if needsV1 {
			return false, errNoRoutes
		}
		if want == engine.ProtocolNative {
			return false, errNotNative
		}
		return false, nil
	case len(proto) == 1 && proto[0] == wire.Subprotocol && want != engine.ProtocolClassic:
		return true, nil
	default:
		return false, errors.New("opening handshake: the server selected a subprotocol that was not offered")
	}
}

// said returns a copy of g with the text that was sent.
func said(g *engine.Greeting, text []byte) *engine.Greeting {
	own := *g
	keepRaw(&own, text)
	return &own
}

// greet sends the greeting and waits for the welcome. On error the socket is closed.
func greet(s *socket, o *DialOptions) (*wire.Welcome, error) {
	deadline := time.Now().Add(s.limits.Welcome)
	fail := func(err error) (*wire.Welcome, error) {
		_ = s.tap.Close()
		return nil, &DialError{Err: err}
	}
	hello := &wire.Hello{Greeting: *o.Greeting, MaxExchanges: s.limits.MaxExchanges, Window: s.limits.Window}
	_ = s.ws.SetWriteDeadline(deadline)
	text := wire.AppendHello(nil, hello)
	if err := s.ws.WriteMessage(websocket.TextMessage, text); err != nil {
		return fail(fmt.Errorf("greet: %w", err))
	}
	o.Greeting = said(o.Greeting, text)
	_ = s.tap.SetReadDeadline(deadline)
	s.ws.SetReadLimit(wire.MaxTextMessage)
	s.quietHandlers(deadline)
	kind, answer, err := s.ws.ReadMessage()
	if err != nil {
		end := endingOf(err)
		if end.remote {
			s.goodbye(end.code)
			return nil, &DialError{Code: end.code, RetryAfter: RetryAfter(end.text),
				Err: fmt.Errorf("greeting refused: %d %s", end.code, end.text)}
		}
		return fail(fmt.Errorf("wait for the welcome: %s", end.text))
	}
	if kind != websocket.TextMessage {
		s.refuse(engine.CloseWrongType, "the welcome is not a text message")
		return nil, &DialError{Err: errors.New("welcome: not a text message")}
	}
	welcome, err := wire.ParseWelcome(answer)
	if err != nil {
		s.refuse(engine.CloseProtocolError, err.Error())
		return nil, &DialError{Err: fmt.Errorf("welcome: %w", err)}
	}
	_ = s.tap.SetReadDeadline(time.Time{})
	return welcome, nil
}
