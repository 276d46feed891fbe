package tui

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/tui/pane"
)

const (
	// overdue is how long a collection may take before the screen says that its
	// data is old.
	overdue = time.Second
	// soonest is the shortest time between two collections: a flood of keys
	// does not make the engine copy its state for each of them.
	soonest = 16 * time.Millisecond
	// maxBatches bounds what one collection takes out of the subscription.
	maxBatches = 64
)

// A feed gets what the dashboard shows: one collector goroutine that asks the
// engine, and a chain of commands that says when. What it collected belongs in
// turns to the collector (between order and frameMsg) and to the dashboard.
type feed struct {
	source pane.Source
	events <-chan engine.Batch // nil once it is closed

	orders chan order    // capacity 1
	done   chan struct{} // capacity 1: an order was carried out
	kick   chan struct{} // capacity 1: do not wait for the time
	cancel context.CancelFunc
	joined chan struct{} // closed by run

	got      collected
	page     engine.RequestPage // of the collector alone, like fetching
	fetching fetching
}

// An order says what to collect.
type order struct {
	full  bool        // the snapshot too, not just what screens want
	wants []pane.Want // of the screen: those that are still on their way are given up
	aside []pane.Want // those that are not the screen's
}

// collected is what the collector has got. It is used again for every order.
type collected struct {
	order    order
	done     []pane.Want      // of this order or of one before: to be delivered
	pending  int              // wants of the screen that are still on their way
	snapshot *engine.Snapshot // nil if not asked for or failed
	newest   engine.RequestID
	store    pane.Store
	failed   error
	events   []engine.Event
	batches  []batch
	took     time.Duration
	panicked error

	spare *engine.Snapshot // to collect into
}

// A batch is a run of collected.events with what was lost before it.
type batch struct {
	from, to int
	dropped  uint64
}

type (
	// dueMsg: it is time for a frame.
	dueMsg struct {
		chain uint64
		ended bool // the engine is done
	}
	// frameMsg: the order was carried out.
	frameMsg struct{ chain uint64 }
	// overdueMsg: it is not, after a while.
	overdueMsg struct {
		chain uint64
		ended bool
	}
	// stopMsg: the context has ended.
	stopMsg struct{}
)

