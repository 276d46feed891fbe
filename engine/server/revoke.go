package server

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// Why what was admitted ends before its time. None names a credential.
const (
	textRevoked  = "credential revoked"
	textExpired  = "credential expired"
	textUnproven = "a credential is asked for now"

	textClientScope = "outside the scope of the credential of its client"
)

// Update puts l in force for whatever comes from now on. What was admitted by a
// credential that does not hold any more ends: connections with 1008, requests and
// streams of callers with 401 or 407, or broken off. An event says so, with by as who
// did it.
func (s *Server) Update(l Live, by engine.Operator) {
	l.settle()
	s.rechecking.Lock() // of two updates all of one is in force
	defer s.rechecking.Unlock()
	s.now.Store(&l)
	s.limits.update(&l.Caps)
	s.recheck(&by)
}

// recheck looks at all that was admitted with the eyes of what is in force now, in
// the name of an operator, or of nobody (nil); under rechecking. Who is admitted at
// the same time looks whether this has changed meanwhile.
func (s *Server) recheck(by *engine.Operator) {
	var expelled []expulsion
	for _, l := range s.links.list() {
		if why := s.recheckLink(l); why != "" && l.shut() {
			expelled = append(expelled, expulsion{l, why})
		}
	}
	s.recheckProbes()
	over := s.calls.over(s.live().Callers)
	if n, m := len(expelled), len(over); by != nil && n+m > 0 {
		s.audit(engine.ActionReload, *by, fmt.Sprintf("credentials: ends %d connections of clients and %d requests of callers", n, m))
	}
	for _, e := range expelled {
		s.expel(e.l, e.why)
	}
	for _, e := range over {
		s.calls.revoke(&e)
		s.dispatch.cancel(e.id)
	}
	s.calls.expiring(s.expireAt) // it may be sooner than it was
}

// An expulsion is a link that is to end.
type expulsion struct {
	l   *link
	why string
}

// recheckLink asks whether a link would be admitted still, and says why not; under
// rechecking.
func (s *Server) recheckLink(l *link) (why string) {
	if b := l.bounds.Load(); b != nil && b.shut {
		return ""
	}
	was := l.identity.Load()
	id, ok := s.live().Clients.Renew(was)
	if !ok {
		return whyOver(was)
	}
	l.admitted(id)
	s.expireAt(id.Expires)
	if l.registered.Load() {
		s.dispatch.rebound(l)
		if refused := l.checkScope(); refused != nil {
			return refused.reason
		}
	}
	return ""
}

// whyOver says why an identity does not hold any more.
func whyOver(id *policy.Identity) string {
	switch {
	case !id.Proven():
		return textUnproven
	case id.Over(time.Now()):
		return textExpired + ": " + id.Name
	}
	return textRevoked + ": " + id.Name
}

// checkNew looks at a link that an update may have missed, because it was not in the
// register yet.
func (s *Server) checkNew(l *link, under *Live) {
	s.rechecking.Lock()
	defer s.rechecking.Unlock()
	if s.live() != under {
		if why := s.recheckLink(l); why != "" && l.shut() {
			s.expel(l, why)
		}
	}
	s.expireAt(l.identity.Load().Expires)
}

// shut keeps everything new from a link, and reports whether it was open before.
func (l *link) shut() bool {
	b := l.bounds.Swap(&bounds{shut: true})
	return b == nil || !b.shut
}

// expel ends a link that is shut.
func (s *Server) expel(l *link, why string) {
	s.spawn(func() { l.end(engine.ClosePolicy, closeText(why)) })
}

// scope returns what the caller may reach.
func (c *call) scope() *policy.Scope {
	if who := c.who.Load(); who != nil {
		return who.Scope
	}
	return nil
}

// admitCaller decides on the credential of a call.
func (s *Server) admitCaller(c *call, p *policy.Presented) error {
	under := s.live()
	id, err := under.Callers.Admit(p, c.rec.Way)
	if err != nil {
		return err
	}
	c.identity = id
	c.rec.Credential = engine.Bound(id.Name)
	c.who.Store(&c.identity)
	for now := s.live(); now != under; now = s.live() {
		// An update has looked at the calls that run, and may not have seen this one.
		under = now
		renewed, ok := now.Callers.Renew(&id, isExposed(c.rec.Way))
		if !ok {
			return engine.Fail("admit caller", refusalOf(c.rec.Way), errRevoked)
		}
		c.who.Store(&renewed)
	}
	if !id.Expires.IsZero() {
		s.expireAt(id.Expires)
	}
	return nil
}

var errRevoked = errors.New(textRevoked)

func isExposed(way engine.Way) bool { return way == engine.WayHost || way == engine.WayTCP }

// refusalOf returns the reason for which a way refuses a credential.
func refusalOf(way engine.Way) engine.Reason {
	if way == engine.WayProxy || way == engine.WayConnect {
		return engine.ReasonProxyAuth
	}
	return engine.ReasonUnauthorized
}

