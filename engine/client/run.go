package client

import (
	"context"
	"sync"
	"time"

	"adit/engine"
)

// closeSlack is added to the grace period before connections that should have
// drained are closed.
const closeSlack = 2 * time.Second

// Run keeps connections to every server until ctx ends (then it drains), or,
// with Once, until one is refused or lost: *RunError says how. It returns when
// every goroutine has ended and KindStopped is published. It can be called
// once; after Close it is [engine.ErrClosed].
func (c *Client) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.state != stateNew {
		c.mu.Unlock()
		return engine.ErrClosed
	}
	c.state = stateRunning
	c.mu.Unlock()

	dialling, stopDialling := context.WithCancel(context.Background())
	defer stopDialling()
	var endpoints sync.WaitGroup
	for _, e := range c.endpoints {
		endpoints.Go(func() {
			defer c.recovered()
			e.maintain(dialling)
		})
	}
	graceful := true
	reason := "client stopping"
	select {
	case <-ctx.Done():
	case <-c.drainAsked:
	case <-c.failed:
		graceful = false
	case <-c.closeAsked:
		graceful = false
	}
	stopDialling()
	c.drainAll(reason, graceful)
	ended := make(chan struct{})
	go func() {
		endpoints.Wait()
		c.replayWork.Wait()
		close(ended)
	}()
	if graceful {
		limit := time.NewTimer(c.o.Grace + closeSlack)
		select {
		case <-ended:
		case <-c.closeAsked:
		case <-limit.C:
		}
		limit.Stop()
	}
	c.closeAll(engine.CloseGoingAway, reason)
	c.replays.cancel(engine.Fail("replay", engine.ReasonDraining, nil))
	<-ended
	c.closers.Wait()
	c.closeOrigins()
	return c.stopped()
}

// drainAll begins to drain. Sessions that are registered from now on drain at
// once.
func (c *Client) drainAll(reason string, graceful bool) {
	c.mu.Lock()
	c.state = stateDraining
	c.drainBy = reason
	var draining []*connection
	for _, n := range c.sessions {
		draining = append(draining, n)
	}
	c.mu.Unlock()
	if !graceful {
		return
	}
	exchanges := 0
	for _, n := range draining {
		exchanges += n.inFlight()
	}
	c.o.Bus.Publish(engine.Event{Kind: engine.KindDraining, Client: c.o.ID, Reason: reason, Count: exchanges})
	for _, n := range draining {
		c.drain(n, c.o.Grace, reason)
	}
}

// drain asks one session to, on a goroutine of its own: nothing says that the
// session does not wait.
func (c *Client) drain(n *connection, grace time.Duration, reason string) {
	c.closers.Go(func() {
		defer c.recovered()
		n.session.Drain(grace, reason)
	})
}

func (c *Client) closeAll(code engine.CloseCode, reason string) {
	c.mu.Lock()
	c.state = stateEnded
	var left []*connection
	for _, n := range c.sessions {
		left = append(left, n)
	}
	c.mu.Unlock()
	for _, n := range left {
		c.close(n, code, reason)
	}
}

func (c *Client) close(n *connection, code engine.CloseCode, reason string) {
	c.closers.Go(func() {
		defer c.recovered()
		n.session.Close(code, reason)
	})
}

// announce announces exchanges that began before, and reports whether there are
// others to announce later.
func (c *Client) announce(before time.Time) (more bool) {
	defer c.recovered()
	c.mu.Lock()
	all := make([]*connection, 0, len(c.sessions)+1)
	all = append(all, c.replays.on)
	for _, n := range c.sessions {
		all = append(all, n)
	}
	c.mu.Unlock()
	for _, n := range all {
		more = n.announce(before) || more
	}
	return more
}

func (c *Client) stopped() error {
	c.late.Close()
	totals := c.totals.Load()
	c.o.Bus.Publish(engine.Event{Kind: engine.KindStopped, Client: c.o.ID, Totals: &totals, Duration: time.Since(c.started)})
	c.mu.Lock()
	failure := c.failure
	c.mu.Unlock()
	close(c.done)
	if failure != nil {
		return failure
	}
	return nil
}

// Close ends everything now and returns when every goroutine has ended.
func (c *Client) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closeAsked)
	}
	fresh := c.state == stateNew
	if fresh {
		c.state = stateEnded
	}
	c.mu.Unlock()
	if fresh {
		c.late.Close()
		c.closeOrigins()
		close(c.done)
		return nil
	}
	<-c.done
	return nil
}

// giveUp ends a client with Once for its first failure.
func (c *Client) giveUp(f failure, connected bool) {
	if !c.o.Once {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil && c.state == stateRunning {
		c.failure = &RunError{Phase: f.phase(connected), Err: f.err}
		close(c.failed)
	}
}

// register makes a session known. One that came while the client stops is told
// so.
func (c *Client) register(n *connection) {
	c.mu.Lock()
	c.sessions[n.id] = n
	state, reason := c.state, c.drainBy
	c.mu.Unlock()
	var s engine.Connection
	n.fill(&s)
	c.o.Bus.Publish(engine.Event{Kind: engine.KindConnectionOpened, Time: n.opened, Connection: n.id,
		Client: c.o.ID, Peer: s.Peer, Protocol: s.Protocol, Server: n.e.text})
	switch state {
	case stateDraining:
		c.drain(n, c.o.Grace, reason)
	case stateEnded:
		c.close(n, engine.CloseGoingAway, reason)
	}
}

func (c *Client) unregister(n *connection, code engine.CloseCode, reason string, lived time.Duration) {
	var s engine.Connection
	n.fill(&s)
	traffic := s.Traffic
	c.mu.Lock()
	delete(c.sessions, n.id)
	c.totals.ConnectionEnded(traffic, code)
	c.mu.Unlock()
	c.o.Bus.Publish(engine.Event{Kind: engine.KindConnectionClosed, Connection: n.id, Client: c.o.ID,
		Peer: s.Peer, Protocol: s.Protocol, Server: n.e.text, Reason: engine.Bound(reason), Code: uint16(code),
		Duration: lived, Closed: &traffic})
}

// recovered is deferred in every goroutine of this package.
func (c *Client) recovered() {
	if c.o.OnPanic == nil {
		return
	}
	if v := recover(); v != nil {
		c.o.OnPanic(v)
	}
}
