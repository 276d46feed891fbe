package server

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// maxHosts bounds the exposed names that are remembered.
const maxHosts = 100_000

// A destination says which pool can serve a caller.
type destination struct {
	kind   destinationKind
	name   string // client id or host label
	port   uint16
	native bool          // needs what wsp does not carry
	ask    *asked        // what credentials have a say in; nil for a TCP port
	permit policy.Permit // where it depends on the client; else zero
	not    *link         // a connection that has failed this caller already
}

type destinationKind uint8

const (
	toAny destinationKind = iota
	toClient
	toHost
	toPort
)

// A dispatcher finds connections for callers. Whoever finds one free takes no
// lock; the rest wait in order of arrival, each until a slot is handed over.
//
// No wake-up is lost: a waiter counts itself in waiting before it looks for a
// free slot a last time, and a slot that becomes free looks at waiting after.
type dispatcher struct {
	maxWaiting  atomic.Int64 // callers of one pool; negative: no bound
	maxInFlight atomic.Int64 // exchanges of one client; not positive: no bound
	perLink     int64        // exchanges that a native connection carries at most
	reached     func(id limitID, client, reason string)

	// Until then clients of a former process may come back: those who are there
	// say nothing yet of what no client can serve.
	backBy time.Time

	any     pool
	clients sync.Map // client id → *pool; with a member or a waiter
	hosts   sync.Map // label → *pool; never removed below maxHosts
	ports   sync.Map // port → *pool; never removed

	waiting atomic.Int64
	bounded atomic.Int64 // links whose credential bounds what they carry

	mu     sync.Mutex // guards changes of pools, queues and what follows
	seq    uint64
	nHosts int
	closed bool
}

func newDispatcher(maxWaiting int) *dispatcher {
	d := new(dispatcher)
	d.maxWaiting.Store(int64(maxWaiting))
	return d
}

// lookup returns the pool of d, nil if there is none.
func (d *dispatcher) lookup(to destination) *pool {
	var v any
	switch to.kind {
	case toAny:
		return &d.any
	case toClient:
		v, _ = d.clients.Load(to.name)
	case toHost:
		v, _ = d.hosts.Load(to.name)
	case toPort:
		v, _ = d.ports.Load(to.port)
	}
	p, _ := v.(*pool)
	return p
}

// create is lookup that makes what is missing; under mu.
func (d *dispatcher) create(to destination) *pool {
	if p := d.lookup(to); p != nil {
		return p
	}
	p := new(pool)
	switch to.kind {
	case toClient:
		d.clients.Store(to.name, p)
	case toHost:
		if d.nHosts++; d.nHosts > maxHosts {
			d.forgetHost()
		}
		d.hosts.Store(to.name, p)
	case toPort:
		d.ports.Store(to.port, p)
	}
	return p
}

// forgetHost removes one name that nobody exposes or waits for; under mu.
func (d *dispatcher) forgetHost() {
	d.hosts.Range(func(name, v any) bool {
		p := v.(*pool)
		if len(p.slots()) > 0 || p.waiting.Load() > 0 {
			return true
		}
		d.hosts.Delete(name)
		d.nHosts--
		return false
	})
}

// know remembers a host label from now on.
func (d *dispatcher) know(label string) {
	d.mu.Lock()
	d.create(destination{kind: toHost, name: label})
	d.mu.Unlock()
}

// join puts a registered connection into its pools and gives its slots to
// those who wait.
func (d *dispatcher) join(l *link) {
	d.mu.Lock()
	d.bound(l)
	l.own = d.create(destination{kind: toClient, name: l.client}) // before callers find it
	if !l.greeting.ExposedOnly {                                  // it could only deny what callers choose
		d.add(l, d.create(destination{kind: toAny}), 0)
	}
	d.add(l, l.own, 0)
	for i, e := range l.greeting.Expose {
		route := uint64(i + 1)
		switch {
		case e.Host != "":
			d.add(l, d.create(destination{kind: toHost, name: e.Host}), route)
		case e.TCP != 0:
			d.add(l, d.create(destination{kind: toPort, port: e.TCP}), route)
		}
	}
	d.mu.Unlock()
	d.handOver(l)
}

