package server

import (
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

// watchLate returns the events of requests so far, of one who allows that starts
// come late.
func watchLate(t *testing.T, bus *observe.Bus) func() []engine.Event {
	batches, err := bus.Subscribe(t.Context(), engine.SubscribeOptions{Late: true,
		Kinds: engine.KindSet(engine.KindRequestStarted, engine.KindRequestFinished)})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var events []engine.Event
	go func() {
		for b := range batches {
			mu.Lock()
			events = append(events, b.Events...)
			mu.Unlock()
		}
	}()
	return func() []engine.Event {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return events
	}
}

func newQuiet(t *testing.T, bus *observe.Bus) *Server {
	s, err := New(Options{Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOnlySlowRequestsAreAnnouncedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := observe.NewBus()
		s := newQuiet(t, bus)
		seen := watchLate(t, bus)
		fast := s.begin(engine.WayHost, "192.0.2.1:1")
		fast.started()
		slow := s.begin(engine.WayHost, "192.0.2.1:2")
		slow.target("/slow")
		slow.started()
		stuck := s.begin(engine.WayHost, "192.0.2.1:3") // has not been read yet
		time.Sleep(5 * time.Millisecond)
		fast.end()
		fast.release()
		slow.received(make([]byte, 7))
		time.Sleep(15 * time.Millisecond)
		events := seen()
		if len(events) != 2 || events[0].Request.ID != 1 || events[0].Kind != engine.KindRequestFinished {
			t.Fatalf("20 ms after a fast and a slow request began: %v", events)
		}
		begun := events[1].Request
		if events[1].Kind != engine.KindRequestStarted || begun.ID != 2 || begun.Target != "/slow" || begun.Live.ResponseBytes.Load() != 7 || begun.Live.Over.Load() {
			t.Errorf("announced: %v %+v", events[1].Kind, begun)
		}
		stuck.started() // the sweep has passed it
		slow.received(make([]byte, 1))
		if n := begun.Live.ResponseBytes.Load(); n != 8 {
			t.Errorf("%d bytes, not 8", n)
		}
		time.Sleep(15 * time.Millisecond) // what comes is gathered
		if events = seen(); len(events) != 3 || events[2].Kind != engine.KindRequestStarted || events[2].Request.ID != 3 {
			t.Errorf("after one that was read late: %v", events)
		}
		for _, c := range []*call{slow, stuck} {
			c.end()
			c.release()
		}
		if !begun.Live.Over.Load() || begun.Live.ResponseBytes.Load() != 8 {
			t.Error("what moved of a request that ended is that of another")
		}
		s.Close()
		bus.Close()
	})
}

// TestAnnouncedBeforeTheEnd lets requests end while they are announced.
func TestAnnouncedBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := observe.NewBus()
		s := newQuiet(t, bus)
		seen := watchLate(t, bus)
		var callers sync.WaitGroup
		for i := range 1000 {
			callers.Go(func() {
				time.Sleep(time.Duration(i/100) * time.Millisecond)
				c := s.begin(engine.WayHost, "192.0.2.1:1")
				c.started()
				time.Sleep(time.Duration(8+i%5) * time.Millisecond)
				c.received(make([]byte, i))
				c.end()
				c.release()
			})
		}
		callers.Wait()
		time.Sleep(time.Second)
		started, ended := map[engine.RequestID]*engine.Live{}, map[engine.RequestID]bool{}
		for _, e := range seen() {
			switch id := e.Request.ID; {
			case ended[id]:
				t.Errorf("%v of %v after its end", e.Kind, id)
			case e.Kind == engine.KindRequestFinished:
				ended[id] = true
			case started[id] != nil:
				t.Errorf("%v started twice", id)
			default:
				started[id] = e.Request.Live
			}
		}
		for id, live := range started {
			if !live.Over.Load() || !ended[id] {
				t.Errorf("%v did not end", id)
			}
		}
		if len(ended) != 1000 || len(started) == 0 || len(started) == 1000 {
			t.Errorf("%d ends, %d starts", len(ended), len(started))
		}
		s.Close()
		bus.Close()
	})
}

// Who wants starts alone, and late, gets them all the same.
func TestStartsAloneAreToldLate(t *testing.T) {
	bus := observe.NewBus()
	defer bus.Close()
	s, err := New(Options{Bus: bus, Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := bus.Subscribe(t.Context(), engine.SubscribeOptions{Late: true, Kinds: engine.KindSet(engine.KindRequestStarted)})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	defer func() { s.Close(); <-served }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET http://nobody.example/x HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
	select {
	case b := <-batches:
		if r := b.Events[0].Request; r.Target != "http://nobody.example/x" || r.Live == nil {
			t.Errorf("announced %+v", r)
		}
	case <-time.After(patience):
		t.Fatal("a request that waits was not announced")
	}
}
