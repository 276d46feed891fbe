package enginetest

import (
	"context"
	"sync"
	"time"

	"adit/engine"
)

// A Fake is an [engine.Engine] for the tests of front ends: its state is set,
// its events are published, and what is asked of it recorded, by the test.
type Fake struct {
	mu       sync.Mutex
	snapshot engine.Snapshot
	seq      uint64
	subs     map[*fakeSubscription]struct{}
	actions  []FakeAction
	refuse   error
	tape     []engine.FrameRecord
	ended    bool
	done     chan struct{} // closed by End
	wg       sync.WaitGroup
}

var _ engine.Engine = (*Fake)(nil)

// A FakeAction is one call of a method that does something.
type FakeAction struct {
	Action     engine.Action
	Connection engine.ConnectionID
	Request    engine.RequestID
	Client     string
	Code       engine.CloseCode
	Replay     *engine.Replay
	Capture    *engine.Capture
	By         engine.Operator
}

// NewFake returns an engine whose snapshot is s. End ends it.
func NewFake(s engine.Snapshot) *Fake {
	f := &Fake{subs: map[*fakeSubscription]struct{}{}, done: make(chan struct{})}
	f.Set(s)
	return f
}

// Set replaces the snapshot, but for Seq.
func (f *Fake) Set(s engine.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.snapshot = engine.Snapshot{}
	copySnapshot(&f.snapshot, &s)
}

// Update changes the snapshot in place.
func (f *Fake) Update(change func(*engine.Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.snapshot)
}

// Refuse makes every action fail with err from now on; nil takes it back.
// Refused actions are recorded too.
func (f *Fake) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = err
}

// Publish gives e the next Seq, and a Time if it has none, and queues it for
// every subscription that wants its kind.
func (f *Fake) Publish(events ...engine.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		f.seq++
		e.Seq = f.seq
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		for s := range f.subs {
			s.add(e)
		}
	}
}

// Actions returns what has been asked for so far.
func (f *Fake) Actions() []FakeAction {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]FakeAction(nil), f.actions...)
}

// End ends the engine: subscriptions deliver what was published (or their
// contexts end) and close. It returns when they have.
func (f *Fake) End() {
	f.mu.Lock()
	if !f.ended {
		f.ended = true
		close(f.done)
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// Done implements [engine.Engine].
func (f *Fake) Done() <-chan struct{} { return f.done }

// Snapshot implements [engine.Engine].
func (f *Fake) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	copySnapshot(into, &f.snapshot)
	into.Seq = f.seq
	if into.Time.IsZero() {
		into.Time = time.Now()
	}
	return nil
}

// copySnapshot copies from into into, reusing into's slices.
func copySnapshot(into, from *engine.Snapshot) {
	listen, connections, servers := into.Listen[:0], into.Connections[:0], into.Servers[:0]
	expose, banned, closes, limits := into.Expose[:0], into.Banned[:0], into.Closes[:0], into.Limits[:0]
	*into = *from
	into.Listen = append(listen, from.Listen...)
	into.Connections = append(connections, from.Connections...)
	into.Servers = append(servers, from.Servers...)
	into.Expose = append(expose, from.Expose...)
	into.Banned = append(banned, from.Banned...)
	into.Closes = append(closes, from.Closes...)
	into.Limits = append(limits, from.Limits...)
}

// CloseConnection implements [engine.Engine]; the snapshot has to have id.
func (f *Fake) CloseConnection(ctx context.Context, id engine.ConnectionID, code engine.CloseCode, by engine.Operator) error {
	return f.act(ctx, FakeAction{Action: engine.ActionKill, Connection: id, Code: code, By: by}, func() error {
		return f.find(id)
	})
}

// Ban implements [engine.Engine].
func (f *Fake) Ban(ctx context.Context, client string, by engine.Operator) error {
	return f.act(ctx, FakeAction{Action: engine.ActionBan, Client: client, By: by}, func() error {
		f.unban(client)
		f.snapshot.Banned = append(f.snapshot.Banned, client)
		return nil
	})
}

// Unban implements [engine.Engine].
func (f *Fake) Unban(ctx context.Context, client string, by engine.Operator) error {
	return f.act(ctx, FakeAction{Action: engine.ActionUnban, Client: client, By: by}, func() error {
		if !f.unban(client) {
			return engine.ErrNotFound
		}
		return nil
	})
}

// CancelExchange implements [engine.Engine]; every id but 0 is found.
func (f *Fake) CancelExchange(ctx context.Context, id engine.RequestID, by engine.Operator) error {
	return f.act(ctx, FakeAction{Action: engine.ActionCancel, Request: id, By: by}, func() error {
		if id == 0 {
			return engine.ErrNotFound
		}
		return nil
	})
}

// Drain implements [engine.Engine]. For 0 it marks the snapshot and leaves End
// to the test.
func (f *Fake) Drain(ctx context.Context, id engine.ConnectionID, by engine.Operator) error {
	return f.act(ctx, FakeAction{Action: engine.ActionDrain, Connection: id, By: by}, func() error {
		if id != 0 {
			return f.find(id)
		}
		f.snapshot.Draining = true
		return nil
	})
}

// FrameTape implements [engine.Engine] with what Tape has set.
func (f *Fake) FrameTape(_ context.Context, id engine.ConnectionID, into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.find(id); err != nil {
		return into, err
	}
	return append(into, f.tape...), nil
}

// Replay implements [engine.Engine]: it returns the number of actions so far as
// the id.
func (f *Fake) Replay(ctx context.Context, r engine.Replay, by engine.Operator) (id engine.RequestID, err error) {
	err = f.act(ctx, FakeAction{Action: engine.ActionReplay, Request: r.Of, Client: r.Client, Replay: &r, By: by}, func() error {
		id = engine.RequestID(len(f.actions))
		return nil
	})
	return id, err
}

// SetCapture implements [engine.Engine].
func (f *Fake) SetCapture(ctx context.Context, c engine.Capture, by engine.Operator) error {
	return f.act(ctx, FakeAction{Action: engine.ActionCapture, Capture: &c, By: by}, func() error {
		f.snapshot.Capture.Capture = c
		return nil
	})
}

// Tape sets what FrameTape returns.
func (f *Fake) Tape(frames []engine.FrameRecord) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tape = frames
}

