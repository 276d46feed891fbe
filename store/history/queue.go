package history

import (
	"sync"
	"time"

	"adit/engine"
)

const (
	// The queue's bounds, what the writer has in its hands included. They are the
	// memory that a history costs while nothing can be written: three seconds of
	// the fastest traffic.
	maxRows  = 65_536
	maxBytes = 64 << 20

	// maxBatch is how many rows are one transaction at most, and from how many on
	// the writer does not wait for more.
	maxBatch = 4096

	maxGaps = 16 // that are kept until they can be written
)

// An item is a row to be written: one of its fields. What it points to is never
// changed.
type item struct {
	request *engine.Request
	event   *engine.Event
	sample  *sample
	bytes   int32
}

// A gap is what had no room.
type gap struct {
	from, to       time.Time
	fromSeq, toSeq uint64
	requests       uint64 // that ended
	events         uint64 // others
	unknown        bool   // how many of them were requests
	why            string
}

// A queue is what is to be written. Nobody waits for it.
type queue struct {
	mu     sync.Mutex // a leaf
	items  []item
	rows   int // of items, and in the hands of the writer
	bytes  int
	key    uint64 // of the newest
	closed bool

	gaps    []gap
	missing uint64 // events in all gaps of this run
	why     string // of gaps that begin now
	request engine.RequestID
	conn    engine.ConnectionID // newest ids that were given out

	wake chan struct{} // of one: there is something, or there is much
}

func newQueue() queue { return queue{why: whyOverflow, wake: make(chan struct{}, 1)} }

// Reasons of gaps.
const (
	whyOverflow  = "overflow"
	whySuspended = "suspended: "
	whyBefore    = "lost before they came to the history"
	whyKilled    = "killed: last run ended without saying so"
	whyKnown     = "their ids were used before"
)

// add takes an item in and returns its key, or 0 where there is no room: e is
// then part of a gap.
func (q *queue) add(it item, e *engine.Event) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rows >= maxRows || q.bytes+int(it.bytes) > maxBytes || q.closed {
		q.lose(e)
		return 0
	}
	q.items = append(q.items, it)
	q.rows++
	q.bytes += int(it.bytes)
	q.key++
	if n := len(q.items); n == 1 || n == maxBatch {
		q.signal()
	}
	return q.key
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// lose counts e, nil for a sample. mu is held.
func (q *queue) lose(e *engine.Event) {
	if e == nil {
		return
	}
	q.missing++
	g := q.gap(q.why)
	if g.from.IsZero() {
		g.from, g.fromSeq = e.Time, e.Seq
	}
	g.to, g.toSeq = e.Time, e.Seq
	if e.Kind == engine.KindRequestFinished {
		g.requests++
	} else {
		g.events++
	}
}

// gap returns the one that goes on, or a new one. mu is held.
func (q *queue) gap(why string) *gap {
	n := len(q.gaps)
	if n == 0 || q.gaps[n-1].why != why && n < maxGaps {
		q.gaps = append(q.gaps, gap{why: why})
		n++
	}
	return &q.gaps[n-1]
}

// lost notes what was lost before a batch, of which little else is known.
func (q *queue) lost(b *engine.Batch, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.gap(whyBefore)
	if g.from.IsZero() {
		g.from = now
	}
	g.to, g.unknown = now, g.unknown || !b.Sorted
	g.requests += b.Ended
	g.events += b.Dropped - b.Ended
	q.missing += b.Dropped
	q.signal()
}

// gone returns how many events are in gaps.
func (q *queue) gone() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.missing
}

// note remembers ids that were given out.
func (q *queue) note(r engine.RequestID, c engine.ConnectionID) {
	q.mu.Lock()
	q.request, q.conn = max(q.request, r), max(q.conn, c)
	q.mu.Unlock()
}

// take returns everything that waits; into's memory is used for what comes next.
func (q *queue) take(into []item) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.items
	q.items = into[:0]
	return taken
}

// done makes room for what was written.
func (q *queue) done(items []item) {
	bytes := 0
	for i := range items {
		bytes += int(items[i].bytes)
	}
	q.mu.Lock()
	q.rows -= len(items)
	q.bytes -= bytes
	q.mu.Unlock()
	clear(items)
}

// losses returns the gaps so far and forgets them; put back with restore what
// could not be written.
func (q *queue) losses() []gap {
	q.mu.Lock()
	defer q.mu.Unlock()
	gaps := q.gaps
	q.gaps = nil
	return gaps
}

// restore puts gaps back that could not be written, before those that came since.
func (q *queue) restore(gaps []gap) {
	if len(gaps) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.gaps {
		last := &gaps[len(gaps)-1]
		if last.why != g.why && len(gaps) < maxGaps {
			gaps = append(gaps, g)
			continue
		}
		if last.from.IsZero() {
			last.from, last.fromSeq = g.from, g.fromSeq
		}
		last.to, last.toSeq = g.to, g.toSeq
		last.requests += g.requests
		last.events += g.events
		last.unknown = last.unknown || g.unknown
	}
	q.gaps = gaps
}

// reason says why what has no room from now on is lost.
func (q *queue) reason(why string) {
	q.mu.Lock()
	q.why = why
	q.mu.Unlock()
}

// sizeOf returns what r takes while it waits, about. What is captured has a budget
// of its own; heads are kept whether or not they are to be written.
func sizeOf(r *engine.Request) int {
	n := 480 + len(r.Target) + len(r.Client) + len(r.Caller) + len(r.Credential) + len(r.Reason)
	if r.Heads != nil {
		n += len(r.Heads.Request) + len(r.Heads.Response)
	}
	return n
}
