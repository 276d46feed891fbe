package observe

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
)

// A Bus hands events to subscribers, each with a ring of its own whose oldest
// events are overwritten and counted. Its lock is a leaf.
//
// A ring has the slots that were ever filled for as long as the subscription
// lasts, and what their events point to (records, greetings, strings of at most
// [engine.MaxText] bytes) until they are taken or overwritten: with the default
// of 4,096 slots at most 1 MiB and as many records. Heads, up to 16 KiB for each
// record, are not wanted while a ring holds more than 4,096 events for one who
// wants them, and are left out for one who does not: that bounds them to 64 MiB
// whatever callers send, and 16 MiB in the batches at hand.
type Bus struct {
	wants atomic.Uint32 // engine.Kinds that any subscriber asks for, wantsHeads and wantsLate; written under mu
	_     [60]byte      // readers of wants do not share a cache line with mu

	mu          sync.Mutex // held for a few hundred nanoseconds at most; a leaf
	seq         atomic.Uint64
	subscribers []*subscriber
	closed      bool
	dropped     uint64 // by all rings, those of former subscribers too

	closing chan struct{} // closed by Close
	pumps   sync.WaitGroup
}

// NewBus returns a bus without subscribers. Close releases it.
func NewBus() *Bus { return &Bus{closing: make(chan struct{})} }

// Publish gives e its Seq (and Time if zero) and copies it into the rings of
// those who want its kind. After Close nobody receives it.
func (b *Bus) Publish(e engine.Event) {
	b.mu.Lock()
	e.Seq = b.seq.Add(1)
	if e.Time.IsZero() {
		e.Time = time.Now() // under the lock, so that times follow Seq
	}
	for _, s := range b.subscribers {
		if s.kinds.Has(e.Kind) {
			if s.put(&e) {
				b.dropped++
			}
			if s.heads && !s.behind && s.head-s.tail > maxWithHeads {
				s.behind = true
				b.updateWants()
			}
		}
	}
	b.mu.Unlock()
}

// Wants reports whether anybody subscribes to k: whoever would have to allocate
// for an event asks first. Those whom [Bus.WantsLate] is about do not count.
func (b *Bus) Wants(k engine.Kind) bool { return engine.Kinds(b.wants.Load()).Has(k) }

// Bits of Bus.wants beyond the kinds.
const (
	wantsHeads = 1 << 31
	wantsLate  = 1 << 30
)

// WantsLate reports whether anybody wants to be told of exchanges that started,
// and allows that it is told late, or not where they are over by then.
func (b *Bus) WantsLate() bool { return b.wants.Load()&wantsLate != 0 }

// maxWithHeads is how many events may wait for a subscriber until no more heads
// are made for it.
const maxWithHeads = 4096

// WantsHeads reports whether anybody wants the heads of the requests that end,
// and takes them in time: like Wants, whoever would have to make them asks first.
func (b *Bus) WantsHeads() bool { return b.wants.Load()&wantsHeads != 0 }

// Dropped returns how many events were overwritten before their subscriber took
// them, one for each subscriber.
func (b *Bus) Dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

// Seq returns the newest sequence number.
func (b *Bus) Seq() uint64 { return b.seq.Load() }

// Bounds of SubscribeOptions.Slots.
const (
	defaultSlots = 4096
	maxSlots     = 65536
)

// Subscribe is engine.Engine's. Slots are rounded up to a power of two. The
// first event after a pause is delivered at once; those that follow within 10 ms
// come together. [engine.ErrClosed] after Close.
func (b *Bus) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	if o.Kinds == 0 {
		o.Kinds = engine.KindsAll
	}
	if o.Slots <= 0 {
		o.Slots = defaultSlots
	}
	slots := 1 << bits.Len(uint(min(o.Slots, maxSlots)-1))
	s := newSubscriber(o.Kinds, slots)
	s.heads = o.Heads && o.Kinds.Has(engine.KindRequestFinished)
	s.late = o.Late && o.Kinds.Has(engine.KindRequestStarted)

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("subscribe: %w", engine.ErrClosed)
	}
	b.subscribers = append(b.subscribers, s)
	b.updateWants()
	b.pumps.Go(func() { b.pump(ctx, s) })
	return s.out, nil
}

// Close ends every subscription after it has delivered what was published (or
// its ctx ends) and returns when their goroutines have ended. A subscriber that
// receives nothing for 2 s is given up.
func (b *Bus) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		b.subscribers = nil
		b.updateWants()
		close(b.closing)
	}
	b.mu.Unlock()
	b.pumps.Wait()
}

// remove takes s off the bus.
func (b *Bus) remove(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.subscribers, s); i >= 0 {
		b.subscribers = slices.Delete(b.subscribers, i, i+1)
		b.updateWants()
	}
}

// updateWants is called with mu held.
func (b *Bus) updateWants() {
	var all uint32
	for _, s := range b.subscribers {
		kinds := s.kinds & engine.KindsAll
		if s.late {
			kinds &^= engine.KindSet(engine.KindRequestStarted)
			all |= wantsLate
		}
		all |= uint32(kinds)
		if s.heads && !s.behind {
			all |= wantsHeads
		}
	}
	b.wants.Store(all)
}
