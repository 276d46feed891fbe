package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/limit"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// A brokenListener fails for as long as it is told to.
type brokenListener struct {
	net.Listener
	fault atomic.Pointer[error]
	tries atomic.Int64
}

func (l *brokenListener) Accept() (net.Conn, error) {
	l.tries.Add(1)
	if err := l.fault.Load(); err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: *err}
	}
	c, err := l.Listener.Accept()
	if err := l.fault.Load(); err != nil && c != nil {
		c.Close()
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: *err}
	}
	return c, err
}

// Whatever accept fails with, the loop neither ends nor spins, and serves again
// when that has passed (P17).
func TestAcceptThatFails(t *testing.T) {
	for _, fault := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM, errors.New("something new")} {
		t.Run(fault.Error(), func(t *testing.T) {
			t.Parallel()
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ln := &brokenListener{Listener: inner}
			b := serveOn(t, Options{Domain: domain}, ln)
			b.dial(greeting("edge", engine.Expose{Host: "app"}), hello)
			ln.fault.Store(&fault)
			net.Dial("tcp", b.addr) // wakes it
			before := ln.tries.Load()
			time.Sleep(300 * time.Millisecond)
			if n := ln.tries.Load() - before; n > 12 {
				t.Errorf("%d tries in 300 ms", n)
			}
			ln.fault.Store(nil)
			if resp, _ := do(t, caller(t), "GET", b.url("/x"), "", "Host", appHost); resp.StatusCode != 200 {
				t.Errorf("afterwards: %d", resp.StatusCode)
			}
			full := errors.Is(fault, syscall.EMFILE) || errors.Is(fault, syscall.ENFILE)
			if full != (len(b.seen(engine.KindLimitReached)) > 0) {
				t.Errorf("told: %+v", b.seen(engine.KindLimitReached))
			}
		})
	}
}

// A server that ends while accept fails does not wait for that to pass.
func TestEndWhileAcceptFails(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &brokenListener{Listener: inner}
	b := serveOn(t, Options{}, ln)
	fault := error(syscall.EMFILE)
	ln.fault.Store(&fault)
	net.Dial("tcp", b.addr)
	b.await(engine.KindLimitReached, 1)
	begin := time.Now()
	b.s.Close()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Whoever is turned away reads why, though nobody has read what he sent.
func TestTurnedAwayWithAnAnswer(t *testing.T) {
	var head, body, ok = strings.Cut(unavailable, "\r\n\r\n")
	if !ok || !strings.Contains(head, fmt.Sprintf("Content-Length: %d", len(body))) {
		t.Fatalf("content of %d bytes, head %q", len(body), head)
	}
	b := exposed(t, hello, func(o *Options) { o.Caps.Connections = 1 }) // the client's
	for range 3 * maxFarewells {
		c := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 100000\r\n\r\n" + repeat("x", 10_000))
		if resp, body := c.response(t, "POST"); resp.StatusCode != 503 || !resp.Close || !strings.Contains(body, "too many connections") {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		c.Close()
	}
	if n := b.s.limits.sockets.Load(); n != 1 {
		t.Errorf("%d sockets are counted, only the client's is left", n)
	}
}

// Each socket gives its place back once, whatever became of it.
func TestSocketsAreCountedOnce(t *testing.T) {
	port := enginetest.FreePort(t)
	o := withPorts(port, port)
	o.Clients = &policy.Clients{Secrets: policy.NewSecrets("right")}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := serveOn(t, o, distant{ln})
	key := limit.KeyOf(netip.MustParseAddr("203.0.113.7"))
	settled := func(what string, n int64) {
		t.Helper()
		b.eventually(what, func() bool { return b.s.limits.sockets.Load() == n })
		if got := b.s.limits.addresses.Of(key); got > int(n) {
			t.Errorf("%s: %d of the address", what, got)
		}
	}
	b.tryDial(greeting("edge"), hello, wrongSecret)
	settled("refused client", 0)
	b.tryDial(greeting("edge", engine.Expose{Host: "no label"}), hello, rightSecret)
	settled("refused greeting", 0)
	b.raw("GET /register HTTP/1.1\r\nHost: x\r\nX-Secret-Key: right\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").Close()
	settled("client that greets nobody", 0)
	first, err := b.tryDial(greeting("edge", engine.Expose{Host: "app"}, engine.Expose{TCP: port}), echoRaw, rightSecret)
	if err != nil {
		t.Fatal(err)
	}
	b.awaitMember("edge")
	settled("client", 1)
	for _, send := range []string{"", "nonsense\r\n\r\n", "GET /status HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: close\r\n\r\n",
		"CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\nhello",
		"GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello", "POST / HTTP/1.1\r\nHost: nobody.t.example\r\nContent-Length: 9\r\n\r\n"} {
		c := b.raw(send)
		b.eventually("counted", func() bool { return b.s.limits.sockets.Load() >= 1 })
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		io.ReadAll(c)
		c.Close()
		settled(send, 1)
	}
	conn, err := b.dialPort(port)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "hello")
	bufio.NewReader(conn).ReadByte()
	settled("caller of a port", 2)
	conn.Close()
	settled("caller of a port that left", 1)
	first.Close(engine.CloseNormal, "")
	settled("client that left", 0)
	if n := b.s.limits.addresses.Of(key); n != 0 {
		t.Errorf("%d are left of the address", n)
	}
	b.s.limits.clients.mu.Lock()
	if n := len(b.s.limits.clients.all); n != 0 {
		t.Errorf("%d clients are left", n)
	}
	b.s.limits.clients.mu.Unlock()
}

// This machine, and whom we trust to say for whom they speak, stand for many.
func TestWhoStandsForMany(t *testing.T) {
	s := newQuiet(t, observe.NewBus())
	l := *s.live()
	l.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	l.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("192.168.7.1/32")}
	s.Update(l, engine.Operator{})
	for remote, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "[::ffff:127.9.9.9]:1": true, "10.1.2.3:1": true,
		"192.168.7.1:1": true, "192.168.7.2:1": false, "203.0.113.7:1": false, "[2001:db8::1]:1": false, "": false} {
		if _, exempt := s.keyOf(remote); exempt != want {
			t.Errorf("%q stands for many: %v", remote, exempt)
		}
	}
}

