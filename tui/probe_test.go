package tui

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/enginetest"
	subject "adit/engine/filter"
	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// A probe is a screen that shows what was asked of it.
type probe struct {
	name   string
	mu     sync.Mutex
	did    []keys.Action
	mouse  []pane.Mouse
	answer map[keys.Action]pane.Effect
	filter string
	wants  []pane.Want
}

func (p *probe) Contexts(*pane.Frame) []keys.Context {
	return []keys.Context{keys.Connections, keys.List}
}
func (p *probe) Crumbs(*pane.Frame) []string         { return nil }
func (p *probe) Status(*pane.Frame) string           { return "" }
func (p *probe) Hints(*pane.Frame) []keys.Action     { return []keys.Action{keys.Open, keys.Kill} }
func (p *probe) Wants(*pane.Frame) []pane.Want       { return p.wants }
func (p *probe) Off(keys.Action, *pane.Frame) string { return "" }
func (p *probe) Draw(a canvas.Area, f *pane.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.Text(2, 1, p.name, 0)
	a.Text(2, 2, engine.ConnectionID(f.Snapshot.Totals.Requests).String(), 0)
	for i, d := range p.did {
		a.Text(2, 3+i, string(d), 0)
	}
	a.Text(2, a.H()-1, "filter="+p.filter, 0)
}

func (p *probe) Do(a keys.Action, f *pane.Frame) (pane.Effect, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.did = append(p.did, a)
	e, ok := p.answer[a]
	return e, ok
}

func (p *probe) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mouse = append(p.mouse, m)
	return nil
}

func (p *probe) Subject() subject.Subject   { return subject.Connections }
func (p *probe) Filter() string             { return p.filter }
func (p *probe) SetFilter(text string)      { p.filter = text }
func (p *probe) Matches() pane.Matches      { return pane.Matches{} }
func (p *probe) Values(string) []pane.Value { return nil }

func (p *probe) done() []keys.Action {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]keys.Action(nil), p.did...)
}

func (p *probe) pointed() []pane.Mouse {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]pane.Mouse(nil), p.mouse...)
}

// probed runs a dashboard whose first screen is a probe.
func probed(t *testing.T, o Options, p *probe) *terminal {
	t.Helper()
	if o.Engine == nil {
		fake := enginetest.NewFake(small())
		t.Cleanup(fake.End)
		o.Engine = fake
	}
	if p.name == "" {
		p.name = "probe"
	}
	return start(t, o, 80, 24, func(m *model) { m.levels[0] = []level{{screen: p}} })
}

// A moody engine answers as the test says.
type moody struct {
	*enginetest.Fake
	mu    sync.Mutex
	fails error
	hangs chan struct{} // nil: it does not
	asked atomic.Int64
}

func (e *moody) be(fails error, hangs chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fails, e.hangs = fails, hangs
}

func (e *moody) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	e.asked.Add(1)
	e.mu.Lock()
	fails, hangs := e.fails, e.hangs
	e.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-ctx.Done():
		}
	}
	if fails != nil {
		return fails
	}
	return e.Fake.Snapshot(ctx, into)
}

func TestEngineThatFailsMakesTheDataOld(t *testing.T) {
	e := &moody{Fake: enginetest.NewFake(small())}
	t.Cleanup(e.End)
	p := &probe{answer: map[keys.Action]pane.Effect{keys.Kill: pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{1}}}}
	s := probed(t, Options{Engine: e}, p)
	s.shows("LIVE")
	e.be(errors.New("EOF"), nil)
	s.shows("LOST edge-1 (EOF)")
	s.shows("data is STALE since")
	s.typed("x")
	s.shows("kill: not while the engine does not answer")
	e.be(nil, nil)
	s.shows("back: ")
	s.hides("STALE")
}

func TestEngineThatHangsBlocksNoKey(t *testing.T) {
	e := &moody{Fake: enginetest.NewFake(small())}
	t.Cleanup(e.End)
	p := &probe{}
	s := probed(t, Options{Engine: e}, p)
	s.shows("LIVE")
	hangs := make(chan struct{})
	e.be(nil, hangs)
	s.shows("(no answer)")
	before := e.asked.Load()
	s.typed("j")
	s.shows(string(keys.MoveDown))
	if n := e.asked.Load(); n != before {
		t.Errorf("asked %d times more while one question is open", n-before)
	}
	e.be(nil, nil)
	close(hangs)
	s.hides("STALE")
	s.shows("LIVE")
}

