package server

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// shared is a listener whose socket stays open for a successor.
func shared(t *testing.T) net.Listener {
	t.Helper()
	ln := listen(t)
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	again, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return again
}

// A caller that is refused, or that loses a connection without having been told,
// when a successor takes over; a client that is not told to dial again.
func TestHandoverCostsNoCallerAnything(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{}, 1)
	b := serveOn(t, Options{Domain: domain, Wait: 50 * time.Millisecond, Grace: patience}, shared(t))
	var told [2]chan struct{}
	var sessions [2]tunnel.Session
	for i := range told {
		told[i] = make(chan struct{})
		var err error
		sessions[i], err = b.tryDial(greeting("edge", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
			if in.Request().Path == "/slow" {
				began <- struct{}{}
				<-release
			}
			hello(in)
		}, func(o *tunnel.DialOptions) { o.OnDrain = func() { close(told[i]) } })
		if err != nil {
			t.Fatal(err)
		}
	}
	b.until("two connections", func(s *engine.Snapshot) bool { return len(s.Connections) == 2 })
	b.awaitMember("edge")
	const get = "GET / HTTP/1.1\r\nHost: " + appHost + "\r\n\r\n"
	idle := b.raw(get)
	idle.response(t, "GET")
	slow := b.raw("GET /slow HTTP/1.1\r\nHost: " + appHost + "\r\n\r\n")
	within(t, "exchange", began)

	down := make(chan error, 1)
	go func() { down <- b.s.Handover(context.Background()) }()
	select {
	case <-told[0]:
	case <-told[1]:
	case <-time.After(patience):
		t.Fatal("no client was told")
	}
	if _, err := net.DialTimeout("tcp", b.addr, time.Second); err != nil {
		t.Errorf("a caller is refused: %v", err)
	}
	if _, err := io.WriteString(idle, get); err != nil {
		t.Fatal(err)
	}
	if resp, _ := idle.response(t, "GET"); resp.StatusCode != 200 || !resp.Close {
		t.Errorf("on a connection that was there: status %d, last one %v", resp.StatusCode, resp.Close)
	}
	close(release)
	if resp, body := slow.response(t, "GET"); resp.StatusCode != 200 || body == "" || !resp.Close {
		t.Errorf("the exchange that ran: status %d, %q, last one %v", resp.StatusCode, body, resp.Close)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	for i, s := range sessions {
		within(t, "drain", told[i])
		within(t, "end", s.Done())
		if code, reason := s.Ended(); code != engine.CloseRestart {
			t.Errorf("closed with %d %s", code, reason)
		}
	}
	if n := len(b.seen(engine.KindDraining)); n != 1 {
		t.Errorf("draining %d times", n)
	}
}

// What an operator did, or a caller relies on, is gone with the former process.
func TestSuccessorKnowsWhatTheFormerProcessKnew(t *testing.T) {
	former := exposed(t, hello)
	by := engine.Operator{Name: "ann"}
	if err := former.s.Ban(t.Context(), "bad", by); err != nil {
		t.Fatal(err)
	}
	if err := former.s.SetCapture(t.Context(), engine.Capture{Mode: engine.CaptureOff}, by); err != nil {
		t.Fatal(err)
	}
	try(caller(t), "GET", former.url("/"), "", "Host", appHost)
	text, err := json.Marshal(former.s.State())
	if err != nil {
		t.Fatal(err)
	}
	var st State
	if err := json.Unmarshal(text, &st); err != nil {
		t.Fatal(err)
	}
	b := serve(t, Options{Domain: domain, Wait: time.Millisecond, Former: &st})
	s := b.snapshot()
	if !slices.Equal(s.Banned, []string{"bad"}) || s.Capture.Mode != engine.CaptureOff {
		t.Errorf("banned %v, capture %v", s.Banned, s.Capture.Mode)
	}
	if resp, _, err := try(caller(t), "GET", b.url("/"), "", "Host", "other."+domain); err != nil || resp.StatusCode != 404 {
		t.Errorf("a name that nobody exposed: %v, %v", resp, err)
	}
	// Its client is not back yet.
	status := make(chan int, 1)
	go func() {
		resp, _, err := try(caller(t), "GET", b.url("/"), "", "Host", appHost)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		status <- resp.StatusCode
	}()
	b.until("a caller that waits", func(s *engine.Snapshot) bool { return s.Waiting == 1 })
	b.dial(greeting("edge", engine.Expose{Host: "app"}), hello)
	if got := <-status; got != 200 {
		t.Errorf("a caller who came before the client: status %d", got)
	}
	if r := b.finished(2); r.ID <= former.finished(1).ID+1000 || r.Connection < 1000 {
		t.Errorf("%v on %v: the former process may still give such ids", r.ID, r.Connection)
	}
}

