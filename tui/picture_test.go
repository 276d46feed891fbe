package tui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/store"
	"adit/tui/canvas"
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
type steady struct{ *store.Log }

func (l *steady) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	err := l.Log.Requests(ctx, q, into)
	into.Took = 900 * time.Microsecond
	return err
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
	s := &still{t: t, clock: scene.Clock(), log: &steady{log}, fake: fake}
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
	fake.Publish(sc.Events(200)...)
	s.settles(requests)
	return s
}

// settles waits until the log and the dashboard have got what was published.
func (s *still) settles(requests int) {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		var page engine.RequestPage
		if err := s.log.Requests(context.Background(), engine.RequestQuery{Count: 1}, &page); err != nil {
			s.t.Fatal(err)
		}
		// A frame in between would see requests come, as many as the machine has
		// time for: the tail would be sampled in some runs.
		if page.Kept >= requests {
			if s.next(); s.frame.Events.Len() > 0 {
				break
			}
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d requests, %d events", page.Kept, requests, s.frame.Events.Len())
		}
		time.Sleep(time.Millisecond)
	}
	s.next()
	s.notes = notes{}
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

func TestScreenThatDoesNotFit(t *testing.T) {
	for _, glyphs := range []string{"unicode", "ascii"} {
		for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}, {60, 15}, {40, 10}, {34, 9}} {
			for name, path := range screens() {
				t.Run(fmt.Sprintf("%s-%dx%d-%s", name, size[0], size[1], glyphs), func(t *testing.T) {
					s := pictured(t, Options{Glyphs: glyphs}, scene.New(scene.Options{}), 2000)
					got := s.at(120, 36).press(path...).at(size[0], size[1]).text()
					rows := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
					if len(rows) != size[1] {
						t.Errorf("%d rows", len(rows))
					}
					for y, row := range rows {
						if w := canvas.Width(row); w != size[0] {
							t.Errorf("row %d has %d columns: %q", y, w, row)
						}
						if strings.IndexFunc(row, func(r rune) bool { return glyphs == "ascii" && r > 0x7e }) >= 0 {
							t.Errorf("row %d is not ASCII: %q", y, row)
						}
					}
				})
			}
		}
	}
}
