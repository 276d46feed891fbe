package scene

import (
	"context"
	"slices"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

// An Engine is a scene that goes on with the clock. It takes actions, as far as
// they can be seen.
type Engine struct {
	*Scene
	bus  *observe.Bus
	done chan struct{}
	end  sync.Once
}

var _ engine.Engine = (*Engine)(nil)

// NewEngine returns an engine for which now is the moment of the pictures,
// unless o says otherwise. End ends it.
func NewEngine(o Options) *Engine {
	if o.Origin.IsZero() {
		o.Origin = time.Now()
	}
	return &Engine{Scene: New(o), bus: observe.NewBus(), done: make(chan struct{})}
}

// End ends the engine: what was published is delivered, then subscriptions
// close.
func (e *Engine) End() {
	e.end.Do(func() {
		close(e.done)
		e.bus.Close()
	})
}

// Done implements [engine.Engine].
func (e *Engine) Done() <-chan struct{} { return e.done }

// Snapshot implements [engine.Engine].
func (e *Engine) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.At(time.Since(e.o.Origin), into)
	into.Seq = e.bus.Seq()
	return nil
}

// Subscribe implements [engine.Engine].
func (e *Engine) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	return e.bus.Subscribe(ctx, o)
}

// feedEvery is how often a feed publishes, burst how much it makes up for at
// most after it could not.
const (
	feedEvery = 5 * time.Millisecond
	burst     = 100 * time.Millisecond
)

// Feed publishes so many events a second until ctx ends: ends of requests, and
// one of a hundred is of another kind, but no more than ten of these a second.
// It returns how many it published.
func (e *Engine) Feed(ctx context.Context, perSecond float64) (published uint64) {
	templates := e.Requests(min(1024, e.o.Requests))
	if len(templates) == 0 || perSecond <= 0 {
		<-ctx.Done()
		return 0
	}
	others := max(100, int(perSecond/10))
	id := e.newest(0)
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	last, owed := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return published
		case <-tick.C:
		}
		now := time.Now()
		owed += min(now.Sub(last), burst).Seconds() * perSecond
		last = now
		for ; owed >= 1; owed-- {
			published++
			if published%uint64(others) == 0 {
				other := e.event(1 + int(published/uint64(others))%9)
				other.Time = now
				e.bus.Publish(other)
				continue
			}
			id++
			r := templates[int(id)%len(templates)]
			r.ID, r.Arrived = id, now.Add(-r.LastByte)
			e.bus.Publish(engine.Event{Time: now, Kind: engine.KindRequestFinished, Connection: r.Connection,
				Client: r.Client, Protocol: r.Protocol, Reason: r.Reason, Request: &r})
		}
	}
}

// has reports whether there is such a connection; the lock is held.
func (s *Scene) has(id engine.ConnectionID) bool {
	_, found := slices.BinarySearchFunc(s.conns, id, func(c connection, id engine.ConnectionID) int { return int(c.id) - int(id) })
	return found && !s.closed[id]
}

// act changes the scene for an action and tells of it.
func (e *Engine) act(ctx context.Context, a engine.Action, target string, by engine.Operator, change func() bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	found := change()
	e.mu.Unlock()
	if !found {
		return engine.ErrNotFound
	}
	e.bus.Publish(engine.Event{Time: time.Now(), Kind: engine.KindOperatorAction, Action: a, Operator: by.Name, Target: target, Reason: by.Reason})
	return nil
}

// CloseConnection implements [engine.Engine].
func (e *Engine) CloseConnection(ctx context.Context, id engine.ConnectionID, code engine.CloseCode, by engine.Operator) error {
	return e.act(ctx, engine.ActionKill, id.String(), by, func() bool {
		found := e.has(id)
		e.closed[id] = e.closed[id] || found
		return found
	})
}

// Ban implements [engine.Engine].
func (e *Engine) Ban(ctx context.Context, name string, by engine.Operator) error {
	return e.act(ctx, engine.ActionBan, name, by, func() bool {
		for _, i := range e.own[name] {
			e.closed[e.conns[i].id] = true
		}
		if !slices.Contains(e.banned, name) {
			e.banned = append(e.banned, name)
		}
		return true
	})
}

// Unban implements [engine.Engine].
func (e *Engine) Unban(ctx context.Context, name string, by engine.Operator) error {
	return e.act(ctx, engine.ActionUnban, name, by, func() bool {
		i := slices.Index(e.banned, name)
		if i >= 0 {
			e.banned = slices.Delete(e.banned, i, i+1)
		}
		return i >= 0
	})
}

// CancelExchange implements [engine.Engine]: no exchange of a scene runs.
func (e *Engine) CancelExchange(ctx context.Context, id engine.RequestID, by engine.Operator) error {
	return e.act(ctx, engine.ActionCancel, id.String(), by, func() bool { return false })
}

// Drain implements [engine.Engine]; it never comes to the end.
func (e *Engine) Drain(ctx context.Context, id engine.ConnectionID, by engine.Operator) error {
	return e.act(ctx, engine.ActionDrain, id.String(), by, func() bool {
		if id == 0 {
			e.stopping = true
			return true
		}
		found := e.has(id)
		e.draining[id] = e.draining[id] || found
		return found
	})
}

// FrameTape implements [engine.Engine].
func (e *Engine) FrameTape(ctx context.Context, id engine.ConnectionID, into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	if err := ctx.Err(); err != nil {
		return into, err
	}
	e.mu.Lock()
	found := e.has(id)
	e.mu.Unlock()
	if !found {
		return into, engine.ErrNotFound
	}
	return e.Tape(into, time.Since(e.o.Origin)), nil
}

// Tape appends the newest frames of a connection so long after the moment of the
// pictures, oldest first.
func (s *Scene) Tape(into []engine.FrameRecord, t time.Duration) []engine.FrameRecord {
	kinds := [...]engine.FrameRecord{
		{Out: true, Opcode: 2, Length: 16384, Note: "DATA x17"}, {Out: true, Opcode: 0, Length: 16384},
		{Out: true, Opcode: 0, Fin: true, Length: 4102}, {Out: true, Opcode: 1, Fin: true, Length: 311, Note: "HEAD x18"},
		{Out: true, Opcode: 9, Fin: true, Length: 4}, {Opcode: 10, Fin: true, Length: 4},
	}
	const frames = 64
	for i := range frames {
		f := kinds[i%len(kinds)]
		f.Time = s.o.Origin.Add(t - 10*time.Millisecond - time.Duration(frames-1-i)*7*time.Millisecond)
		into = append(into, f)
	}
	return into
}

// Replay implements [engine.Engine].
func (*Engine) Replay(context.Context, engine.Replay, engine.Operator) (engine.RequestID, error) {
	return 0, engine.ErrNotRunning
}

// SetCapture implements [engine.Engine].
func (*Engine) SetCapture(context.Context, engine.Capture, engine.Operator) error {
	return engine.ErrNotRunning
}
