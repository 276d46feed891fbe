package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/limit"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

const (
	maxReplays = 64               // at once
	replayIdle = 60 * time.Second // without a byte either way
)

// A replay is a call without a caller: the request stands in memory, and of the
// response nothing is kept but what is captured.
type replay struct {
	s       *Server
	c       *call
	t       target
	method  string
	only    string       // client that is to serve an exposed name; "" any
	fields  []wire.Field // as they are sent, but for what only adit.v1 carries
	content []byte
	noted   int // bytes of content that are captured: a second try sends them again

	ctx     context.Context // ends with the server, and when idle
	cancel  context.CancelFunc
	idle    *time.Timer
	expired atomic.Bool // idle for too long
}

// Replay implements [engine.Engine]. Rules are asked as for any request; that
// they refuse, or that nobody serves it, is told by its record.
func (s *Server) Replay(ctx context.Context, r engine.Replay, by engine.Operator) (engine.RequestID, error) {
	p := &replay{s: s, content: r.Content, t: target{way: r.Way}, method: r.Method}
	if err := p.read(&r); err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	if s.draining.Load() {
		return 0, fmt.Errorf("replay: %w", engine.ErrDraining)
	}
	if s.shortOfMemory() {
		return 0, fmt.Errorf("replay: %s: %w", textMemory, engine.ErrTooMuch)
	}
	if most := s.live().Caps.Body; most > 0 && int64(len(r.Content)) > most {
		text := tooMuchContent(most)
		s.limits.reached(limitBody, "", limit.Key{}, text)
		return 0, fmt.Errorf("replay: %s: %w", text, engine.ErrTooMuch)
	}
	if s.replaying.Add(1) > maxReplays {
		s.replaying.Add(-1)
		return 0, fmt.Errorf("replay: %d run already: %w", maxReplays, engine.ErrTooMuch)
	}
	p.c = s.begin(r.Way, engine.Bound("replay by "+by.Name))
	if p.c == nil {
		s.replaying.Add(-1)
		return 0, fmt.Errorf("replay: %w", engine.ErrClosed)
	}
	id := p.c.rec.ID
	p.c.rec.Replay = true
	p.c.rec.Method = observe.Method(r.Method)
	p.c.target(p.t.record())
	s.audit(engine.ActionReplay, by, r.Of.String())
	p.c.started()
	p.ctx, p.cancel = context.WithCancel(s.base)
	if !s.hold() {
		p.c.fail(engine.ReasonDraining, "")
		p.c.end()
		p.end()
		return 0, fmt.Errorf("replay: %w", engine.ErrClosed)
	}
	s.run(p.run)
	return id, nil
}

// read checks r. The error is for the operator.
func (p *replay) read(r *engine.Replay) error {
	head, err := capture.Again(r)
	if err != nil {
		return err
	}
	p.fields = head.Fields
	if err := p.t.set(head.Scheme, head.Authority, head.Path); err != nil {
		return err
	}
	if len(r.Client) > 128 {
		return fmt.Errorf("client id of %d bytes: at most 128", len(r.Client))
	}
	switch r.Way {
	case engine.WayHost:
		label, ok := p.s.label(p.t.authority)
		if !ok {
			return fmt.Errorf("host %s is no exposed name: it is not directly below the domain %q", p.t.authority, strings.TrimPrefix(p.s.domain, "."))
		}
		p.t.to = destination{kind: toHost, name: label}
		p.only = r.Client
	case engine.WayRequest, engine.WayProxy:
		p.t.authority = strings.ToLower(p.t.authority)
		if r.Client != "" {
			p.t.to = destination{kind: toClient, name: r.Client}
		}
	default:
		return fmt.Errorf("what came by %v is a byte stream, which can't be sent again", r.Way)
	}
	return nil
}

// end gives back what Replay took.
func (p *replay) end() {
	defer p.s.replaying.Add(-1)
	p.cancel()
	p.c.release()
}

func (p *replay) run() {
	defer p.end()
	p.idle = time.AfterFunc(p.s.replayIdle, func() {
		p.expired.Store(true)
		p.cancel()
	})
	defer p.idle.Stop()
	p.c.ask(p.method, &p.t)
	query := policy.Query{Method: p.method, Fields: p, Client: p.only}
	if err := allowed(p.s.live().Rules, p.c, &query, &p.t); err != nil {
		p.refuse(engine.ReasonOf(err))
		return
	}
	if p.t.way == engine.WayHost && p.s.dispatch.lookup(p.t.to) == nil {
		p.refuse(engine.ReasonNoRoute)
		return
	}
	for attempt := 1; p.attempt(attempt == 1); attempt++ {
	}
}

