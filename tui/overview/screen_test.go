package overview

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

// A log has the newest requests of the scene.
type log struct{ all []engine.Request }

func (l log) Requests(_ context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		return err
	}
	*into = engine.RequestPage{Requests: into.Requests[:0], Kept: len(l.all), Capacity: 100_000}
	for i := range l.all {
		r := l.all[len(l.all)-1-i]
		if f.Request(&r, &filter.Context{}) {
			into.Matched++
			if len(into.Requests) < q.Count {
				into.Requests = append(into.Requests, r)
			}
		}
	}
	if n := len(l.all); n > 0 {
		into.Oldest, into.Newest = l.all[0].ID, l.all[n-1].ID
	}
	return nil
}

func (l log) Request(context.Context, engine.RequestID) (engine.Request, error) {
	return engine.Request{}, engine.ErrNotFound
}

// drawn is what the terminal shows between the first two rows and the last, after
// the frames that a screen needs to get what it wants.
func drawn(s pane.Screen, f *pane.Frame, c *canvas.Canvas, all []engine.Request) *canvas.Canvas {
	c.Resize(f.Width, f.Height-3)
	for range 3 {
		for _, w := range s.Wants(f) {
			w.Fetch(context.Background(), pane.Source{Log: log{all}})
			w.Deliver(f)
		}
		c.Clear()
		s.Draw(c.Area(), f)
	}
	return c
}

func sized(sc *scene.Scene, w, h int, glyphs *themes.Glyphs) *pane.Frame {
	f := sc.Frame(w, h)
	f.Glyphs = glyphs
	return f
}

func TestPicture(t *testing.T) {
	sc := scene.New(scene.Options{})
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}, {60, 15}} {
		for _, glyphs := range []*themes.Glyphs{themes.Unicode(), themes.ASCII()} {
			name := strconv.Itoa(size[0]) + "x" + strconv.Itoa(size[1]) + "-" + glyphs.Name
			t.Run(name, func(t *testing.T) {
				f := sized(sc, size[0], size[1], glyphs)
				golden.Equal(t, name, drawn(New(), f, canvas.New(), sc.Requests(200)))
			})
		}
	}
}

// nobody takes all connections and totals away.
func nobody(f *pane.Frame) {
	s := f.Snapshot
	s.Connections, s.Totals, s.Closes = nil, engine.Totals{}, nil
	s.Started = s.Time.Add(-41 * time.Second)
	s.Listen = []string{"0.0.0.0:8080"}
	f.Rows.Update(s, f.Meter)
	f.Events = pane.NewEventLog(10)
	refused := engine.Event{Kind: engine.KindAdmissionRefused, Time: f.Now.Add(-20 * time.Second), Reason: "bad secret", Peer: "203.0.113.200"}
	old := refused
	old.Time = f.Now.Add(-2 * time.Minute)
	f.Events.Add(engine.Batch{Events: []engine.Event{old, refused, refused}})
}

func TestEmptyScreenThatSaysNothing(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}} {
		name := strconv.Itoa(size[0]) + "x" + strconv.Itoa(size[1])
		f := sized(scene.New(scene.Options{}), size[0], size[1], themes.Unicode())
		nobody(f)
		golden.Equal(t, "empty-server-"+name, drawn(New(), f, canvas.New(), nil))
		f.Snapshot.Role = engine.RoleClient
		f.Snapshot.Servers = []engine.Server{{URL: "wss://edge-1:8080/register", Wanted: 8, RetryAt: f.Now.Add(2500 * time.Millisecond), LastError: "dial tcp: connection refused"}}
		f.Snapshot.Expose = []engine.Expose{{Host: "app", URL: "https://app.example.com"}, {TCP: 5432}}
		f.Rows.Update(f.Snapshot, f.Meter)
		golden.Equal(t, "empty-client-"+name, drawn(New(), f, canvas.New(), nil))
	}
}

func TestCommandOfAnEmptyScreenCantBeCopied(t *testing.T) {
	f := sized(scene.New(scene.Options{}), 80, 24, themes.Unicode())
	nobody(f)
	s := New()
	drawn(s, f, canvas.New(), nil)
	effect, _ := s.Do(keys.Copy, f)
	if c, ok := effect.(pane.CopyText); !ok || len(c.Choices) != 1 || !strings.HasPrefix(c.Choices[0].Text, "adit client") {
		t.Errorf("copied %v", effect)
	}
}

