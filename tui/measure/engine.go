package measure

import (
	"context"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/tui/scene"
)

// feedEvery is how often events are published, in bursts.
const feedEvery = 5 * time.Millisecond

// invented is an engine made of a scene: it moves when it is fed.
type invented struct {
	scene    *scene.Scene
	bus      *observe.Bus
	requests []engine.Request // published again and again
	began    time.Time
	still    atomic.Bool // the state stands still
	next     engine.RequestID
	done     chan struct{}
}

func newInvented(connections, requests int) *invented {
	began := time.Now()
	s := scene.New(scene.Options{Connections: connections, Requests: requests, Origin: began})
	e := &invented{scene: s, bus: observe.NewBus(), requests: s.Requests(1000), began: began, done: make(chan struct{})}
	e.still.Store(true)
	return e
}

// feed publishes rate events per second until ctx ends or, where count is not 0,
// so many were published.
func (e *invented) feed(ctx context.Context, rate, count int) {
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for count == 0 || sent < count {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := int(float64(rate) * time.Since(began).Seconds())
		if count > 0 {
			due = min(due, count)
		}
		for ; sent < due; sent++ {
			e.publish()
		}
	}
}

// publish tells of one more request that ended.
func (e *invented) publish() {
	e.next++
	r := e.requests[int(e.next)%len(e.requests)]
	r.ID, r.Live, r.Arrived = e.next, nil, time.Now().Add(-r.LastByte)
	if r.Outcome == engine.OutcomeNone {
		r.Outcome, r.Status, r.LastByte = engine.OutcomeCompleted, 200, time.Millisecond
	}
	e.bus.Publish(engine.Event{Kind: engine.KindRequestFinished, Time: time.Now(), Connection: r.Connection, Client: r.Client, Request: &r})
}

// Snapshot implements [engine.Engine].
func (e *invented) Snapshot(_ context.Context, into *engine.Snapshot) error {
	if e.still.Load() {
		e.scene.At(0, into)
		return nil
	}
	e.scene.At(time.Since(e.began), into)
	return nil
}

// Subscribe implements [engine.Engine].
func (e *invented) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	return e.bus.Subscribe(ctx, o)
}

// Done implements [engine.Engine].
func (e *invented) Done() <-chan struct{} { return e.done }

// What acts on an engine finds nothing here.

func (e *invented) CloseConnection(context.Context, engine.ConnectionID, engine.CloseCode, engine.Operator) error {
	return engine.ErrNotFound
}
func (e *invented) Ban(context.Context, string, engine.Operator) error   { return engine.ErrNotFound }
func (e *invented) Unban(context.Context, string, engine.Operator) error { return engine.ErrNotFound }
func (e *invented) CancelExchange(context.Context, engine.RequestID, engine.Operator) error {
	return engine.ErrNotFound
}
func (e *invented) Drain(context.Context, engine.ConnectionID, engine.Operator) error {
	return engine.ErrNotFound
}
func (e *invented) FrameTape(_ context.Context, _ engine.ConnectionID, into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	return into, nil
}

// Replay implements [engine.Engine].
func (*invented) Replay(context.Context, engine.Replay, engine.Operator) (engine.RequestID, error) {
	return 0, engine.ErrNotRunning
}

// SetCapture implements [engine.Engine].
func (*invented) SetCapture(context.Context, engine.Capture, engine.Operator) error {
	return engine.ErrNotRunning
}
