package client

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/egress"
	"adit/engine/frame"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

func (g *rig) get(t testing.TB, authority string) (int, error) {
	t.Helper()
	x := g.open(t, t.Context(), request("GET", authority, "/"), true)
	defer x.Close()
	resp, err := x.ReadResponse()
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, x)
	return resp.Status, err
}

func allowing(t testing.TB, allow ...string) *policy.Rules {
	t.Helper()
	set := policy.RuleSet{Allow: allow}
	rules, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// welcome registers who dials, as a server does that serves routes at urls; nil
// where that failed, which the test is told.
func welcome(t *testing.T, w http.ResponseWriter, r *http.Request, urls ...string) (tunnel.Conn, *engine.Greeting) {
	reg, err := tunnel.Accept(w, r, tunnel.AcceptOptions{ID: 1, Limits: tunnel.DefaultLimits(), Counters: new(frame.Counters)})
	if err != nil {
		t.Errorf("accept: %v", err)
		return nil, nil
	}
	conn, err := reg.Welcome(&wire.Welcome{Server: "edge", URLs: urls})
	if err != nil {
		t.Errorf("welcome: %v", err)
		return nil, nil
	}
	return conn, reg.Greeting
}

// An origin that was reached under former rules must not be reached over a
// connection that is left from then.
func TestUpdateOfRules(t *testing.T) {
	var dialled atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialled.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	origin := s.Listener.Addr().String()
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	for range 3 {
		if status, err := g.get(t, origin); status != 200 || err != nil {
			t.Fatalf("%d, %v", status, err)
		}
	}
	if n := dialled.Load(); n != 1 {
		t.Fatalf("%d connections to the origin, want 1", n)
	}
	if err := g.client.Update(Live{Rules: allowing(t, "10.0.0.0/8")}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.get(t, origin); engine.ReasonOf(err) != engine.ReasonDenied {
		t.Errorf("what is not allowed any more: %v, want denied", err)
	}
	if err := g.client.Update(Live{Rules: allowing(t, "127.0.0.0/8")}); err != nil {
		t.Fatal(err)
	}
	if status, err := g.get(t, origin); status != 200 || err != nil {
		t.Errorf("what is allowed again: %d, %v", status, err)
	}
	if n := dialled.Load(); n != 2 {
		t.Errorf("%d connections to the origin: that of former rules was used", n)
	}
	// The credential alone leaves connections to origins as they are.
	if err := g.client.Update(Live{Rules: g.client.now.Load().live.Rules, Secret: "new"}); err != nil {
		t.Fatal(err)
	}
	if status, err := g.get(t, origin); status != 200 || err != nil || dialled.Load() != 2 {
		t.Errorf("%d, %v, %d connections, want 2", status, err, dialled.Load())
	}
	if err := g.client.Update(Live{Secret: "a\nb"}); err == nil {
		t.Error("a credential that no field can carry was taken")
	}
	if got := g.client.now.Load().header.Get("X-Secret-Key"); got != "new" {
		t.Errorf("credential %q after an update that failed", got)
	}
}

// What runs goes on to its end under the rules that it began with.
func TestUpdateLeavesWhatRuns(t *testing.T) {
	release := make(chan struct{})
	origin := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first ")
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "second")
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.open(t, t.Context(), request("GET", origin, "/"), true)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	if err := g.client.Update(Live{Rules: allowing(t, "10.0.0.0/8")}); err != nil {
		t.Fatal(err)
	}
	close(release)
	all, err := io.ReadAll(x)
	if string(all) != "first second" || err != nil {
		t.Errorf("got %q, %v", all, err)
	}
}

func TestUpdateUnderTraffic(t *testing.T) {
	origin := serveHTTP(t, func(http.ResponseWriter, *http.Request) {})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	stop := make(chan struct{})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if status, err := g.get(t, origin); status != 200 || err != nil {
					t.Errorf("%d, %v", status, err)
					return
				}
			}
		})
	}
	for range 50 {
		if err := g.client.Update(Live{Rules: anyRules(t)}); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	work.Wait()
}