func TestPanesByTabAndMouse(t *testing.T) {
	sc := scene.New(scene.Options{})
	s, f, c := New(), sized(sc, 120, 36, themes.Unicode()), canvas.New()
	drawn(s, f, c, sc.Requests(50))
	var order []int
	for range 5 {
		order = append(order, s.panes.Focus())
		s.Do(keys.PaneNext, f)
		drawn(s, f, c, sc.Requests(50))
	}
	if want := []int{paneTable, paneThroughput, paneFrames, paneTail, paneTable}; !slices.Equal(order, want) {
		t.Errorf("tab goes %v, want %v", order, want)
	}
	s.Mouse(pane.Mouse{X: 20, Y: 29, Kind: pane.Click}, f)
	if s.panes.Focus() != paneTail {
		t.Errorf("a click on the tail gives the focus to %d", s.panes.Focus())
	}
	if s.Subject() != filter.Requests {
		t.Error("with the focus on requests connections are filtered")
	}
	effect := s.Mouse(pane.Mouse{X: 20, Y: 29, Kind: pane.DoubleClick}, f)
	if _, ok := effect.(pane.OpenRequest); !ok {
		t.Errorf("a double click on a request gives %v", effect)
	}
	if got := s.Contexts(f)[0]; got != keys.Requests {
		t.Errorf("keys are those of %s", got)
	}
}

func TestPaneThatDoesNotGrow(t *testing.T) {
	sc := scene.New(scene.Options{})
	s, f, c := New(), sized(sc, 120, 36, themes.Unicode()), canvas.New()
	height := func() int {
		drawn(s, f, c, nil)
		rows := strings.Split(c.Plain(), "\n")
		return 1 + slices.IndexFunc(rows, func(r string) bool { return strings.HasPrefix(r, f.Glyphs.Focused.BottomLeft) })
	}
	usual := height()
	s.Do(keys.PaneGrow, f)
	if h := height(); h != usual+1 {
		t.Errorf("%d rows after growing from %d", h, usual)
	}
	s.Do(keys.PaneShrink, f)
	height()
	s.Do(keys.PaneShrink, f)
	if h := height(); h != usual-1 {
		t.Errorf("%d rows after shrinking from %d", h, usual)
	}
	s.Mouse(pane.Mouse{X: 60, Y: usual - 2, Kind: pane.Click}, f)
	s.Mouse(pane.Mouse{X: 60, Y: 9, Kind: pane.Drag}, f)
	s.Mouse(pane.Mouse{X: 60, Y: 9, Kind: pane.Release}, f)
	if h := height(); h != 10 {
		t.Errorf("%d rows after the divider was drawn to row 9", h)
	}
	s.Do(keys.PaneZoom, f)
	if h := height(); h != 33 {
		t.Errorf("%d rows zoomed", h)
	}
	if _, handled := s.Do(keys.Back, f); !handled {
		t.Error("back leaves the zoom")
	}
	if h := height(); h != 10 {
		t.Errorf("%d rows after the zoom", h)
	}
}

// What is reset is what is shown; the engine's counters go on.
func TestResetThatLosesCounts(t *testing.T) {
	sc := scene.New(scene.Options{})
	s, f := New(), sized(sc, 120, 36, themes.Unicode())
	before := s.counts(f)
	s.Do(keys.ResetCounters, f)
	if got := s.reset.Apply(s.counts(f)); got.In.Total() != 0 || got.BytesOut != 0 {
		t.Errorf("after a reset %+v is shown", got)
	}
	f.Snapshot.Totals.FramesIn.Ping += 3
	if got := s.reset.Apply(s.counts(f)); got.In.Total() != 3 || got.In.Ping != 3 {
		t.Errorf("three pings later %+v is shown", got)
	}
	s.Do(keys.ResetCounters, f)
	if got := s.reset.Apply(s.counts(f)); got.In.Total() != before.In.Total()+3 {
		t.Errorf("taken back, %d frames are shown, not %d", got.In.Total(), before.In.Total()+3)
	}
}

func TestKeysThatReachTheRows(t *testing.T) {
	sc := scene.New(scene.Options{})
	s, f, c := New(), sized(sc, 120, 36, themes.Unicode()), canvas.New()
	drawn(s, f, c, nil)
	s.Do(keys.ItemNext, f)
	effect, _ := s.Do(keys.Open, f)
	open, ok := effect.(pane.OpenConnection)
	if !ok || open.From == nil {
		t.Fatalf("open gives %v", effect)
	}
	if next, ok := open.From.Step(open.ID, 1); !ok || next == open.ID {
		t.Errorf("after %v comes %v", open.ID, next)
	}
	if effect, _ = s.Do(keys.Filter, f); effect != (pane.EditFilter{}) {
		t.Errorf("filter gives %v", effect)
	}
	if effect, _ = s.Do(keys.Columns, f); effect == nil {
		t.Error("columns can't be chosen")
	}
	if effect, _ = s.Do(keys.Kill, f); effect.(pane.Ask).Action != keys.Kill {
		t.Errorf("kill gives %v", effect)
	}
	if _, handled := s.Do(keys.Bookmark, f); handled {
		t.Error("it takes keys of others")
	}
}

// Content implements [engine.RequestLog].
func (log) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

// Events implements [engine.RequestLog].
func (log) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
