package playback

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
	"adit/store/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin is when what the tests show began.
func begin() time.Time { return time.Date(2026, 11, 1, 15, 4, 0, 0, time.UTC) }

func after(seconds float64) time.Time {
	return begin().Add(time.Duration(seconds * float64(time.Second)))
}

// request returns one that arrived n seconds after the beginning and took half of
// one; each fourth failed.
func request(n int) *engine.Request {
	r := &engine.Request{
		ID: engine.RequestID(n + 1), Connection: 1, Client: "edge-1", Caller: "192.0.2.1:5", Way: engine.WayHost, Protocol: engine.ProtocolNative,
		Method: "GET", Target: fmt.Sprintf("https://shop.example.com/%d", n), Status: 200, Arrived: after(float64(n)), FirstByte: 400 * time.Millisecond,
		LastByte: 500 * time.Millisecond, Connect: -1, ResponseBytes: 10, Outcome: engine.OutcomeCompleted,
	}
	if n%4 == 3 {
		r.Status, r.Outcome, r.Reason = 502, engine.OutcomeOriginFailed, "connection refused"
	}
	return r
}

// written writes 30 seconds of a server into a database: c-1 is there from the
// beginning to second 20, c-2 from second 10 on; edge-9 is banned in second 15.
func written(t *testing.T, samples bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run.db")
	f, err := history.Open(path, history.Options{Role: "server", Name: "edge", Version: "1.2.3", Samples: samples, Captures: true})
	if err != nil {
		t.Fatal(err)
	}
	add := func(e engine.Event) {
		if e.Protocol = engine.ProtocolNative; f.Add(&e) == 0 {
			t.Fatalf("not taken: %+v", e)
		}
	}
	greeting := func(client string) *engine.Greeting {
		return &engine.Greeting{ID: client, PoolSize: 2, Labels: map[string]string{"zone": client + "-zone"}}
	}
	var s engine.Snapshot
	for n := range 31 {
		switch now := after(float64(n)); n {
		case 0:
			add(engine.Event{Time: now, Kind: engine.KindConnectionOpened, Connection: 1, Peer: "192.0.2.7:1"})
			add(engine.Event{Time: now, Kind: engine.KindGreetingReceived, Connection: 1, Client: "edge-1", Greeting: greeting("edge-1")})
			s.Connections = append(s.Connections, engine.Connection{ID: 1, Client: "edge-1", State: engine.StateBusy})
		case 10:
			add(engine.Event{Time: now, Kind: engine.KindConnectionOpened, Connection: 2, Peer: "192.0.2.8:1"})
			add(engine.Event{Time: now.Add(2 * time.Second), Kind: engine.KindGreetingReceived, Connection: 2, Client: "edge-2", Greeting: greeting("edge-2")})
			s.Connections = append(s.Connections, engine.Connection{ID: 2, Client: "edge-2", State: engine.StateIdle})
		case 15:
			add(engine.Event{Time: now, Kind: engine.KindOperatorAction, Action: engine.ActionBan, Target: "edge-9", Operator: "eva"})
			s.Banned = []string{"edge-9"}
		case 20:
			add(engine.Event{Time: now, Kind: engine.KindConnectionClosed, Connection: 1, Client: "edge-1", Code: 1000, Duration: 20 * time.Second, Closed: &engine.Traffic{BytesIn: 5}})
			s.Connections = s.Connections[1:]
		case 30:
			add(engine.Event{Time: now, Kind: engine.KindNotice, Reason: "the end"})
		}
		if n < 30 {
			add(engine.Event{Time: after(float64(n) + 0.5), Kind: engine.KindRequestFinished, Connection: 1, Client: "edge-1", Request: request(n)})
		}
		s.Time, s.Started, s.Instance = after(float64(n)), begin().Add(-time.Hour), "i-1"
		s.Totals.Requests, s.Totals.BytesIn = uint64(n), uint64(n*100)
		for i := range s.Connections {
			s.Connections[i].BytesIn = uint64(n * 10)
		}
		f.Sample(&s)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t *testing.T, path string) *Recording {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.Pause(true)
	return r
}

// surveyed waits until what is summed up beside is there.
func surveyed(t *testing.T, r *Recording) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, known := r.totals.upTo(1 << 40); known {
			return
		}
	}
	t.Fatal("the requests were not summed up")
}

func ids(c []engine.Connection) (all []engine.ConnectionID) {
	for i := range c {
		all = append(all, c[i].ID)
	}
	return all
}

