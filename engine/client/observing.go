package client

import (
	"errors"

	"adit/engine"
	"adit/engine/observe"
)

// Ready says why nothing reaches the client now, nil where it is registered at
// one server at least.
func (c *Client) Ready() error {
	c.mu.Lock()
	state := c.state
	c.mu.Unlock()
	switch state {
	case stateDraining:
		return engine.ErrDraining
	case stateEnded:
		return engine.ErrClosed
	}
	for _, e := range c.endpoints {
		if s, _ := e.snapshot(); s.Connected > 0 {
			return nil
		}
	}
	return errors.New("not registered at any server")
}

// RequestCounts fills into with the requests that ended.
func (c *Client) RequestCounts(into *observe.RequestCounts) { c.totals.RequestCounts(into) }

// trace puts the exchange into the trace that its request tells, or a new one: a
// byte stream tells none. Where the server traces, the request always has one.
func (x *exchange) trace() {
	t := x.n.c.o.Tracer
	if t == nil {
		return
	}
	r := x.in.Request()
	if r == nil {
		x.rec.Trace, _ = t.Begin(nil, nil)
		return
	}
	told := (*asked)(r)
	x.rec.Trace, x.traceparent = t.Begin(told.Values("traceparent"), told.Values("tracestate"))
}
