package server

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// callShards is a power of two.
const callShards = 64

// calls is the register of the exchanges that run, in shards so that callers
// do not meet at one lock.
type calls struct {
	last   atomic.Uint64
	shards [callShards]callShard
	late   *observe.Sweeper
}

type callShard struct {
	mu     sync.Mutex
	head   *call
	n      int
	closed bool
	idle   chan struct{} // closed when n reaches 0; nil: nobody waits
	_      [24]byte      // keeps neighbours off one cache line
}

// A call is one exchange at this end, from its arrival until its record is
// published. It belongs to the goroutine that serves it.
type call struct {
	s      *Server
	rec    engine.Request
	reason engine.Reason
	head   atomic.Bool // the response head is out: a failure truncates
	failed bool
	over   bool   // the record is published
	peer   string // of the connection; "" where none was found
	on     *link  // where the newest exchange ran; nil before; others may read it under shard.mu while ex is there
	resp   *wire.Response
	live   *engine.Live // nil where nobody wants it
	spare  *engine.Live // for live: nobody else has seen it
	told   atomic.Uint32
	shown  bool         // live has what is known since the head
	tee    *capture.Tee // nil where its content is not kept; no other call gets it

	shard      *callShard
	prev, next *call // guarded by shard.mu, like what follows up to out
	swept      bool  // it, and all that began before, need not be announced any more
	ex         tunnel.Exchange
	out        writeDeadliner
	cancelled  atomic.Bool
	revoked    string // why it was cancelled, where a credential is to blame; set before that
	revokedFor engine.Reason

	identity policy.Identity                 // of its caller, as admitted
	who      atomic.Pointer[policy.Identity] // as it is now; nil: not admitted yet
	asked    asked                           // others read it through asking
	asking   atomic.Pointer[asked]

	sent requestHead
	up   upload
}

var callPool = sync.Pool{New: func() any { return new(call) }}

// begin registers a call; nil when the server has ended.
func (s *Server) begin(way engine.Way, caller string) *call {
	id := s.calls.last.Add(1)
	sh := &s.calls.shards[id%callShards]
	c := callPool.Get().(*call)
	c.s, c.shard = s, sh
	c.rec = engine.Request{
		ID: engine.RequestID(id), Way: way, Caller: caller, Arrived: time.Now(),
		Queued: -1, Sent: -1, Connect: -1, FirstByte: -1, LastByte: -1,
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return nil
	}
	c.next = sh.head
	if sh.head != nil {
		sh.head.prev = c
	}
	sh.head = c
	sh.n++
	return c
}

// A writeDeadliner is what a caller is answered through.
type writeDeadliner interface {
	SetWriteDeadline(time.Time) error
}

// attach makes exchange and caller known to operators; nil takes them back. An
// operator who cancelled before there was an exchange is obeyed now.
func (c *call) attach(ex tunnel.Exchange, out writeDeadliner) {
	c.shard.mu.Lock()
	defer c.shard.mu.Unlock()
	c.ex, c.out = ex, out
	if c.cancelled.Load() {
		c.resetLocked()
	}
}

// resetLocked ends the exchange that an operator cancelled, if it has begun; the
// shard's lock is held.
func (c *call) resetLocked() {
	if c.ex == nil {
		return
	}
	why := "ended by an operator"
	if c.revoked != "" {
		why = textRevoked
	}
	c.ex.Reset(wire.ResetCancelled, why)
	if c.out != nil && c.head.Load() {
		c.out.SetWriteDeadline(time.Unix(1, 0)) // it may wait for the caller
	}
}

// What is known of a call's start (call.told).
const (
	startUnwanted = iota // nobody wants to know, or started was not called yet
	startPassed          // the same, and the sweep does not look at the call again
	startUntold          // announced by the sweep, unless the call is over before
	startTold
	startOver
)

// started publishes that the request has begun, if anybody wants to know: at once,
// or where all who do allow it, when it has run for some time. What the record of
// the start says of the call is not written any more from here on.
func (c *call) started() {
	now := c.s.bus.Wants(engine.KindRequestStarted)
	if !now && !c.s.bus.WantsLate() {
		return
	}
	if c.spare == nil {
		c.spare = new(engine.Live)
	}
	c.live, c.up.live = c.spare, c.spare
	if now || !c.told.CompareAndSwap(startUnwanted, startUntold) {
		c.told.Store(startTold)
		c.announce()
		return
	}
	c.s.calls.late.Arm()
}

