package tunnel

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/frame"
	"adit/engine/wire"
)

// A hostileServer accepts any number of connections; a test plays the client
// with single frames.
type hostileServer struct {
	listener *enginetest.Listener
	conns    chan Conn
	rejected chan error
	srv      *http.Server
	served   chan struct{}
}

func newHostileServer(t testing.TB, limits Limits) *hostileServer {
	s := &hostileServer{listener: enginetest.NewListener(80), conns: make(chan Conn, 4), rejected: make(chan error, 4), served: make(chan struct{})}
	s.srv = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := Accept(w, r, AcceptOptions{ID: 17, Limits: limits, Counters: new(frame.Counters)})
		if err != nil {
			s.rejected <- err
			return
		}
		c, err := g.Welcome(&wire.Welcome{Server: "test"})
		if err != nil {
			s.rejected <- err
			return
		}
		s.conns <- c
	})}
	go func() {
		defer close(s.served)
		_ = s.srv.Serve(s.listener)
	}()
	t.Cleanup(func() {
		_ = s.srv.Close()
		<-s.served
	})
	return s
}

// dial opens a WebSocket by hand, without greeting.
func (s *hostileServer) dial(t testing.TB, subprotocols ...string) *enginetest.Peer {
	t.Helper()
	conn, err := s.listener.Dial(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p, _, err := enginetest.DialPeer(conn, enginetest.Handshake{Subprotocols: subprotocols})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// register is a native client up to its welcome.
func (s *hostileServer) register(t testing.TB) (*enginetest.Peer, Conn) {
	t.Helper()
	p := s.dial(t, wire.Subprotocol)
	hello := wire.AppendHello(nil, &wire.Hello{Greeting: engine.Greeting{ID: "edge", PoolSize: 1}, MaxExchanges: 100, Window: 64 << 10})
	if err := p.WriteMessage(enginetest.OpText, hello); err != nil {
		t.Fatal(err)
	}
	op, text, err := p.ReadMessage()
	if err != nil || op != enginetest.OpText {
		t.Fatalf("welcome: %d %v", op, err)
	}
	if _, err := wire.ParseWelcome(text); err != nil {
		t.Fatal(err)
	}
	return p, <-s.conns
}

// hostileClient is our session against a server that a test plays.
func hostileClient(t testing.TB, limits Limits, handler Handler) (*enginetest.Peer, Session) {
	t.Helper()
	ours, theirs := enginetest.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	peers := make(chan *enginetest.Peer, 1)
	go func() {
		defer close(peers)
		p, _, err := enginetest.AcceptPeer(theirs, enginetest.Handshake{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			t.Error(err)
			return
		}
		if _, _, err := p.ReadMessage(); err != nil {
			t.Error(err)
			return
		}
		welcome := wire.AppendWelcome(nil, &wire.Welcome{Connection: "c-1", Server: "hostile", PingInterval: 20 * time.Second, MaxExchanges: 100, Window: 64 << 10})
		if err := p.WriteMessage(enginetest.OpText, welcome); err != nil {
			t.Error(err)
			return
		}
		peers <- p
	}()
	session, err := Dial(context.Background(), DialOptions{ID: 1, URL: "ws://server/register", Greeting: &engine.Greeting{ID: "edge", PoolSize: 1},
		Limits: limits, Counters: new(frame.Counters), Handler: handler,
		NetDial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return <-peers, session
}

// A frameCase is what a peer sends once the connection stands, and what it must
// get: a Close frame with one of the codes, or the end of TCP where drop is set.
type frameCase struct {
	name  string
	bytes func(masks bool) []byte
	codes []engine.CloseCode
	drop  bool // ending without a Close frame is as good
	alive bool // the connection goes on
}

func one(f enginetest.Frame) func(bool) []byte {
	return func(masks bool) []byte {
		f := f
		f.Masked = masks != f.Masked // Masked in a case means: contrary to the role
		f.Key = [4]byte{1, 2, 3, 4}
		return enginetest.AppendFrame(nil, f)
	}
}

func several(frames ...enginetest.Frame) func(bool) []byte {
	return func(masks bool) (all []byte) {
		for _, f := range frames {
			all = append(all, one(f)(masks)...)
		}
		return all
	}
}

func closing(code uint16, reason string) enginetest.Frame {
	return enginetest.Frame{Fin: true, Opcode: enginetest.OpClose, Payload: append(binary.BigEndian.AppendUint16(nil, code), reason...)}
}

// frameCases is the table of RFC 6455 violations, by the classes of Autobahn:
// framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing, limits.
func frameCases() []frameCase {
	const text, binary_, cont, ping, pong, close_ = enginetest.OpText, enginetest.OpBinary, enginetest.OpContinuation, enginetest.OpPing, enginetest.OpPong, enginetest.OpClose
	drain := []byte(`{"type":"unknown"}`)
	var cases []frameCase
	bad := func(name string, bytes func(bool) []byte, codes ...engine.CloseCode) {
		cases = append(cases, frameCase{name: name, bytes: bytes, codes: codes})
	}
	good := func(name string, frames ...enginetest.Frame) {
		cases = append(cases, frameCase{name: name, bytes: several(frames...), alive: true})
	}
	names := map[byte]string{text: "text", binary_: "binary", cont: "continuation", ping: "ping", pong: "pong", close_: "close"}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for _, fin := range []bool{true, false} {
			bad("reserved opcode "+string("0123456789ABCDEF"[op])+map[bool]string{true: "", false: " without fin"}[fin], one(enginetest.Frame{Fin: fin, Opcode: op, Payload: drain}), 1002)
		}
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		for _, op := range []byte{text, binary_, ping, close_} {
			bad("reserved bits "+string('0'+rune(rsv))+" on "+names[op], one(enginetest.Frame{Fin: true, Rsv: rsv, Opcode: op, Payload: nil}), 1002)
		}
	}
	for _, op := range []byte{text, binary_, cont, ping, pong, close_} {
		bad("wrong masking of "+names[op], one(enginetest.Frame{Fin: true, Masked: true, Opcode: op, Payload: drain}), 1002)
	}
	for _, op := range []byte{ping, pong, close_} {
		bad("fragmented "+names[op], one(enginetest.Frame{Opcode: op}), 1002)
		for _, n := range []int{126, 65536} {
			bad("oversize "+names[op], one(enginetest.Frame{Fin: true, Opcode: op, Payload: make([]byte, n)}), 1002)
		}
		bad("length of "+names[op]+" not minimal", one(enginetest.Frame{Fin: true, Opcode: op, Payload: []byte("hello"), LengthBytes: 3}), 1002)
	}
	for _, fin := range []bool{true, false} {
		for _, payload := range [][]byte{nil, drain} {
			bad("continuation of nothing", one(enginetest.Frame{Fin: fin, Opcode: cont, Payload: payload}), 1002)
		}
	}
	for _, first := range []byte{text, binary_} {
		for _, second := range []byte{text, binary_} {
			bad(names[second]+" inside a fragmented "+names[first], several(enginetest.Frame{Opcode: first, Payload: drain}, enginetest.Frame{Fin: true, Opcode: second, Payload: drain}), 1002)
		}
		bad("reserved opcode inside a fragmented "+names[first], several(enginetest.Frame{Opcode: first, Payload: drain}, enginetest.Frame{Fin: true, Opcode: 3}), 1002)
		for _, declared := range []uint64{1 << 63, 1<<63 + 5, 1<<64 - 1} {
			cases = append(cases, frameCase{name: "length with the top bit on " + names[first], drop: true, codes: []engine.CloseCode{1002, 1009},
				bytes: one(enginetest.Frame{Fin: true, Opcode: first, Declared: declared, LengthBytes: 9})})
		}
		for _, declared := range []uint64{256<<10 + 1, 1 << 30, 1<<63 - 1} {
			bad("too long "+names[first], one(enginetest.Frame{Fin: true, Opcode: first, Declared: declared, LengthBytes: 9}), 1009)
		}
		bad("fragments of "+names[first]+" too long together", func(masks bool) []byte {
			var frames []enginetest.Frame
			frames = append(frames, enginetest.Frame{Opcode: first, Payload: make([]byte, 128<<10)})
			frames = append(frames, enginetest.Frame{Opcode: cont, Payload: make([]byte, 128<<10)}, enginetest.Frame{Opcode: cont, Payload: make([]byte, 1)})
			return several(frames...)(masks)
		}, 1009)
	}
	bad("text longer than text may be", one(enginetest.Frame{Fin: true, Opcode: text, Payload: make([]byte, 64<<10+1)}), 1009)
	for _, invalid := range []string{"\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "ok\x80", "\xf8\x88\x80\x80\x80", "{\"type\":\"\xfe\"}"} {
		bad("text that is not utf-8", one(enginetest.Frame{Fin: true, Opcode: text, Payload: []byte(invalid)}), 1007)
		bad("close reason that is not utf-8", one(closing(1000, invalid)), 1002, 1007)
	}
	for _, invalid := range []string{"", "x", "{", "[]", "null", `"drain"`, "{}x", `{"type":5}`} {
		bad("text that is not a message: "+invalid, one(enginetest.Frame{Fin: true, Opcode: text, Payload: []byte(invalid)}), 1002)
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		bad("close with an invalid code", one(closing(code, "")), 1002)
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999} {
		bad("close is echoed", one(closing(code, "bye")), engine.CloseCode(code))
	}
	bad("empty close is echoed empty", one(enginetest.Frame{Fin: true, Opcode: close_}), 1005)
	cases = append(cases, frameCase{name: "close of one byte", drop: true, codes: []engine.CloseCode{1002, 1005}, bytes: one(enginetest.Frame{Fin: true, Opcode: close_, Payload: []byte{3}})})
	bad("garbage after close", several(closing(1000, ""), enginetest.Frame{Fin: true, Opcode: text, Payload: []byte("{")}), 1000)
	bad("empty binary message", one(enginetest.Frame{Fin: true, Opcode: binary_}), 1002)
	bad("fragmented empty binary message", several(enginetest.Frame{Opcode: binary_}, enginetest.Frame{Opcode: cont}, enginetest.Frame{Fin: true, Opcode: cont}), 1002)
	cases = append(cases, frameCase{name: "http instead of frames", drop: true, codes: []engine.CloseCode{1002}, bytes: func(bool) []byte { return []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n") }})
	cases = append(cases, frameCase{name: "tls instead of frames", drop: true, codes: []engine.CloseCode{1002}, bytes: func(bool) []byte { return []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") }})
	for _, n := range []int{0, 1, 125} {
		good("ping", enginetest.Frame{Fin: true, Opcode: ping, Payload: make([]byte, n)})
		good("unsolicited pong", enginetest.Frame{Fin: true, Opcode: pong, Payload: make([]byte, n)})
	}
	good("text of an unknown type", enginetest.Frame{Fin: true, Opcode: text, Payload: drain})
	good("fragmented text", enginetest.Frame{Opcode: text, Payload: drain[:3]}, enginetest.Frame{Opcode: cont}, enginetest.Frame{Fin: true, Opcode: cont, Payload: drain[3:]})
	good("ping between fragments", enginetest.Frame{Opcode: text, Payload: drain[:3]}, enginetest.Frame{Fin: true, Opcode: ping, Payload: []byte("now")}, enginetest.Frame{Fin: true, Opcode: cont, Payload: drain[3:]})
	return cases
}

func TestRFC6455(t *testing.T) {
	cases := frameCases()
	if len(cases) < 110 {
		t.Errorf("only %d cases", len(cases))
	}
	t.Run("server", func(t *testing.T) {
		s := newHostileServer(t, Limits{})
		bystander, other := s.register(t)
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				p, c := s.register(t)
				p.Timeout = 5 * time.Second
				judge(t, p, tc)
				_ = p.Conn.Close()
				<-c.Done()
			})
		}
		pinged(t, bystander, "others are undisturbed")
		_ = bystander.Conn.Close()
		<-other.Done()
	})
	t.Run("client", func(t *testing.T) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				p, session := hostileClient(t, Limits{}, func(Incoming) {})
				p.Timeout = 5 * time.Second
				judge(t, p, tc)
				_ = p.Conn.Close()
				<-session.Done()
			})
		}
	})
}

func judge(t *testing.T, p *enginetest.Peer, tc frameCase) {
	t.Helper()
	if err := p.WriteRaw(tc.bytes(p.Masks)); err != nil {
		t.Fatal(err)
	}
	if tc.alive {
		pinged(t, p, "still there?")
		return
	}
	got, err := p.ReadClose()
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		if !tc.drop {
			t.Errorf("dropped without a close frame, want %v", tc.codes)
		}
		return
	}
	for _, code := range tc.codes {
		if got.Code == uint16(code) {
			return
		}
	}
	t.Errorf("closed with %d %q, want %v", got.Code, got.Reason, tc.codes)
}

// pinged fails the test if the peer does not answer this ping.
func pinged(t testing.TB, p *enginetest.Peer, payload string) {
	t.Helper()
	if err := p.WriteMessage(enginetest.OpPing, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := p.ReadFrame()
		if err != nil {
			t.Fatalf("no answer to a ping: %v", err)
		}
		if f.Opcode == enginetest.OpClose {
			t.Fatalf("closed: %v", enginetest.ParseClose(f.Payload))
		}
		if f.Opcode == enginetest.OpPong && string(f.Payload) == payload {
			return
		}
	}
}
