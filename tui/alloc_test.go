//go:build !race

package tui

import (
	"testing"
	"time"

	"adit/engine"
	"adit/tui/pane"
	"adit/tui/scene"
)

// The garbage of a frame, whatever there is to show: the ceilings of the budget.
func TestFrameThatAllocates(t *testing.T) {
	for _, data := range []struct{ connections, requests int }{{42, 1000}, {42, 20_000}, {10_000, 1000}} {
		m := moving(t, data.connections, data.requests)
		for _, size := range []struct{ w, h, ceiling int }{{120, 36, 300}, {200, 60, 700}} {
			for name, path := range screens() {
				m.to(size.w, size.h, path...)
				m.frame()
				if n := testing.AllocsPerRun(8, m.frame); n > float64(size.ceiling) {
					t.Errorf("%s at %dx%d with %d connections, %d requests: %v allocations a frame, most %d",
						name, size.w, size.h, data.connections, data.requests, n, size.ceiling)
				}
			}
		}
	}
}

// While nothing moves, nothing is drawn but the clock.
func TestIdleScreenIsNotDrawn(t *testing.T) {
	s := pictured(t, Options{}, scene.New(scene.Options{}), 100)
	s.at(120, 36)
	s.clock = s.clock.Add(2 * settled)
	s.text()
	drawn := 0
	for i := range 40 {
		s.clock = s.clock.Add(framesEvery)
		s.next()
		if s.dirty {
			drawn++
			s.draw()
		}
		if i == 20 && testing.AllocsPerRun(10, s.next) > 20 {
			t.Error("a frame that is not drawn allocates", testing.AllocsPerRun(10, s.next))
		}
	}
	if most := int(40*framesEvery/time.Second) + 1; drawn > most {
		t.Errorf("drawn %d times in 40 frames of an engine that does nothing", drawn)
	}
}

// A link and a recording cost no more than what is here: a frame has the same
// ceiling.
func TestFrameFromElsewhereThatAllocates(t *testing.T) {
	a := attach(t, Options{}, func(l *engine.Link) { l.Attached, l.Skew = 2, 10*time.Second })
	a.frame.Gaps = []pane.Gap{{From: a.clock.Add(-time.Minute), To: a.clock.Add(-time.Second)}}
	p := play(t, Options{})
	for name, frame := range map[string]func(){
		"attached": func() {
			a.since += framesEvery
			a.clock = scene.Clock().Add(a.since)
			a.linked.SetLink(func(l *engine.Link) { l.LastData = a.clock })
			a.fake.Update(func(x *engine.Snapshot) { a.scene.At(a.since, x) })
			a.next()
			a.draw()
		},
		"recording": func() {
			p.player.Passes(framesEvery)
			p.next()
			p.draw()
		},
	} {
		frame()
		if n := testing.AllocsPerRun(8, frame); n > 300 {
			t.Errorf("%s: %v allocations a frame", name, n)
		} else {
			t.Logf("%s: %v", name, n)
		}
	}
}
