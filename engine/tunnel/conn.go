package tunnel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// A conn is one adit.v1 connection, at either end. One goroutine runs it for
// its whole life: the reader (reader.go), which never blocks on anything but
// the socket. The writer (writer.go), which does every write, keeps the timers
// and closes, is there only while it has something to do: idle connections are
// many. Exchanges are served by goroutines of whoever opened or handles them.
type conn struct {
	*socket
	id       engine.ConnectionID
	growth   *Budget
	onPanic  func(any)
	greeting *engine.Greeting
	welcome  *wire.Welcome // client
	handler  Handler       // client
	onDrain  func()        // client; may be nil

	capacity   int64 // exchanges at once
	peerWindow int64 // initial credit that the peer grants on each exchange
	onRelease  func()

	slots    atomic.Int64 // server: reserved; client: handlers running
	closing  atomic.Bool  // no new exchange: draining, closing or ended
	leaving  atomic.Bool  // a drain was asked for, by either end
	finished atomic.Uint64
	late     atomic.Uint64
	rtt      atomic.Int64 // nanoseconds, newest
	rttMin   atomic.Int64
	life     atomic.Int64 // when a byte was last read, nanoseconds since opened
	pingAt   atomic.Int64 // beat.nextPing for others to see, Unix nanoseconds

	writer   atomic.Int32 // writerRests and so on
	rang     atomic.Bool  // the clock did, and nobody looked yet
	beat     keepalive
	clock    *time.Timer   // calls look
	readDone chan struct{} // closed by the reader
	done     chan struct{} // closed by the writer, last of all
	onEnd    func()        // called by it then
	handlers sync.WaitGroup

	mu        sync.Mutex // guards what follows and the guarded part of exchanges; a leaf
	exchanges map[uint64]*exchange
	contexts  contextList // client: of the handlers that run, which the connection's end ends
	highest   uint64      // server: written; client: read
	out       outbox
	draining  drainState
	end       *ending       // why it ends; set once
	grace     *time.Timer   // runs while draining
	limit     *time.Timer   // runs while ending
	grown     int64         // bytes taken from growth
	refusals  int           // RESET 4 queued and not written
	timers    []*time.Timer // idle, stopped
}

// drainState is how far a drain has come.
type drainState struct {
	asked  bool // this end said, or will say, that it drains
	told   bool // server: drain was written, no REQUEST follows
	marked bool // client: the server's drain came, no REQUEST follows
	reason string
	code   engine.CloseCode // 0: going away
}

func newConn(s *socket, id engine.ConnectionID, growth *Budget, onPanic func(any)) *conn {
	c := &conn{
		socket:    s,
		id:        id,
		growth:    growth,
		onPanic:   onPanic,
		readDone:  make(chan struct{}),
		done:      make(chan struct{}),
		onEnd:     func() {},
		exchanges: make(map[uint64]*exchange),
	}
	c.writer.Store(writerCalled) // nobody writes before start
	return c
}

// start begins reading and writing. The handlers of control frames queue and
// never write, because the reader runs them.
func (c *conn) start() {
	c.ws.SetReadLimit(wire.MaxMessage)
	c.ws.SetPingHandler(c.gotPing)
	c.ws.SetPongHandler(c.gotPong)
	c.ws.SetCloseHandler(func(int, string) error { return nil })
	c.touch()
	now := time.Now()
	// The first ping measures the round trip before anything can stand in its way.
	c.beat = keepalive{nextPing: now.Add(pace(now, c.limits.Ping)), wanted: true}
	c.pingAt.Store(c.beat.nextPing.UnixNano())
	c.beat.due = c.nextLook()
	c.clock = time.AfterFunc(time.Hour, c.look)
	c.clock.Reset(c.beat.due.Sub(now)) // look finds c.clock set
	c.writer.Store(writerRests)
	go c.readLoop()
	c.rouse()
}

// touch notes that the peer gave a sign of life.
func (c *conn) touch() { c.life.Store(int64(time.Since(c.opened))) }

// signal wakes who waits on a channel of capacity 1.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// finish ends the connection for e, unless it is ending already: what runs
// fails, the writer says Close and closes.
func (c *conn) finish(e ending) {
	c.closing.Store(true)
	c.mu.Lock()
	if c.end != nil {
		c.mu.Unlock()
		return
	}
	c.end = &e
	if c.grace != nil {
		c.grace.Stop()
	}
	failed, running := c.failAllLocked(e), c.contexts.all()
	// Whatever the writer is stuck in ends then.
	c.limit = time.AfterFunc(2*closeWait, func() { _ = c.tap.Close() })
	c.mu.Unlock()
	for _, x := range failed {
		x.stopped()
	}
	for _, ctx := range running { // of handlers that have answered and go on, too
		ctx.end()
	}
	c.rouse()
}