// newFeed subscribes to the engine and starts the collector. close ends it.
func newFeed(ctx context.Context, source pane.Source, far bool) *feed {
	if source.Log == nil {
		source.Log = noLog{}
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &feed{
		source: source,
		orders: make(chan order, 1),
		done:   make(chan struct{}, 1),
		kick:   make(chan struct{}, 1),
		cancel: cancel,
		joined: make(chan struct{}),

		fetching: newFetching(far),
	}
	f.got.spare = new(engine.Snapshot)
	// An engine that is done already gives no events; the first frame says so.
	f.events, f.got.failed = source.Engine.Subscribe(ctx, engine.SubscribeOptions{Kinds: engine.KindsLifecycle})
	go f.run(ctx)
	return f
}

// close ends the collector and waits for it, but not for an engine that does
// not heed its context.
func (f *feed) close() {
	f.cancel()
	select {
	case <-f.joined:
	case <-time.After(100 * time.Millisecond):
	}
}

// soon makes the command that waits return, or the next one.
func (f *feed) soon() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// wait returns the command that waits for the time of the next frame.
func (f *feed) wait(ctx context.Context, chain uint64, d time.Duration, ended bool) tea.Cmd {
	over := f.source.Engine.Done()
	if ended {
		over = nil
	}
	return func() tea.Msg {
		least := time.NewTimer(min(soonest, d))
		defer least.Stop()
		select {
		case <-least.C:
		case <-ctx.Done():
			return stopMsg{}
		}
		t := time.NewTimer(max(d-soonest, 0))
		defer t.Stop()
		select {
		case <-t.C:
		case <-f.kick:
		case <-over:
			return dueMsg{chain, true}
		case <-ctx.Done():
			return stopMsg{}
		}
		return dueMsg{chain, false}
	}
}

// collect gives the collector an order and returns the command that waits until
// it is carried out.
func (f *feed) collect(ctx context.Context, chain uint64, o order, ended bool) tea.Cmd {
	f.orders <- o
	return f.await(ctx, chain, ended)
}

// await returns the command that waits for the order that was given.
func (f *feed) await(ctx context.Context, chain uint64, ended bool) tea.Cmd {
	over := f.source.Engine.Done()
	if ended {
		over = nil
	}
	return func() tea.Msg {
		t := time.NewTimer(overdue)
		defer t.Stop()
		select {
		case <-f.done:
			return frameMsg{chain}
		case <-t.C:
			return overdueMsg{chain, false}
		case <-over:
			// What was ordered may still come.
			select {
			case <-f.done:
				return frameMsg{chain}
			case <-t.C:
				return overdueMsg{chain, true}
			case <-ctx.Done():
				return stopMsg{}
			}
		case <-ctx.Done():
			return stopMsg{}
		}
	}
}

func (f *feed) run(ctx context.Context) {
	defer func() {
		f.fetching.cancel()
		f.fetching.wg.Wait()
		close(f.joined)
	}()
	for {
		select {
		case o := <-f.orders:
			f.carryOut(ctx, o)
			f.done <- struct{}{}
		case <-ctx.Done():
			return
		}
	}
}

// carryOut fills f.got. A panic is handed to the dashboard's goroutine, where it
// is met by what restores the terminal.
func (f *feed) carryOut(ctx context.Context, o order) {
	g := &f.got
	defer func() {
		if r := recover(); r != nil {
			g.panicked = fmt.Errorf("collecting a frame: %v\n%s", r, debug.Stack())
		}
	}()
	start := time.Now()
	g.order, g.snapshot, g.failed = o, nil, nil
	// Cleared, so that what events point to is not kept.
	clear(g.events)
	g.events, g.batches = g.events[:0], g.batches[:0]
	if o.full {
		if g.failed = f.source.Engine.Snapshot(ctx, g.spare); g.failed == nil {
			g.snapshot = g.spare
		}
		if !f.fetching.far { // there it is a want like others
			g.newest, g.store = f.newest(ctx)
		}
	}
	f.drain()
	f.fetching.begin(ctx, &o, f.source, f.soon)
	f.fetching.gather(ctx, g)
	g.took = time.Since(start)
}

// newest returns the newest record of the log, 0 where that is not known, and
// what the log says of itself.
func (f *feed) newest(ctx context.Context) (engine.RequestID, pane.Store) {
	if f.source.Log.Requests(ctx, engine.RequestQuery{Count: 1}, &f.page) != nil {
		return 0, pane.Store{}
	}
	return f.page.Newest, storeOf(&f.page)
}

func storeOf(p *engine.RequestPage) pane.Store {
	return pane.Store{Known: true, Kept: p.Kept, Capacity: p.Capacity, Stored: p.Stored, Lost: p.Lost, Problem: p.Problem}
}

// drain copies what the subscription has, without waiting.
func (f *feed) drain() {
	g := &f.got
	for range maxBatches {
		select {
		case b, open := <-f.events:
			if !open {
				f.events = nil
				return
			}
			from := len(g.events)
			g.events = append(g.events, b.Events...)
			g.batches = append(g.batches, batch{from, len(g.events), b.Dropped})
		default:
			return
		}
	}
}

// noLog is the log of a dashboard that was given none.
type noLog struct{}

func (noLog) Requests(_ context.Context, _ engine.RequestQuery, into *engine.RequestPage) error {
	*into = engine.RequestPage{Requests: into.Requests[:0]}
	return nil
}

func (noLog) Request(context.Context, engine.RequestID) (engine.Request, error) {
	return engine.Request{}, engine.ErrNotFound
}

// Content implements [engine.RequestLog].
func (noLog) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

// Events implements [engine.RequestLog].
func (noLog) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
