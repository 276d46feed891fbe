package tui

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/tui/pane"
)

// A slow want takes its time, or as long as its context lets it.
type slow struct {
	takes     time.Duration
	began     *atomic.Int32
	most      *atomic.Int32 // that ran at once
	err       error
	delivered int
}

func (w *slow) Fetch(ctx context.Context, _ pane.Source) {
	if n := w.began.Add(1); n > w.most.Load() {
		w.most.Store(n)
	}
	defer w.began.Add(-1)
	t := time.NewTimer(w.takes)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		w.err = ctx.Err()
	}
}

func (w *slow) Deliver(*pane.Frame) { w.delivered++ }

// fetched runs a feed in a bubble, where time is only what the test lets pass.
func fetched(t *testing.T, far bool, test func(t *testing.T, f *feed, frame func(o order) *collected)) {
	synctest.Test(t, func(t *testing.T) {
		fake := enginetest.NewFake(engine.Snapshot{Role: engine.RoleServer})
		f := newFeed(t.Context(), pane.Source{Engine: fake}, far)
		test(t, f, func(o order) *collected {
			f.orders <- o
			<-f.done
			return &f.got
		})
		f.close()
		fake.End()
	})
}

func some(n int, takes time.Duration) (wants []pane.Want, most *atomic.Int32) {
	var began atomic.Int32
	most = new(atomic.Int32)
	for range n {
		wants = append(wants, &slow{takes: takes, began: &began, most: most})
	}
	return wants, most
}

// A page of the history that takes 200 ms would take the numbers with it.
func TestSlowWantDoesNotHoldUpAFrame(t *testing.T) {
	fetched(t, true, func(t *testing.T, f *feed, frame func(order) *collected) {
		wants, _ := some(2, 200*time.Millisecond)
		start := time.Now()
		g := frame(order{full: true, wants: wants})
		if took := time.Since(start); took > remotePatience || g.snapshot == nil || len(g.done) != 0 || g.pending != 2 {
			t.Fatalf("after %v: %d done, %d pending", took, len(g.done), g.pending)
		}
		time.Sleep(300 * time.Millisecond)
		if g = frame(order{}); len(g.done) != 2 || g.pending != 0 {
			t.Fatalf("later: %d done, %d pending", len(g.done), g.pending)
		}
	})
}

func TestWantsRunBesideEachOtherButNotAll(t *testing.T) {
	fetched(t, true, func(t *testing.T, f *feed, frame func(order) *collected) {
		wants, most := some(9, 10*time.Millisecond)
		frame(order{wants: wants})
		time.Sleep(time.Second)
		if g := frame(order{}); most.Load() != maxAtOnce || g.pending != 0 {
			t.Errorf("%d at once, %d pending", most.Load(), g.pending)
		}
	})
}

func TestWantOfALostLinkHasADeadline(t *testing.T) {
	fetched(t, true, func(t *testing.T, f *feed, frame func(order) *collected) {
		wants, _ := some(1, time.Hour)
		start := time.Now()
		frame(order{wants: wants})
		for f.got.pending > 0 {
			time.Sleep(50 * time.Millisecond)
			frame(order{})
		}
		w := wants[0].(*slow)
		if took := time.Since(start); !errors.Is(w.err, context.DeadlineExceeded) || took > wantFor+200*time.Millisecond {
			t.Errorf("%v after %v", w.err, took)
		}
	})
}

// What the screen before wanted must not keep the next one waiting.
func TestAnotherScreenGivesUpTheWantsOfTheLast(t *testing.T) {
	fetched(t, true, func(t *testing.T, f *feed, frame func(order) *collected) {
		first, _ := some(4, time.Hour)
		frame(order{wants: first})
		second, _ := some(1, time.Millisecond)
		g := frame(order{wants: second})
		if g.pending != 0 || len(g.done) != 5 {
			t.Errorf("%d done, %d pending", len(g.done), g.pending)
		}
	})
}

type panicking struct{}

func (panicking) Fetch(context.Context, pane.Source) { panic("in a want") }
func (panicking) Deliver(*pane.Frame)                {}

func TestPanicInAWantReachesTheDashboard(t *testing.T) {
	fetched(t, false, func(t *testing.T, f *feed, frame func(order) *collected) {
		if g := frame(order{wants: []pane.Want{panicking{}}}); g.panicked == nil {
			t.Error("nobody hears of it")
		}
	})
}

// asking counts how often a screen is asked what it wants.
type asking struct {
	*probe
	wants []pane.Want
	asked int
}

func (a *asking) Wants(*pane.Frame) []pane.Want { a.asked++; return a.wants }

func TestWhatIsOnItsWayIsNotAskedForAgain(t *testing.T) {
	a := attach(t, Options{}, nil)
	a.feed.fetching.patience = time.Millisecond
	wants, _ := some(1, time.Hour)
	screen := &asking{probe: &probe{name: "slow"}, wants: wants}
	a.levels[0] = []level{{screen: screen}}
	for range 5 {
		a.next()
	}
	if screen.asked != 1 {
		t.Errorf("asked %d times", screen.asked)
	}
	screen2 := &asking{probe: &probe{name: "next"}}
	a.levels[1] = []level{{screen: screen2}}
	a.press("2")
	if screen2.asked == 0 {
		t.Error("the next screen waits for the wants of the last")
	}
}