// A caller of an exposed port that is refused, or turned away, because the client
// is not back yet.
func TestInheritedPortServesBeforeItsClientIsBack(t *testing.T) {
	ln := listen(t)
	port := uint16(ln.Addr().(*net.TCPAddr).Port)
	o := withPorts(port, port)
	o.Former, o.Ports = new(State), map[uint16]net.Listener{port: ln}
	b := serve(t, o)
	conn, err := b.dialPort(port)
	if err != nil {
		t.Fatal(err)
	}
	b.until("a caller that waits", func(s *engine.Snapshot) bool { return s.Waiting == 1 })
	b.dial(greeting("edge", engine.Expose{TCP: port}), echoRaw)
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "ping" {
		t.Errorf("%q, %v", got, err)
	}
	if ports := b.s.Ports(); len(ports) != 1 || ports[port] != ln {
		t.Errorf("ports to hand on: %v", ports)
	}
}

// A port that may not be exposed any more must not be held.
func TestInheritedPortOutsideOfTheRange(t *testing.T) {
	ln := listen(t)
	b := serve(t, Options{Former: new(State), Ports: map[uint16]net.Listener{uint16(ln.Addr().(*net.TCPAddr).Port): ln}})
	if _, err := ln.Accept(); err == nil || len(b.s.Ports()) != 0 {
		t.Errorf("%v, %v", err, b.s.Ports())
	}
}

// After a restart the first client that is back says nothing of what others may
// serve: callers wait for those, and hear what no client can do only afterwards.
func TestClientsThatAreBackFirstRefuseNothingForOthers(t *testing.T) {
	rules := compiled(t, policy.RuleSet{AllowAll: true, Blacklist: []policy.Rule{{URL: "/secret", Client: "^old$"}}})
	permit, err := rules.Check(&policy.Query{Method: "GET", URL: "http://api.internal/secret", Host: "api.internal:80"})
	if err != nil {
		t.Fatal(err)
	}
	secret := destination{kind: toAny, permit: permit}
	for _, c := range []struct {
		name string
		to   destination
		end  engine.Reason // where no other client comes
	}{
		{"what wsp does not carry", destination{kind: toAny, native: true}, engine.ReasonUnsupported},
		{"what a rule keeps from the first", secret, engine.ReasonDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDispatcher(10)
				d.backBy = time.Now().Add(returnTime)
				fakeLink(d, 1, "old", 1, engine.ProtocolClassic)
				if r := reasonOf(t, d, c.to, returnWait); r != c.end {
					t.Errorf("nobody else comes: %v, want %v", r, c.end)
				}
				back := time.AfterFunc(time.Second, func() { fakeLink(d, 2, "new", 10, engine.ProtocolNative) })
				defer back.Stop()
				sl, err := d.acquire(t.Context(), c.to, 1, returnWait)
				if err != nil || sl.l.client != "new" {
					t.Fatalf("another one is back after a second: %v", err)
				}
				sl.l.conn.Unreserve()
				d.leave(sl.l)

				time.Sleep(returnTime)
				began := time.Now()
				if r := reasonOf(t, d, c.to, returnWait); r != c.end || time.Since(began) > 0 {
					t.Errorf("long after the start: %v after %v, want %v at once", r, time.Since(began), c.end)
				}
			})
		})
	}
}