func (f *Fake) act(ctx context.Context, a FakeAction, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.actions = append(f.actions, a)
	switch {
	case f.ended:
		return engine.ErrNotRunning
	case f.refuse != nil:
		return f.refuse
	}
	return do()
}

func (f *Fake) find(id engine.ConnectionID) error {
	for _, c := range f.snapshot.Connections {
		if c.ID == id {
			return nil
		}
	}
	return engine.ErrNotFound
}

func (f *Fake) unban(client string) bool {
	for i, b := range f.snapshot.Banned {
		if b == client {
			f.snapshot.Banned = append(f.snapshot.Banned[:i:i], f.snapshot.Banned[i+1:]...)
			return true
		}
	}
	return false
}

// A fakeSubscription queues at most slots events between Publish and a reader.
type fakeSubscription struct {
	kinds   engine.Kinds
	slots   int
	wake    chan struct{} // capacity 1, never closed
	queue   []engine.Event
	dropped uint64
}

// add is called with the engine's lock held.
func (s *fakeSubscription) add(e engine.Event) {
	if !s.kinds.Has(e.Kind) {
		return
	}
	if len(s.queue) == s.slots {
		s.queue = s.queue[1:]
		s.dropped++
	}
	s.queue = append(s.queue, e)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Subscribe implements [engine.Engine].
func (f *Fake) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	s := &fakeSubscription{kinds: o.Kinds, slots: o.Slots, wake: make(chan struct{}, 1)}
	if s.kinds == 0 {
		s.kinds = engine.KindsAll
	}
	if s.slots <= 0 {
		s.slots = 4096
	}
	s.slots = min(s.slots, 65_536)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, engine.ErrNotRunning
	}
	f.subs[s] = struct{}{}
	out := make(chan engine.Batch)
	f.wg.Go(func() { f.deliver(ctx, s, out) })
	return out, nil
}

func (f *Fake) deliver(ctx context.Context, s *fakeSubscription, out chan<- engine.Batch) {
	defer close(out)
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, s)
	}()
	for {
		f.mu.Lock()
		batch := engine.Batch{Events: s.queue, Dropped: s.dropped}
		s.queue, s.dropped = nil, 0
		ended := f.ended
		f.mu.Unlock()
		if len(batch.Events) > 0 {
			select {
			case out <- batch:
				continue
			case <-ctx.Done():
				return
			}
		}
		if ended {
			return
		}
		select {
		case <-s.wake:
		case <-f.done:
		case <-ctx.Done():
			return
		}
	}
}
