package client

import (
	"net/http"
	"time"

	"adit/engine"
	"adit/engine/origin"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// Live is what of a client's options may change while it runs. Its values are not
// changed after they were handed over.
type Live struct {
	Secret string        // credential for the servers, a token or a shared secret; "" none
	Rules  *policy.Rules // for destinations that callers choose; nil allows none
}

// retireAfter is how long what runs under former rules has to dial its origin,
// which follows the decision within a moment. What runs then goes on.
const retireAfter = 30 * time.Second

// A force is what is in force: a Live with what follows from it. It never
// changes. Connections to origins belong to the rules that they were dialled
// under.
type force struct {
	live     Live
	header   http.Header // the credential
	greeting *engine.Greeting
	dialer   *policy.Dialer
	origins  *origin.Transport
}

func (c *Client) newForce(l Live) (*force, error) {
	header, err := credential(l.Secret)
	if err != nil {
		return nil, err
	}
	f := &force{live: l, header: header, greeting: c.newGreeting(l.Rules)}
	if old := c.now.Load(); old != nil && old.live.Rules == l.Rules {
		f.dialer, f.origins = old.dialer, old.origins
		return f, nil
	}
	f.dialer = &policy.Dialer{}
	if d := c.o.Dialer; d != nil {
		f.dialer.Resolver, f.dialer.Dial = d.Resolver, d.Dial
	}
	head := c.o.Limits.Head
	if head <= 0 {
		head = tunnel.DefaultLimits().Head
	}
	f.origins = origin.New(origin.Options{Dial: f.dial, HeadTimeout: head, MaxIdle: originIdle})
	return f, nil
}

// Update puts l in force: rules for the next request, the credential for the next
// dial, which is at once where a former one was refused. Streams that run go on to their end. Where it changes whether callers may
// choose destinations at all, which a greeting tells, native connections are
// renewed: what runs over the former ones ends there. On an error nothing changes. The event is the caller's to publish.
func (c *Client) Update(l Live) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateEnded {
		return engine.ErrClosed
	}
	next, err := c.newForce(l)
	if err != nil {
		return err
	}
	old := c.now.Swap(next)
	if old.origins != next.origins {
		c.retire(old.origins)
	}
	for _, e := range c.endpoints {
		select {
		case e.updated <- struct{}{}:
		default:
		}
	}
	return nil
}

// retire closes former connections to origins when no dial can need them any
// more; under mu.
func (c *Client) retire(old *origin.Transport) {
	c.retired.Add(1)
	c.retiring[old] = time.AfterFunc(retireAfter, func() {
		c.mu.Lock()
		delete(c.retiring, old)
		c.mu.Unlock()
		old.Close()
		c.retired.Done()
	})
}

// closeOrigins closes the connections to origins, former ones too, and joins.
func (c *Client) closeOrigins() {
	c.mu.Lock()
	var all []*origin.Transport
	for old, timer := range c.retiring {
		if timer.Stop() {
			all = append(all, old)
			c.retired.Done()
		}
	}
	c.mu.Unlock()
	for _, o := range append(all, c.now.Load().origins) {
		o.Close()
	}
	c.retired.Wait()
}
