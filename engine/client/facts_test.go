package client

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// subscribe returns a channel of the events of kinds.
func (g *rig) subscribe(t *testing.T, o engine.SubscribeOptions) <-chan engine.Event {
	t.Helper()
	batches, err := g.client.Subscribe(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan engine.Event, 100)
	go func() {
		for b := range batches {
			for _, e := range b.Events {
				events <- e
			}
		}
	}()
	return events
}

func next(t *testing.T, events <-chan engine.Event) engine.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
		return engine.Event{}
	}
}

func TestHeadsOfBothSides(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Origin", r.URL.Path)
		w.WriteHeader(503)
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t), Secret: "tunnel-secret"}})
	if _, _, err := g.do(t, request("GET", addr, "/unseen")); err != nil {
		t.Fatal(err)
	}
	g.settled(t, func(s *engine.Snapshot) bool { return s.Connections[0].Exchanges == 1 }) // its record is out
	ended := g.subscribe(t, engine.SubscribeOptions{Heads: true, Kinds: engine.KindSet(engine.KindRequestFinished)})
	for _, path := range []string{"/1", "/2"} { // over one connection to the origin
		if _, _, err := g.do(t, request("GET", addr, path, wire.Field{Name: "Cookie", Value: "a=b"})); err != nil {
			t.Fatal(err)
		}
		h := next(t, ended).Request.Heads
		if h == nil || h.Cut || h.Request != "host: "+addr+"\nCookie: a=b\n" {
			t.Fatalf("%s: %+v", path, h)
		}
		if !slices.Contains(strings.Split(h.Response, "\n"), "X-Origin: "+path) || strings.Contains(h.Response+h.Request, "secret") {
			t.Errorf("%s: %q", path, h.Response)
		}
	}
	snap := g.settled(t, func(s *engine.Snapshot) bool { return s.Totals.Requests == 3 && s.Connections[0].Exchanges == 3 })
	if c := snap.Connections[0]; c.Failed != 3 || c.ShapeIn.Sizes == [4]uint64{} || c.PingEvery != 20*time.Second || c.PingNext.IsZero() ||
		c.Greeting.Size == 0 || !strings.Contains(c.Greeting.Raw, `"edge-3"`) || strings.Contains(c.Greeting.Raw, "secret") {
		t.Errorf("%+v with %+v", c, c.Greeting)
	}
	if snap.Totals.Statuses != [6]uint64{5: 3} {
		t.Errorf("%v", snap.Totals.Statuses)
	}
	if r := g.records(); r[0].Heads != nil || r[1].Heads == nil {
		t.Error("heads of others than what was asked for")
	}
}

// settled waits for what a snapshot shows.
func (g *rig) settled(t *testing.T, is func(*engine.Snapshot) bool) *engine.Snapshot {
	t.Helper()
	var s engine.Snapshot
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := g.client.Snapshot(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		if len(s.Connections) > 0 && is(&s) {
			return &s
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %+v", s)
		}
	}
}

func TestLiveFollowsAnExchange(t *testing.T) {
	step := make(chan struct{})
	proceed := sync.OnceFunc(func() { close(step) })
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.ReadFull(r.Body, make([]byte, 3))
		w.WriteHeader(203)
		w.Write([]byte("12345"))
		w.(http.Flusher).Flush()
		<-step
	})
	t.Cleanup(proceed) // before the origin waits for its handler
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	begun := g.subscribe(t, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindRequestStarted)})
	x := g.open(t, t.Context(), request("POST", addr, "/"), false)
	live := next(t, begun).Request.Live
	if live == nil || live.Connection.Load() != 1 || live.Status.Load() != 0 {
		t.Fatalf("%+v", live)
	}
	if _, err := x.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if resp, err := x.ReadResponse(); err != nil || resp.Status != 203 {
		t.Fatal(resp, err)
	}
	g.settled(t, func(*engine.Snapshot) bool {
		return live.Status.Load() == 203 && live.RequestBytes.Load() == 3 && live.ResponseBytes.Load() == 5
	})
	proceed()
	x.Close()
	if r := g.records()[0]; r.Live != nil || !live.Over.Load() {
		t.Error("live in the record of the end")
	}
}

func TestLiveFollowsAStream(t *testing.T) {
	addr := listen(t, func(c *net.TCPConn) { io.Copy(c, c) })
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	begun := g.subscribe(t, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindRequestStarted)})
	x := g.connect(t, 0, addr)
	live := next(t, begun).Request.Live
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Write([]byte("abcd")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(x, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	g.settled(t, func(*engine.Snapshot) bool {
		return live.Status.Load() == 200 && live.RequestBytes.Load() == 4 && live.ResponseBytes.Load() == 4
	})
	x.Close()
}

func TestTapeAtTheClient(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	g.settled(t, func(s *engine.Snapshot) bool { return s.Connections[0].ID == 1 })
	if tape, err := g.client.FrameTape(t.Context(), 1, nil); len(tape) != 0 || err != nil {
		t.Errorf("before: %+v, %v", tape, err)
	}
	if _, _, err := g.do(t, request("GET", addr, "/")); err != nil {
		t.Fatal(err)
	}
	// The server may have read what is noted here a moment later.
	g.settled(t, func(*engine.Snapshot) bool {
		tape, err := g.client.FrameTape(t.Context(), 1, nil)
		var notes []string
		for _, f := range tape {
			if f.Opcode == 2 {
				notes = append(notes, f.Note)
			}
		}
		return err == nil && slices.Equal(notes, []string{"REQUEST x1 END", "RESPONSE x1 END"})
	})
	if _, err := g.client.FrameTape(t.Context(), 99, nil); err == nil {
		t.Error("a tape of no connection")
	}
}

// A requested exchange has a head and nothing else.
type requested struct {
	tunnel.Incoming
	head *wire.Request
}

func (in requested) Request() *wire.Request { return in.head }

// Somebody asked for heads when the response head had gone already: that it is
// missing is said, it was not empty.
func TestHeadThatNobodyWantedInTimeIsSaidToBeLeftOut(t *testing.T) {
	for _, gone := range []bool{false, true} {
		x := &exchange{in: requested{head: &wire.Request{Method: "GET", Authority: "a"}}, headOut: gone}
		if h := x.requestHead(); h.Cut != gone || h.Request != "host: a\n" {
			t.Errorf("response head gone %v: %+v", gone, h)
		}
	}
}