func TestEngineThatHangsDoesNotKeepTheDashboard(t *testing.T) {
	e := &moody{Fake: enginetest.NewFake(small())}
	t.Cleanup(e.End)
	s := probed(t, Options{Engine: e, Remote: true}, &probe{})
	s.shows("LIVE")
	e.be(nil, make(chan struct{}))
	s.shows("STALE")
	s.typed("q")
	if end := s.ends(); end != EndQuit {
		t.Error(end)
	}
}

func TestKeysDoNotMakeASecondChain(t *testing.T) {
	e := &moody{Fake: enginetest.NewFake(small())}
	t.Cleanup(e.End)
	s := probed(t, Options{Engine: e}, &probe{})
	s.shows("LIVE")
	before, began := e.asked.Load(), time.Now()
	for range 300 {
		s.typed("j")
	}
	s.typed("p")
	s.shows("PAUSED")
	frames := float64(e.asked.Load() - before)
	if most := 3 + 1.5*float64(time.Since(began))/float64(framesEvery); frames > most {
		t.Errorf("%v snapshots in %v", frames, time.Since(began))
	}
}

func TestScreenStandsStillWhilePaused(t *testing.T) {
	fake := enginetest.NewFake(small())
	t.Cleanup(fake.End)
	s := probed(t, Options{Engine: fake}, &probe{})
	requests := func(n uint64) {
		fake.Update(func(s *engine.Snapshot) { s.Totals.Requests = n })
	}
	requests(7)
	s.shows("c-7")
	s.typed("p")
	s.shows("PAUSED +0")
	requests(2318)
	s.shows("PAUSED +2,311")
	s.shows("c-7")
	s.typed("f")
	s.shows("c-2318")
	s.shows("LIVE")
}

func TestLostEventsAreSaid(t *testing.T) {
	fake := enginetest.NewFake(small())
	t.Cleanup(fake.End)
	s := probed(t, Options{Engine: fake}, &probe{})
	s.shows("LIVE")
	events := make([]engine.Event, 20_000)
	for i := range events {
		events[i].Kind = engine.KindNotice
	}
	fake.Publish(events...)
	s.shows("events not shown")
	s.shows("totals are exact")
}

func TestActionOfAnotherOperatorIsSaid(t *testing.T) {
	fake := enginetest.NewFake(small())
	t.Cleanup(fake.End)
	s := probed(t, Options{Engine: fake, Operator: "me"}, &probe{})
	s.shows("LIVE")
	fake.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "me", Target: "c-8"},
		engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: "ops@laptop", Target: "c-9"})
	if text := s.shows("ops@laptop: kill c-9"); strings.Contains(text, "c-8") {
		t.Error(text)
	}
}

func TestReadOnlyHasNoAction(t *testing.T) {
	p := &probe{answer: map[keys.Action]pane.Effect{keys.Kill: pane.Ask{Action: keys.Kill, Connections: []engine.ConnectionID{1}}}}
	s := probed(t, Options{ReadOnly: true}, p)
	if text := s.shows("LIVE"); strings.Contains(text, "kill") {
		t.Errorf("the footer offers what is not there:\n%s", text)
	}
	s.typed("x")
	s.shows("not with --read-only")
	if did := p.done(); len(did) != 0 {
		t.Errorf("did %v", did)
	}
}

func TestBackLeavesOneThingAtATime(t *testing.T) {
	p := &probe{answer: map[keys.Action]pane.Effect{keys.Open: pane.OpenConnection{ID: 1}}, filter: "state:busy"}
	s := probed(t, Options{}, p)
	s.shows("filter=state:busy")
	s.typed("\x1b") // the filter first
	s.until("no filter", func(text string) bool { return !strings.Contains(text, "state:busy") })
	if did := p.done(); len(did) != 0 {
		t.Fatalf("did %v", did)
	}
	s.typed("\r")
	s.hides("probe")
	s.typed("\x1b")
	s.shows("probe")
	s.typed("\x1b\x1b\x1b") // never quits
	s.typed("?")
	if s.gone() {
		t.Fatal("esc ended the dashboard")
	}
}

