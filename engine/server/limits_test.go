package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// A distant listener makes connections come from an address that is not exempt
// from what is counted by address.
type distant struct{ net.Listener }

type distantConn struct{ *net.TCPConn }

func (l distant) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return distantConn{c.(*net.TCPConn)}, nil
}

func (c distantConn) RemoteAddr() net.Addr {
	port := c.TCPConn.RemoteAddr().(*net.TCPAddr).Port
	return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 7), Port: port}
}

func serveDistant(t testing.TB, o Options) *bench {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, o, distant{ln})
}

// slowly answers as the path says, and hello otherwise.
func slowly(release <-chan struct{}) tunnel.Handler {
	return func(in tunnel.Incoming) {
		switch in.Request().Path {
		case "/wait":
			select {
			case <-release:
			case <-in.Context().Done():
				return
			}
		case "/big":
			respond(in, 200, repeat("x", 256<<10))
			return
		}
		hello(in)
	}
}

// A limitCase is one limit: what is let through just below it, what is not.
type limitCase struct {
	limit limitID
	tight func(*Caps)
	with  func(*Options)
	below func(*limitRig) error // nil: let through
	above func(*limitRig) error
	bites string // in the error
	// loose is asked in place of above when the limit is wide again.
	loose func(*limitRig) error
}

type limitRig struct {
	*bench
	t       *testing.T
	c       *http.Client
	release chan struct{}
}

// get sends a request and returns an error for any status but 200.
func (r *limitRig) get(method, path, body string, header ...string) error {
	resp, text, err := try(r.c, method, "http://"+r.addr+path, body, append([]string{"Host", appHost}, header...)...)
	if err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		return fmt.Errorf("%d %s retry=%s", resp.StatusCode, strings.TrimSpace(text), resp.Header.Get("Retry-After"))
	}
	return nil
}

// pending sends bytes on a connection of its own and returns an error if it ends
// within d, nil if it still stands.
func (r *limitRig) pending(send string, d time.Duration) error {
	c := r.raw(send)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(d))
	b, err := io.ReadAll(c)
	if err != nil && errors.Is(err, errTimeout(err)) {
		return nil
	}
	return fmt.Errorf("closed after %.40q: %v", b, err)
}

// errTimeout returns err if it is a timeout.
func errTimeout(err error) error {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return err
	}
	return nil
}

