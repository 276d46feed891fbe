package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/egress"
	"adit/engine/frame"
	"adit/engine/tunnel"
)

// A connection is one WebSocket to a server, from before it is dialled.
type connection struct {
	id       engine.ConnectionID
	e        *endpoint
	c        *Client
	counters frame.Counters

	// session and force are written before registered is closed, and not after.
	session    tunnel.Session
	force      *force // what was in force when it was dialled
	opened     time.Time
	secured    engine.TLS
	registered chan struct{} // closed when KindConnectionOpened is published, or the dial failed
	open       atomic.Bool   // registered is closed: spares the channel's lock
	drained    chan struct{} // closed when the server has said that it sends nothing more
	failed     atomic.Uint64 // exchanges, as in engine.Connection

	mu      sync.Mutex // guards what follows
	newest  *exchange  // of those that run; each knows its neighbours
	running int
	served  bool // there was an exchange
	pooled  bool // counts in endpoint.idle while it has none
}

func (e *endpoint) newConnection() *connection {
	return &connection{
		id:         engine.ConnectionID(e.c.connectionIDs.Add(1)),
		e:          e,
		c:          e.c,
		registered: make(chan struct{}),
		drained:    make(chan struct{}),
	}
}

// run dials and stays until the session has ended. It reports everything, and
// its reports are always taken: maintain ends after the last one.
func (n *connection) run(ctx context.Context) {
	defer n.c.recovered()
	if err := n.dial(ctx); err != nil {
		close(n.registered)
		n.e.reports <- report{n: n, kind: reportFailed, f: dialFailure(err)}
		return
	}
	n.c.register(n)
	n.open.Store(true)
	close(n.registered)
	n.e.reports <- report{n: n, kind: reportOpened}
	select {
	case <-n.drained:
		n.e.reports <- report{n: n, kind: reportLeaving}
		<-n.session.Done()
	case <-n.session.Done():
	}
	lived := time.Since(n.opened)
	code, reason := n.session.Ended()
	n.c.unregister(n, code, reason, lived)
	f := lostFailure(code, reason, tunnel.RetryAfter(reason), lived)
	f.spent = n.session.Protocol() == engine.ProtocolClassic && n.hasServed() && !f.refused && f.retryAfter == 0
	n.e.reports <- report{n: n, kind: reportEnded, f: f}
}

func (n *connection) dial(ctx context.Context) error {
	o, now := n.c.o, n.c.now.Load()
	n.force = now
	limits := o.Limits
	limits.Ping = o.ClassicPing // a native server announces its own
	s, err := n.c.dial(ctx, tunnel.DialOptions{
		ID:          n.id,
		URL:         n.e.url,
		Header:      now.header,
		Greeting:    now.greeting,
		ClassicPool: o.PoolIdle,
		Protocol:    o.Protocol,
		NeedsV1:     len(n.c.routes) > 0,
		Limits:      limits,
		Growth:      n.c.growth,
		Counters:    &n.counters,
		NetDial:     n.e.netDial,
		TLS:         n.e.tls(),
		OnTLS:       func(facts engine.TLS) { n.secured = facts },
		Handler:     n.serve,
		OnDrain:     func() { close(n.drained) },
		OnPanic:     o.OnPanic,
	})
	if err != nil {
		if advice := egress.Advice(err); advice != "" {
			err = fmt.Errorf("%w; %s", err, advice)
		}
		return err
	}
	n.session, n.opened = s, time.Now()
	return nil
}

// joinPool makes a classic connection count among the idle ones of its endpoint
// whenever it has no exchange, and reports whether it has one. leavePool ends
// that.
func (n *connection) joinPool() (busy bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pooled = true
	if n.running == 0 {
		n.e.idle.Add(1)
		return false
	}
	return true
}

func (n *connection) leavePool() {
	n.mu.Lock()
	if n.pooled && n.running == 0 {
		n.e.idle.Add(-1)
	}
	n.pooled = false
	n.mu.Unlock()
}

// awaitRegistered has nothing published of a connection before its opening.
func (n *connection) awaitRegistered() {
	if !n.open.Load() {
		<-n.registered
	}
}

// fill sets what this layer knows beside the tunnel.
func (n *connection) fill(s *engine.Connection) {
	failed := n.failed.Load()
	n.session.Status(s)
	s.Failed = min(failed, s.Exchanges)
	s.ID = n.id
	s.Client = n.c.o.ID
	s.Server = n.e.text
	s.Protocol = n.session.Protocol()
	s.Opened, s.GreetingReady = n.opened, n.opened
	s.TLS = n.secured
	s.Traffic = n.counters.Traffic()
	s.ShapeIn, s.ShapeOut = n.counters.Shapes()
	if s.Peer == "" {
		s.Peer = n.e.address
	}
}

func (n *connection) add(x *exchange) {
	n.mu.Lock()
	taken := n.pooled && n.running == 0
	if x.older = n.newest; x.older != nil {
		x.older.newer = x
	}
	n.newest = x
	n.running++
	n.served = true
	n.mu.Unlock()
	if taken {
		n.e.taken()
	}
}

func (n *connection) hasServed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.served
}

func (n *connection) remove(x *exchange) {
	n.mu.Lock()
	if x.newer != nil {
		x.newer.older = x.older
	} else {
		n.newest = x.older
	}
	if x.older != nil {
		x.older.newer = x.newer
	}
	n.running--
	if n.pooled && n.running == 0 {
		n.e.idle.Add(1)
	}
	n.mu.Unlock()
}

func (n *connection) exchange(id engine.RequestID) *exchange {
	n.mu.Lock()
	defer n.mu.Unlock()
	for x := n.newest; x != nil; x = x.older {
		if x.id == id {
			return x
		}
	}
	return nil
}

func (n *connection) inFlight() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running
}

// announce announces the exchanges that began before and have not been, and
// reports whether there are others that wait for it.
func (n *connection) announce(before time.Time) (more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var oldest *exchange
	for x := n.newest; x != nil && !x.swept; x = x.older {
		oldest = x
		switch {
		case !x.untold:
		case x.rec.Arrived.After(before):
			more = true
		default:
			x.announce()
		}
	}
	// What is behind an exchange that is swept is not looked at again.
	for x := oldest; x != nil && !x.untold; x = x.newer {
		x.swept = true
	}
	return more
}
