//go:build !race

package server

import (
	"context"
	"net/http"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/wire"
)

func TestDispatchDoesNotAllocate(t *testing.T) {
	d := newDispatcher(10)
	for i := range 8 {
		fakeLink(d, i+1, "edge", 100, engine.ProtocolNative, engine.Expose{Host: "app"})
	}
	to := destination{kind: toHost, name: "app"}
	if n := testing.AllocsPerRun(100, func() {
		sl, err := d.acquire(context.Background(), to, 1, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		sl.l.conn.Unreserve()
	}); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

func TestHeadAllocations(t *testing.T) {
	s, err := New(Options{Domain: domain})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, _ := http.NewRequest("GET", "http://app.t.example/x", nil)
	r.RequestURI, r.RemoteAddr = "/x", "192.0.2.1:1234"
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Connection": {"keep-alive"}, "Accept-Encoding": {"gzip"}}
	tgt := target{scheme: "http", authority: "app.t.example", path: "/x", route: 1}
	var sent requestHead
	// Our element of Forwarded, and what Go makes of its parts.
	if n := testing.AllocsPerRun(100, func() { s.head(&sent, r, &tgt, true) }); n > 2 {
		t.Errorf("%v allocations for a request head", n)
	}
	fields := []wire.Field{{Name: "content-type", Value: "a/b"}, {Name: "Content-Length", Value: "1"}, {Name: "etag", Value: "x"}}
	h := http.Header{}
	if n := testing.AllocsPerRun(100, func() { clear(h); copyHead(h, fields) }); n > 1 {
		t.Errorf("%v allocations for a response head", n)
	}
}

func TestSmallRequestAllocations(t *testing.T) {
	bus := observe.NewBus()
	defer bus.Close()
	run := smallRequest(t, bus)
	// Our element of Forwarded, the values of the answer's header, and the
	// exchange, which stands for the tunnel's.
	if n := testing.AllocsPerRun(100, run); n > 3 {
		t.Errorf("%v allocations for a small request", n)
	}
}

func TestRecordThatNobodyWantsDoesNotAllocate(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := testing.AllocsPerRun(100, func() {
		c := s.begin(engine.WayHost, "192.0.2.1:1")
		c.target("/x")
		c.started()
		c.end()
		c.release()
	}); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

// TestWatchedRequestAllocations is of a request whose record and heads are kept,
// as those of every run are.
func TestWatchedRequestAllocations(t *testing.T) {
	bus := observe.NewBus()
	batches, err := bus.Subscribe(t.Context(), engine.SubscribeOptions{Heads: true, Late: true})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for range batches {
		}
	}()
	run := smallRequest(t, bus)
	run() // slots of the ring, pieces of text
	// What nobody watches takes 3; its target, and its record with the heads.
	if n := testing.AllocsPerRun(2000, run); n > 5 {
		t.Errorf("%v allocations for a small request", n)
	}
	bus.Close()
	<-read
}

// A scope that bounds ids alone is asked for each connection that may serve a request.
func TestScopeOfIDsDoesNotAllocate(t *testing.T) {
	d := newDispatcher(10)
	l := fakeLink(d, 1, "edge", 100, engine.ProtocolNative)
	scope, err := policy.NewScope([]string{"ed*"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.bounds.Store(&bounds{scope: scope})
	a := asked{kind: toAny, method: "GET", scheme: "http", authority: "app.internal", path: "/items", caller: scope}
	if n := testing.AllocsPerRun(100, func() {
		if !a.fits(l) || !a.within(scope) {
			t.Fatal("it does not fit")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