// failAllLocked fails every exchange, queued ones included, and returns them.
func (c *conn) failAllLocked(e ending) []*exchange {
	var failed []*exchange
	cause := engine.Fail("tunnel", e.reason, &connectionEnd{e})
	fail := func(x *exchange) {
		if x.failLocked(cause) {
			failed = append(failed, x)
		}
	}
	for _, x := range c.exchanges {
		fail(x)
	}
	for _, h := range c.out.heads {
		if h.x != nil {
			fail(h.x)
		}
	}
	clear(c.exchanges)
	return failed
}

// A connectionEnd is the cause of a failure that took the whole connection.
type connectionEnd struct{ ending }

func (e *connectionEnd) Error() string { return "connection ended: " + e.text }

// Close ends the connection and waits.
func (c *conn) Close(code engine.CloseCode, reason string) {
	e := ending{code: code, text: reason, reason: engine.ReasonTunnelFailed}
	if code == engine.CloseKilled || code == engine.CloseBanned {
		e.reason = engine.ReasonOperator
	}
	c.finish(e)
	<-c.done
}

func (c *conn) Done() <-chan struct{} { return c.done }

func (c *conn) ID() engine.ConnectionID    { return c.id }
func (c *conn) Protocol() engine.Protocol  { return engine.ProtocolNative }
func (c *conn) Greeting() *engine.Greeting { return c.greeting }
func (c *conn) Welcome() *wire.Welcome     { return c.welcome }
func (c *conn) InFlight() int              { return int(c.slots.Load()) }

// Ended is why; only after Done.
func (c *conn) Ended() (engine.CloseCode, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return 0, ""
	}
	return c.end.code, c.end.text
}

// Status fills what the tunnel knows.
func (c *conn) Status(s *engine.Connection) {
	s.ID, s.Peer, s.Protocol, s.Opened = c.id, c.peer, engine.ProtocolNative, c.opened
	s.Greeting = c.greeting
	s.Traffic = c.counters.Traffic()
	s.InFlight = c.InFlight()
	s.Exchanges = c.finished.Load()
	s.RTT, s.RTTMin = time.Duration(c.rtt.Load()), time.Duration(c.rttMin.Load())
	s.LateRecords = c.late.Load()
	s.PingEvery, s.PingNext = c.limits.Ping, time.Unix(0, c.pingAt.Load())
	c.mu.Lock()
	ended, draining := c.end != nil, c.draining.asked || c.draining.marked
	c.mu.Unlock()
	switch {
	case ended:
		s.State = engine.StateClosing
	case draining:
		s.State = engine.StateDraining
	case s.InFlight > 0:
		s.State = engine.StateBusy
	default:
		s.State = engine.StateIdle
	}
}

// Drain takes nothing new and ends when what runs has ended, or after grace.
func (c *conn) Drain(grace time.Duration, reason string) {
	if c.server {
		c.closing.Store(true)
	}
	c.mu.Lock()
	if c.end != nil || c.grace != nil {
		c.mu.Unlock()
		return
	}
	c.leaving.Store(true)
	if !c.draining.asked { // a server that answered the client's drain has said so
		c.draining.asked, c.draining.reason = true, reason
		c.out.heads = append(c.out.heads, outHead{text: wire.AppendDrain(nil, reason), drain: true})
	}
	c.grace = time.AfterFunc(grace, func() { c.finish(c.drained()) })
	c.mu.Unlock()
	c.rouse()
}

// Restart is Drain with another code, which the client takes as a wish to dial
// again.
func (c serverConn) Restart(grace time.Duration, reason string) {
	c.mu.Lock()
	if c.draining.code == 0 {
		c.draining.code = engine.CloseRestart
	}
	c.mu.Unlock()
	c.Drain(grace, reason)
}

func (c *conn) drained() ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	code := c.draining.code
	if code == 0 {
		code = engine.CloseGoingAway
	}
	return ending{code: code, text: c.draining.reason, reason: engine.ReasonTunnelFailed}
}