// open opens connections that each send a request and stay, and returns the first
// that is not answered with 200.
func (r *limitRig) open(n int) error {
	for range n {
		c := r.raw("GET /x HTTP/1.1\r\nHost: " + appHost + "\r\n\r\n")
		defer c.Close()
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			return err
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != 200 {
			return fmt.Errorf("%d retry=%s", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	return nil
}

func (r *limitRig) register(id string, change ...func(*tunnel.DialOptions)) error {
	s, err := r.tryDial(greeting(id), hello, change...)
	if err == nil {
		s.Close(engine.CloseNormal, "")
	}
	return err
}

// held runs requests that wait for release, and reports what one more gets.
func (r *limitRig) held(n int, path string, header ...string) error {
	done := make(chan error, n)
	for range n {
		go func() { done <- r.get("GET", path, "", header...) }()
	}
	for deadline := time.Now().Add(patience); r.s.calls.running() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal("they do not run")
		}
	}
	time.Sleep(30 * time.Millisecond) // they have found a connection, or wait for one
	one := make(chan error, 1)
	go func() { one <- r.get("GET", path, "", header...) }()
	var err error
	select {
	case err = <-one:
	case <-time.After(300 * time.Millisecond):
	}
	for range n + 1 {
		select {
		case r.release <- struct{}{}:
		case <-time.After(100 * time.Millisecond):
		}
	}
	for range n {
		<-done
	}
	if err == nil {
		select {
		case err = <-one:
		case <-time.After(patience):
			r.t.Fatal("it never ended")
		}
	}
	return err
}

func wrongSecret(o *tunnel.DialOptions) { o.Header = http.Header{"X-Secret-Key": {"wrong"}} }

func limitCases() []limitCase {
	part := "POST /x HTTP/1.1\r\nHost: " + appHost + "\r\nContent-Length: 10\r\n\r\n123"
	return []limitCase{
		{limit: limitHeaderBytes, tight: func(c *Caps) { c.HeaderBytes = 4096 },
			below: func(r *limitRig) error { return r.get("GET", "/x", "", "X-Long", repeat("x", 3000)) },
			above: func(r *limitRig) error { return r.get("GET", "/x", "", "X-Long", repeat("x", 5000)) }, bites: "431"},
		{limit: limitHeaderFields, tight: func(c *Caps) { c.HeaderFields = 20 },
			below: func(r *limitRig) error { return r.get("GET", "/x", "", fields(15)...) },
			above: func(r *limitRig) error { return r.get("GET", "/x", "", fields(21)...) }, bites: "431"},
		{limit: limitHeaderTimeout, tight: func(c *Caps) { c.HeaderTimeout = 200 * time.Millisecond },
			below: func(r *limitRig) error { return r.get("GET", "/x", "") },
			above: func(r *limitRig) error { return r.pending("GET /x HTTP/1.1\r\nHost:", patience) }, bites: `closed after ""`,
			loose: func(r *limitRig) error { return r.pending("GET /x HTTP/1.1\r\nHost:", time.Second) }},
		{limit: limitStall, tight: func(c *Caps) { c.Stall = 200 * time.Millisecond },
			below: func(r *limitRig) error { return r.get("POST", "/x", repeat("x", 100_000)) },
			above: func(r *limitRig) error { return r.pending(part, patience) }, bites: `closed after ""`,
			loose: func(r *limitRig) error { return r.pending(part, time.Second) }},
		{limit: limitBody, tight: func(c *Caps) { c.Body = 1000 },
			below: func(r *limitRig) error { return r.get("POST", "/x", repeat("x", 1000)) },
			above: func(r *limitRig) error { return r.get("POST", "/x", repeat("x", 1001)) }, bites: "413"},
		{limit: limitConnections, tight: func(c *Caps) { c.Connections = 4 }, // one is the client's
			below: func(r *limitRig) error { return r.open(3) },
			above: func(r *limitRig) error { return r.open(4) }, bites: "503 retry=1"},
		{limit: limitConnectionsPerAddress, tight: func(c *Caps) { c.ConnectionsPerAddress = 4 },
			below: func(r *limitRig) error { return r.open(3) },
			above: func(r *limitRig) error { return r.open(4) }, bites: "503 retry=1"},
		{limit: limitConnectionsPerClient, tight: func(c *Caps) { c.ConnectionsPerClient = 1 },
			below: func(r *limitRig) error { return r.register("other") },
			above: func(r *limitRig) error { return r.register("edge") }, bites: "1013"},
		{limit: limitHandshakeRate, tight: func(c *Caps) { c.HandshakeRate = 0.2 },
			below: func(r *limitRig) error { return errors.Join(r.register("a"), r.register("b")) },
			above: func(r *limitRig) error { return r.register("c") }, bites: "429"},
		{limit: limitFailureRate, tight: func(c *Caps) { c.FailureRate = 0.1 },
			with: func(o *Options) { o.Clients = &policy.Clients{Secrets: policy.NewSecrets("right")} },
			below: func(r *limitRig) error {
				if err := r.register("a", wrongSecret); err == nil || !strings.Contains(err.Error(), "401") {
					return fmt.Errorf("wrong secret: %v", err)
				}
				return nil
			},
			above: func(r *limitRig) error { return r.register("a", wrongSecret) }, bites: "429",
			loose: func(r *limitRig) error { return r.register("a", rightSecret) }},
		{limit: limitExchanges, tight: func(c *Caps) { c.ExchangesPerClient = 2 },
			below: func(r *limitRig) error { return r.held(1, "/wait") },
			above: func(r *limitRig) error { return r.held(2, "/wait") }, bites: "503"},
		{limit: limitWaiting, tight: func(c *Caps) { c.Waiting = 2 },
			below: func(r *limitRig) error { return notFull(r.held(1, "/wait", "Host", "gone"+appHost[3:])) },
			above: func(r *limitRig) error { return notFull(r.held(2, "/wait", "Host", "gone"+appHost[3:])) }, bites: "503 too many"},
		{limit: limitBandwidth, tight: func(c *Caps) { c.Bandwidth = 128 << 10 },
			below: func(r *limitRig) error { return r.within("/x", time.Second) },
			above: func(r *limitRig) error { return r.within("/big", 1500*time.Millisecond) }, bites: "took"},
		{limit: limitMemory, tight: func(c *Caps) { c.Memory = 1 << 20 },
			below: func(r *limitRig) error { return r.get("GET", "/x", "") },
			above: func(r *limitRig) error {
				r.s.limits.memory.mu.Lock()
				r.s.limits.memory.used = func() uint64 { return 1<<20 + 1 }
				r.s.limits.memory.mu.Unlock()
				r.s.limits.memory.look()
				return r.get("GET", "/x", "")
			}, bites: "503"},
	}
}

func rightSecret(o *tunnel.DialOptions) { o.Header = http.Header{"X-Secret-Key": {"right"}} }

// notFull lets a caller pass who has waited and got nobody.
func notFull(err error) error {
	if err != nil && strings.Contains(err.Error(), "no client is connected") {
		return nil
	}
	return err
}

func (r *limitRig) within(path string, most time.Duration) error {
	began := time.Now()
	err := r.get("GET", path, "")
	if took := time.Since(began); took > most {
		return fmt.Errorf("took %v", took)
	}
	return err
}

func fields(n int) (header []string) {
	for i := range n {
		header = append(header, fmt.Sprintf("X-%d", i), "x")
	}
	return header
}

// TestEveryLimit: each lets through what is just below it, bites above, tells so
// and is counted; and an update both tightens and widens it while callers and a
// client are connected.
func TestEveryLimit(t *testing.T) {
	for _, tt := range limitCases() {
		t.Run(tt.limit.String(), func(t *testing.T) {
			t.Parallel()
			o := Options{Domain: domain, Wait: 200 * time.Millisecond, Live: Live{Caps: Caps{HandshakeRate: -1, FailureRate: -1}}}
			if tt.with != nil {
				tt.with(&o)
			}
			b := serveDistant(t, o)
			b.s.dispatch.know("gone")
			b.s.limits.memory.used = func() uint64 { return 1 << 20 }
			b.s.limits.memory.soft = func(int64) int64 { return 1 << 62 }
			b.s.limits.memory.free = func() {}
			release := make(chan struct{})
			if _, err := b.tryDial(greeting("edge", engine.Expose{Host: "app"}), slowly(release), rightSecret); err != nil {
				t.Fatal(err)
			}
			b.awaitMember("edge")
			r := &limitRig{bench: b, t: t, c: caller(t), release: release}

			wide := *b.s.live()
			tight := wide
			tt.tight(&tight.Caps)
			b.s.Update(tight, engine.Operator{Name: "test"})
			if err := tt.below(r); err != nil {
				t.Errorf("below: %v", err)
			}
			r.c.CloseIdleConnections()
			r.idle(1)
			err := tt.above(r)
			if err == nil || !strings.Contains(err.Error(), tt.bites) {
				t.Errorf("above: %v, want %q", err, tt.bites)
			}
			e := b.await(engine.KindLimitReached, 1)
			if e.Target != tt.limit.String() || e.Count < 1 || e.Reason == "" {
				t.Errorf("told: %+v", e)
			}
			if s := b.snapshot(); len(s.Limits) != 1 || s.Limits[0].Name != tt.limit.String() || s.Limits[0].Count == 0 {
				t.Errorf("counted: %+v", s.Limits)
			}
			r.c.CloseIdleConnections()
			r.idle(1)
			b.s.Update(wide, engine.Operator{Name: "test"})
			again := tt.above
			if tt.loose != nil {
				again = tt.loose
			}
			if err := again(r); err != nil {
				t.Errorf("above, when it is wide again: %v", err)
			}
		})
	}
}

// idle waits until so many sockets are left.
func (r *limitRig) idle(n int64) {
	for deadline := time.Now().Add(patience); r.s.limits.sockets.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%d sockets are counted, %d should be left", r.s.limits.sockets.Load(), n)
		}
	}
}
