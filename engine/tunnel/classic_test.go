package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/frame"
	"adit/engine/wire"
)

// classicOptions are for both ends of a wsp connection in a test.
type classicOptions struct {
	limits  Limits
	handler Handler
	release func()
	onPanic func(any)
	network bool // loopback TCP, not memory
}

// A classicServer accepts wsp connections as our server does.
type classicServer struct {
	conns chan Conn
	dial  func(ctx context.Context) (net.Conn, error)
}

func (s *classicServer) netDial(ctx context.Context, _, _ string) (net.Conn, error) {
	return s.dial(ctx)
}

func newClassicServer(t testing.TB, o classicOptions) *classicServer {
	t.Helper()
	s := &classicServer{conns: make(chan Conn, 16)}
	var listener net.Listener
	if o.network {
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		s.dial = func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", listener.Addr().String())
		}
	} else {
		memory := enginetest.NewListener(80)
		listener = memory
		s.dial = memory.Dial
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := Accept(w, r, AcceptOptions{ID: 17, Limits: o.limits, Counters: new(frame.Counters), OnRelease: o.release, OnPanic: o.onPanic})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		c, err := g.Welcome(nil)
		if err != nil {
			t.Errorf("welcome: %v", err)
			return
		}
		s.conns <- c
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return s
}

