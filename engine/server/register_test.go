package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

const handshake = "GET /register HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func TestRegistrationIsRefusedBeforeTheUpgrade(t *testing.T) {
	plain := serve(t, Options{})
	locked := serve(t, Options{}.with(withClientSecret("s3cret")))
	compat := serve(t, Options{CompatStatus: true}.with(withClientSecret("s3cret")))
	for _, k := range []struct {
		name   string
		b      *bench
		send   string
		status int
		header string
	}{
		{"no credential", locked, handshake + "\r\n", 401, "Www-Authenticate"},
		{"wrong credential", locked, handshake + "X-Secret-Key: no\r\n\r\n", 401, "Www-Authenticate"},
		{"credential twice", locked, handshake + "X-Secret-Key: s3cret\r\nX-Secret-Key: s3cret\r\n\r\n", 400, ""},
		{"credential before anything else", locked, "GET /register HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n\r\n", 401, ""},
		{"as wsp says it", compat, handshake + "\r\n", 526, ""},
		{"browser", plain, handshake + "Origin: http://evil\r\n\r\n", 403, ""},
		{"no websocket", plain, "GET /register HTTP/1.1\r\nHost: x\r\n\r\n", 426, "Upgrade"},
		{"other method", plain, "POST" + strings.TrimPrefix(handshake, "GET") + "\r\n", 426, ""},
		{"other version", plain, strings.Replace(handshake, "13", "8", 1) + "\r\n", 426, "Sec-Websocket-Version"},
		{"no key", plain, strings.Replace(handshake, "Sec-WebSocket-Key", "X", 1) + "\r\n", 400, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			n := len(k.b.seen(engine.KindAdmissionRefused))
			resp, body := k.b.raw(k.send).response(t, "GET")
			if resp.StatusCode != k.status || k.header != "" && resp.Header.Get(k.header) == "" {
				t.Errorf("got %d %v %q", resp.StatusCode, resp.Header, body)
			}
			if e := k.b.await(engine.KindAdmissionRefused, n+1); int(e.Code) != k.status || e.Reason == "" ||
				strings.Contains(e.Reason, "s3cret") {
				t.Errorf("event %+v", e)
			}
		})
	}
	s, err := locked.tryDial(greeting("edge"), hello, func(o *tunnel.DialOptions) {
		o.Header = http.Header{"Authorization": {"Bearer s3cret"}}
	})
	if err != nil {
		t.Fatalf("with the credential: %v", err)
	}
	s.Close(engine.CloseNormal, "")
}

func (o Options) with(change func(*Options)) Options {
	change(&o)
	return o
}

func TestGreetingIsPublishedWithItsURLs(t *testing.T) {
	b := serve(t, Options{Domain: "T.Example.", PublicURL: "https://ignored", Name: "srv", Version: "9"})
	g := greeting("edge", engine.Expose{Host: "App"})
	g.Hostname, g.Labels = "pi", map[string]string{"region": "eu"}
	s := b.dial(g, hello)
	w := s.Welcome()
	if w.Connection != "c-1" || w.Server != "srv" || w.Version != "9" || w.PingInterval != 20*time.Second ||
		w.MaxExchanges != 1000 || w.Window != 64<<10 || len(w.URLs) != 1 || w.URLs[0] != "https://App.t.example" && w.URLs[0] != "https://app.t.example" {
		t.Errorf("welcome %+v", w)
	}
	opened := b.await(engine.KindConnectionOpened, 1)
	e := b.await(engine.KindGreetingReceived, 1)
	if opened.Connection != e.Connection || opened.Seq > e.Seq || e.Client != "edge" || e.Protocol != engine.ProtocolNative ||
		e.Greeting.Hostname != "pi" || e.Greeting.Labels["region"] != "eu" || e.Greeting.Expose[0].URL != "https://app.t.example" {
		t.Errorf("event %+v, greeting %+v", e, e.Greeting)
	}
	s.Close(engine.CloseNormal, "enough")
	closed := b.await(engine.KindConnectionClosed, 1)
	if closed.Code != 1000 || closed.Reason != "enough" || closed.Client != "edge" || closed.Duration <= 0 ||
		closed.Closed.FramesIn.Text != 1 || closed.Closed.FramesOut.Text != 1 || closed.Closed.FramesIn.Close != 1 {
		t.Errorf("event %+v %+v", closed, closed.Closed)
	}
}