// wss through a proxy, in both protocols: frames, greeting and exchanges are the
// same as without.
func TestServerBehindTLSAndAProxy(t *testing.T) {
	for _, protocol := range []engine.Protocol{engine.ProtocolNative, engine.ProtocolClassic} {
		t.Run(protocol.String(), func(t *testing.T) {
			conns := make(chan tunnel.Conn, 1)
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if conn, _ := welcome(t, w, r); conn != nil {
					conns <- conn
				}
			}))
			defer server.Close()
			var through atomic.Int32
			proxy := connectProxy(t, &through)
			ca := filepath.Join(t.TempDir(), "ca.pem")
			block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			if err := os.WriteFile(ca, block, 0o600); err != nil {
				t.Fatal(err)
			}
			way, err := egress.New(egress.Options{Proxy: "http://" + proxy, CA: ca})
			if err != nil {
				t.Fatal(err)
			}
			bus := observe.NewBus()
			c, err := New(Options{ID: "edge-3", Bus: bus, Servers: []string{"wss://" + server.Listener.Addr().String()},
				Pool: 1, PoolMax: 1, Protocol: protocol, Egress: way, Live: Live{Rules: anyRules(t)}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			var conn tunnel.Conn
			select {
			case conn = <-conns:
			case <-time.After(10 * time.Second):
				t.Fatal("the client did not come")
			}
			g := &rig{client: c, conn: conn}
			origin := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
			if status, err := g.get(t, origin); status != 200 || err != nil {
				t.Errorf("%d, %v", status, err)
			}
			var s engine.Snapshot
			if err := c.Snapshot(t.Context(), &s); err != nil {
				t.Fatal(err)
			}
			if through.Load() == 0 || s.Servers[0].Through != "http://"+proxy {
				t.Errorf("%d connections through the proxy, and the snapshot says %q", through.Load(), s.Servers[0].Through)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			conn.Close(engine.CloseGoingAway, "")
			bus.Close()
		})
	}
}

// connectProxy is an http proxy that counts what goes through it.
func connectProxy(t *testing.T, through *atomic.Int32) (addr string) {
	t.Helper()
	var work sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		in, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			out.Close()
			return
		}
		through.Add(1)
		io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		work.Go(func() { io.Copy(out, in); out.Close() })
		work.Go(func() { io.Copy(in, out); in.Close() })
	}))
	t.Cleanup(func() { s.Close(); work.Wait() })
	return s.Listener.Addr().String()
}

// How a client with Once ends decides its exit code, and what it says what the
// operator does next.
func TestWayThatFails(t *testing.T) {
	tlsOnly := httptest.NewTLSServer(http.NotFoundHandler())
	defer tlsOnly.Close()
	no := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for name, tt := range map[string]struct {
		proxy, server string
		phase         Phase
		want          string
	}{
		"proxy wants a password":   {"http://" + no, "wss://server.example", PhaseRefused, "asks for a user and password"},
		"proxy is not there":       {"http://" + gone.Addr().String(), "wss://server.example", PhaseDial, "dial"},
		"unknown authority":        {"none", "wss://" + tlsOnly.Listener.Addr().String(), PhaseDial, "--ca FILE"},
		"said once that it is TLS": {"none", "wss://" + tlsOnly.Listener.Addr().String(), PhaseDial, "dial: tls: failed to verify"},
		"said once of a proxy":     {"https://" + tlsOnly.Listener.Addr().String(), "wss://server.example", PhaseDial, ": tls: failed to verify"},
		"no TLS there":             {"none", "wss://" + no, PhaseDial, "is it ws://"},
	} {
		t.Run(name, func(t *testing.T) {
			way, err := egress.New(egress.Options{Proxy: tt.proxy})
			if err != nil {
				t.Fatal(err)
			}
			bus := observe.NewBus()
			defer bus.Close()
			c, err := New(Options{ID: "a", Bus: bus, Servers: []string{tt.server}, Egress: way, Once: true})
			if err != nil {
				t.Fatal(err)
			}
			err = c.Run(t.Context())
			run, ok := err.(*RunError)
			if !ok || run.Phase != tt.phase || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "tls: tls") {
				t.Errorf("error %v, want phase %d and %q", err, tt.phase, tt.want)
			}
		})
	}
}