// announce publishes the start. It reads nothing that the goroutine of the call
// writes later.
func (c *call) announce() {
	r := &c.rec
	c.s.publish(engine.Event{Kind: engine.KindRequestStarted, Request: &engine.Request{
		ID: r.ID, Way: r.Way, Caller: r.Caller, Credential: r.Credential, Method: r.Method, Target: r.Target, Replay: r.Replay, Arrived: r.Arrived,
		Queued: -1, Sent: -1, Connect: -1, FirstByte: -1, LastByte: -1, Live: c.live,
	}})
}

// announce announces the calls that began before and have not been, and reports
// whether there are others that wait for it.
func (r *calls) announce(before time.Time) (more bool) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		more = sh.announce(before) || more
		sh.mu.Unlock()
	}
	return more
}

func (sh *callShard) announce(before time.Time) (more bool) {
	var oldest *call
	for c := sh.head; c != nil && !c.swept; c = c.next {
		oldest = c
		state := c.told.Load()
		switch {
		case state > startUntold:
		case c.rec.Arrived.After(before):
			more = more || state == startUntold
		case c.told.CompareAndSwap(startUntold, startTold):
			c.announce()
		default:
			c.told.CompareAndSwap(startUnwanted, startPassed)
		}
	}
	// What is behind a call that is swept is not looked at again.
	for c := oldest; c != nil; c = c.prev {
		if state := c.told.Load(); state == startUnwanted || state == startUntold {
			break
		}
		c.swept = true
	}
	return more
}

// fail notes why the exchange did not complete. The first reason stays.
func (c *call) fail(reason engine.Reason, text string) {
	if c.failed {
		return
	}
	if c.cancelled.Load() {
		reason, text = engine.ReasonOperator, ""
		if c.revoked != "" {
			reason, text = c.revokedFor, c.revoked
		}
	}
	c.failed, c.reason = true, reason
	c.rec.Outcome = engine.OutcomeOf(reason)
	if c.head.Load() && c.rec.Outcome != engine.OutcomeCallerGone {
		c.rec.Outcome = engine.OutcomeTruncated
	}
	if c.rec.Reason = reason.String(); text != "" {
		c.rec.Reason = engine.Bound(text)
	}
	if !c.head.Load() && c.rec.Outcome == engine.OutcomeCallerGone && c.rec.Way != engine.WayTCP {
		c.rec.Status = engine.StatusCallerGone
	}
}

// end publishes the record and takes the call out of the register.
func (c *call) end() {
	s, sh := c.s, c.shard
	c.rec.LastByte = time.Since(c.rec.Arrived)
	if !c.failed {
		c.rec.Outcome = engine.OutcomeCompleted
	}
	if c.live != nil && c.told.Swap(startOver) == startTold {
		sh.mu.Lock() // the sweep may be about to publish the start: it is let pass
		//lint:ignore SA2001 to have waited is all
		sh.mu.Unlock()
		c.live.Over.Store(true)
		c.spare = nil
	}
	s.totals.RequestEnded(&c.rec)
	if c.on != nil && c.rec.HasFailed() {
		c.on.failed.Add(1)
	}
	if s.bus.Wants(engine.KindRequestFinished) {
		var rec *engine.Request
		if s.bus.WantsHeads() && s.keeper.Heads() {
			ended := &struct {
				rec   engine.Request
				heads engine.Heads
			}{rec: c.rec}
			if rec = &ended.rec; c.heads(&ended.heads) {
				rec.Heads = &ended.heads
			}
		} else {
			one := c.rec
			rec = &one
		}
		s.publish(engine.Event{Kind: engine.KindRequestFinished, Connection: rec.Connection, Client: rec.Client,
			Peer: c.peer, Protocol: rec.Protocol, Reason: rec.Reason, Request: rec})
	}

	sh.mu.Lock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		sh.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	if sh.n--; sh.n == 0 && sh.idle != nil {
		close(sh.idle)
		sh.idle = nil
	}
	sh.mu.Unlock()
	c.over = true
}

// release, deferred by who began the call, gives it back. A call that a fault
// of ours has left open is ended first.
func (c *call) release() {
	if !c.over {
		v := recover()
		if ex := c.ex; ex != nil {
			ex.Reset(wire.ResetCancelled, "")
			c.close(ex)
		}
		c.fail(engine.ReasonInternal, "")
		c.end()
		if v != nil {
			panic(v)
		}
	}
	spare := c.spare
	*c = call{spare: spare}
	if spare != nil {
		*spare = engine.Live{}
	}
	callPool.Put(c)
}

