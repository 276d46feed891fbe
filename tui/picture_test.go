package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/store"
	"adit/tui/canvas"
	"adit/tui/golden"
	"adit/tui/pane"
	"adit/tui/scene"
)

// A still is a dashboard without a program: its frames come when the test says,
// its clock stands still.
type still struct {
	*model
	t     testing.TB
	clock time.Time
	fake  *enginetest.Fake
	log   *steady
}

// A steady log takes the same time for every question.
// What it says of a page, and of past events, can be the test's.
type steady struct {
	*store.Log
	page func(*engine.RequestPage)
	past func(*engine.EventPage) error
}

func (l *steady) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	err := l.Log.Requests(ctx, q, into)
	into.Took = 900 * time.Microsecond
	if l.page != nil {
		l.page(into)
	}
	return err
}

func (l *steady) Events(ctx context.Context, q engine.EventQuery, into *engine.EventPage) error {
	if l.past != nil {
		*into = engine.EventPage{}
		return l.past(into)
	}
	return l.Log.Events(ctx, q, into)
}

// pictured returns a dashboard of the scene of the pictures.
func pictured(t testing.TB, o Options, sc *scene.Scene, requests int) *still {
	t.Helper()
	var snapshot engine.Snapshot
	sc.At(0, &snapshot)
	fake := enginetest.NewFake(snapshot)
	log, err := store.Open(fake, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &still{t: t, clock: scene.Clock(), log: &steady{Log: log}, fake: fake}
	o.Engine, o.Log, o.Operator = fake, s.log, "local"
	if o.Glyphs == "" {
		o.Glyphs = "unicode"
	}
	if o.Commands == nil {
		o.Commands = []string{"adit client --server wss://edge-1:8080/register --id my-box"}
	}
	if s.model, err = newModelAt(context.Background(), o, func() time.Time { return s.clock }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.close()
		fake.End()
		log.Close()
	})
	s.meter, _ = sc.Meter(time.Minute)
	s.frame.UTC = true
	for i, r := range sc.Requests(requests) {
		if i > requests-200 {
			r = sc.Request(r.ID, true)
		}
		kind := engine.KindRequestFinished
		if r.Outcome == engine.OutcomeNone {
			kind = engine.KindRequestStarted
		}
		fake.Publish(engine.Event{Kind: kind, Time: r.Arrived, Connection: r.Connection, Client: r.Client, Request: &r})
	}
	events := sc.Events(200)
	fake.Publish(events...)
	told := 0
	for _, e := range events {
		if engine.KindsLifecycle.Has(e.Kind) {
			told++
		}
	}
	s.settles(requests, told)
	return s
}

// keeps waits until the log has n requests.
func keeps(t testing.TB, log engine.RequestLog, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for page := (engine.RequestPage{}); page.Kept < n; time.Sleep(time.Millisecond) {
		if err := log.Requests(context.Background(), engine.RequestQuery{Count: 1}, &page); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d requests", page.Kept, n)
		}
	}
}

// settles waits until the log and the dashboard have got what was published.
func (s *still) settles(requests, events int) {
	s.t.Helper()
	// The log first: what a list makes of it depends on how it comes.
	keeps(s.t, s.log, requests)
	s.hears(events)
	s.notes = notes{}
}

// hears takes frames until the dashboard has n events.
func (s *still) hears(n int) {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for s.next(); s.frame.Events.Len() < n; s.next() {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d events", s.frame.Events.Len(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

// next collects and takes one frame, without drawing it.
func (s *still) next() {
	s.update(s.order(true)())
}

// at sets the size of the terminal.
func (s *still) at(w, h int) *still {
	s.update(tea.WindowSizeMsg{Width: w, Height: h})
	return s
}

// press gives keys, with a frame after each.
func (s *still) press(keys ...string) *still {
	for _, k := range keys {
		if cmd := s.update(key(k)); cmd != nil {
			_ = cmd
		}
		s.show2()
	}
	return s
}

// show2 has two frames come and be drawn: what a screen wants follows from what
// it has drawn.
func (s *still) show2() {
	for range 3 {
		s.draw()
		s.next()
	}
	s.draw()
}

// text draws and returns the whole screen.
func (s *still) text() string {
	s.show2()
	return s.canvas.Plain()
}

// key makes the message of a key as it is named in the key map.
func key(name string) tea.KeyPressMsg {
	switch name {
	case "enter":
		return tea.KeyPressMsg{Code: tea.KeyEnter}
	case "esc":
		return tea.KeyPressMsg{Code: tea.KeyEscape}
	case "tab":
		return tea.KeyPressMsg{Code: tea.KeyTab}
	case "down":
		return tea.KeyPressMsg{Code: tea.KeyDown}
	}
	r := []rune(name)
	return tea.KeyPressMsg{Code: r[0], Text: name}
}

// screens are how each is reached from the first.
func screens() map[string][]string {
	return map[string][]string{
		"overview":    nil,
		"connections": {"2"},
		"connection":  {"2", "down", "enter"},
		"requests":    {"3"},
		"inspector":   {"3", "enter"},
		"events":      {"4"},
		"config":      {"5"},
	}
}

func TestScreensAsPictured(t *testing.T) {
	for _, glyphs := range []string{"unicode", "ascii"} {
		s := pictured(t, Options{Glyphs: glyphs}, scene.New(scene.Options{}), 2000)
		for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}, {60, 15}, {40, 10}, {34, 9}} {
			for name, path := range screens() {
				card := pane.ClassOf(size[0], size[1]) == pane.Tiny
				if card && name != "overview" {
					continue // the card is the same everywhere
				}
				t.Run(fmt.Sprintf("%s-%dx%d-%s", name, size[0], size[1], glyphs), func(t *testing.T) {
					s.fresh()
					got := s.at(120, 36).press(path...).at(size[0], size[1]).text()
					fits(t, got, size[0], size[1], glyphs == "ascii")
					golden.EqualText(t, fmt.Sprintf("screens/%s-%dx%d-%s", name, size[0], size[1], glyphs), got)
				})
			}
		}
	}
}