func TestGreetingsThatAreRejected(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	b := serve(t, withPorts(port, port))
	bare := serve(t, Options{})
	guarded := withPorts(port, port)
	guarded.Callers = &policy.Callers{Secrets: policy.NewSecrets("token")}
	closed := serve(t, guarded)
	for _, k := range []struct {
		name   string
		b      *bench
		expose []engine.Expose
		reason string
	}{
		{"name without a domain", bare, []engine.Expose{{Host: "app"}}, "no names"},
		{"port without a range", bare, []engine.Expose{{TCP: 80}}, "no tcp ports"},
		{"port outside the range", b, []engine.Expose{{TCP: port ^ 1}}, "outside"},
		{"port whose callers can't show the credential", closed, []engine.Expose{{TCP: port}}, "--open-callers=exposed"},
		{"port in use", b, []engine.Expose{{Host: "app"}, {TCP: port}}, "address already in use"},
	} {
		t.Run(k.name, func(t *testing.T) {
			n := len(k.b.seen(engine.KindGreetingRejected))
			_, err := k.b.tryDial(greeting("edge", k.expose...), hello)
			var de *tunnel.DialError
			if !errors.As(err, &de) || de.Code != engine.ClosePolicy {
				t.Fatalf("got %v", err)
			}
			e := k.b.await(engine.KindGreetingRejected, n+1)
			if e.Code != 1008 || !strings.Contains(e.Reason, k.reason) || e.Greeting == nil || e.Client != "edge" {
				t.Errorf("event %+v", e)
			}
		})
	}
	// A greeting that was rejected holds nothing.
	b.dial(&engine.Greeting{ID: "edge", PoolSize: 1, Instance: "another"}, hello)
}

// wsp's greetings from a peer that sends what it likes.
func TestMalformedGreetingCostsOnlyItsConnection(t *testing.T) {
	b := serve(t, Options{Limits: tunnel.Limits{Greeting: 300 * time.Millisecond}})
	for i, k := range []struct {
		text string
		code uint16
	}{
		{"x", 1008}, {"", 1008}, {"a_-1", 1008}, {"a_9e9", 1008}, {"_1", 1008}, {"a\x00_1", 1008},
		{repeat("a", 5000) + "_1", 1009}, {"<silence>", 1008},
	} {
		conn, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		p, _, err := enginetest.DialPeer(conn, enginetest.Handshake{Path: "/register"})
		if err != nil {
			t.Fatal(err)
		}
		if k.text != "<silence>" {
			p.WriteMessage(1, []byte(k.text))
		}
		if ce, err := p.ReadClose(); err != nil || uint16(ce.Code) != k.code {
			t.Errorf("greeting %.20q: got %v, %v", k.text, ce, err)
		}
		conn.Close()
		if e := b.await(engine.KindGreetingRejected, i+1); e.Code != k.code || e.Reason == "" {
			t.Errorf("greeting %.20q: event %+v", k.text, e)
		}
		b.await(engine.KindConnectionClosed, i+1)
	}
	var snap engine.Snapshot
	b.s.Snapshot(t.Context(), &snap)
	if len(snap.Connections) != 0 {
		t.Errorf("%d connections are left", len(snap.Connections))
	}
}

// A client that finds out that this is not the server it needs.
func TestClientThatClosesWithoutGreeting(t *testing.T) {
	b := serve(t, Options{})
	p := b.wspClient("")
	p.WriteClose(uint16(engine.CloseProtocolError), "")
	p.ReadClose()
	p.Conn.Close()
	for _, kind := range []engine.Kind{engine.KindGreetingRejected, engine.KindConnectionClosed} {
		if e := b.await(kind, 1); e.Code != uint16(engine.CloseProtocolError) || e.Reason == "" {
			t.Errorf("%v: %d %q", kind, e.Code, e.Reason)
		}
	}
}