// An overCall is a call that is to end.
type overCall struct {
	id     engine.RequestID
	reason engine.Reason
	why    string
}

// over lists the calls whose callers would not be admitted any more, or not for what
// they asked, or whose client may not carry that any more, and tells the others what
// holds of them now: a token may have got another scope, and another end.
func (r *calls) over(callers *policy.Callers) (list []overCall) {
	for i := range r.shards {
		sh := &r.shards[i]
		admitted := sh.admitted()
		for _, a := range admitted {
			a.now, a.ok = callers.Renew(&a.was, a.exposed)
		}
		list = sh.renew(admitted, list)
	}
	return list
}

// A renewal is what holds of the caller of a call now.
type renewal struct {
	who      *policy.Identity // the call's; others may not look into it without the lock
	was, now policy.Identity
	exposed  bool
	ok       bool
}

// admitted lists the callers that are to be looked at. That may have certificates
// verified, for which nobody who comes or goes meanwhile is to wait.
func (sh *callShard) admitted() map[engine.RequestID]*renewal {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	all := make(map[engine.RequestID]*renewal, sh.n)
	for c := sh.head; c != nil; c = c.next {
		if who := c.who.Load(); who != nil && !c.cancelled.Load() {
			all[c.rec.ID] = &renewal{who: who, was: *who, exposed: isExposed(c.rec.Way)}
		}
	}
	return all
}

// renew tells calls what holds of their callers now, and appends those that are over.
// Of who was admitted anew meanwhile, that was under what is in force.
func (sh *callShard) renew(admitted map[engine.RequestID]*renewal, list []overCall) []overCall {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for c := sh.head; c != nil; c = c.next {
		a := admitted[c.rec.ID]
		if a == nil || c.cancelled.Load() || c.who.Load() != a.who {
			continue
		}
		if !a.ok {
			list = append(list, overCall{c.rec.ID, refusalOf(c.rec.Way), whyOver(&a.was)})
			continue
		}
		if a.now.Scope != a.was.Scope || !a.now.Expires.Equal(a.was.Expires) {
			c.who.Store(&a.now)
		}
		asked := c.asking.Load()
		switch {
		case asked != nil && !asked.within(a.now.Scope), c.ex != nil && !a.now.Scope.ID(c.on.client):
			list = append(list, overCall{c.rec.ID, refusalOf(c.rec.Way), textRevoked + ": " + a.was.Name})
		case c.ex != nil && !asked.carriedBy(c.on.bounds.Load()):
			list = append(list, overCall{c.rec.ID, engine.ReasonDenied, textClientScope})
		}
	}
	return list
}

// revoke ends a call, if it still runs.
func (r *calls) revoke(e *overCall) {
	sh := &r.shards[uint64(e.id)%callShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for c := sh.head; c != nil; c = c.next {
		if c.rec.ID == e.id && !c.cancelled.Load() {
			c.revoked, c.revokedFor = e.why, e.reason
			c.cancelled.Store(true)
			c.resetLocked()
		}
	}
}

// An expiry wakes the server when the first credential in use expires. One timer
// serves all of them.
type expiry struct {
	next   atomic.Int64 // milliseconds since 1970; 0: nothing expires
	mu     sync.Mutex
	timer  *time.Timer
	closed bool
}

// maxExpiryWait bounds how long the timer sleeps: the clock may be set meanwhile.
const maxExpiryWait = time.Minute

// expireAt makes sure that somebody looks at what was admitted at that time; zero
// is never.
func (s *Server) expireAt(at time.Time) {
	if at.IsZero() {
		return
	}
	e, when := &s.expiry, at.UnixMilli()
	if next := e.next.Load(); next != 0 && next <= when {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if next := e.next.Load(); e.closed || next != 0 && next <= when {
		return
	}
	e.next.Store(when)
	wait := min(max(time.Until(at), 0)+time.Millisecond, maxExpiryWait)
	if e.timer == nil {
		e.timer = time.AfterFunc(wait, func() { s.spawn(s.expire) })
		return
	}
	e.timer.Reset(wait)
}

// expire ends what has expired, and sets the timer for what comes next.
func (s *Server) expire() {
	s.expiry.next.Store(0)
	s.rechecking.Lock()
	s.recheck(nil)
	s.rechecking.Unlock()
}

// expiring calls f with the moment at which each caller's credential expires.
func (r *calls) expiring(f func(time.Time)) {
	for i := range r.shards {
		sh := &r.shards[i]
		var first time.Time
		sh.mu.Lock()
		for c := sh.head; c != nil; c = c.next {
			if who := c.who.Load(); who != nil && !c.cancelled.Load() && !who.Expires.IsZero() &&
				(first.IsZero() || who.Expires.Before(first)) {
				first = who.Expires
			}
		}
		sh.mu.Unlock()
		f(first)
	}
}

// close lets nothing expire any more.
func (e *expiry) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.timer != nil {
		e.timer.Stop()
	}
}
