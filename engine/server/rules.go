package server

import (
	"errors"
	"net/netip"

	"adit/engine"
	"adit/engine/policy"
)

// errNoRule says that there are connections, none of which the rules let carry it.
var errNoRule = errors.New("forbidden: the rules of the server leave out every client that could carry this")

// allowed asks rules of this end, if there are any, about a request, of which
// q has method, fields and the caller's address; of an exposed name too: by the
// public URL, since the origin's is the client's to know. Rules on clients are
// asked again by whoever chooses one: see destination.serves.
func allowed(rules *policy.Rules, c *call, q *policy.Query, t *target) error {
	if rules == nil {
		return nil
	}
	q.Host, q.Caller = t.authority, c.identity.Name
	if t.way == engine.WayConnect {
		q.URL = "tcp://" + t.authority
	} else {
		q.URL, q.Host = t.scheme+"://"+t.authority+t.path, withPort(t.authority, t.scheme)
	}
	if t.to.kind == toClient {
		q.Client = t.to.name
	}
	permit, err := rules.Check(q)
	if permit.ByClient() {
		t.to.permit = permit
	}
	return err
}

// callerAddress returns the address of a caller, which a trusted proxy may have
// named without a port; the zero Addr where there is none.
func callerAddress(remote string) netip.Addr {
	a, _ := netip.ParseAddr(callerIP(remote))
	return a
}

// serves reports whether a link may serve it: for credentials and for rules.
func (to *destination) serves(l *link) bool {
	return to.ask.fits(l) && (!to.permit.ByClient() || to.permit.Admits(l.client))
}

// serves is that of the destination that it waits for.
func (w *waiter) serves(l *link) bool {
	return w.ask.fits(l) && (!w.permit.ByClient() || w.permit.Admits(l.client))
}

// particular reports whether not every connection of its pool may serve it.
func (w *waiter) particular() bool {
	return w.not != nil || w.permit.ByClient() || w.ask != nil && w.ask.caller != nil
}

// bound counts a link whose credential bounds what it carries; under mu.
func (d *dispatcher) bound(l *link) {
	if !l.bounded && l.bounds.Load() != nil {
		l.bounded = true
		d.bounded.Add(1)
	}
}

// rebound is bound of a link that is in its pools, whose credential changed.
func (d *dispatcher) rebound(l *link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.pools != nil {
		d.bound(l)
	}
}

// maySkip reports whether whoever waits first may wait for another connection
// than who comes later.
func (d *dispatcher) maySkip(p *pool) bool {
	if d.bounded.Load() > 0 {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return p.particular > 0
}

// forbids returns why no member of a pool may serve it, where there is one but
// for rules or credentials: it is no use to wait.
func (p *pool) forbids(to *destination) error {
	if p.excludes(to) {
		return errNoScope
	}
	if !to.permit.ByClient() {
		return nil
	}
	some := false
	for _, sl := range p.slots() {
		if to.permit.Admits(sl.l.client) {
			return nil
		}
		some = true
	}
	if some {
		return errNoRule
	}
	return nil
}

// whyForbidden returns what to tell a caller whom no connection may serve, "" for
// another error.
func whyForbidden(err error) string {
	for _, why := range []error{errNoScope, errNoRule} {
		if errors.Is(err, why) {
			return why.Error()
		}
	}
	return ""
}
