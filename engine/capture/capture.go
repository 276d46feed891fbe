// Package capture keeps the beginning of what passes through exchanges: a
// bounded tee beside the copy of content, which never waits, never holds a
// piece back and never grows beyond its budget.
//
// Start here; tee.go takes in one exchange, sampling.go thins out what comes
// too fast, websocket.go and events.go find the messages inside a stream.
package capture

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// DefaultLimit is the budget in bytes where Options do not say.
const DefaultLimit = 64 << 20

// Options of a Keeper.
type Options struct {
	Capture engine.Capture
	Limit   int64 // bytes of content in memory, of all exchanges together; 0 DefaultLimit
}

// A Keeper decides whose content is kept, and drops the oldest where all of it
// together is above the limit. It has no goroutine. Its methods may be called
// from any.
type Keeper struct {
	limit   int64
	chosen  atomic.Pointer[choice]
	bytes   atomic.Int64 // kept, with what keeping costs
	fresh   atomic.Int64 // bytes that were added to them in this window
	dropped atomic.Uint64

	mu             sync.Mutex // a leaf
	oldest, newest *Tee       // whose content is kept, in order of their beginning
	sampling       sampling
}

// A choice is what Set was told. It is never changed.
type choice struct {
	engine.Capture
	filters []*filter.Filter // of Capture.Content
}

// New returns a keeper. The error is that of a filter.
func New(o Options) (*Keeper, error) {
	k := &Keeper{limit: o.Limit}
	if k.limit <= 0 {
		k.limit = DefaultLimit
	}
	k.sampling = sampling{one: 1, began: time.Now()}
	return k, k.Set(o.Capture)
}

// Set changes what is kept from now on. Mode 0 is that of heads. It changes
// nothing where it returns an error, which for a filter is an *[filter.Error].
func (k *Keeper) Set(c engine.Capture) error {
	if c.Mode == 0 {
		c.Mode = engine.CaptureHeads
	}
	if c.Mode > engine.CaptureContent {
		return fmt.Errorf("capture mode %d: want off, heads or content", c.Mode)
	}
	if len(c.Content) > engine.MaxCaptureFilters {
		return fmt.Errorf("%d filters of what to capture: at most %d, join some by OR", len(c.Content), engine.MaxCaptureFilters)
	}
	next := &choice{Capture: engine.Capture{Mode: c.Mode}}
	for _, text := range c.Content {
		f, err := Filter(text)
		if err != nil {
			return fmt.Errorf("filter of what to capture %q: %w", engine.Bound(text), err)
		}
		next.filters = append(next.filters, f)
		next.Content = append(next.Content, text)
	}
	k.chosen.Store(next)
	return nil
}

// State fills s, reusing its slices.
func (k *Keeper) State(s *engine.CaptureState) {
	c := k.chosen.Load()
	s.Mode = c.Mode
	s.Content = append(s.Content[:0], c.Content...)
	s.Bytes, s.Limit, s.Dropped = k.bytes.Load(), k.limit, k.dropped.Load()
	k.mu.Lock()
	k.lookLocked(time.Now())
	s.Sampling = k.sampling.one
	k.mu.Unlock()
}

// Heads reports whether heads are to be kept.
func (k *Keeper) Heads() bool { return k.chosen.Load().Mode != engine.CaptureOff }

// Begin returns the tee of an exchange, nil where its content is not kept:
// every method of a nil *Tee does nothing. r is the record as it is when the
// request is sent, which is not kept; always says that it is kept whatever else
// (a replay).
func (k *Keeper) Begin(r *engine.Request, always bool) *Tee {
	c := k.chosen.Load()
	if !always && c.Mode != engine.CaptureContent && (len(c.filters) == 0 || !c.selects(r)) {
		return nil
	}
	t := &Tee{k: k, raw: r.Way == engine.WayConnect || r.Way == engine.WayTCP || r.Method == "CONNECT", charged: teeCost}
	now := time.Now()
	k.mu.Lock()
	k.lookLocked(now)
	if !k.sampling.takes() && !always {
		k.mu.Unlock()
		k.dropped.Add(1)
		return nil
	}
	k.listLocked(t)
	k.mu.Unlock()
	k.charge(teeCost)
	return t
}

// listLocked makes t the newest; mu is held.
func (k *Keeper) listLocked(t *Tee) {
	if k.newest == nil {
		k.oldest = t
	} else {
		k.newest.next = t
	}
	k.newest = t
}

// list makes a tee the newest that was dropped and keeps something again.
func (k *Keeper) list(t *Tee) {
	k.mu.Lock()
	k.listLocked(t)
	k.mu.Unlock()
}

// selects reports whether a filter does.
func (c *choice) selects(r *engine.Request) bool {
	for _, f := range c.filters {
		var about *filter.Context
		if f.Needs()&filter.NeedsNow != 0 {
			about = &filter.Context{Now: r.Arrived}
		}
		if f.Request(r, about) {
			return true
		}
	}
	return false
}

// lookLocked keeps the sampling up to date; mu is held.
func (k *Keeper) lookLocked(now time.Time) {
	if k.sampling.due(now) {
		k.sampling.look(now, k.fresh.Swap(0), k.limit)
	}
}

// charge counts bytes that a tee keeps more, or less, and makes room.
func (k *Keeper) charge(n int64) {
	if n > 0 {
		k.fresh.Add(n)
	}
	if k.bytes.Add(n) > k.limit {
		k.makeRoom()
	}
}

// makeRoom drops the content of the oldest exchanges.
func (k *Keeper) makeRoom() {
	for k.bytes.Load() > k.limit {
		k.mu.Lock()
		t := k.oldest
		if t != nil {
			k.oldest, t.next = t.next, nil
			if k.oldest == nil {
				k.newest = nil
			}
		}
		k.mu.Unlock()
		if t == nil {
			return
		}
		k.dropped.Add(1)
		k.bytes.Add(-t.drop())
	}
}

// Describe returns c in a few words, as the target of an audit event.
func Describe(c engine.Capture) string {
	mode := c.Mode
	if mode == 0 {
		mode = engine.CaptureHeads
	}
	switch n := len(c.Content); n {
	case 0:
		return mode.String()
	case 1:
		return mode.String() + ", content of 1 filter"
	default:
		return fmt.Sprintf("%s, content of %d filters", mode, n)
	}
}