// found notes the connection that serves the call.
func (c *call) found(sl slot) {
	c.rec.Connection = sl.l.id
	c.peer = sl.l.peer
	c.rec.Client = sl.l.client
	c.rec.Protocol = sl.l.conn.Protocol()
	c.rec.Queued = time.Since(c.rec.Arrived)
	if c.live != nil {
		c.live.Connection.Store(uint64(sl.l.id))
	}
}

// opened notes the exchange that was begun on the connection that was found.
func (c *call) opened(l *link, ex tunnel.Exchange, out writeDeadliner) {
	c.on = l
	if c.tee == nil {
		c.capture()
	}
	c.attach(ex, out)
}

// capture begins to keep its content, if that is wanted. What has no record is
// seen by nobody.
func (c *call) capture() {
	if c.live == nil && !c.s.bus.Wants(engine.KindRequestFinished) {
		return
	}
	c.tee = c.s.keeper.Begin(&c.rec, c.rec.Replay)
	if c.tee == nil {
		return
	}
	c.up.tee = c.tee
	kept := c.tee.Captured()
	c.rec.Captured = kept
	if c.live != nil {
		c.live.Captured.Store(&kept)
	}
}

// again gives the exchange up for another one: it failed, though its caller may
// never learn.
func (c *call) again() {
	c.on.failed.Add(1)
	c.on = nil
}

// answered notes the final response.
func (c *call) answered(status int, r *wire.Response) {
	c.head.Store(true)
	c.rec.Status, c.resp = status, r
	if c.tee != nil {
		c.tee.Head(status, func(name string) string { return wire.Get(r.Fields, name) })
	}
	if c.live != nil {
		c.live.Status.Store(int32(status))
		// Nothing more may come for long of what streams.
		c.show(status == http.StatusSwitchingProtocols || strings.HasPrefix(wire.Get(r.Fields, "content-type"), "text/event-stream"))
	}
}

// show lets others see what is known since the head, once somebody may look: of
// most exchanges the record is there before.
func (c *call) show(now bool) {
	if c.shown || !now && c.told.Load() != startTold {
		return
	}
	c.shown = true
	r := &c.rec
	a := &engine.Answered{Client: r.Client, Protocol: r.Protocol, Queued: r.Queued, Sent: r.Sent, Connect: r.Connect, FirstByte: r.FirstByte,
		Upgraded: c.resp != nil && r.Status == http.StatusSwitchingProtocols || r.Way == engine.WayConnect || r.Way == engine.WayTCP}
	if c.s.bus.WantsHeads() && c.s.keeper.Heads() {
		if h := new(engine.Heads); c.heads(h) {
			a.Heads = h
		}
	}
	c.live.Answered.Store(a)
}

// received takes in response content that passed.
func (c *call) received(p []byte) {
	c.tee.Response(p)
	c.rec.ResponseBytes += int64(len(p))
	if c.live != nil {
		c.live.ResponseBytes.Store(c.rec.ResponseBytes)
		c.show(false)
	}
}

// target notes what a record may hold of the target, which is no part of the
// caller's head: a record must not hold that.
func (c *call) target(t string) { c.rec.Target = observe.Target(t) }

// running returns the number of exchanges.
func (r *calls) running() (n int) {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		n += sh.n
		sh.mu.Unlock()
	}
	return n
}

// cancel ends the exchange of that id and reports whether there was one.
//
// It calls found before it does anything, so that what says why an exchange
// ended is published before its end is. The bus is a leaf below the shard.
func (r *calls) cancel(id engine.RequestID, found func()) bool {
	sh := &r.shards[uint64(id)%callShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for c := sh.head; c != nil; c = c.next {
		if c.rec.ID != id {
			continue
		}
		found()
		c.cancelled.Store(true)
		c.resetLocked()
		return true
	}
	return false
}

// wait returns when every call that had begun before is over, or when ctx ends.
func (r *calls) wait(ctx context.Context) error {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		idle := sh.idle
		if sh.n > 0 && idle == nil {
			idle = make(chan struct{})
			sh.idle = idle
		}
		if sh.n == 0 {
			idle = nil
		}
		sh.mu.Unlock()
		if idle == nil {
			continue
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// close lets no call begin any more.
func (r *calls) close() {
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.Lock()
		sh.closed = true
		sh.mu.Unlock()
	}
}
