package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

const (
	maxReplays = 64               // at once
	replayIdle = 60 * time.Second // without a byte either way
)

// errReplayIdle ends a replay that nothing comes of.
var errReplayIdle = errors.New("no byte either way for too long")

// A replay is an exchange without a tunnel: its request stands in memory, its
// response goes nowhere.
type replay struct {
	request *wire.Request
	content []byte // not read yet; of the goroutine that reads it
	caller  string
	arrived time.Time

	ctx    context.Context // its cause is an *engine.Error
	cancel context.CancelCauseFunc
	every  time.Duration
	idle   *time.Timer
	sends  bool // there is content
}

var _ tunnel.Incoming = (*replay)(nil)

func (p *replay) Request() *wire.Request        { return p.request }
func (p *replay) Connect() (wire.Connect, bool) { return wire.Connect{}, false }
func (p *replay) HasContent() bool              { return p.sends }
func (p *replay) Context() context.Context      { return p.ctx }
func (p *replay) Arrived() time.Time            { return p.arrived }
func (p *replay) Buffered() bool                { return true }
func (p *replay) Trailers() []wire.Field        { return nil }

// moved notes a sign of life and says whether the replay is over.
func (p *replay) moved() error {
	if p.ctx.Err() != nil {
		return context.Cause(p.ctx)
	}
	p.idle.Reset(p.every)
	return nil
}

func (p *replay) Next() ([]byte, error) {
	if err := p.moved(); err != nil {
		return nil, err
	}
	if len(p.content) == 0 {
		return nil, io.EOF
	}
	piece := p.content
	p.content = nil
	return piece, nil
}

func (p *replay) Read(b []byte) (int, error) {
	if err := p.moved(); err != nil {
		return 0, err
	}
	n := copy(b, p.content)
	if p.content = p.content[n:]; n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (p *replay) WriteInformational(int, []wire.Field) error { return p.moved() }

func (p *replay) WriteResponse(r *wire.Response, _ bool) error {
	if err := wire.CheckResponse(r); err != nil {
		return engine.Fail("take response", engine.ReasonMalformed, err)
	}
	return p.moved()
}

func (p *replay) Write(b []byte) (int, error) {
	if err := p.moved(); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *replay) CloseWrite([]wire.Field) error { return p.moved() }

// Respond leaves it to Write.
func (p *replay) Respond(*wire.Response, []byte) (bool, error) { return false, nil }

func (p *replay) Reset(_ wire.ResetCode, reason string) {
	p.cancel(engine.Fail("replay", engine.ReasonCallerGone, errors.New(reason)))
}

// A noSession stands where an exchange has no connection: only its protocol is
// asked for.
type noSession struct{ tunnel.Session }

func (noSession) Protocol() engine.Protocol { return 0 }

// A replayer is what the replays of a client need.
type replayer struct {
	running atomic.Int32
	on      *connection   // stands for the connection that they do not have
	every   time.Duration // replayIdle but in tests
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

func newReplayer(c *Client) *replayer {
	p := &replayer{every: replayIdle, on: &connection{c: c, e: &endpoint{c: c}, session: noSession{}}}
	p.on.open.Store(true)
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p
}

// Replay implements [engine.Engine]. The request goes to the origin that the
// exposed name in its target leads to, else to its target if the rules allow.
func (c *Client) Replay(_ context.Context, r engine.Replay, by engine.Operator) (engine.RequestID, error) {
	head, err := capture.Again(&r)
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	if r.Client != "" && r.Client != c.o.ID {
		return 0, fmt.Errorf("replay: this is client %s: another one is asked at the server", c.o.ID)
	}
	head.Route = c.routeOf(head.Authority)
	p := &replay{request: head, content: r.Content, sends: len(r.Content) > 0, arrived: time.Now(),
		caller: engine.Bound("replay by " + by.Name), every: c.replays.every}

	if err := c.beginReplay(); err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	id := engine.RequestID(c.requestIDs.Add(1))
	c.acted(engine.ActionReplay, r.Of.String(), by, 0)
	p.ctx, p.cancel = context.WithCancelCause(c.replays.ctx)
	p.idle = time.AfterFunc(p.every, func() {
		p.cancel(engine.Fail("replay", engine.ReasonTimedOut, errReplayIdle))
	})
	x := c.replays.on.accept(p, id)
	go func() {
		defer c.replayWork.Done()
		defer c.recovered()
		defer c.replays.running.Add(-1)
		defer p.cancel(nil)
		defer p.idle.Stop()
		x.run()
	}()
	return id, nil
}

// beginReplay counts one in that the client's end then waits for.
func (c *Client) beginReplay() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == stateNew:
		return engine.ErrNotRunning
	case c.state == stateEnded:
		return engine.ErrClosed
	case c.state == stateDraining || c.asked:
		return engine.ErrDraining
	case c.replays.running.Load() >= maxReplays:
		return fmt.Errorf("%d run already: %w", maxReplays, engine.ErrTooMuch)
	}
	c.replays.running.Add(1)
	c.replayWork.Add(1)
	return nil
}

// routeOf returns the route that an authority leads to, 0 for none: servers said
// by what URLs their callers reach it.
func (c *Client) routeOf(authority string) uint64 {
	for _, e := range c.endpoints {
		_, urls := e.snapshot()
		if len(urls) != len(c.routes) {
			continue
		}
		for i, r := range c.routes {
			if u, err := url.Parse(urls[i]); err == nil && r.scheme != "" && strings.EqualFold(u.Hostname(), hostname(authority)) {
				return uint64(i) + 1
			}
		}
	}
	return 0
}

// hostname returns an authority without its port.
func hostname(authority string) string {
	u := url.URL{Host: authority}
	return u.Hostname()
}