// A moment is what it was, with samples or without, in whatever order one looks.
func TestMomentIsWhatItWas(t *testing.T) {
	for _, samples := range []bool{true, false} {
		t.Run(fmt.Sprint("samples ", samples), func(t *testing.T) {
			r := opened(t, written(t, samples))
			if !samples {
				surveyed(t, r)
			}
			p := r.Playback()
			if !p.From.Equal(begin()) || !p.To.Equal(after(30)) {
				t.Errorf("from %v to %v", p.From, p.To)
			}
			if start := map[bool]time.Time{true: p.From, false: p.To}[samples]; p.At.Sub(start) > 5*time.Second || p.At.Before(start) {
				t.Errorf("begins at %v", p.At)
			}
			for _, x := range []struct {
				at         float64
				open       []engine.ConnectionID
				arrived    int
				ended      uint64
				banned     bool
				registered int
			}{
				{5.6, []engine.ConnectionID{1}, 6, 6, false, 1},
				{29.9, []engine.ConnectionID{2}, 30, 30, true, 1},
				{11, []engine.ConnectionID{1, 2}, 12, 11, false, 1},
				{12.2, []engine.ConnectionID{1, 2}, 13, 12, false, 2},
				{15.7, []engine.ConnectionID{1, 2}, 16, 16, true, 2},
				{20, []engine.ConnectionID{2}, 21, 20, true, 1},
				{0, []engine.ConnectionID{1}, 1, 0, false, 1},
			} {
				r.Seek(after(x.at))
				var s engine.Snapshot
				if err := r.Snapshot(t.Context(), &s); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(ids(s.Connections), x.open) || s.Name != "edge" || s.Version != "1.2.3" || s.Role != engine.RoleServer || !s.Time.Equal(after(x.at)) {
					t.Errorf("at %v: %+v", x.at, s)
				}
				if banned := slices.Contains(s.Banned, "edge-9"); banned != x.banned {
					t.Errorf("at %v: banned %v", x.at, s.Banned)
				}
				registered := 0
				for _, c := range s.Connections {
					if c.Greeting != nil && c.Greeting.Labels["zone"] == c.Client+"-zone" {
						registered++
					}
				}
				if registered != x.registered {
					t.Errorf("at %v: %d registered", x.at, registered)
				}
				if samples {
					n := uint64(x.at)
					if s.Totals.Requests != n || s.Totals.BytesIn != n*100 || s.Connections[0].BytesIn != n*10 || s.Instance != "i-1" {
						t.Errorf("at %v: %+v", x.at, s.Totals)
					}
				} else if s.Totals.Requests != uint64(x.arrived) || s.Totals.Failed != uint64(x.arrived/4) || s.Totals.Statuses[5] != uint64(x.arrived/4) {
					t.Errorf("at %v: %+v", x.at, s.Totals)
				}

				var page engine.RequestPage
				if err := r.Requests(t.Context(), engine.RequestQuery{Count: 100, Complete: true}, &page); err != nil {
					t.Fatal(err)
				}
				ended := uint64(0)
				for i := range page.Requests {
					if y := &page.Requests[i]; y.Live == nil {
						ended++
					} else if y.LastByte != after(x.at).Sub(y.Arrived) || y.Outcome != engine.OutcomeNone {
						t.Errorf("at %v in flight: %+v", x.at, y)
					}
				}
				if len(page.Requests) != x.arrived || page.Matched != x.arrived || page.Kept != x.arrived || ended != x.ended || page.Newest != engine.RequestID(x.arrived) {
					t.Errorf("at %v: %d requests, %d ended: %+v", x.at, len(page.Requests), ended, page)
				}
				if err := r.Requests(t.Context(), engine.RequestQuery{Filter: "status:502", Order: engine.ByDuration, Count: 100, Complete: true, Until: 7}, &page); err != nil {
					t.Fatal(err)
				}
				if want := min(7, x.arrived) / 4; len(page.Requests) != want || page.After != max(x.arrived-7, 0) {
					t.Errorf("at %v: %d failed up to r-7, %d after", x.at, len(page.Requests), page.After)
				}
				if _, err := r.Request(t.Context(), engine.RequestID(x.arrived+1)); !errors.Is(err, engine.ErrNotFound) {
					t.Errorf("at %v: one that has not arrived: %v", x.at, err)
				}
			}
		})
	}
}

