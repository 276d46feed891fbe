package server

import (
	"slices"
	"sync/atomic"

	"adit/engine"
	"adit/engine/policy"
)

// maxScan bounds how many connections one pick compares.
const maxScan = 128

// A slot is a connection in a pool, with the route under which the pool's
// callers reach it there.
type slot struct {
	l     *link
	route uint64
}

// A pool is a set of connections that can serve the same callers: all of them,
// those of one client, of one exposed name or of one exposed port.
type pool struct {
	members atomic.Pointer[[]slot] // replaced under dispatcher.mu, never changed
	turn    atomic.Uint32          // where the next scan begins
	waiting atomic.Int32

	// Guarded by dispatcher.mu. Those who need a native connection wait in a
	// list of their own, so that nobody waits behind what he does not need.
	queue      [2]fifo // any, native
	particular int     // waiters whom not every connection may serve
}

func (p *pool) slots() []slot {
	if m := p.members.Load(); m != nil {
		return *m
	}
	return nil
}

// pick reserves a slot on the connection with the fewest exchanges in flight.
// It scans from a rotating start and takes the first that is idle. not is a
// connection to leave out, and so is one that credentials or rules do not let serve it.
func (p *pool) pick(d *dispatcher, to *destination) (slot, bool) {
	list := p.slots()
	if len(list) == 0 {
		return slot{}, false
	}
	start := int(p.turn.Add(1)) % len(list)
	var best slot
	least := int(^uint(0) >> 1)
	full := fullness{d: d}
	for i := range min(len(list), maxScan) {
		sl := list[(start+i)%len(list)]
		if sl.l == to.not || to.native && !sl.l.native || !to.serves(sl.l) {
			continue
		}
		n := sl.l.conn.InFlight()
		if n == 0 && !full.at(sl.l) && sl.l.conn.Reserve() {
			return sl, true
		}
		if n > 0 && sl.l.native && n < least {
			best, least = sl, n
		}
	}
	if best.l != nil && !full.at(best.l) && best.l.conn.Reserve() {
		return best, true
	}
	for i := range list {
		sl := list[(start+i)%len(list)]
		if sl.l != to.not && (sl.l.native || !to.native) && to.serves(sl.l) && !full.at(sl.l) && sl.l.conn.Reserve() {
			return sl, true
		}
	}
	return slot{}, false
}

// classicOnly reports whether there are connections in the pool, and none of them
// is native.
func (p *pool) classicOnly() bool {
	list := p.slots()
	return len(list) > 0 && !slices.ContainsFunc(list, func(sl slot) bool { return sl.l.native })
}

// A waiter is a caller for whom no connection was free.
type waiter struct {
	pool       *pool
	native     bool
	not        *link
	ask        *asked
	permit     policy.Permit
	call       engine.RequestID
	seq        uint64
	queued     bool          // guarded by dispatcher.mu, like what follows
	got        slot          // where not queued and reason is none
	reason     engine.Reason // where not queued
	ready      chan struct{} // closed when no longer queued, but by the waiter itself
	prev, next *waiter
}

// A fifo is a list of waiters in order of arrival.
type fifo struct{ head, tail *waiter }

func (f *fifo) push(w *waiter) {
	w.prev = f.tail
	if f.tail != nil {
		f.tail.next = w
	} else {
		f.head = w
	}
	f.tail = w
}

func (f *fifo) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		f.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		f.tail = w.prev
	}
	w.prev, w.next = nil, nil
}

func (p *pool) queueFor(native bool) *fifo {
	if native {
		return &p.queue[1]
	}
	return &p.queue[0]
}
