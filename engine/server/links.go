package server

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// A link is one WebSocket from the moment it opens. What stands below
// registered is set once, before registered becomes true.
type link struct {
	id       engine.ConnectionID
	peer     string
	opened   time.Time
	secured  *engine.TLS // nil: no TLS
	counters frame.Counters
	failed   atomic.Uint64                   // exchanges, as in engine.Connection
	bounded  bool                            // its credential bounds what it carries; guarded by dispatcher.mu
	identity atomic.Pointer[policy.Identity] // never nil
	bounds   atomic.Pointer[bounds]
	seat     *seat // of its socket

	registered atomic.Bool
	conn       tunnel.Conn
	native     bool
	client     string
	greeting   *engine.Greeting
	ready      time.Time
	book       *clientBook  // shared with other connections of the client
	left       bool         // guarded by clientBooks.mu: it is not in the book any more
	halves     atomic.Int32 // of its life that are over: settled, ended

	// Guarded by dispatcher.mu: the pools it is in, and its route in each.
	own    *pool // of its client
	pools  []*pool
	routes []uint64

	mu      sync.Mutex
	sock    net.Conn  // while it greets
	killed  killOrder // an operator's, while it greets
	ordered bool
}

type killOrder struct {
	code   engine.CloseCode
	reason string
}

// status fills c with the link as it is now.
func (l *link) status(c *engine.Connection) {
	failed := l.failed.Load() // first: it is counted last
	*c = engine.Connection{State: engine.StateGreeting}
	if l.registered.Load() {
		l.conn.Status(c)
		c.Client, c.Greeting, c.GreetingReady = l.client, l.greeting, l.ready
		c.Protocol = l.conn.Protocol()
	} else {
		c.Traffic = l.counters.Traffic()
	}
	c.ID, c.Peer, c.Opened = l.id, l.peer, l.opened
	c.Failed, c.Credential = min(failed, c.Exchanges), l.identity.Load().Name
	c.ShapeIn, c.ShapeOut = l.counters.Shapes()
	if l.secured != nil {
		c.TLS = *l.secured
	}
}

// note is the link's frame.Note.
func (l *link) note(f *engine.FrameRecord, first []byte, nth uint64) string {
	var protocol engine.Protocol
	if l.registered.Load() {
		protocol = l.conn.Protocol()
	}
	return tunnel.Note(protocol, true, f, first, nth)
}

// abort ends a link that greets; the registration then finds the order.
func (l *link) abort(code engine.CloseCode, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ordered {
		l.killed, l.ordered = killOrder{code, reason}, true
	}
	if l.sock != nil {
		l.sock.Close()
	}
}

// order returns what an operator told a link that greets.
func (l *link) order() (killOrder, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.killed, l.ordered
}

// end closes the link, whatever state it is in, and returns when it is closed.
func (l *link) end(code engine.CloseCode, reason string) {
	if !l.registered.Load() {
		l.abort(code, reason)
	}
	if l.registered.Load() {
		l.conn.Close(code, reason)
	}
}

// links is the register of all WebSockets that are open, in order of id.
type links struct {
	mu  sync.Mutex
	all []*link
}

func (r *links) add(l *link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, _ := slices.BinarySearchFunc(r.all, l.id, byID)
	r.all = slices.Insert(r.all, i, l)
}

// remove takes a link out and counts its end: whoever lists sees both or neither.
func (r *links) remove(l *link, count func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(r.all, l.id, byID); ok {
		r.all = slices.Delete(r.all, i, i+1)
	}
	count()
}

func (r *links) find(id engine.ConnectionID) *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(r.all, id, byID); ok {
		return r.all[i]
	}
	return nil
}

// list returns all links.
func (r *links) list() []*link { return r.listWith(func() {}) }

// listWith returns all links, and calls load, which reads what remove counts.
func (r *links) listWith(load func()) []*link {
	r.mu.Lock()
	defer r.mu.Unlock()
	load()
	return slices.Clone(r.all)
}

func byID(l *link, id engine.ConnectionID) int {
	switch {
	case l.id < id:
		return -1
	case l.id > id:
		return 1
	}
	return 0
}