// Times in a filter count from the moment that is shown, also after a jump.
func TestFilterCountsFromTheMoment(t *testing.T) {
	r := opened(t, written(t, false))
	for _, x := range []struct {
		at   float64
		want int
	}{{29.9, 6}, {10.2, 6}, {3.7, 4}} {
		r.Seek(after(x.at))
		var page engine.RequestPage
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if err := r.Requests(t.Context(), engine.RequestQuery{Filter: "time:-6s..", Count: 100, Complete: true}, &page); err != nil {
				t.Fatal(err)
			}
			if len(page.Requests) == x.want {
				break
			}
			if time.Now().After(end) {
				t.Errorf("at %v: %d requests, want %d", x.at, len(page.Requests), x.want)
				break
			}
		}
	}
	var page engine.RequestPage
	if err := r.Requests(t.Context(), engine.RequestQuery{Filter: "time:" + after(0).Local().Format("15:04"), Count: 100, Complete: true}, &page); err != nil || page.Matched != 4 {
		t.Errorf("of the day: %d, %v", page.Matched, err)
	}
	r.Seek(after(16.5))
	var events engine.EventPage
	if err := r.Events(t.Context(), engine.EventQuery{Filter: "age:<5s", Count: 100}, &events); err != nil || len(events.Events) != 2 {
		t.Errorf("events of the last 5 s: %+v, %v", events.Events, err)
	}
}

// What has not begun is empty, and a filter is refused all the same.
func TestNothingHasArrived(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.db")
	f, err := history.Open(path, history.Options{Role: "client", Name: "pi"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r := opened(t, path)
	var s engine.Snapshot
	var page engine.RequestPage
	var events engine.EventPage
	if err := errors.Join(r.Snapshot(t.Context(), &s), r.Requests(t.Context(), engine.RequestQuery{Count: 9}, &page), r.Events(t.Context(), engine.EventQuery{Count: 9}, &events)); err != nil {
		t.Fatal(err)
	}
	if s.Role != engine.RoleClient || len(page.Requests)+page.Kept+len(events.Events)+len(s.Connections) != 0 {
		t.Errorf("%+v %+v", s, page)
	}
	if r.Requests(t.Context(), engine.RequestQuery{Filter: "dur:>20q"}, &page) == nil {
		t.Error("a filter that does not parse is taken")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.db")); err == nil {
		t.Error("opens what is not there")
	}
}

// Events come as the moment passes them, and a jump is told.
func TestEventsComeAsTheyHappened(t *testing.T) {
	r := opened(t, written(t, true))
	r.Seek(after(9))
	r.SetSpeed(20)
	batches, err := r.Subscribe(t.Context(), engine.SubscribeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.Pause(false)
	var got []string
	finished := 0
	last := time.Time{}
	for b := range batches {
		if b.Dropped != 0 {
			t.Fatalf("%d lost", b.Dropped)
		}
		for _, e := range b.Events {
			if e.Time.Before(last) || e.Time.Before(after(8)) || e.Time.After(r.Playback().At) {
				t.Errorf("%v at %v after %v", e.Kind, e.Time, last)
			}
			if last = e.Time; e.Kind == engine.KindRequestFinished {
				finished++
			} else {
				got = append(got, e.Kind.String())
			}
		}
		if len(got) == 5 {
			break
		}
	}
	want := []string{"connection_opened", "greeting_received", "operator_action", "connection_closed", "notice"}
	if !slices.Equal(got, want) || finished < 20 || finished > 21 {
		t.Errorf("%v and %d requests", got, finished)
	}
	r.Seek(after(3))
	if b := <-batches; b.Dropped == 0 {
		t.Error("a jump backwards is not told")
	}
	if err := r.Ban(t.Context(), "x", engine.Operator{}); !errors.Is(err, engine.ErrRecorded) {
		t.Errorf("%v", err)
	}
	r.Close()
	for range batches {
	}
	if _, err := r.Subscribe(t.Context(), engine.SubscribeOptions{}); err == nil {
		t.Error("subscribes to what is closed")
	}
}

// The clock stays within what was recorded, whatever is asked.
func TestClockIsBounded(t *testing.T) {
	r := opened(t, written(t, true))
	for _, speed := range []float64{0, -1, 1e9, 3600, 1.0 / 16} {
		r.SetSpeed(speed)
		if s := r.Playback().Speed; s < slowest || s > fastest {
			t.Errorf("speed %v", s)
		}
	}
	r.Seek(time.Time{})
	if p := r.Playback(); !p.At.Equal(p.From) {
		t.Errorf("%+v", p)
	}
	r.Seek(after(1e6))
	if p := r.Playback(); !p.At.Equal(p.To) || !p.Paused {
		t.Errorf("%+v", p)
	}
	r.Seek(begin())
	r.SetSpeed(fastest)
	r.Pause(false)
	time.Sleep(20 * time.Millisecond)
	if p := r.Playback(); !p.At.Equal(p.To) || p.Speed != fastest {
		t.Errorf("%+v", p)
	}
}