func TestIDHeldByAnotherInstance(t *testing.T) {
	b := serve(t, Options{Wait: 20 * time.Millisecond, Limits: tunnel.Limits{Ping: 5 * time.Second}})
	first := b.dial(greeting("edge"), hello)
	b.dial(greeting("edge"), hello) // the same process again
	other := greeting("edge")
	other.Instance = "another"
	_, err := b.tryDial(other, hello)
	var de *tunnel.DialError
	if !errors.As(err, &de) || de.Code != engine.CloseIDTaken {
		t.Fatalf("got %v", err)
	}
	if e := b.await(engine.KindGreetingRejected, 1); e.Code != 4002 {
		t.Errorf("event %+v", e)
	}
	// Wsp clients tell no instance: any number share an id, with whomever.
	for range 2 {
		if _, err := b.tryDial(greeting("edge"), hello, classic); err != nil {
			t.Errorf("wsp: %v", err)
		}
	}
	first.Close(engine.CloseNormal, "")
	if _, err := b.tryDial(other, hello); err == nil {
		t.Error("the id was free although one connection still holds it")
	}
}

func TestManyRegistrationsLeaveNothing(t *testing.T) {
	b := serve(t, Options{Domain: domain})
	for range 50 {
		s, err := b.tryDial(greeting("edge", engine.Expose{Host: "app"}), hello)
		if err != nil {
			t.Fatal(err)
		}
		s.Close(engine.CloseNormal, "")
	}
	b.await(engine.KindConnectionClosed, 50)
	d := b.s.dispatch
	if n := len(d.any.slots()); n != 0 {
		t.Errorf("%d connections in the pool", n)
	}
	if d.lookup(destination{kind: toClient, name: "edge"}) != nil || len(b.s.claims.ids) != 0 {
		t.Error("the client is remembered")
	}
}

func TestWspConnectionsBeyondThePoolSizeClose(t *testing.T) {
	b := serve(t, Options{IdleTimeout: 60 * time.Millisecond})
	g := greeting("old")
	g.PoolSize = 2
	for range 5 {
		if _, err := b.tryDial(g, hello, classic); err != nil {
			t.Fatal(err)
		}
	}
	b.await(engine.KindConnectionClosed, 3)
	var snap engine.Snapshot
	deadline := time.Now().Add(200 * time.Millisecond)
	for time.Now().Before(deadline) {
		b.s.Snapshot(t.Context(), &snap)
		if len(snap.Connections) < 2 {
			t.Fatalf("%d connections are left", len(snap.Connections))
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(snap.Connections) != 2 {
		t.Errorf("%d connections are left", len(snap.Connections))
	}
}

func TestProtocolThatIsNotAllowed(t *testing.T) {
	b := serve(t, Options{Protocol: engine.ProtocolNative})
	_, err := b.tryDial(greeting("old"), hello, classic)
	var de *tunnel.DialError
	if !errors.As(err, &de) || de.Status != 400 {
		t.Errorf("got %v", err)
	}
	if e := b.await(engine.KindAdmissionRefused, 1); e.Code != 400 {
		t.Errorf("event %+v", e)
	}
}

func TestLabels(t *testing.T) {
	for s, want := range map[string]bool{
		"app": true, "a-1": true, "A": true, "1": true, repeat("a", 63): true,
		"": false, "-a": false, "a-": false, "a.b": false, "a_b": false, "ä": false, repeat("a", 64): false, "a b": false,
	} {
		if isLabel(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

func BenchmarkGateway(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", n), func(b *testing.B) { benchmarkGateway(b, n) })
	}
}

func benchmarkGateway(b *testing.B, callers int) {
	x := exposed(b, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Length", Value: "12"}}}, false)
		in.Write([]byte("hello, world"))
		in.CloseWrite(nil)
	})
	b.ReportAllocs()
	b.SetParallelism(callers)
	b.RunParallel(func(pb *testing.PB) {
		c := x.raw("")
		c.SetDeadline(time.Now().Add(time.Hour))
		buf := make([]byte, 4096)
		for pb.Next() {
			c.Write([]byte("GET / HTTP/1.1\r\nHost: app.t.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"))
			for got := ""; !strings.HasSuffix(got, "world"); {
				n, err := c.Read(buf)
				if err != nil {
					b.Fatal(err)
				}
				got = string(buf[max(0, n-5):n])
			}
		}
	})
}

func TestTooManyGreetingsAtOnce(t *testing.T) {
	b := serve(t, Options{})
	b.s.greeting.Store(maxGreetings)
	resp, _ := b.raw(handshake+"\r\n").response(t, "GET")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
	b.s.greeting.Store(0)
	b.dial(greeting("edge"), hello)
}