func (d *dispatcher) add(l *link, p *pool, route uint64) {
	if slices.Contains(l.pools, p) {
		return
	}
	// Who scans an older list sees no further than its end.
	list := append(p.slots(), slot{l, route})
	p.members.Store(&list)
	l.pools = append(l.pools, p)
	l.routes = append(l.routes, route)
}

// leave takes a connection out of its pools.
func (d *dispatcher) leave(l *link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range l.pools {
		old := p.slots()
		list := make([]slot, 0, max(len(old)-1, 0))
		for _, sl := range old {
			if sl.l != l {
				list = append(list, sl)
			}
		}
		p.members.Store(&list)
	}
	if l.bounded {
		l.bounded = false
		d.bounded.Add(-1)
	}
	l.pools, l.routes = nil, nil
	d.dropIfUnused(l.client)
}

// dropIfUnused forgets the pool of a client that is not there and that nobody
// waits for; under mu. Names of clients come from callers.
func (d *dispatcher) dropIfUnused(client string) {
	if p := d.lookup(destination{kind: toClient, name: client}); p != nil &&
		len(p.slots()) == 0 && p.waiting.Load() == 0 {
		d.clients.Delete(client)
	}
}

// acquire reserves a slot for one exchange. The error, an *engine.Error, has
// ReasonNoClient after wait, ReasonQueueFull, ReasonUnsupported, ReasonDenied,
// ReasonDraining, ReasonOperator, or ReasonCallerGone if ctx ended.
func (d *dispatcher) acquire(ctx context.Context, to destination, call engine.RequestID, wait time.Duration) (slot, error) {
	p := d.lookup(to)
	if p != nil && p.waiting.Load() == 0 {
		if sl, ok := p.pick(d, &to); ok {
			return sl, nil
		}
	}
	returning := d.returning()
	if p != nil && !returning {
		if err := p.forbids(&to); err != nil {
			return slot{}, engine.Fail("find a connection", engine.ReasonDenied, err)
		}
	}
	w, first, reason := d.enqueue(to, call, returning)
	if reason == engine.ReasonQueueFull {
		d.tell(limitWaiting, to, nil)
	}
	if reason != engine.ReasonNone {
		return slot{}, engine.Fail("find a connection", reason, nil)
	}
	if first {
		if sl, ok := w.pool.pick(d, &to); ok {
			if d.withdraw(w) {
				return sl, nil
			}
			sl.l.conn.Unreserve() // one was handed over meanwhile
			d.handOver(sl.l)
		}
	}
	if !first && d.maySkip(w.pool) {
		// Those before it may wait for another connection than one that is free.
		if sl, ok := w.pool.pick(d, &to); ok {
			sl.l.conn.Unreserve()
			d.handOver(sl.l)
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	reason = engine.ReasonNoClient
	select {
	case <-w.ready:
	case <-timer.C:
	case <-ctx.Done():
		reason = engine.ReasonCallerGone
	}
	sl, reason := d.settle(w, to, reason)
	if reason == engine.ReasonNoClient && d.busy(w.pool) {
		reason = engine.ReasonQueueFull
		d.tell(limitExchanges, to, w.pool)
	}
	if reason == engine.ReasonNoClient && returning {
		if err := w.pool.forbids(&to); err != nil {
			return slot{}, engine.Fail("wait for a connection", engine.ReasonDenied, err)
		}
		if to.native && w.pool.classicOnly() {
			reason = engine.ReasonUnsupported
		}
	}
	if reason != engine.ReasonNone {
		return slot{}, engine.Fail("wait for a connection", reason, nil)
	}
	return sl, nil
}

// enqueue makes the caller wait. first says that nobody waits before it, so
// that it may look for a slot once more. While clients are returning, those who
// are there may be the wrong ones.
func (d *dispatcher) enqueue(to destination, call engine.RequestID, returning bool) (w *waiter, first bool, reason engine.Reason) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, false, engine.ReasonDraining
	}
	p := d.create(to)
	if to.native && !returning && p.classicOnly() {
		return nil, false, engine.ReasonUnsupported
	}
	if most := d.maxWaiting.Load(); most >= 0 && int64(p.waiting.Load()) >= most {
		return nil, false, engine.ReasonQueueFull
	}
	d.waiting.Add(1)
	p.waiting.Add(1)
	queue := p.queueFor(to.native)
	first = queue.head == nil
	d.seq++
	w = &waiter{pool: p, native: to.native, not: to.not, ask: to.ask, permit: to.permit, call: call, seq: d.seq,
		queued: true, ready: make(chan struct{})}
	queue.push(w)
	if w.particular() {
		p.particular++
	}
	return w, first, engine.ReasonNone
}