// fresh forgets where the operator was.
func (s *still) fresh() {
	s.shown = 0
	for i, r := range newScreens(s.o, s.terminal()) {
		s.levels[i] = []level{{screen: r}}
	}
}

// fits holds a picture to its size.
func fits(t *testing.T, got string, w, h int, ascii bool) {
	t.Helper()
	rows := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(rows) != h {
		t.Errorf("%d rows", len(rows))
	}
	for y, row := range rows {
		if n := canvas.Width(row); n != w {
			t.Errorf("row %d has %d columns: %q", y, n, row)
		}
		if ascii && strings.IndexFunc(row, func(r rune) bool { return r > 0x7e }) >= 0 {
			t.Errorf("row %d is not ASCII: %q", y, row)
		}
	}
}

func TestScreenThatDoesNotFit(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100)
	for _, path := range screens() {
		s.fresh()
		s.at(120, 36).press(path...)
		for w := 1; w < 230; w += 13 {
			for h := 1; h < 70; h += 7 {
				s.at(w, h).draw()
				fits(t, s.canvas.Plain(), w, h, false)
			}
		}
	}
}

func TestStatesAsPictured(t *testing.T) {
	for _, glyphs := range []string{"unicode", "ascii"} {
		for _, size := range [][2]int{{80, 24}, {120, 36}} {
			picture := func(name string, s *still) {
				got := s.at(size[0], size[1]).text()
				fits(t, got, size[0], size[1], glyphs == "ascii")
				golden.EqualText(t, fmt.Sprintf("states/%s-%dx%d-%s", name, size[0], size[1], glyphs), got)
			}
			s := pictured(t, Options{Glyphs: glyphs}, scene.New(scene.Options{}), 500)
			s.at(size[0], size[1]).press("j", "j", "x")
			picture("kill", s)
			s.press("esc", "p")
			s.fake.Update(func(x *engine.Snapshot) { x.Totals.Requests += 2311 })
			picture("paused", s)
			s.press("p")
			s.notes.add(pane.Say{Text: "kill c-24: already closed", Bad: true}, s.clock)
			s.notes.add(pane.Say{Text: "kill c-25: already closed", Bad: true}, s.clock)
			picture("fault", s)
			s.notes = notes{}
			s.lastGood = s.clock.Add(-17 * time.Second)
			s.arrived(&collected{failed: errors.New("EOF")})
			s.draw()
			fits(t, s.canvas.Plain(), size[0], size[1], glyphs == "ascii")
			golden.EqualText(t, fmt.Sprintf("states/lost-%dx%d-%s", size[0], size[1], glyphs), s.canvas.Plain())
		}
	}
}

// Without colours, what is said by colour is said by words, glyphs and weight.
func TestNoColorHasNoColor(t *testing.T) {
	for name, o := range map[string]Options{
		"NO_COLOR": {LookupEnv: func(name string) (string, bool) {
			switch name {
			case "NO_COLOR":
				return "yes", true // which strconv.ParseBool does not take
			case "TERM":
				return "xterm-256color", true
			}
			return "", false
		}},
		"--color=never": {Color: "never", LookupEnv: func(name string) (string, bool) { return "xterm-256color", name == "TERM" }},
	} {
		s := pictured(t, o, scene.New(scene.Options{}), 100)
		s.at(120, 36)
		s.text()
		weight := false
		for rest := s.view.Content; ; {
			_, after, found := strings.Cut(rest, "\x1b[")
			if !found {
				break
			}
			attributes, after, _ := strings.Cut(after, "m")
			for _, a := range strings.Split(attributes, ";") {
				switch a {
				case "", "0":
				case "1", "2", "4", "7", "22", "24", "27":
					weight = true
				default:
					t.Fatalf("%s: the screen has ESC [ %s m", name, attributes)
				}
			}
			rest = after
		}
		if !weight {
			t.Errorf("%s: nothing is bold, faint, underlined or reversed", name)
		}
	}
}
