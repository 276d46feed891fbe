package tunnel

import (
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/wire"
)

// suspended is how late a timer must be for the process to have been stopped
// meanwhile: nothing can be said of the peer then.
const suspended = time.Second

// A keepalive is when to ping next and how long to believe in the peer. It
// belongs to who writes.
type keepalive struct {
	due      time.Time // when the timer fires
	nextPing time.Time
	mercy    time.Time // the peer is not called dead before
	wanted   bool      // a ping is to be written
}

// ping is the one outstanding ping. The conn's mutex guards it.
type ping struct {
	counter uint64
	sent    time.Time
	open    bool
}

// answered reports when the ping was sent that data answers.
func (o *outbox) answered(data string) (time.Time, bool) {
	if !o.ping.open || len(data) != 8 || binary.BigEndian.Uint64([]byte(data)) != o.ping.counter {
		return time.Time{}, false
	}
	o.ping.open = false
	return o.ping.sent, true
}

// What the writer of a connection does.
const (
	writerRests  = iota // there is none
	writerWrites        // and looks once more before it rests
	writerCalled        // and there was another call
)

// summoned reports whether the caller has to write: nobody did. Who does is told
// that there is something more.
func (c *conn) summoned() bool {
	for {
		switch state := c.writer.Load(); {
		case state == writerRests && c.writer.CompareAndSwap(writerRests, writerWrites):
			return true
		case state == writerWrites && c.writer.CompareAndSwap(writerWrites, writerCalled):
			return false
		case state == writerCalled:
			return false
		}
	}
}

// rouse has written what is ready, or ended what is to end. It never blocks.
func (c *conn) rouse() {
	if c.summoned() {
		go c.write()
	}
}

// look is called when the clock is to be looked at.
func (c *conn) look() {
	c.rang.Store(true)
	if c.summoned() {
		c.write()
	}
}

// A draft is what a writer works with; a connection that writes nothing has none.
type draft struct {
	parts   []part
	scratch []byte
}

var drafts = sync.Pool{New: func() any { return new(draft) }}

// write writes until nothing is left, one goroutine at a time. The one that
// finds the connection's end tears it down and outlives everything else of it.
func (c *conn) write() {
	over := true // so it is after a panic
	defer func() {
		if over {
			close(c.done)
			c.onEnd()
		}
	}()
	defer recovered(c.onPanic, c.finish)
	defer func() {
		if over {
			c.tearDown()
		}
	}()
	// Whoever roused it is about to block, and others are about to run: to let
	// them come first fills a message with what they have. With 64 callers that
	// is ten records instead of one, for an eighth of the whole cost of a
	// request; alone it costs nothing to speak of.
	runtime.Gosched()
	d := drafts.Get().(*draft)
	defer drafts.Put(d)
	for {
		if c.rang.Swap(false) && !c.tick() {
			return
		}
		wrote, alive := c.writeReady(d)
		if !alive {
			return
		}
		if wrote {
			continue
		}
		if c.leaving.Load() {
			c.endIfDrained() // the outbox is empty, though perhaps nothing was written
		}
		over = false
		if c.writer.CompareAndSwap(writerWrites, writerRests) {
			return
		}
		over = true
		c.writer.Store(writerWrites)
		runtime.Gosched()
	}
}

// writeReady writes control frames and one message of what is ready. alive is
// false when the connection is to end.
func (c *conn) writeReady(d *draft) (wrote, alive bool) {
	c.mu.Lock()
	if c.end != nil {
		c.mu.Unlock()
		return false, false
	}
	pong := c.out.takePong()
	asked := c.out.asked
	ping := c.beat.wanted || asked
	c.out.asked = false
	d.parts, d.scratch = c.collect(d.parts[:0], d.scratch[:0])
	parts := d.parts
	var text outHead
	if len(parts) == 0 && len(c.out.heads) > 0 && c.out.heads[0].text != nil {
		text = c.out.heads[0]
		c.out.heads = shift(c.out.heads, 1)
		if c.server && text.drain {
			c.draining.told = true
		}
	}
	c.mu.Unlock()
	var err error
	if pong != nil {
		err = c.ws.WriteControl(websocket.PongMessage, pong, c.writeDeadline())
	}
	if err == nil && ping {
		c.beat.wanted = false
		err = c.writePing(asked)
	}
	if err == nil && len(parts) > 0 {
		err = c.writeParts(parts, d.scratch)
	}
	if err == nil && text.text != nil {
		err = c.writeText(text)
	}
	if err != nil {
		c.copied(parts, time.Now()) // nobody will: a control frame failed before them
		c.writeFailed(err)
		return false, false
	}
	return pong != nil || ping || len(parts) > 0 || text.text != nil, true
}

// writeFailed ends the connection after a write error. What the peer said last,
// a Close frame perhaps, tells more than a broken pipe: the reader has the word,
// unless the peer just does not read.
func (c *conn) writeFailed(err error) {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		c.finish(ending{code: engine.CloseAbnormal, text: "write timed out", reason: engine.ReasonTunnelSilent})
		return
	}
	_ = c.tap.SetReadDeadline(time.Now().Add(closeWait))
	<-c.readDone
}

// takePong returns the payload to answer, nil for none.
func (o *outbox) takePong() []byte {
	if !o.ponging {
		return nil
	}
	o.ponging = false
	return append(make([]byte, 0, len(o.pong)+1), o.pong...)
}

func (c *conn) writeDeadline() time.Time { return time.Now().Add(2 * c.limits.Ping) }

