package control

import (
	"context"
	"fmt"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// Bounds of a subscription.
const (
	someSlots = 4096
	mostSlots = 65_536
	mostHeads = 1024 // events that may wait with their heads
	mostGaps  = 256  // places where something is missing
)

// A subscription queues events between the stream and one who may not read.
type subscription struct {
	wish
	slots int
	wake  chan struct{}  // capacity 1, never closed
	queue []engine.Batch // all but the first have lost something
	count int            // events in queue
	fresh bool           // it began when no stream carried it: nothing was missed yet
}

// add is called with the Remote's mu held.
func (s *subscription) add(e *engine.Event) {
	if !s.kinds.Has(e.Kind) {
		return
	}
	if s.count >= s.slots {
		s.forget()
	}
	if len(s.queue) == 0 {
		s.queue = append(s.queue, engine.Batch{})
	}
	last := &s.queue[len(s.queue)-1]
	last.Events = append(last.Events, *e)
	s.count++
	if e.Request != nil && e.Request.Heads != nil && (!s.heads || s.count > mostHeads) {
		bare := *e.Request
		bare.Heads = nil
		last.Events[len(last.Events)-1].Request = &bare
	}
	s.notify()
}

// forget loses the oldest event.
func (s *subscription) forget() {
	first := &s.queue[0]
	if len(first.Events) == 0 {
		lost := first.Dropped
		s.queue = s.queue[1:]
		first = &s.queue[0]
		first.Dropped += lost
	}
	first.Events = first.Events[1:]
	first.Dropped++
	s.count--
}

// lose notes that n events are missing here. It is called with the Remote's mu
// held.
func (s *subscription) lose(n uint64) {
	if n == 0 {
		return
	}
	if k := len(s.queue); k == 0 || len(s.queue[k-1].Events) > 0 {
		if k >= mostGaps {
			s.queue[k-1].Dropped += n
			s.notify()
			return
		}
		s.queue = append(s.queue, engine.Batch{})
	}
	s.queue[len(s.queue)-1].Dropped += n
	s.notify()
}

func (s *subscription) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// wishes returns what all want together. mu is held.
func (r *Remote) wishes() wish {
	all := wish{kinds: engine.KindsLifecycle}
	for s := range r.subs {
		all = all.with(s.wish)
	}
	return all
}

// Subscribe implements [engine.Engine]. While the link is lost nothing comes;
// what was missed meanwhile counts as dropped, of requests at most so much: those
// that a filter would not have selected count too. Where the stream has to carry more
// than before it is opened anew, which Subscribe waits for, but for at most 2 s.
func (r *Remote) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	f, err := filter.Parse(filter.Requests, o.Filter)
	if err != nil {
		return nil, err
	}
	// A stream that is refused for its filter would take the link with it.
	if l := r.Link(); l.ReadOnly {
		if err := (operator{name: l.Name, readOnly: true}).mayFilter(f); err != nil {
			return nil, err
		}
	}
	s := &subscription{wish: wish{o.Kinds, o.Heads, o.Filter}, slots: o.Slots, wake: make(chan struct{}, 1)}
	if s.kinds == 0 {
		s.kinds = engine.KindsAll
	}
	if s.slots <= 0 {
		s.slots = someSlots
	}
	s.slots = min(s.slots, mostSlots)
	r.mu.Lock()
	select {
	case <-r.done:
		r.mu.Unlock()
		return nil, fmt.Errorf("subscribe: %w", engine.ErrClosed)
	default:
	}
	if r.ctx.Err() != nil {
		r.mu.Unlock()
		return nil, fmt.Errorf("subscribe: %w", engine.ErrClosed)
	}
	r.subs[s] = struct{}{}
	s.fresh = r.link.Lost
	out := make(chan engine.Batch)
	r.wg.Go(func() { r.deliver(ctx, s, out) })
	reopened := !r.carried.covers(s.wish)
	if reopened {
		s.fresh = true
		if r.again != nil {
			r.again()
		}
	}
	r.mu.Unlock()
	if reopened {
		r.awaitStream(ctx, s.wish)
	}
	return out, nil
}

// awaitStream waits until a stream carries what is wished for, but not for one
// that is lost.
func (r *Remote) awaitStream(ctx context.Context, w wish) {
	t := time.NewTimer(writeWait)
	defer t.Stop()
	for {
		r.mu.Lock()
		ready, changed := r.link.Lost || r.carries.covers(w), r.changed
		r.mu.Unlock()
		if ready {
			return
		}
		select {
		case <-changed:
		case <-t.C:
			return
		case <-ctx.Done():
			return
		case <-r.ctx.Done():
			return
		}
	}
}

// deliver hands what has come to one who reads.
func (r *Remote) deliver(ctx context.Context, s *subscription, out chan<- engine.Batch) {
	defer close(out)
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.subs, s)
	}()
	for {
		r.mu.Lock()
		queue := s.queue
		s.queue, s.count = nil, 0
		r.mu.Unlock()
		for i := range queue {
			select {
			case out <- queue[i]:
			case <-ctx.Done():
				return
			case <-r.ctx.Done():
				return
			}
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		case <-r.ctx.Done():
			return
		}
	}
}
