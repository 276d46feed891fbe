package control

import (
	"crypto/x509"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine/policy"
)

// lookAgain is how long a wait for the end of a certificate does not look at the
// clock, which may be set in between.
const lookAgain = 10 * time.Second

// certified is operators with a certificate, and their calls that run.
type certified struct {
	ca atomic.Pointer[policy.Clients] // nil: no certificate admits

	mu   sync.Mutex
	held map[*certificateHold]struct{}
}

// A certificateHold is a call of an operator who was admitted by a certificate.
type certificateHold struct {
	of    *certified
	id    policy.Identity
	end   func()
	timer *time.Timer
}

// now returns whose certificates admit; nil: nobody's.
func (c *certified) now() *policy.Clients { return c.ca.Load() }

// Trust puts ca in the place of Options.ClientCA; nil trusts nobody's certificate.
// Who was admitted by one that ca does not vouch for is cut off.
func (s *Server) Trust(ca *x509.CertPool) { s.certified.update(ca) }

// update replaces the authority and ends the calls of those for whom the next one
// does not vouch; nil vouches for nobody.
func (c *certified) update(pool *x509.CertPool) {
	next := &policy.Clients{}
	if pool == nil {
		c.ca.Store(nil)
	} else {
		next.CA = policy.NewAuthority(pool)
		c.ca.Store(next)
	}
	c.mu.Lock()
	var gone []*certificateHold
	for h := range c.held {
		if now, ok := next.Renew(&h.id); ok {
			h.id = now
		} else {
			gone = append(gone, h)
		}
	}
	c.mu.Unlock()
	for _, h := range gone {
		h.end()
	}
}

// hold has end called when id is over, or when the authority that is in force does
// not vouch for it any more, until release is called. end may be called more than
// once.
func (c *certified) hold(id policy.Identity, end func()) (release func() bool) {
	h := &certificateHold{of: c, id: id, end: end}
	c.mu.Lock()
	if c.held == nil {
		c.held = make(map[*certificateHold]struct{})
	}
	c.held[h] = struct{}{}
	h.timer = time.AfterFunc(h.wait(), h.look)
	c.mu.Unlock()
	h.look() // it may have been replaced since id was admitted
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.held, h)
		return h.timer.Stop()
	}
}

// wait returns for how long h need not be looked at; under mu.
func (h *certificateHold) wait() time.Duration {
	return min(max(time.Until(h.id.Expires), 0)+time.Millisecond, lookAgain)
}

// look ends the call where its certificate holds no more.
func (h *certificateHold) look() {
	c := h.of
	ca := c.now()
	c.mu.Lock()
	_, over := c.held[h]
	if over && ca != nil {
		if now, ok := ca.Renew(&h.id); ok {
			h.id, over = now, false
			h.timer.Reset(h.wait())
		}
	}
	c.mu.Unlock()
	if over {
		h.end()
	}
}
