package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/keys"
	"adit/tui/golden"
	"adit/tui/scene"
)

func TestHistoryAsPictured(t *testing.T) {
	for _, glyphs := range []string{"unicode", "ascii"} {
		s := pictured(t, Options{Glyphs: glyphs}, scene.New(scene.Options{}), 500)
		picture := func(name string, path ...string) {
			for _, size := range [][2]int{{80, 24}, {120, 36}} {
				s.fresh()
				got := s.at(120, 36).press(path...).at(size[0], size[1]).text()
				fits(t, got, size[0], size[1], glyphs == "ascii")
				golden.EqualText(t, fmt.Sprintf("kept/%s-%dx%d-%s", name, size[0], size[1], glyphs), got)
			}
		}
		s.fake.Update(func(x *engine.Snapshot) {
			x.Capture = engine.CaptureState{Capture: engine.Capture{Mode: engine.CaptureHeads, Content: []string{"client:=edge-1"}},
				Bytes: 12 << 20, Limit: 64 << 20, Sampling: 8, Dropped: 7121}
		})
		picture("capturing")
		s.log.page = func(p *engine.RequestPage) { p.Stored, p.Searching = 812_331, true }
		picture("searching", "3")
		s.log.page = func(p *engine.RequestPage) {
			p.Stored, p.Problem = 812_331, "the disk is full: free space on /var/lib, then it goes on by itself"
		}
		s.show2()
		s.notes = notes{}
		picture("suspended", "3")
		picture("suspended-config", "5")
		picture("suspended-events", "4")
	}
}

func TestStoreThatGoesOnSaysSo(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100).at(120, 36)
	s.log.page = func(p *engine.RequestPage) { p.Problem = "disk full" }
	if got := s.text(); !strings.Contains(got, "STORE SUSPENDED · LIVE") || !strings.Contains(got, "! STORE SUSPENDED: disk full") {
		t.Errorf("%s", got)
	}
	s.log.page = nil
	if got := s.text(); strings.Contains(got, "SUSPENDED · ") || !strings.Contains(got, "the store is written again") {
		t.Errorf("%s", got)
	}
	s.clock = s.clock.Add(time.Minute)
	if got := s.text(); strings.Contains(got, "SUSPENDED") || !strings.Contains(got, "! the store was suspended for a while: disk full") {
		t.Errorf("what is over is told as what is\n%s", got)
	}
}

// performs presses a key and does what takes time at once.
func (s *still) performs(k string) *still {
	if cmd := s.update(key(k)); cmd != nil {
		if msg := cmd(); msg != nil {
			s.update(msg)
		}
	}
	s.show2()
	return s
}

func lastCapture(t *testing.T, f *enginetest.Fake) engine.Capture {
	t.Helper()
	actions := f.Actions()
	if len(actions) == 0 || actions[len(actions)-1].Capture == nil {
		t.Fatalf("did %+v", actions)
	}
	return *actions[len(actions)-1].Capture
}

func TestCaptureOfAClientAndAPath(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100).at(120, 36)
	s.press("2", "g").performs("C")
	client := lastCapture(t, s.fake)
	if len(client.Content) != 1 || !strings.HasPrefix(client.Content[0], "client:=edge-") {
		t.Fatalf("%+v", client)
	}
	s.press("3").performs("C")
	both := lastCapture(t, s.fake)
	if len(both.Content) != 2 || !strings.Contains(both.Content[1], "path:=") || !strings.HasPrefix(both.Content[1], "host:=") {
		t.Fatalf("%+v", both)
	}
	s.notes = notes{}
	if got := s.text(); !strings.Contains(got, "● capturing") {
		t.Errorf("%s", got)
	}
	s.press("2").performs("C")
	if c := lastCapture(t, s.fake); len(c.Content) != 1 || c.Content[0] != both.Content[1] {
		t.Errorf("pressed again: %+v", c)
	}
}

func TestCaptureOfEverythingAsksFirst(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100).at(120, 36)
	s.do(keys.CaptureContent)
	if got := s.text(); !strings.Contains(got, "Capture the content of everything?") || len(s.fake.Actions()) > 0 {
		t.Fatalf("did %+v\n%s", s.fake.Actions(), got)
	}
	s.clock = s.clock.Add(time.Second)
	s.performs("y")
	if c := lastCapture(t, s.fake); c.Mode != engine.CaptureContent {
		t.Errorf("%+v", c)
	}
	s.update(s.do(keys.CaptureHeads)())
	if c := lastCapture(t, s.fake); c.Mode != engine.CaptureHeads || len(c.Content) > 0 {
		t.Errorf("%+v", c)
	}
}

// tells makes what a log says of past events: the newest first, keys grow with
// time.
func tells(events ...engine.Event) func(*engine.EventPage) error {
	return func(p *engine.EventPage) error {
		for i := len(events) - 1; i >= 0; i-- {
			p.Events = append(p.Events, events[i])
			p.Keys = append(p.Keys, uint64(i+1))
		}
		return nil
	}
}

func (s *still) texts() (texts []string) {
	for p := s.frame.Events.First(); p < s.frame.Events.Next(); p++ {
		texts = append(texts, s.frame.Events.At(p).Text)
	}
	return texts
}

func TestEventsBeginBeforeTheDashboard(t *testing.T) {
	at := scene.Clock().Add(-time.Hour)
	note := func(seq uint64, text string, at time.Time) engine.Event {
		return engine.Event{Seq: seq, Time: at, Kind: engine.KindNotice, Reason: text}
	}
	s := pictured(t, Options{}, scene.New(scene.Options{}), 10).at(120, 36)
	s.log.past = tells(note(7, "first run", at), note(1, "second run", at.Add(time.Minute)), note(2, "also told", at.Add(2*time.Minute)))
	s.past.begin()
	// An event that is told while the past is asked for, and is part of it.
	s.frame.Events.Clear()
	s.past.asking = true
	s.hear(note(2, "also told", at.Add(2*time.Minute)), note(3, "new", at.Add(3*time.Minute)))
	s.past.asking = false
	s.show2()
	if got, want := fmt.Sprint(s.texts()), "[first run another run begins second run also told new]"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	// After a gap only what was missed is added.
	s.log.past = tells(note(7, "first run", at), note(1, "second run", at.Add(time.Minute)), note(2, "also told", at.Add(2*time.Minute)),
		note(3, "new", at.Add(3*time.Minute)), note(4, "missed", at.Add(4*time.Minute)))
	s.past.again()
	s.clock = s.clock.Add(pastEvery)
	s.show2()
	if got := s.texts(); got[len(got)-1] != "missed" || len(got) != 6 {
		t.Errorf("%q", got)
	}
}

// A log that does not tell its past must not keep back what is told now.
func TestPastThatIsNotToldHoldsNothingBack(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 10).at(120, 36)
	s.log.past = func(*engine.EventPage) error { return errors.New("locked") }
	s.past.begin()
	s.past.asking = true
	s.hear(engine.Event{Seq: 9, Kind: engine.KindNotice, Reason: "now"})
	s.past.asking = false
	s.show2()
	if got := s.texts(); got[len(got)-1] != "now" {
		t.Errorf("%q", got)
	}
}

// hear has events come as the subscription brings them.
func (s *still) hear(events ...engine.Event) {
	s.model.told(&collected{events: events, batches: []batch{{0, len(events), 0}}})
}
