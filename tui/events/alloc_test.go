//go:build !race

package events_test

import "testing"

func TestFrameOfEventsAllocatesLittle(t *testing.T) {
	th := newTheatre(t, 120, 36, 10_000)
	if n := testing.AllocsPerRun(50, func() {
		th.canvas.Clear()
		th.screen.Draw(th.canvas.Area(), th.frame)
	}); n > 20 {
		t.Errorf("%v allocations a frame", n)
	}
}