// A server sends a client that takes no chosen destination none: it has to hear of
// it when that changes, and what runs must not notice.
func TestUpdateRenewsWhatGreetingsSaid(t *testing.T) {
	type registered struct {
		conn     tunnel.Conn
		greeting *engine.Greeting
	}
	came := make(chan registered, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, greeting := welcome(t, w, r, "http://app"); conn != nil {
			came <- registered{conn, greeting}
		}
	}))
	defer server.Close()
	next := func() registered {
		t.Helper()
		select {
		case r := <-came:
			return r
		case <-time.After(10 * time.Second):
			t.Fatal("no connection came")
			return registered{}
		}
	}
	release := make(chan struct{})
	origin := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first ")
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "second")
	})
	bus := observe.NewBus()
	defer bus.Close()
	c, err := New(Options{ID: "edge-3", Bus: bus, Servers: []string{"ws" + strings.TrimPrefix(server.URL, "http")}, Pool: 1,
		Expose: []Expose{{Host: "app", Origin: "http://" + origin}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	first := next()
	if !first.greeting.ExposedOnly {
		t.Error("a client without rules takes chosen destinations")
	}
	g := &rig{client: c, conn: first.conn}
	stream := request("GET", "app.example", "/")
	stream.Route = 1
	x := g.open(t, t.Context(), stream, true)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(Live{Rules: anyRules(t)}); err != nil {
		t.Fatal(err)
	}
	second := next()
	if second.greeting.ExposedOnly || second.greeting.Instance != first.greeting.Instance {
		t.Errorf("after the update it greets with %+v", second.greeting)
	}
	close(release)
	if all, err := io.ReadAll(x); string(all) != "first second" || err != nil {
		t.Errorf("what ran got %q, %v", all, err)
	}
	x.Close()
	select {
	case <-first.conn.Done():
	case <-time.After(10 * time.Second):
		t.Error("the former connection is there still")
	}
	if err := c.Update(Live{Rules: anyRules(t)}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	second.conn.Close(engine.CloseGoingAway, "")
	select {
	case <-came:
		t.Error("rules that say the same of the greeting renewed it")
	default:
	}
}

// Who mends a refused credential does not want to wait for a backoff that is meant
// for one that is not mended.
func TestUpdateOfARefusedCredential(t *testing.T) {
	welcomed := make(chan tunnel.Conn, 1)
	var early atomic.Bool // the server has not heard of the new credential when it is first shown
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Secret-Key") != "new" || !early.Swap(true) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if conn, _ := welcome(t, w, r); conn != nil {
			welcomed <- conn
		}
	}))
	defer server.Close()
	bus := observe.NewBus()
	defer bus.Close()
	c, err := New(Options{ID: "edge-3", Bus: bus, Servers: []string{"ws" + strings.TrimPrefix(server.URL, "http")}, Pool: 1,
		Live: Live{Secret: "old", Rules: anyRules(t)}})
	if err != nil {
		t.Fatal(err)
	}
	failed, err := c.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindDialFailed)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	if wait := (<-failed).Events[0].Duration; wait < 10*time.Second {
		t.Errorf("a refused client is back after %v: that can't help", wait)
	}
	if err := c.Update(Live{Secret: "new", Rules: anyRules(t)}); err != nil {
		t.Fatal(err)
	}
	select {
	case conn := <-welcomed:
		cancel()
		<-ended
		conn.Close(engine.CloseGoingAway, "")
	case <-time.After(10 * time.Second):
		t.Error("the new credential was not tried, or not again")
		cancel()
		<-ended
	}
}
