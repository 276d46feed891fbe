package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/capture"
)

// Snapshot implements [engine.Engine].
func (s *Server) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	*into = engine.Snapshot{
		Seq: s.bus.Seq(), Time: time.Now(), Role: engine.RoleServer,
		Name: s.o.Name, Instance: s.instance, Version: s.o.Version, Started: s.started, Draining: s.draining.Load() || s.leaving.Load(),
		Listen:      into.Listen[:0],
		Connections: into.Connections[:0],
		Servers:     into.Servers[:0],
		Expose:      into.Expose[:0],
		Banned:      into.Banned[:0],
		Closes:      into.Closes[:0],
		Limits:      into.Limits[:0],
		Waiting:     int(s.dispatch.waiting.Load()),
		Capture:     engine.CaptureState{Capture: engine.Capture{Content: into.Capture.Content}},
	}
	s.keeper.State(&into.Capture)
	s.life.Lock()
	for _, ln := range s.listeners {
		into.Listen = append(into.Listen, ln.Addr().String())
	}
	s.life.Unlock()
	s.claims.mu.Lock()
	for client := range s.claims.banned {
		into.Banned = append(into.Banned, client)
	}
	s.claims.mu.Unlock()
	slices.Sort(into.Banned)
	all := s.links.listWith(func() {
		into.Totals = s.totals.Load()
		into.Closes = s.totals.Closes(into.Closes)
		into.Limits = s.limits.snapshot(into.Limits)
	})
	into.Connections = slices.Grow(into.Connections, len(all))[:len(all)]
	for i, l := range all {
		c := &into.Connections[i]
		l.status(c)
		addTraffic(&into.Totals, c.Traffic)
	}
	return nil
}

func addTraffic(t *engine.Totals, tr engine.Traffic) {
	t.BytesIn += tr.BytesIn
	t.BytesOut += tr.BytesOut
	addFrames(&t.FramesIn, tr.FramesIn)
	addFrames(&t.FramesOut, tr.FramesOut)
}

func addFrames(sum *engine.Frames, f engine.Frames) {
	sum.Text += f.Text
	sum.Binary += f.Binary
	sum.Continuation += f.Continuation
	sum.Close += f.Close
	sum.Ping += f.Ping
	sum.Pong += f.Pong
}

// Subscribe implements [engine.Engine].
func (s *Server) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	return s.bus.Subscribe(ctx, o)
}

// CloseConnection implements [engine.Engine].
func (s *Server) CloseConnection(ctx context.Context, id engine.ConnectionID, code engine.CloseCode, by engine.Operator) error {
	l := s.links.find(id)
	if l == nil {
		return fmt.Errorf("close connection %v: %w", id, engine.ErrNotFound)
	}
	s.audit(engine.ActionKill, by, id.String())
	reason := by.Reason
	if reason == "" {
		reason = "ended by an operator"
	}
	l.end(code, closeText(reason))
	return nil
}

// closeText bounds the reason of a closing handshake (RFC 6455 §5.5.1).
func closeText(reason string) string {
	const most = 123
	if len(reason) <= most {
		return reason
	}
	end := most
	for end > 0 && reason[end]&0xC0 == 0x80 {
		end--
	}
	return reason[:end]
}

// Ban implements [engine.Engine].
func (s *Server) Ban(ctx context.Context, client string, by engine.Operator) error {
	if client == "" || len(client) > 128 {
		return fmt.Errorf("ban: client id of %d bytes: want 1 to 128", len(client))
	}
	s.claims.mu.Lock()
	s.claims.banned[client] = true
	s.claims.mu.Unlock()
	s.audit(engine.ActionBan, by, client)
	var closing sync.WaitGroup
	for _, l := range s.links.list() {
		if l.registered.Load() && l.client == client {
			closing.Go(func() { l.conn.Close(engine.CloseBanned, "this client id is banned") })
		}
	}
	closing.Wait()
	return nil
}

// Unban implements [engine.Engine].
func (s *Server) Unban(ctx context.Context, client string, by engine.Operator) error {
	s.claims.mu.Lock()
	banned := s.claims.banned[client]
	delete(s.claims.banned, client)
	s.claims.mu.Unlock()
	if !banned {
		return fmt.Errorf("unban %q: %w", engine.Bound(client), engine.ErrNotFound)
	}
	s.audit(engine.ActionUnban, by, client)
	return nil
}

// CancelExchange implements [engine.Engine].
func (s *Server) CancelExchange(ctx context.Context, id engine.RequestID, by engine.Operator) error {
	if !s.calls.cancel(id, func() { s.audit(engine.ActionCancel, by, id.String()) }) {
		return fmt.Errorf("cancel exchange %v: %w", id, engine.ErrNotFound)
	}
	s.dispatch.cancel(id)
	return nil
}

// Drain implements [engine.Engine].
func (s *Server) Drain(ctx context.Context, id engine.ConnectionID, by engine.Operator) error {
	if id == 0 {
		s.audit(engine.ActionDrain, by, s.o.Name)
		s.beginDrain()
		go s.Shutdown(context.Background()) // #nosec G118 -- it outlives the operator's request
		return nil
	}
	l := s.links.find(id)
	if l == nil || !l.registered.Load() {
		return fmt.Errorf("drain connection %v: %w", id, engine.ErrNotFound)
	}
	s.audit(engine.ActionDrain, by, id.String())
	reason := by.Reason
	if reason == "" {
		reason = "drained by an operator"
	}
	l.conn.Drain(s.o.Grace, closeText(reason))
	return nil
}

// Done implements [engine.Engine].
func (s *Server) Done() <-chan struct{} { return s.done }

func (s *Server) audit(action engine.Action, by engine.Operator, target string) {
	s.publish(engine.Event{Kind: engine.KindOperatorAction, Action: action,
		Operator: engine.Bound(by.Name), Reason: engine.Bound(by.Reason), Target: engine.Bound(target)})
}

// FrameTape implements [engine.Engine].
func (s *Server) FrameTape(_ context.Context, id engine.ConnectionID, into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	l := s.links.find(id)
	if l == nil {
		return into, fmt.Errorf("frame tape of %v: %w", id, engine.ErrNotFound)
	}
	return l.counters.Tape(into, l.note), nil
}

// SetCapture implements [engine.Engine].
func (s *Server) SetCapture(ctx context.Context, c engine.Capture, by engine.Operator) error {
	if err := s.keeper.Set(c); err != nil {
		return fmt.Errorf("set what is captured: %w", err)
	}
	s.captured.Store(true)
	s.audit(engine.ActionCapture, by, capture.Describe(c))
	return nil
}