// Values implements [policy.Fields].
func (p *replay) Values(name string) []string {
	var values []string
	for _, f := range p.fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// refuse ends a call that has no response, with the status that a caller would
// have got.
func (p *replay) refuse(reason engine.Reason) {
	c := p.c
	if p.expired.Load() && reason == engine.ReasonCallerGone {
		reason = engine.ReasonTimedOut
	}
	c.fail(reason, "")
	if !c.head.Load() {
		c.rec.Status = p.s.statusOf(c.rec.Way, c.reason, c.rec.Connection != 0)
	}
	c.end()
}

// acquire finds a connection.
func (p *replay) acquire() (slot, error) {
	if p.only == "" {
		return p.s.dispatch.acquire(p.ctx, p.t.to, p.c.rec.ID, p.s.patience())
	}
	reason := engine.ReasonNoClient
	for _, sl := range p.s.dispatch.lookup(p.t.to).slots() {
		if sl.l.client != p.only || sl.l == p.t.to.not || !p.t.to.ask.fits(sl.l) {
			continue
		}
		if sl.l.conn.Reserve() {
			return sl, nil
		}
		reason = engine.ReasonQueueFull
	}
	return slot{}, engine.Fail("find a connection", reason, nil)
}

// attempt sends the request and reads the response to its end. It reports
// whether it is to be tried again; otherwise the call has ended.
func (p *replay) attempt(mayRetry bool) bool {
	c := p.c
	sl, err := p.acquire()
	if err != nil {
		p.refuse(engine.ReasonOf(err))
		return false
	}
	c.found(sl)
	ex, err := sl.l.conn.Open(p.ctx, p.head(sl), len(p.content) == 0)
	if err != nil {
		sl.l.conn.Unreserve()
		reason := engine.ReasonOf(err)
		if mayRetry && reason == engine.ReasonTunnelFailed {
			p.t.to.not = sl.l
			return true
		}
		p.refuse(reason)
		return false
	}
	c.opened(sl.l, ex, nil)
	join := p.startSending(ex)
	defer join() // where a fault of ours leaves
	err = p.receive(ex)
	retry := err != nil && mayRetry && ex.Retryable() && !c.cancelled.Load() && p.ctx.Err() == nil
	reason := c.blame(p.ctx, err)
	if err != nil {
		ex.Reset(wire.ResetCancelled, "")
	}
	join()
	c.close(ex)
	switch {
	case retry:
		c.again()
		p.t.to.not = sl.l
		return true
	case err != nil:
		p.refuse(reason)
	default:
		c.end()
	}
	return false
}

// head makes the head that goes into the tunnel.
func (p *replay) head(sl slot) *wire.Request {
	p.c.sent.Request = wire.Request{
		Route: sl.route, Method: p.method, Scheme: p.t.scheme, Authority: p.t.authority, Path: p.t.path,
	}
	f := p.c.sent.room[:0]
	for _, field := range p.fields {
		if sl.l.native || !strings.EqualFold(field.Name, "te") {
			f = append(f, field)
		}
	}
	p.c.sent.Fields = f
	return &p.c.sent.Request
}

// startSending sends the content, if there is any. The function that it returns
// waits for the end of that; the exchange is then over.
func (p *replay) startSending(ex tunnel.Exchange) (join func()) {
	if len(p.content) == 0 {
		p.c.tee.EndRequest()
		return func() {}
	}
	p.c.up.n = 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.s.caught()
		p.send(ex)
	}()
	joined := false
	return func() {
		if !joined {
			joined = true
			ex.Reset(wire.ResetCancelled, "")
			<-done
		}
	}
}

func (p *replay) send(ex tunnel.Exchange) {
	c := p.c
	for rest := p.content; len(rest) > 0; {
		piece := rest[:min(len(rest), pieceSize)]
		if _, err := ex.Write(piece); err != nil {
			return
		}
		p.idle.Reset(p.s.replayIdle)
		c.up.n += int64(len(piece))
		if sent := int(c.up.n); sent > p.noted {
			c.tee.Request(p.content[p.noted:sent])
			p.noted = sent
		}
		if c.live != nil {
			c.live.RequestBytes.Store(c.up.n)
		}
		rest = rest[len(piece):]
	}
	c.tee.EndRequest()
	ex.CloseWrite(nil) // what is wrong with the exchange, its reader says
}

// receive reads the response to its end.
func (p *replay) receive(ex tunnel.Exchange) error {
	c := p.c
	resp, err := ex.ReadResponse()
	for err == nil && resp.Status < 200 && resp.Status != http.StatusSwitchingProtocols {
		p.idle.Reset(p.s.replayIdle)
		resp, err = ex.ReadResponse()
	}
	if err != nil {
		return err
	}
	if resp.Status == http.StatusSwitchingProtocols {
		return engine.Fail("upgrade", engine.ReasonOriginFailed, nil)
	}
	c.waterfall(ex, resp)
	c.answered(resp.Status, resp)
	for {
		p.idle.Reset(p.s.replayIdle)
		piece, err := ex.Next()
		if err == io.EOF {
			c.tee.EndResponse()
			return nil
		}
		if err != nil {
			return err
		}
		c.received(piece)
	}
}