// gotDrain is the peer's drain. The server answers it with its own, the mark
// that no REQUEST follows; the grace period is the client's to keep.
func (c *conn) gotDrain(reason string) {
	c.leaving.Store(true)
	told := false
	c.mu.Lock()
	if c.server {
		c.closing.Store(true)
		if !c.draining.asked {
			c.draining.asked, c.draining.reason = true, reason
			c.out.heads = append(c.out.heads, outHead{text: wire.AppendDrain(nil, reason), drain: true})
		}
	} else {
		told = !c.draining.marked && !c.draining.asked
		c.draining.marked = true
		if c.draining.reason == "" {
			c.draining.reason = reason
		}
	}
	c.mu.Unlock()
	if told && c.onDrain != nil {
		c.onDrain()
	}
	c.rouse()
	c.endIfDrained()
}

// endIfDrained closes a draining connection on which nothing runs any more.
func (c *conn) endIfDrained() {
	c.mu.Lock()
	var over bool
	if c.server {
		over = c.draining.told
	} else {
		over = c.draining.asked && c.draining.marked
	}
	// A queued RESET says why an exchange failed: the drain waits for it.
	over = over && c.slots.Load() == 0 && len(c.exchanges) == 0 && c.out.empty()
	c.mu.Unlock()
	if over {
		c.finish(c.drained())
	}
}

// released follows every slot that comes back.
func (c *conn) released() {
	if c.leaving.Load() {
		c.endIfDrained()
	}
	if c.onRelease != nil {
		c.onRelease()
	}
}

// serverConn is the [Conn] of a native connection.
type serverConn struct{ *conn }

// Ping has a ping written at once.
func (c serverConn) Ping() <-chan struct{} {
	c.mu.Lock()
	if c.out.probe == nil {
		c.out.probe, c.out.asked = make(chan struct{}), true
	}
	answered := c.out.probe
	c.mu.Unlock()
	c.rouse()
	return answered
}

// Reserve takes a slot.
func (c serverConn) Reserve() bool {
	for {
		n := c.slots.Load()
		if n >= c.capacity || c.closing.Load() {
			return false
		}
		if c.slots.CompareAndSwap(n, n+1) {
			// Whoever starts to close looks at the slots after it has said so.
			if c.closing.Load() {
				c.Unreserve()
				return false
			}
			return true
		}
	}
}

// Unreserve gives it back.
func (c serverConn) Unreserve() {
	c.slots.Add(-1)
	c.released()
}

// Open queues a REQUEST.
func (c serverConn) Open(ctx context.Context, r *wire.Request, end bool) (Exchange, error) {
	if err := wire.CheckRequest(r); err != nil {
		return nil, headError("send request", err)
	}
	x := newExchange(c.conn, ctx.Done())
	x.head = r.Method == "HEAD"
	x.upgrade = wire.Get(r.Fields, "upgrade") != ""
	payload := newChunk(requestSize(r))
	payload.data = wire.AppendRequest(payload.data, r)
	if len(payload.data) > wire.MaxHead {
		payload.free()
		return nil, headError("send request", wire.ErrTooBig)
	}
	if end {
		x.outEnd, x.outEnded = true, true
	}
	if err := c.queueOpen(x, outHead{x: x, kind: wire.TypeRequest, end: end, payload: payload}); err != nil {
		return nil, err
	}
	return &outgoing{x}, nil
}

// OpenConnect queues a CONNECT.
func (c serverConn) OpenConnect(ctx context.Context, route uint64, target string) (Exchange, error) {
	x := newExchange(c.conn, ctx.Done())
	x.connect = true
	payload := newChunk(len(target) + 32)
	payload.data = wire.AppendConnect(payload.data, wire.Connect{Route: route, Target: target})
	if len(payload.data) > wire.MaxHead {
		payload.free()
		return nil, headError("send connect", wire.ErrTooBig)
	}
	if err := c.queueOpen(x, outHead{x: x, kind: wire.TypeConnect, payload: payload}); err != nil {
		return nil, err
	}
	return &outgoing{x}, nil
}

func (c *conn) queueOpen(x *exchange, h outHead) error {
	c.mu.Lock()
	if c.end != nil || c.draining.asked {
		c.mu.Unlock()
		h.payload.free()
		return engine.Fail("open exchange", engine.ReasonTunnelFailed, engine.ErrClosed)
	}
	c.out.heads = append(c.out.heads, h)
	c.mu.Unlock()
	c.rouse()
	return nil
}

// requestSize bounds the encoded size of a head from above.
func requestSize(r *wire.Request) int {
	return 64 + len(r.Method) + len(r.Scheme) + len(r.Authority) + len(r.Path) + fieldsSize(r.Fields)
}

func fieldsSize(fields []wire.Field) int {
	n := 10
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value) + 8
	}
	return n
}

// clientConn is the [Session] of a native connection.
type clientConn struct{ *conn }