// served returns our server's end of a wsp connection whose client is played
// frame by frame.
func served(t testing.TB, o classicOptions) (Conn, *enginetest.Peer) {
	t.Helper()
	s := newClassicServer(t, o)
	raw, err := s.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	peer, resp, err := enginetest.DialPeer(raw, enginetest.Handshake{Header: http.Header{"X-Secret-Key": {"ThisIsASecret"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "" {
		t.Fatalf("subprotocol %q selected for a client that offers none", got)
	}
	say(t, peer, opText, "edge_1")
	c := <-s.conns
	t.Cleanup(func() {
		_ = raw.Close()
		<-c.Done()
	})
	return c, peer
}

// dialled returns our client's end of a wsp connection whose server is played
// frame by frame.
func dialled(t testing.TB, o classicOptions) (Session, *enginetest.Peer) {
	t.Helper()
	near, far := enginetest.Pipe()
	accepted := make(chan *enginetest.Peer, 1)
	go func() {
		defer close(accepted)
		peer, r, err := enginetest.AcceptPeer(far, enginetest.Handshake{})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		if got := r.Header.Get("Sec-WebSocket-Protocol"); got != wire.Subprotocol {
			t.Errorf("our client offers %q", got)
		}
		if _, text, err := peer.ReadMessage(); err != nil || string(text) != "edge-3_4" {
			t.Errorf("greeting %q, %v", text, err)
			return
		}
		accepted <- peer
	}()
	s, err := Dial(t.Context(), DialOptions{
		ID: 3, URL: "ws://server.test/register", Greeting: &engine.Greeting{ID: "edge_3", PoolSize: 4},
		Limits: o.limits, Counters: new(frame.Counters), Handler: o.handler, OnPanic: o.onPanic,
		NetDial: func(context.Context, string, string) (net.Conn, error) { return near, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	peer, ok := <-accepted
	if !ok {
		t.FailNow()
	}
	if s.Protocol() != engine.ProtocolClassic || s.Welcome() != nil {
		t.Fatal("not in classic mode")
	}
	t.Cleanup(func() {
		_ = far.Close()
		<-s.Done()
	})
	return s, peer
}

// paired returns our two ends talking wsp to each other.
func paired(t testing.TB, o classicOptions) (Conn, Session) {
	t.Helper()
	server := newClassicServer(t, o)
	s, err := Dial(t.Context(), DialOptions{
		ID: 3, URL: "ws://server.test/register", Greeting: &engine.Greeting{ID: "edge", PoolSize: 1},
		Protocol: engine.ProtocolClassic,
		Limits:   o.limits, Counters: new(frame.Counters), Handler: o.handler, OnPanic: o.onPanic,
		NetDial: server.netDial,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := <-server.conns
	t.Cleanup(func() {
		s.Close(engine.CloseNormal, "test is over")
		<-c.Done()
	})
	return c, s
}

func say(t testing.TB, p *enginetest.Peer, opcode byte, text string) {
	t.Helper()
	if err := p.WriteMessage(opcode, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// hear reads a message of the wanted type.
func hear(t testing.TB, p *enginetest.Peer, opcode byte) []byte {
	t.Helper()
	got, payload, err := p.ReadMessage()
	if err != nil {
		t.Fatalf("read message: %v", err)
	}
	if got != opcode {
		t.Fatalf("opcode %d, want %d: %q", got, opcode, payload)
	}
	return payload
}

// hearJSON reads a text message into v.
func hearJSON(t testing.TB, p *enginetest.Peer, v any) {
	t.Helper()
	text := hear(t, p, opText)
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
}

// hearClose expects a Close frame with a code and then the end.
func hearClose(t testing.TB, p *enginetest.Peer, code engine.CloseCode) {
	t.Helper()
	e, err := p.ReadClose()
	if err != nil {
		t.Fatal(err)
	}
	if e == nil || e.Code != uint16(code) {
		t.Fatalf("close %v, want code %d", e, code)
	}
	_ = p.Conn.Close()
}

// hearEnd expects the end of TCP without a Close frame and without FIN=1.
func hearEnd(t testing.TB, p *enginetest.Peer) {
	t.Helper()
	for {
		f, err := p.ReadFrame()
		var ne net.Error
		switch {
		case errors.As(err, &ne) && ne.Timeout():
			t.Fatalf("the connection goes on: %v", err)
		case err != nil:
			return
		case f.Opcode == opClose:
			t.Fatal("a Close frame")
		case f.Fin && f.Opcode < opClose:
			t.Fatalf("a message ended: opcode %d, %q", f.Opcode, f.Payload)
		}
	}
}

func ask(method, path string, fields ...wire.Field) *wire.Request {
	return &wire.Request{Method: method, Scheme: "http", Authority: "api.test:8080", Path: path, Fields: fields}
}

// opened reserves and opens.
func opened(t testing.TB, c Conn, ctx context.Context, r *wire.Request, end bool) Exchange {
	t.Helper()
	if !c.Reserve() {
		t.Fatal("no slot")
	}
	x, err := c.Open(ctx, r, end)
	if err != nil {
		c.Unreserve()
		t.Fatal(err)
	}
	return x
}

// respond answers as a client does.
func respond(t testing.TB, p *enginetest.Peer, head, content string) {
	t.Helper()
	say(t, p, opText, head)
	say(t, p, opBinary, content)
}

func wantReason(t testing.TB, err error, want engine.Reason) {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Errorf("error %v (reason %v), want reason %v", err, engine.ReasonOf(err), want)
	}
}

// wantEnd waits for the end of a connection.
func wantEnd(t testing.TB, c interface {
	Done() <-chan struct{}
	Ended() (engine.CloseCode, string)
}, code engine.CloseCode) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the connection did not end")
	}
	if got, text := c.Ended(); got != code {
		t.Fatalf("ended %d (%s), want %d", got, text, code)
	}
}

// content reads an exchange's content, which must come to its end.
func content(t testing.TB, x Exchange) string {
	t.Helper()
	all, err := readAll(x)
	if err != nil {
		t.Fatalf("content after %d bytes: %v", len(all), err)
	}
	return string(all)
}

// replyWith is a handler's usual way to answer with content.
func replyWith(in Incoming, status int, body string, fields ...wire.Field) error {
	if err := in.WriteResponse(&wire.Response{Status: status, Fields: fields}, false); err != nil {
		return err
	}
	if _, err := in.Write([]byte(body)); err != nil {
		return err
	}
	return in.CloseWrite(nil)
}

func TestClassicEndsTalkToEachOther(t *testing.T) {
	released := make(chan struct{}, 64)
	c, s := paired(t, classicOptions{
		release: func() { released <- struct{}{} },
		handler: func(in Incoming) {
			body, err := io.ReadAll(in)
			if err != nil {
				t.Errorf("request content: %v", err)
			}
			r := in.Request()
			_ = replyWith(in, 200, r.Method+" "+r.Scheme+"://"+r.Authority+r.Path+" "+string(body))
		},
	})
	for range 5 {
		x := opened(t, c, t.Context(), ask("POST", "/a?b=c"), false)
		if c.Reserve() {
			t.Fatal("a second exchange on one wsp connection")
		}
		for _, piece := range []string{"one ", "two"} {
			if _, err := x.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.CloseWrite(nil); err != nil {
			t.Fatal(err)
		}
		r, err := x.ReadResponse()
		if err != nil || r.Status != 200 {
			t.Fatal(r, err)
		}
		if got, want := content(t, x), "POST http://api.test:8080/a?b=c one two"; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		if x.SentAt().IsZero() || x.Retryable() || x.Trailers() != nil {
			t.Fatal("sent, retryable or trailers")
		}
		x.Close()
		<-released
	}
	if c.InFlight() != 0 {
		t.Fatal("a slot is still taken")
	}
	var at, there engine.Connection
	c.Status(&at)
	if at.State != engine.StateIdle || at.Exchanges != 5 || at.Protocol != engine.ProtocolClassic || at.ID != 17 {
		t.Fatalf("status %+v", at)
	}
	s.Close(engine.CloseGoingAway, "bye")
	<-c.Done()
	c.Status(&at)
	s.Status(&there)
	if at.FramesIn != there.FramesOut || at.BytesIn != there.BytesOut || at.FramesOut != there.FramesIn || at.BytesOut != there.BytesIn {
		t.Fatalf("the ends count differently: %+v, %+v", at.Traffic, there.Traffic)
	}
	if code, text := c.Ended(); code != engine.CloseGoingAway || text != "bye" {
		t.Fatalf("ended %d %q", code, text)
	}
}
