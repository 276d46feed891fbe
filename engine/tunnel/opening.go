package tunnel

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/tcp"
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
	// OnEnd is called once after a connection that was welcomed has ended: after
	// Done, by the last of its goroutines. Nil: nobody wants to know.
	OnEnd func()
	// OnPanic is told of a panic in a goroutine of the connection, which then
	// closes with 1011. Nil: the panic goes on.
	OnPanic func(v any)
}

// A Registration is a WebSocket whose greeting was read and not answered yet.
type Registration struct {
	Protocol engine.Protocol
	Greeting *engine.Greeting
	Peer     string // address

	socket *socket
	hello  *wire.Hello // native
	opts   AcceptOptions
}

// An OpeningError says why an opening ended; its Code is the close code that
// was sent, 0 where the opening handshake itself failed and an HTTP status was
// sent instead.
type OpeningError struct {
	Code     engine.CloseCode
	Greeting *engine.Greeting // where it could be read
	Err      error
}

func (e *OpeningError) Error() string { return "opening: " + e.Err.Error() }
func (e *OpeningError) Unwrap() error { return e.Err }

// Accept performs the opening handshake of RFC 6455 §4.2 on a request that the
// server has admitted, selects the subprotocol and reads the greeting. On error
// everything has been answered and closed; the error is an *OpeningError.
func Accept(w http.ResponseWriter, r *http.Request, o AcceptOptions) (*Registration, error) {
	o.Limits = o.Limits.withDefaults()
	upgrader := websocket.Upgrader{
		HandshakeTimeout: o.Limits.Greeting,
		ReadBufferSize:   wideReadBuffer,
		WriteBufferSize:  messageSize,
		WriteBufferPool:  &writeBuffers,
		// The server has refused browsers before it called.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	native := o.Protocol != engine.ProtocolClassic && slices.Contains(websocket.Subprotocols(r), wire.Subprotocol)
	if native {
		upgrader.Subprotocols = []string{wire.Subprotocol}
		upgrader.ReadBufferSize = readBufferSize
	} else if o.Protocol == engine.ProtocolNative {
		http.Error(w, "this server speaks "+wire.Subprotocol+" only", http.StatusBadRequest)
		return nil, &OpeningError{Err: errors.New("the client did not offer " + wire.Subprotocol)}
	}
	hijack := &tapHijacker{ResponseWriter: w, counters: o.Counters}
	ws, err := upgrader.Upgrade(hijack, r, nil)
	if err != nil {
		return nil, &OpeningError{Err: err}
	}
	s := &socket{ws: ws, tap: hijack.tap, counters: o.Counters, peer: r.RemoteAddr, server: true,
		limits: o.Limits, opened: time.Now()}
	g := &Registration{Protocol: engine.ProtocolClassic, Peer: s.peer, socket: s, opts: o}
	if native {
		g.Protocol = engine.ProtocolNative
	}
	if end, ok := g.readGreeting(); !ok {
		if end.remote {
			s.goodbye(end.code)
		} else {
			s.refuse(end.code, end.text)
		}
		return nil, &OpeningError{Code: end.code, Greeting: g.Greeting, Err: errors.New(end.text)}
	}
	return g, nil
}

// tapHijacker hands the WebSocket library the counted connection.
type tapHijacker struct {
	http.ResponseWriter
	counters *frame.Counters
	tap      *frame.Conn
}

func (h *tapHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if _, secure := c.(*tls.Conn); !secure { // which has a buffer of its own
		c = tcp.Rest(c)
	}
	h.tap = frame.NewConn(c, h.counters, frame.StartNow, frame.StartAfterHead)
	return h.tap, rw, nil
}

// readGreeting fills Greeting, or says how to refuse.
func (g *Registration) readGreeting() (ending, bool) {
	s := g.socket
	invalid := engine.ClosePolicy
	limit := int64(wire.MaxGreeting)
	if g.Protocol == engine.ProtocolNative {
		invalid, limit = engine.CloseProtocolError, wire.MaxTextMessage
	}
	deadline := time.Now().Add(s.limits.Greeting)
	_ = s.tap.SetReadDeadline(deadline)
	s.ws.SetReadLimit(limit)
	s.quietHandlers(deadline)
	kind, text, err := s.ws.ReadMessage()
	if err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			return ending{code: invalid, text: fmt.Sprintf("no greeting within %v", s.limits.Greeting)}, false
		}
		return endingOf(err), false
	}
	if kind != websocket.TextMessage {
		return ending{code: engine.CloseWrongType, text: "the greeting is not a text message"}, false
	}
	if g.Protocol == engine.ProtocolClassic {
		id, pool, err := wire.ParseClassicGreeting(text)
		if err != nil {
			return ending{code: invalid, text: err.Error()}, false
		}
		g.Greeting = &engine.Greeting{ID: id, PoolSize: pool}
	} else {
		hello, err := wire.ParseHello(text)
		if err != nil {
			return ending{code: invalid, text: err.Error()}, false
		}
		g.hello, g.Greeting = hello, &hello.Greeting
	}
	keepRaw(g.Greeting, text)
	_ = s.tap.SetReadDeadline(time.Time{})
	return ending{}, true
}