func TestScreensKeepWhatWasOpened(t *testing.T) {
	p := &probe{answer: map[keys.Action]pane.Effect{keys.Open: pane.OpenConnection{ID: 17}}}
	s := probed(t, Options{}, p)
	s.shows("probe")
	s.typed("\r")
	s.hides("probe")
	s.typed("4")
	s.typed("1")
	s.until("still open", func(text string) bool { return !strings.Contains(text, "probe") })
	s.typed("1") // again: up to the screen itself
	s.shows("probe")
}

func TestDoubleClickAndDrag(t *testing.T) {
	p := &probe{}
	s := probed(t, Options{}, p)
	s.shows("LIVE")
	click := func(x, y int) {
		s.p.Send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
		s.p.Send(tea.MouseReleaseMsg{X: x, Y: y, Button: tea.MouseLeft})
	}
	click(5, 7)
	click(5, 7)
	click(9, 9)
	s.p.Send(tea.MouseClickMsg{X: 3, Y: 3, Button: tea.MouseRight})
	s.p.Send(tea.MouseMotionMsg{X: 3, Y: 3})
	want := []pane.MouseKind{pane.Click, pane.Release, pane.DoubleClick, pane.Release, pane.Click, pane.Release}
	s.until("all of them", func(string) bool { return len(p.pointed()) >= len(want) })
	for i, m := range p.pointed() {
		if m.Kind != want[i] {
			t.Errorf("%d: %+v", i, m)
		}
	}
}

func TestMouseFloodHoldsUpNoKey(t *testing.T) {
	p := &probe{}
	s := probed(t, Options{}, p)
	s.shows("LIVE")
	for i := range 2000 {
		s.p.Send(tea.MouseWheelMsg{X: 5, Y: 8, Button: tea.MouseWheelDown})
		if i%500 == 0 {
			s.typed("j")
		}
	}
	s.until("all keys", func(string) bool { return len(p.done()) == 4 })
	// What was merged is not lost.
	s.p.Send(tea.FocusMsg{})
	s.until("all rows", func(string) bool {
		time.Sleep(mouseEvery)
		s.p.Send(tea.MouseWheelMsg{X: 5, Y: 8, Button: tea.MouseWheelRight})
		sum := 0
		for _, m := range p.pointed() {
			sum += m.Amount
		}
		return sum == 6000
	})
	if n := len(p.pointed()); n > 1000 {
		t.Errorf("%d events of the wheel were let through", n)
	}
}

func TestPasteIsNotTakenForKeys(t *testing.T) {
	p := &probe{}
	s := probed(t, Options{}, p)
	s.shows("LIVE")
	s.typed("\x1b[200~" + strings.Repeat("qyx\rj", 2048) + "\x1b[201~")
	s.shows("pasted text goes into a filter")
	s.typed("k")
	s.until("the key after it", func(string) bool { return len(p.done()) > 0 })
	if did := p.done(); len(did) != 1 || did[0] != keys.MoveUp {
		t.Errorf("did %v", did)
	}
}

func TestResizeStormAndNoSizeAtFirst(t *testing.T) {
	fake := enginetest.NewFake(small())
	t.Cleanup(fake.End)
	p := &probe{name: "probe"}
	s := start(t, Options{Engine: fake}, 0, 0, func(m *model) { m.levels[0] = []level{{screen: p}} })
	for i := range 500 {
		s.resize(1+i%150, 1+(i*7)%70)
		if i%100 == 50 {
			s.typed("j")
		}
	}
	s.resize(0, 0)
	s.resize(100, 30)
	s.shows("LIVE")
	s.shows("probe")
}

func TestTinyTerminalActsOnNothing(t *testing.T) {
	fake := enginetest.NewFake(small())
	t.Cleanup(fake.End)
	p := &probe{name: "probe"}
	s := start(t, Options{Engine: fake}, 34, 9, func(m *model) { m.levels[0] = []level{{screen: p}} })
	s.shows("adit")
	s.typed("xj2!")
	s.shows("no errors") // the last key was taken
	s.resize(80, 24)
	s.shows("probe")
	if did := p.done(); len(did) != 0 {
		t.Errorf("did %v", did)
	}
}

func TestKeyThatComesBeforeTheFirstSize(t *testing.T) {
	p := &probe{name: "probe"}
	fake := enginetest.NewFake(small())
	t.Cleanup(fake.End)
	s := start(t, Options{Engine: fake}, 0, 0, func(m *model) { m.levels[0] = []level{{screen: p}} })
	s.typed("j")
	s.until("the key", func(string) bool { return len(p.done()) == 1 })
}