// A head beyond what net/http reads is refused before any handler: told and
// counted all the same. An origin that answers 431 is not.
func TestHeadBeyondWhatIsRead(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) { respond(in, 431, "too long") })
	c := b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\nX: " + repeat("x", 80<<10) + "\r\n\r\n")
	if resp, _ := c.response(t, "GET"); resp.StatusCode != 431 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if e := b.await(engine.KindLimitReached, 1); e.Target != "max-header-bytes" {
		t.Errorf("told %+v", e)
	}
	do(t, caller(t), "GET", b.url("/"), "", "Host", appHost)
	if s := b.snapshot(); len(s.Limits) != 1 || s.Limits[0].Count != 1 {
		t.Errorf("counted %+v", s.Limits)
	}
}

// Between requests a connection stays as long as is in force when it begins to
// wait, with and without a change since the server was made.
func TestKeepAliveThatChanges(t *testing.T) {
	b := exposed(t, hello, func(o *Options) { o.Caps.KeepAlive = 10 * time.Second })
	idle := func() (time.Duration, error) {
		c := b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
		defer c.Close()
		c.response(t, "GET")
		begin := time.Now()
		c.SetReadDeadline(begin.Add(1500 * time.Millisecond))
		_, err := c.r.ReadByte()
		return time.Since(begin), err
	}
	if _, err := idle(); errTimeout(err) == nil {
		t.Errorf("closed early: %v", err)
	}
	l := *b.s.live()
	l.Caps.KeepAlive = 100 * time.Millisecond
	b.s.Update(l, engine.Operator{})
	if took, err := idle(); err != io.EOF || took < 80*time.Millisecond || took > 1400*time.Millisecond {
		t.Errorf("after %v: %v", took, err)
	}
	l.Caps.KeepAlive = time.Minute
	b.s.Update(l, engine.Operator{})
	if _, err := idle(); errTimeout(err) == nil {
		t.Errorf("closed early: %v", err)
	}
	if told := b.seen(engine.KindLimitReached); len(told) > 0 {
		t.Errorf("no limit, but told: %+v", told)
	}
}

func TestWhatOpenFilesAllow(t *testing.T) {
	files := openFiles()
	got := defaultConnections()
	if files == 0 && got != -1 || files > 1000 && (got > files*9/10 || got < files/2) {
		t.Errorf("%d connections with %d files", got, files)
	}
}