// maxRaw bounds engine.Greeting.Raw, in bytes.
const maxRaw = 1 << 10

// keepRaw notes in g the text that it was read from or written as.
func keepRaw(g *engine.Greeting, text []byte) {
	raw := text[:min(len(text), maxRaw)]
	if len(raw) < len(text) {
		for end := len(raw); end > len(raw)-utf8.UTFMax; end-- {
			if utf8.RuneStart(text[end]) {
				raw = raw[:end]
				break
			}
		}
	}
	g.Raw, g.Size = string(raw), len(text)
}

// quietHandlers replaces the library's handlers, which write from the reader,
// for the time before a connection has set its own: a ping is answered (it is
// the only goroutine then), a Close is not, refuse does that.
func (s *socket) quietHandlers(deadline time.Time) {
	s.ws.SetPongHandler(func(string) error { return nil })
	s.ws.SetPingHandler(func(data string) error {
		return s.ws.WriteControl(websocket.PongMessage, []byte(data), deadline)
	})
	s.ws.SetCloseHandler(func(int, string) error { return nil })
}

// Welcome answers the greeting and starts the connection; limits of w that are
// zero are filled in. In classic mode nothing is sent. On error the connection
// is closed.
func (g *Registration) Welcome(w *wire.Welcome) (Conn, error) {
	s := g.socket
	if g.Protocol == engine.ProtocolClassic {
		return newClassicConn(s, g.Greeting, g.opts), nil
	}
	answer := *w
	answer.Connection = g.opts.ID.String()
	answer.PingInterval = s.limits.Ping
	answer.MaxExchanges = s.limits.MaxExchanges
	answer.Window = s.limits.Window
	answer.ExposedOnly = g.Greeting.ExposedOnly
	_ = s.ws.SetWriteDeadline(time.Now().Add(2 * s.limits.Ping))
	if err := s.ws.WriteMessage(websocket.TextMessage, wire.AppendWelcome(nil, &answer)); err != nil {
		_ = s.tap.Close()
		return nil, &OpeningError{Greeting: g.Greeting, Err: fmt.Errorf("welcome: %w", err)}
	}
	c := newConn(s, g.opts.ID, g.opts.Growth, g.opts.OnPanic)
	c.greeting = g.Greeting
	c.onRelease = g.opts.OnRelease
	c.capacity = int64(min(s.limits.MaxExchanges, g.hello.MaxExchanges))
	c.peerWindow = int64(g.hello.Window)
	if g.opts.OnEnd != nil {
		c.onEnd = g.opts.OnEnd
	}
	c.start()
	return serverConn{c}, nil
}

// Reject closes the connection with code and reason, and returns when it is closed.
func (g *Registration) Reject(code engine.CloseCode, reason string) {
	g.socket.refuse(code, strings.ToValidUTF8(reason, "?"))
}
