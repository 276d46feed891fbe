package server

import (
	"errors"

	"adit/engine"
	"adit/engine/policy"
)

// bounds are what keeps exchanges from a link; nil: nothing does.
type bounds struct {
	scope *policy.Scope // nil: everything
	shut  bool          // its credential does not hold any more: it is being closed
}

// An asked is what is asked of the link that serves a call, as far as credentials
// have a say. What it says does not change once others know of it, but for caller,
// which they learn with the destination that has it.
type asked struct {
	kind                            destinationKind
	name                            string        // of the client or exposed name
	method, scheme, authority, path string        // of what a caller chose; of no use otherwise
	caller                          *policy.Scope // nil: everything
}

// ask notes what the caller asks for.
func (c *call) ask(method string, t *target) {
	c.asked = asked{
		kind: t.to.kind, name: t.to.name, method: method, scheme: t.scheme, authority: t.authority, path: t.path,
	}
	if t.way == engine.WayConnect {
		c.asked.scheme, c.asked.path = "tcp", ""
	}
	// In this order: an update of the scope sees what is asked, or is seen here.
	c.asking.Store(&c.asked)
	c.asked.caller = c.scope()
	t.to.ask = &c.asked
}

// chosen reports whether the caller chose where it goes; else the route says it.
func (a *asked) chosen() bool { return a.kind == toAny || a.kind == toClient }

// query returns what is asked in the terms of rules.
func (a *asked) query() policy.Query {
	return policy.Query{Method: a.method, URL: a.scheme + "://" + a.authority + a.path, Host: withPort(a.authority, a.scheme)}
}

// withPort returns an authority with the port that the scheme means where it has none.
func withPort(authority, scheme string) string {
	switch {
	case hasPort(authority):
	case scheme == "http":
		authority += ":80"
	case scheme == "https":
		authority += ":443"
	}
	return authority
}

// fits reports whether a link may serve what is asked: for its own credential and
// for the caller's. A nil asked is that of a TCP port, which only who registered
// with it serves.
func (a *asked) fits(l *link) bool {
	if b := l.bounds.Load(); b != nil {
		if b.shut || !a.carriedBy(b) {
			return false
		}
	}
	return a == nil || a.caller.ID(l.client)
}

// carriedBy reports whether the credential of a link with those bounds lets it carry
// what is asked.
func (a *asked) carriedBy(b *bounds) bool {
	if a == nil || !a.chosen() || b == nil || b.scope.AnyDestination() {
		return true
	}
	q := a.query()
	return b.scope.Destination(&q)
}

// textCallerScope is for callers who ask for what is outside their scope.
const textCallerScope = "forbidden: the scope of your credential leaves this out"

// errNoScope says that there are connections, none of which may carry it.
var errNoScope = errors.New("forbidden: no client may carry this: the scope of its credential, or of yours, leaves it out")

// within reports whether what is asked is inside the scope of a caller.
func (a *asked) within(caller *policy.Scope) bool {
	if caller == nil {
		return true
	}
	if a.kind == toHost {
		return caller.Host(a.name)
	}
	if a.kind == toClient && !caller.ID(a.name) {
		return false
	}
	if !a.chosen() || caller.AnyDestination() {
		return true
	}
	q := a.query()
	return caller.Destination(&q)
}

// excludes reports whether the pool has members, and no credential lets any of them
// serve what is asked: it is no use to wait.
func (p *pool) excludes(to *destination) bool {
	some := false
	for _, sl := range p.slots() {
		if b := sl.l.bounds.Load(); b != nil && b.shut {
			continue
		}
		if to.ask.fits(sl.l) {
			return false
		}
		some = true
	}
	return some
}

// checkScope says what of a greeting is outside the scope of the link's credential.
func (l *link) checkScope() *refusal {
	if text := l.identity.Load().Scope.Refuse(l.client, l.greeting.Expose); text != "" {
		return &refusal{engine.ClosePolicy, text}
	}
	return nil
}

// admitted notes whose link it is.
func (l *link) admitted(id policy.Identity) {
	var b *bounds
	if id.Scope != nil {
		b = &bounds{scope: id.Scope}
	}
	l.identity.Store(&id)
	l.bounds.Store(b)
}