// A flood at the door is no flood of events: one a second of each limit and
// peer, and one for all beyond a bounded number of peers; none is uncounted.
func TestFloodIsToldInFewEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := observe.NewBus()
		var mu sync.Mutex
		var told []engine.Event
		batches, err := bus.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindLimitReached)})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for b := range batches {
				mu.Lock()
				told = append(told, b.Events...)
				mu.Unlock()
			}
		}()
		s := newQuiet(t, bus)
		key := func(i int) limit.Key { return limit.KeyOf(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})) }
		n := 0
		for range 50 { // 5 s
			for range 100 {
				s.limits.reached(limitHandshakeRate, "", key(1), "why")
				n++
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		count := func() (sum int) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range told {
				if e.Target != "handshake-rate" || e.Reason != "why" {
					t.Errorf("told %+v", e)
				}
				sum += e.Count
			}
			return sum
		}
		if got := count(); got != n || len(told) > 8 {
			t.Errorf("%d of %d in %d events", got, n, len(told))
		}
		if told[0].Peer != "10.0.0.1" || told[0].Count != 1 || told[1].Count < 100 {
			t.Errorf("first %+v", told[:2])
		}
		if len(s.limits.told.told) != 0 {
			t.Errorf("%d peers are remembered after a quiet while", len(s.limits.told.told))
		}
		told = nil
		for i := range 10_000 {
			s.limits.reached(limitHandshakeRate, "", key(i), "why")
		}
		if len(s.limits.told.told) > maxTold+int(limitCount) {
			t.Errorf("%d peers are remembered", len(s.limits.told.told))
		}
		s.limits.close()
		time.Sleep(time.Second) // until it is delivered
		synctest.Wait()
		if got := count(); got != 10_000 || len(told) > maxTold+2 {
			t.Errorf("%d of 10000 in %d events", got, len(told))
		}
		if got := s.limits.snapshot(nil); len(got) != 1 || got[0].Count != uint64(n)+10_000 {
			t.Errorf("counted %+v", got)
		}
		s.Close()
		bus.Close()
		<-done
	})
}

// The memory that is over its bound lets nobody in until it is below again, and
// the collector is given back as it was.
func TestMemoryThatRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		g := &s.limits.memory
		var used atomic.Uint64
		soft, freed := int64(1<<50), 0
		g.used = used.Load
		g.soft = func(n int64) int64 {
			was := soft
			if n >= 0 {
				soft = n
			}
			return was
		}
		g.free = func() { freed++ }
		l := *s.live()
		l.Caps.Memory = 1000
		s.Update(l, engine.Operator{})
		synctest.Wait()
		if soft != 900 || g.over.Load() {
			t.Errorf("soft limit %d, over %v", soft, g.over.Load())
		}
		used.Store(1001)
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if !g.over.Load() {
			t.Error("not over")
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if freed != 2 {
			t.Errorf("%d attempts to give memory back in 10 s, want 2", freed)
		}
		used.Store(1000)
		time.Sleep(time.Second)
		synctest.Wait()
		if g.over.Load() {
			t.Error("still over")
		}
		used.Store(5000)
		l.Caps.Memory = 0
		s.Update(l, engine.Operator{})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if soft != 1<<50 || g.over.Load() || g.running {
			t.Errorf("without a bound: soft limit %d, over %v, watched %v", soft, g.over.Load(), g.running)
		}
		l.Caps.Memory = 1000
		s.Update(l, engine.Operator{})
		s.Close()
		if soft != 1<<50 {
			t.Errorf("after the end: soft limit %d", soft)
		}
	})
	if n := memoryUsed(); n < 1<<20 || n > 1<<40 {
		t.Errorf("memory of the process: %d", n)
	}
}

// A flood of wrong credentials costs whom it comes from, and nobody who shows
// none: callers of a server that asks for nothing least of all.
func TestFailuresBlockOnlyWhoShowsCredentials(t *testing.T) {
	o := Options{Domain: domain, Wait: 50 * time.Millisecond}
	o.Clients = &policy.Clients{Secrets: policy.NewSecrets("right")}
	o.Caps = Caps{FailureRate: 0.1, HandshakeRate: -1}
	b := serveDistant(t, o)
	if _, err := b.tryDial(greeting("edge", engine.Expose{Host: "app"}), hello, rightSecret); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("edge")
	status := func(header ...string) int {
		t.Helper()
		resp, _ := do(t, caller(t), "GET", b.url("/register"), "", header...)
		if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return resp.StatusCode
	}
	if got := status("X-Secret-Key", "wrong"); got != 401 {
		t.Errorf("wrong: %d", got)
	}
	if got := status("X-Secret-Key", "wrong"); got != 429 {
		t.Errorf("wrong again: %d", got)
	}
	if got := status("X-Secret-Key", "right"); got != 429 {
		t.Errorf("a guess that is right must not be told from others: %d", got)
	}
	if got := status(); got != 401 {
		t.Errorf("none: %d", got)
	}
	if resp, _ := do(t, caller(t), "GET", b.url("/x"), "", "Host", appHost, "Authorization", "Bearer of-the-origin"); resp.StatusCode != 200 {
		t.Errorf("a caller of an open server: %d", resp.StatusCode)
	}
	// Nothing but the first refusal was told as such.
	if n := len(b.seen(engine.KindAdmissionRefused)); n > 2 {
		t.Errorf("%d refusals are told", n)
	}
	if resp, _, err := try(&http.Client{Timeout: patience}, "GET", b.url("/status"), ""); err != nil || resp.StatusCode != 200 {
		t.Errorf("status: %v", err)
	}
}
