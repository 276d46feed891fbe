package observe

import (
	"context"
	"math"
	"time"

	"adit/engine"
)

const (
	maxBatch  = 512                   // events in a batch
	chunk     = 16                    // events copied out under the bus's lock at a time
	gather    = 10 * time.Millisecond // how long a batch waits for more: each wake-up costs as much as some requests
	patience  = 2 * time.Second       // how long Close waits for a subscriber that does not read
	neverWake = math.MaxUint64
	room      = 64 // slots that are allocated together
)

// A subscriber is one ring and the pump goroutine that empties it.
type subscriber struct {
	kinds engine.Kinds
	heads bool              // wants the heads of requests
	late  bool              // a start may be told late, or not at all
	slots uint64            // a power of two
	out   chan engine.Batch // unbuffered; closed by the pump
	wake  chan struct{}     // capacity 1; never closed

	// Under Bus.mu.
	ring    [][]engine.Event // the slots, room of them in each, made when first written
	head    uint64           // events written since the ring was empty
	tail    uint64           // of these, read or overwritten
	dropped uint64           // overwritten since the last batch
	ended   uint64           // of these, ends of requests
	behind  bool             // more than maxWithHeads wait: no heads
	wakeAt  uint64           // events in the ring at which the pump is woken
}

func newSubscriber(kinds engine.Kinds, slots int) *subscriber {
	return &subscriber{
		kinds:  kinds,
		slots:  uint64(slots),
		out:    make(chan engine.Batch),
		wake:   make(chan struct{}, 1),
		ring:   make([][]engine.Event, (slots+room-1)/room),
		wakeAt: neverWake,
	}
}

// put stores e, over the oldest event if the ring is full, and reports whether it
// was. Bus.mu is held.
func (s *subscriber) put(e *engine.Event) (full bool) {
	i := s.head & (s.slots - 1)
	if full = s.head-s.tail >= s.slots; full {
		s.tail++
		s.dropped++
		if s.ring[i/room][i%room].Kind == engine.KindRequestFinished {
			s.ended++
		}
	}
	part := s.ring[i/room]
	if part == nil {
		part = make([]engine.Event, min(room, s.slots))
		s.ring[i/room] = part
	}
	at := &part[i%room]
	*at = *e
	if r := e.Request; r != nil && r.Heads != nil && !s.heads && s.head-s.tail >= maxWithHeads {
		without := *r // others have the record too
		without.Heads = nil
		at.Request = &without
	}
	s.head++
	if s.head-s.tail >= s.wakeAt {
		s.wakeAt = neverWake
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return full
}

// take fills events, up to its capacity, with the oldest in the ring and
// returns how many were lost before them. What is lost while it runs is left
// for the next batch. With nothing to take it has the pump woken at the next
// event.
func (b *Bus) take(s *subscriber, events []engine.Event) (batch engine.Batch) {
	for len(events) < cap(events) {
		b.mu.Lock()
		if s.dropped > 0 {
			if len(events) > 0 {
				b.mu.Unlock()
				break
			}
			batch.Dropped, batch.Ended, batch.Sorted = s.dropped, s.ended, true
			s.dropped, s.ended = 0, 0
		}
		n := min(s.head-s.tail, uint64(cap(events)-len(events)), chunk)
		for range n {
			i := s.tail & (s.slots - 1)
			from := &s.ring[i/room][i%room]
			events = append(events, *from)
			*from = engine.Event{} // a large ring must not keep heads alive that nobody waits for
			s.tail++
		}
		if s.head == s.tail {
			// From the first slot again: a ring that is emptied in time stays
			// small, in the cache and in what it keeps alive.
			s.head, s.tail = 0, 0
		}
		if s.behind && s.head-s.tail < maxWithHeads/2 {
			s.behind = false
			b.updateWants()
		}
		s.wakeAt = neverWake
		if len(events) == 0 {
			s.wakeAt = 1
		}
		b.mu.Unlock()
		if n < chunk {
			break
		}
	}
	batch.Events = events
	return batch
}

// wakeHalf has the pump woken when the ring is half full.
func (b *Bus) wakeHalf(s *subscriber) {
	b.mu.Lock()
	s.wakeAt = max(s.slots/2, 1)
	b.mu.Unlock()
}

// pump delivers until ctx ends or, after Close, the ring is empty.
func (b *Bus) pump(ctx context.Context, s *subscriber) {
	defer close(s.out)
	defer b.remove(s)

	// The receiver owns the last batch, so the next one is another buffer.
	size := int(min(s.slots, maxBatch))
	buffer, spare := make([]engine.Event, 0, size), make([]engine.Event, 0, size)
	pause := time.NewTimer(0)
	defer pause.Stop()

	closing := b.closing
	for {
		batch := b.take(s, buffer)
		if len(batch.Events) == 0 {
			if closing == nil {
				return
			}
			select {
			case <-s.wake:
			case <-closing:
				closing = nil
			case <-ctx.Done():
				return
			}
			continue
		}
		if !s.deliver(ctx, batch, &closing) {
			return
		}
		buffer, spare = spare, buffer
		if closing == nil || len(batch.Events) == size {
			continue
		}
		b.wakeHalf(s)
		pause.Reset(gather)
		select {
		case <-pause.C:
		case <-s.wake:
		case <-closing:
			closing = nil
		case <-ctx.Done():
			return
		}
	}
}

// deliver hands over batch and reports whether the subscription goes on. It
// sets closing to nil when the bus is closing.
func (s *subscriber) deliver(ctx context.Context, batch engine.Batch, closing *chan struct{}) bool {
	if *closing != nil {
		select {
		case s.out <- batch:
			return true
		case <-ctx.Done():
			return false
		case <-*closing:
			*closing = nil
		}
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case s.out <- batch:
		return true
	case <-ctx.Done():
		return false
	case <-limit.C:
		return false
	}
}
