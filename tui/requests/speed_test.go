//go:build !race

package requests_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/keys"
	"adit/store"
	"adit/tui/pane"
	"adit/tui/scene"
)

// fullLog returns a log that holds n invented records.
func fullLog(t testing.TB, n int) engine.RequestLog {
	fake := enginetest.NewFake(engine.Snapshot{})
	log, err := store.Open(fake, store.Options{Records: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fake.End(); log.Close() })
	s := scene.New(scene.Options{Requests: n})
	var page engine.RequestPage
	records := s.Requests(n)
	for from := 0; from < n; from += 10_000 {
		to := min(from+10_000, n)
		for i := from; i < to; i++ {
			fake.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &records[i]})
		}
		for page.Kept < to {
			if err := log.Requests(context.Background(), engine.RequestQuery{Count: 1}, &page); err != nil {
				t.Fatal(err)
			}
		}
	}
	return log
}

// frames draws one frame as the dashboard does, with what it fetches.
func (th *theatre) frames() {
	th.frame.Now = th.frame.Now.Add(100 * time.Millisecond)
	for _, w := range th.screen.Wants(th.frame) {
		w.Fetch(context.Background(), pane.Source{Log: th.log})
		w.Deliver(th.frame)
	}
	th.canvas.Clear()
	th.screen.Draw(th.canvas.Area(), th.frame)
}

// The dashboard may allocate 300 times for a whole frame.
func TestFrameOfRequestsAllocatesLittle(t *testing.T) {
	log := fullLog(t, 20_000)
	for _, c := range []struct {
		w, h, most int
	}{{120, 36, 40}, {200, 60, 80}} {
		th := newTheatre(t, c.w, c.h, false)
		th.log = log
		for _, filter := range []string{"", "status:>=500"} {
			th.screen.SetFilter(filter)
			th.frames()
			th.do(keys.MoveDown)
			for range 5 {
				th.frames()
			}
			if n := testing.AllocsPerRun(50, th.frames); n > float64(c.most) {
				t.Errorf("%dx%d %q: %v allocations a frame", c.w, c.h, filter, n)
			}
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		log := fullLog(b, n)
		for _, size := range [][2]int{{120, 36}, {200, 60}} {
			for _, filter := range []string{"", "status:>=500"} {
				b.Run(fmt.Sprintf("%dx%d/%d/%q", size[0], size[1], n, filter), func(b *testing.B) {
					th := newTheatre(b, size[0], size[1], false)
					th.log = log
					th.screen.SetFilter(filter)
					th.frames()
					th.do(keys.MoveDown)
					th.frames()
					b.ReportAllocs()
					for b.Loop() {
						th.frames()
					}
				})
			}
		}
	}
}