// writePing writes a ping, unless one is outstanding and none was asked for.
func (c *conn) writePing(asked bool) error {
	c.mu.Lock()
	if c.out.ping.open && !asked {
		c.mu.Unlock()
		return nil // one is outstanding
	}
	c.out.ping.counter++
	c.out.ping.open = true
	c.out.ping.sent = time.Now()
	payload := binary.BigEndian.AppendUint64(make([]byte, 0, 8), c.out.ping.counter)
	c.mu.Unlock()
	return c.ws.WriteControl(websocket.PingMessage, payload, c.writeDeadline())
}

func (c *conn) writeText(h outHead) error {
	_ = c.ws.SetWriteDeadline(c.writeDeadline())
	if err := c.ws.WriteMessage(websocket.TextMessage, h.text); err != nil {
		return err
	}
	c.endIfDrained()
	return nil
}

// writeParts writes one message. The producers of its content go on as soon as
// their pieces are copied, before the system call.
func (c *conn) writeParts(parts []part, scratch []byte) error {
	now := time.Now()
	_ = c.ws.SetWriteDeadline(now.Add(2 * c.limits.Ping))
	w, err := c.ws.NextWriter(websocket.BinaryMessage)
	if err == nil {
		from := 0
		for i := range parts {
			p := &parts[i]
			if _, err = w.Write(scratch[from:p.header]); err != nil {
				break
			}
			from = p.header
			if len(p.payload) > 0 {
				if _, err = w.Write(p.payload); err != nil {
					break
				}
			}
		}
	}
	c.copied(parts, now)
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if c.leaving.Load() {
		c.endIfDrained() // the last END may have been among them
	}
	return nil
}

// copied gives back what collect had marked.
func (c *conn) copied(parts []part, now time.Time) {
	c.mu.Lock()
	for i := range parts {
		p := &parts[i]
		if p.x != nil {
			p.x.takenLocked(len(p.payload), now)
		}
		if p.opens != nil {
			p.opens.sent = now
		}
		p.chunk.free()
		*p = part{}
	}
	c.mu.Unlock()
}

// takenLocked follows the copying of n bytes of the exchange's piece.
func (x *exchange) takenLocked(n int, now time.Time) {
	x.taking = false
	x.moved = now
	if x.raw {
		x.active += uint64(n)
	}
	if x.over || len(x.piece) == 0 {
		x.dropPieceLocked()
		signal(x.writable) // before, its producer could only go on waiting
	}
}

// pingNext sets when the ping after this one goes.
func (c *conn) pingNext(now time.Time) {
	c.beat.nextPing = now.Add(pace(now, c.limits.Ping))
	c.pingAt.Store(c.beat.nextPing.UnixNano())
}

// nextLook returns when the writer must look at the clock again.
func (c *conn) nextLook() time.Time {
	k := &c.beat
	dead := c.lastLife().Add(2 * c.limits.Ping)
	if dead.Before(k.mercy) {
		dead = k.mercy
	}
	if k.nextPing.Before(dead) {
		return k.nextPing
	}
	return dead
}

func (c *conn) lastLife() time.Time { return c.opened.Add(time.Duration(c.life.Load())) }

// tick is what the timer is for: pings, the death of a silent peer, the idle
// limits of raw exchanges. It reports whether the connection lives.
func (c *conn) tick() bool {
	k := &c.beat
	now := time.Now()
	interval := c.limits.Ping
	if now.Sub(k.due) > suspended {
		// This process was stopped: what the peer sent meanwhile may lie unread.
		k.mercy = now.Add(interval)
		k.wanted = true
		c.pingNext(now)
	}
	if now.Sub(c.lastLife()) >= 2*interval && !now.Before(k.mercy) {
		c.finish(ending{code: engine.CloseAbnormal, text: "no sign of life for two ping intervals", reason: engine.ReasonTunnelSilent})
		return false
	}
	if !now.Before(k.nextPing) {
		k.wanted = true
		c.pingNext(now)
		c.sweep(now)
	}
	k.due = c.nextLook()
	c.clock.Reset(k.due.Sub(now))
	return true
}

// sweep resets raw exchanges on which nothing moved for too long.
func (c *conn) sweep(now time.Time) {
	var stale []*exchange
	c.mu.Lock()
	for _, x := range c.exchanges {
		if !x.raw {
			continue
		}
		limit := c.limits.RawIdle
		if x.inEnd || x.outEnded {
			limit = c.limits.HalfClosed
		}
		if x.active != x.seen || x.idle.IsZero() {
			x.seen, x.idle = x.active, now
		} else if now.Sub(x.idle) >= limit {
			stale = append(stale, x)
		}
	}
	c.mu.Unlock()
	for _, x := range stale {
		x.Reset(wire.ResetTimedOut, "nothing moved for too long")
	}
}

// tearDown says Close, waits for the peer's, closes TCP and joins everything.
func (c *conn) tearDown() {
	c.mu.Lock()
	if c.end == nil {
		c.mu.Unlock()
		c.finish(ending{code: engine.CloseInternal, text: "internal error", reason: engine.ReasonInternal})
		c.mu.Lock()
	}
	end := *c.end
	c.mu.Unlock()
	if end.code != engine.CloseAbnormal {
		// The peer has seen nothing of a Close yet, or waits for its echo. An
		// error of the library's reader has sent one already; then this fails.
		_ = c.writeClose(end.code, end.text)
		if !end.remote {
			timer := time.NewTimer(closeWait)
			select {
			case <-c.readDone:
			case <-timer.C:
			}
			timer.Stop()
		}
	}
	_ = c.tap.Close()
	<-c.readDone
	c.handlers.Wait()
	c.clock.Stop()
	c.mu.Lock()
	c.limit.Stop()
	for i := range c.out.heads {
		c.out.heads[i].payload.free()
	}
	c.out = outbox{}
	c.mu.Unlock()
}
