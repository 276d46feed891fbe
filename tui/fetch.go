package tui

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"adit/tui/pane"
)

const (
	// maxAtOnce bounds the wants that are fetched beside each other, maxRunning
	// those that have not ended, abandoned ones included.
	maxAtOnce  = 4
	maxRunning = 32
	// wantFor is how long a want may take where the engine is elsewhere.
	wantFor = 2 * time.Second
	// A frame waits so long for its wants; what comes later is of a later frame.
	localPatience  = 250 * time.Millisecond
	remotePatience = 30 * time.Millisecond
)

// fetching is what a collector has of the wants that are on their way. All but
// one's belongs to the collector.
type fetching struct {
	far      bool          // the engine is elsewhere
	patience time.Duration // of a frame
	slots    chan struct{}
	finished chan finished // has room for all that run
	set      uint64        // of the screen's newest wants
	cancel   context.CancelFunc
	running  int // of any set
	current  int // of the newest
	wg       sync.WaitGroup
	timer    *time.Timer
}

// A finished want was fetched, or could not be.
type finished struct {
	want     pane.Want
	set      uint64 // 0: it is not the screen's
	panicked error
}

func newFetching(far bool) fetching {
	p := localPatience
	if far {
		p = remotePatience
	}
	return fetching{far: far, patience: p, slots: make(chan struct{}, maxAtOnce), finished: make(chan finished, maxRunning),
		cancel: func() {}}
}

// begin has the wants of an order fetched. Those of the screen before are given
// up where the screen is another.
func (x *fetching) begin(ctx context.Context, o *order, s pane.Source, kick func()) {
	if len(o.wants) > 0 {
		x.cancel()
		x.set++
		x.current = 0
		var own context.Context
		own, x.cancel = context.WithCancel(ctx)
		for _, w := range o.wants {
			if x.start(own, w, x.set, s, kick) {
				x.current++
			}
		}
	}
	for _, w := range o.aside {
		x.start(ctx, w, 0, s, kick)
	}
}

// start fetches one want on a goroutine of its own, which run joins.
func (x *fetching) start(ctx context.Context, w pane.Want, set uint64, s pane.Source, kick func()) bool {
	if x.running == maxRunning {
		return false
	}
	x.running++
	x.wg.Go(func() {
		f := finished{want: w, set: set}
		defer func() {
			if r := recover(); r != nil {
				f.panicked = fmt.Errorf("collecting a frame: %v\n%s", r, debug.Stack())
			}
			x.finished <- f
			kick()
		}()
		select {
		case x.slots <- struct{}{}:
			defer func() { <-x.slots }()
		case <-ctx.Done():
			return
		}
		if x.far {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wantFor)
			defer cancel()
		}
		w.Fetch(ctx, s)
	})
	return true
}

// gather takes what has been fetched, and waits for what has not for as long as a
// frame has patience.
func (x *fetching) gather(ctx context.Context, g *collected) {
	g.done = g.done[:0]
	take := func(f finished) {
		x.running--
		if f.set == x.set {
			x.current--
		}
		if f.panicked != nil && g.panicked == nil {
			g.panicked = f.panicked
		}
		g.done = append(g.done, f.want)
	}
	for late := (<-chan time.Time)(nil); x.running > 0; {
		select {
		case f := <-x.finished:
			take(f)
			continue
		default:
		}
		if late == nil {
			if x.timer == nil {
				x.timer = time.NewTimer(x.patience)
			} else {
				x.timer.Reset(x.patience)
			}
			late = x.timer.C
		}
		select {
		case f := <-x.finished:
			take(f)
		case <-late:
			g.pending = x.current
			return
		case <-ctx.Done():
			g.pending = x.current
			return
		}
	}
	g.pending = x.current
}
