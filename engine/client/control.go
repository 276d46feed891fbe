package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

var _ engine.Engine = (*Client)(nil)

// errBans is why a client can't ban.
var errBans = errors.New("a client has no bans: client ids are banned at the server")

// Snapshot fills into, reusing its slices.
func (c *Client) Snapshot(_ context.Context, into *engine.Snapshot) error {
	*into = engine.Snapshot{
		Seq:         c.o.Bus.Seq(),
		Time:        time.Now(),
		Role:        engine.RoleClient,
		Name:        c.o.ID,
		Instance:    c.instance,
		Version:     c.o.Version,
		Started:     c.started,
		Connections: into.Connections[:0],
		Servers:     into.Servers[:0],
		Expose:      into.Expose[:0],
		Listen:      into.Listen[:0],
		Banned:      into.Banned[:0],
		Closes:      into.Closes[:0],
		Limits:      into.Limits[:0],
		Capture:     engine.CaptureState{Capture: engine.Capture{Content: into.Capture.Content}},
	}
	c.keeper.State(&into.Capture)
	c.mu.Lock()
	into.Draining = c.state == stateDraining
	into.Totals = c.totals.Load()
	into.Closes = c.totals.Closes(into.Closes)
	for _, n := range c.sessions {
		var s engine.Connection
		n.fill(&s)
		into.Connections = append(into.Connections, s)
		add(&into.Totals, &s.Traffic)
	}
	c.mu.Unlock()
	slices.SortFunc(into.Connections, func(a, b engine.Connection) int { return cmp.Compare(a.ID, b.ID) })
	var urls [][]string
	for _, e := range c.endpoints {
		s, u := e.snapshot()
		into.Servers = append(into.Servers, s)
		if len(u) == len(c.routes) {
			urls = append(urls, u)
		}
	}
	for i, r := range c.routes {
		if len(urls) == 0 {
			into.Expose = append(into.Expose, engine.Expose{Host: r.host, TCP: r.tcp})
		}
		for _, u := range urls {
			into.Expose = append(into.Expose, engine.Expose{Host: r.host, TCP: r.tcp, URL: engine.Bound(u[i])})
		}
	}
	return nil
}

func add(t *engine.Totals, tr *engine.Traffic) {
	t.BytesIn += tr.BytesIn
	t.BytesOut += tr.BytesOut
	addFrames(&t.FramesIn, &tr.FramesIn)
	addFrames(&t.FramesOut, &tr.FramesOut)
}

func addFrames(to, f *engine.Frames) {
	to.Text += f.Text
	to.Binary += f.Binary
	to.Continuation += f.Continuation
	to.Close += f.Close
	to.Ping += f.Ping
	to.Pong += f.Pong
}

// Subscribe is the bus's.
func (c *Client) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	return c.o.Bus.Subscribe(ctx, o)
}

// CloseConnection ends one connection; the client dials again.
func (c *Client) CloseConnection(ctx context.Context, id engine.ConnectionID, code engine.CloseCode, by engine.Operator) error {
	n, err := c.begin(id, func(n *connection) { c.close(n, code, by.Reason) })
	if err != nil {
		return err
	}
	c.acted(engine.ActionKill, id.String(), by, id)
	select {
	case <-n.session.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close connection %s: %w", id, ctx.Err())
	}
}

// begin starts what is done to a registered connection, unless the client has
// begun to wait for all that was.
func (c *Client) begin(id engine.ConnectionID, do func(*connection)) (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.sessions[id]
	if n == nil || c.state == stateEnded {
		return nil, fmt.Errorf("connection %s: %w", id, engine.ErrNotFound)
	}
	do(n)
	return n, nil
}

// Ban is an error: bans are made at the server.
func (c *Client) Ban(context.Context, string, engine.Operator) error { return errBans }

// Unban is an error: bans are made at the server.
func (c *Client) Unban(context.Context, string, engine.Operator) error { return errBans }

// CancelExchange ends one exchange: the caller gets a 502, or an abort if the
// head is out.
func (c *Client) CancelExchange(_ context.Context, id engine.RequestID, by engine.Operator) error {
	c.mu.Lock()
	x := c.replays.on.exchange(id)
	for _, n := range c.sessions {
		if x != nil {
			break
		}
		x = n.exchange(id)
	}
	c.mu.Unlock()
	if x == nil {
		return fmt.Errorf("exchange %s: %w", id, engine.ErrNotFound)
	}
	c.acted(engine.ActionCancel, id.String(), by, x.n.id)
	x.operator.Store(true)
	x.in.Reset(wire.ResetInternal, "ended by an operator")
	return nil
}

// Drain stops taking new exchanges on one connection, which the client then
// replaces, or on all, and then ends the client.
func (c *Client) Drain(_ context.Context, id engine.ConnectionID, by engine.Operator) error {
	if id != 0 {
		if _, err := c.begin(id, func(n *connection) { c.drain(n, c.o.Grace, by.Reason) }); err != nil {
			return err
		}
		c.acted(engine.ActionDrain, id.String(), by, id)
		return nil
	}
	c.mu.Lock()
	if c.state != stateRunning || c.asked {
		state := c.state
		c.mu.Unlock()
		if state == stateNew {
			return engine.ErrNotRunning
		}
		return nil
	}
	c.asked = true
	c.mu.Unlock()
	c.acted(engine.ActionDrain, "", by, 0)
	close(c.drainAsked)
	return nil
}

func (c *Client) acted(a engine.Action, target string, by engine.Operator, id engine.ConnectionID) {
	c.o.Bus.Publish(engine.Event{Kind: engine.KindOperatorAction, Client: c.o.ID, Connection: id, Action: a,
		Operator: engine.Bound(by.Name), Target: target, Reason: engine.Bound(by.Reason)})
}

// Done is closed when the client has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// FrameTape implements [engine.Engine].
func (c *Client) FrameTape(_ context.Context, id engine.ConnectionID, into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	c.mu.Lock()
	n := c.sessions[id]
	c.mu.Unlock()
	if n == nil {
		return into, fmt.Errorf("frame tape of %s: %w", id, engine.ErrNotFound)
	}
	protocol := n.session.Protocol()
	return n.counters.Tape(into, func(f *engine.FrameRecord, first []byte, nth uint64) string {
		return tunnel.Note(protocol, false, f, first, nth)
	}), nil
}

// SetCapture implements [engine.Engine].
func (c *Client) SetCapture(_ context.Context, what engine.Capture, by engine.Operator) error {
	if err := c.keeper.Set(what); err != nil {
		return fmt.Errorf("set what is captured: %w", err)
	}
	c.acted(engine.ActionCapture, capture.Describe(what), by, 0)
	return nil
}