// withdraw ends a wait and reports false if it has ended already.
func (d *dispatcher) withdraw(w *waiter) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !w.queued {
		return false
	}
	d.dequeue(w)
	return true
}

// dequeue ends a wait; under mu.
func (d *dispatcher) dequeue(w *waiter) {
	w.pool.queueFor(w.native).remove(w)
	w.queued = false
	if w.particular() {
		w.pool.particular--
	}
	w.pool.waiting.Add(-1)
	d.waiting.Add(-1)
}

// settle ends a wait for the given reason, unless it has ended already. A slot
// that was handed to a caller who left goes to the next.
func (d *dispatcher) settle(w *waiter, to destination, reason engine.Reason) (slot, engine.Reason) {
	d.mu.Lock()
	if w.queued {
		d.dequeue(w)
		w.reason = reason
	}
	if to.kind == toClient {
		d.dropIfUnused(to.name)
	}
	got, ended := w.got, w.reason
	d.mu.Unlock()

	if ended == engine.ReasonNone && reason == engine.ReasonCallerGone {
		got.l.conn.Unreserve()
		d.handOver(got.l)
		return slot{}, reason
	}
	return got, ended
}

// handOver gives free slots of a connection to those who have waited longest.
// It is called after every release of a slot, and so possibly from within
// Reserve: no lock is held while slots are taken or given back.
func (d *dispatcher) handOver(l *link) {
	for d.waiting.Load() > 0 && l.registered.Load() {
		if !d.wanted(l) || d.full(l) || !l.conn.Reserve() {
			return
		}
		if !d.grant(l) {
			l.conn.Unreserve()
			return
		}
	}
}

// wanted reports whether anybody waits for a slot of l.
func (d *dispatcher) wanted(l *link) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, _ := d.oldest(l)
	return w != nil
}

// grant gives a reserved slot of l to who has waited longest, if anybody does.
func (d *dispatcher) grant(l *link) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	w, route := d.oldest(l)
	if w == nil {
		return false
	}
	d.dequeue(w)
	w.got = slot{l, route}
	close(w.ready)
	return true
}

// oldest returns who has waited longest of those whom l can serve; under mu.
func (d *dispatcher) oldest(l *link) (first *waiter, route uint64) {
	for i, p := range l.pools {
		for q := range p.queue {
			if q == 1 && !l.native {
				continue
			}
			w := p.queue[q].head
			for w != nil && (w.not == l || !w.serves(l)) {
				w = w.next
			}
			if w != nil && (first == nil || w.seq < first.seq) {
				first, route = w, l.routes[i]
			}
		}
	}
	return first, route
}

// cancel ends the wait of one call and reports whether it was waiting.
func (d *dispatcher) cancel(call engine.RequestID) bool {
	return d.refuse(func(w *waiter) bool { return w.call == call }, engine.ReasonOperator) > 0
}

// close refuses whoever waits and whoever would.
func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.refuse(func(*waiter) bool { return true }, engine.ReasonDraining)
}

func (d *dispatcher) refuse(which func(*waiter) bool, reason engine.Reason) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	each := func(p *pool) {
		for q := range p.queue {
			for w := p.queue[q].head; w != nil; {
				next := w.next
				if which(w) {
					d.dequeue(w)
					w.reason = reason
					close(w.ready)
					n++
				}
				w = next
			}
		}
	}
	inMap := func(_, v any) bool { each(v.(*pool)); return true }
	each(&d.any)
	d.clients.Range(inMap)
	d.hosts.Range(inMap)
	d.ports.Range(inMap)
	return n
}
