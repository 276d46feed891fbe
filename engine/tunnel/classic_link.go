package tunnel

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"adit/engine"
)

// maxClassicText bounds a head in JSON; real programs set no limit.
const maxClassicText = 256 << 10

// A classicLink is what both ends of a wsp connection share. Two goroutines run
// it: the reader, which is the only one to call the library (read is what each
// end gives it; at the client the reader may change), and the keeper, which
// answers pings, sends them, finds a dead peer, and closes. Content that did not
// come whole with its head is read by the goroutine that wants it, while the
// reader waits (classicBody).
type classicLink struct {
	*socket
	id        engine.ConnectionID
	greeting  *engine.Greeting
	onPanic   func(any)
	w         *frameWriter
	pingBusy  bool          // ping while an exchange runs too
	head      []byte        // of the reader
	begun     uint64        // of the reader: messages that it has begun to read
	peerOver  atomic.Bool   // the peer's Close came
	pieces    []byte        // of the exchange that runs; small ones are kept
	exchanges atomic.Uint64 // that ended
	slots     atomic.Int64  // exchanges that run, or are reserved: 0 or 1
	draining  atomic.Bool
	restarts  atomic.Bool // the drain ends with 1012

	life   atomic.Int64 // when the peer last gave a sign of life, nanoseconds since opened
	rtt    atomic.Int64 // nanoseconds, newest
	rttMin atomic.Int64
	pings  atomic.Uint64 // number of the newest ping
	pinged atomic.Int64  // when it was sent, nanoseconds since opened; 0 answered
	pingAt atomic.Int64  // when the next one goes, if the connection is idle then; Unix nanoseconds

	ctx    context.Context // ends when the end is decided
	cancel context.CancelFunc

	pongs    chan string   // capacity 1: the newest ping to be answered; never closed
	closing  chan struct{} // closed when the end is decided
	readDone chan struct{} // closed by the last reader
	done     chan struct{} // closed by the keeper, last of all
	onEnd    func()        // called by it then
	handlers sync.WaitGroup

	mu     sync.Mutex // a leaf; guards what follows
	end    *ending
	abrupt bool
	limit  time.Time // of the closing handshake
	grace  *time.Timer
	last   string // the reason of the drain
}

func newClassicLink(s *socket, id engine.ConnectionID, g *engine.Greeting, onPanic func(any)) *classicLink {
	ctx, cancel := context.WithCancel(context.Background())
	begun := uint64(0)
	if s.server {
		begun = 1 // the greeting
	}
	return &classicLink{
		begun:    begun,
		ctx:      ctx,
		cancel:   cancel,
		socket:   s,
		id:       id,
		greeting: g,
		onPanic:  onPanic,
		w:        newFrameWriter(s.tap, s.server),
		pongs:    make(chan string, 1),
		closing:  make(chan struct{}),
		readDone: make(chan struct{}),
		done:     make(chan struct{}),
		onEnd:    func() {},
	}
}

// start starts the goroutines; read is the reader's loop, see reader.
func (l *classicLink) start(read func() bool) {
	l.retireLibrary()
	l.ws.SetPingHandler(l.gotPing)
	l.ws.SetPongHandler(l.gotPong)
	l.ws.SetCloseHandler(func(int, string) error { return nil })
	l.touch()
	go l.reader(read)
	go l.keep()
}

// reader is the goroutine that reads. read returns true where another one reads
// on, and has to end like this one.
func (l *classicLink) reader(read func() bool) {
	passed := false
	defer func() {
		if !passed {
			close(l.readDone)
		}
	}()
	defer recovered(l.onPanic, l.finish)
	if passed = read(); !passed {
		l.drop()
	}
}

// touch notes a sign of life.
func (l *classicLink) touch() { l.life.Store(int64(time.Since(l.opened))) }

// gotPing leaves the answer to the keeper: only the newest ping needs one
// (RFC 6455 §5.5.3), and the reader waits for no writer.
func (l *classicLink) gotPing(data string) error {
	l.touch()
	select {
	case <-l.pongs:
	default:
	}
	select {
	case l.pongs <- data:
	default:
	}
	return nil
}

func (l *classicLink) gotPong(data string) error {
	l.touch()
	if data != strconv.FormatUint(l.pings.Load(), 10) {
		return nil
	}
	sent := l.pinged.Swap(0)
	if sent == 0 {
		return nil
	}
	rtt := int64(time.Since(l.opened)) - sent
	l.rtt.Store(rtt)
	if least := l.rttMin.Load(); least == 0 || rtt < least {
		l.rttMin.Store(rtt)
	}
	return nil
}

// finish ends the connection by a closing handshake, unless it is ending
// already. What runs fails.
func (l *classicLink) finish(e ending) { l.stop(e, false) }

// abort ends it without one: a busy real program would not read it, and the
// missing FIN=1 says that content is not complete.
func (l *classicLink) abort(text string, reason engine.Reason) {
	l.stop(ending{code: engine.CloseAbnormal, text: text, reason: reason}, true)
}

func (l *classicLink) stop(e ending, abrupt bool) {
	l.mu.Lock()
	if l.end != nil {
		l.mu.Unlock()
		return
	}
	limit := time.Now()
	if !abrupt {
		limit = limit.Add(closeWait)
	}
	l.end, l.abrupt, l.limit = &e, abrupt, limit
	if l.grace != nil {
		l.grace.Stop()
	}
	// With the lock held: whoever finds the end decided, and so returns at once,
	// must not find the connection fit for the next exchange.
	close(l.closing)
	l.mu.Unlock()
	l.cancel()
	l.w.hurry(limit)
	_ = l.tap.SetReadDeadline(limit)
}

// isClosing reports whether the end is decided.
func (l *classicLink) isClosing() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

// cause is what an exchange fails for when the connection ends.
func (l *classicLink) cause() *engine.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end == nil {
		return engine.Fail("tunnel", engine.ReasonTunnelFailed, engine.ErrClosed)
	}
	return engine.Fail("tunnel", l.end.reason, &connectionEnd{*l.end})
}

// keep is the keeper.
func (l *classicLink) keep() {
	defer l.onEnd()
	defer close(l.done)
	l.watch()
	l.mu.Lock()
	e, abrupt := *l.end, l.abrupt
	l.mu.Unlock()
	if !abrupt {
		_ = l.w.close(e.code, e.text)
	}
	<-l.readDone
	_ = l.tap.Close()
	l.handlers.Wait()
}

// watch keeps the connection alive until its end is decided. Silence kills only
// an idle connection: real programs read nothing while they are busy, and so
// answer no ping; the caller's context and the deadline of the head bound an
// exchange.
func (l *classicLink) watch() {
	defer recovered(l.onPanic, l.finish)
	interval := l.limits.Ping
	looked := time.Since(l.opened)
	next := looked + pace(time.Now(), interval) // when to ping
	due := next                                 // when to look
	l.pingAt.Store(l.opened.Add(next).UnixNano())
	seen := l.counters.BytesIn()
	timer := time.NewTimer(next - looked)
	defer timer.Stop()
	for {
		select {
		case <-l.closing:
			return
		case data := <-l.pongs:
			l.control(opPong, []byte(data))
			continue
		case <-timer.C:
		}
		now := time.Since(l.opened)
		idle := l.slots.Load() == 0
		late := now-due > time.Second
		life := time.Duration(l.life.Load())
		if bytes := l.counters.BytesIn(); bytes != seen {
			// Bytes that made no message and no pong are life too.
			if seen = bytes; life < looked {
				life = now
			}
		}
		if late {
			// The process was suspended: the peer gets the chance to answer.
			life = max(life, now-interval)
		}
		l.life.Store(max(l.life.Load(), int64(life)))
		if looked = now; idle && now-life >= 2*interval {
			l.stop(ending{code: engine.CloseAbnormal, text: "no sign of life in two ping intervals", reason: engine.ReasonTunnelSilent}, true)
			return
		}
		if now >= next || late {
			if idle || l.pingBusy {
				l.ping()
			}
			next = now + pace(time.Now(), interval)
			l.pingAt.Store(l.opened.Add(next).UnixNano())
		}
		if due = next; idle {
			due = min(due, life+2*interval)
		}
		timer.Reset(due - time.Since(l.opened))
	}
}

// ping sends a ping with the next number.
func (l *classicLink) ping() {
	data := strconv.AppendUint(nil, l.pings.Add(1), 10)
	l.pinged.Store(max(1, int64(time.Since(l.opened))))
	l.control(opPing, data)
}

// control writes a control frame, or ends the connection that does not take it.
func (l *classicLink) control(opcode byte, data []byte) {
	err := l.w.control(opcode, data, 2*l.limits.Ping)
	if err != nil && l.w.until.Load() == 0 {
		l.abort("connection lost: "+netText(err), engine.ReasonTunnelFailed)
	}
}

// message waits for the next message, which must be of the wanted type. It
// reports whether it came; if not, the end is decided.
func (l *classicLink) message(want int) (io.Reader, bool) {
	var limit int64 // of the message; 0 none
	if want == websocket.TextMessage {
		limit = maxClassicText
	}
	l.ws.SetReadLimit(limit)
	kind, r, err := l.ws.NextReader()
	switch {
	case err != nil:
		l.lost(err)
	case l.isClosing():
	case kind != want:
		l.finish(protocolError("text and binary messages do not alternate"))
	default:
		l.begun++
		l.touch()
		return r, true
	}
	return nil, false
}

// atHand reports whether the next message is in memory as a whole: reading it
// waits for nothing. The last one that has begun was read to its end.
func (l *classicLink) atHand() bool { return l.tap.MessagesRead() > l.begun }

// text reads a message that has begun. The bytes are valid until the next text.
func (l *classicLink) text(r io.Reader) ([]byte, bool) {
	b := l.head[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, make([]byte, max(512, cap(b)))...)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.lost(err)
			return nil, false
		}
	}
	if l.head = b; cap(b) > classicKept {
		l.head = nil
	}
	if !utf8.Valid(b) {
		l.finish(ending{code: engine.CloseInvalidText, text: "text is not UTF-8", reason: engine.ReasonTunnelFailed})
		return nil, false
	}
	return b, true
}

// lost ends the connection for an error of the library's reader.
func (l *classicLink) lost(err error) {
	e := endingOf(err)
	l.peerOver.Store(e.remote)
	l.stop(e, e.code == engine.CloseAbnormal)
}

// rest gives large buffers back when an exchange is over.
func (l *classicLink) rest() {
	l.w.shrink()
	if len(l.pieces) > classicKept {
		l.pieces = nil
	}
}

// drop is the last thing that the reader does: it reads what still comes, so
// that our Close frame is not lost to unread bytes (RFC 6455 §7.1.1).
func (l *classicLink) drop() {
	l.mu.Lock()
	abrupt, limit := l.abrupt, l.limit
	l.mu.Unlock()
	if abrupt || limit.IsZero() || l.peerOver.Load() {
		return
	}
	_ = l.tap.SetReadDeadline(limit)
	scratch := make([]byte, 4<<10) // not on the stack, which an idle reader keeps
	for left := lingerBytes; left > 0; {
		n, err := l.tap.Read(scratch)
		if err != nil {
			return
		}
		left -= n
	}
}

// Drain takes nothing new and ends when what runs has ended, or after grace. In
// wsp an end can't ask the other to send nothing more.
func (l *classicLink) Drain(grace time.Duration, reason string) {
	if l.draining.Swap(true) {
		return
	}
	l.mu.Lock()
	l.last = reason
	if l.end == nil {
		l.grace = time.AfterFunc(grace, l.drained)
	}
	l.mu.Unlock()
	if l.slots.Load() == 0 {
		l.drained()
	}
}

// Restart is Drain with another code.
func (l *classicLink) Restart(grace time.Duration, reason string) {
	l.restarts.Store(true)
	l.Drain(grace, reason)
}

// drained ends a draining connection.
func (l *classicLink) drained() {
	l.mu.Lock()
	reason := l.last
	l.mu.Unlock()
	code := engine.CloseGoingAway
	if l.restarts.Load() {
		code = engine.CloseRestart
	}
	l.finish(ending{code: code, text: reason, reason: engine.ReasonTunnelFailed})
}

func (l *classicLink) ID() engine.ConnectionID    { return l.id }
func (l *classicLink) Protocol() engine.Protocol  { return engine.ProtocolClassic }
func (l *classicLink) Greeting() *engine.Greeting { return l.greeting }
func (l *classicLink) InFlight() int              { return int(l.slots.Load()) }
func (l *classicLink) Ping() <-chan struct{}      { return nil }
func (l *classicLink) Done() <-chan struct{}      { return l.done }

// Close ends the connection and waits.
func (l *classicLink) Close(code engine.CloseCode, reason string) {
	e := ending{code: code, text: reason, reason: engine.ReasonTunnelFailed}
	if code == engine.CloseKilled || code == engine.CloseBanned {
		e.reason = engine.ReasonOperator
	}
	l.finish(e)
	<-l.done
}

// Ended is why; only after Done.
func (l *classicLink) Ended() (engine.CloseCode, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end == nil {
		return 0, ""
	}
	return l.end.code, l.end.text
}

// Status fills what the tunnel knows.
func (l *classicLink) Status(c *engine.Connection) {
	c.ID, c.Peer, c.Protocol, c.Opened = l.id, l.peer, engine.ProtocolClassic, l.opened
	c.Greeting = l.greeting
	c.Traffic = l.counters.Traffic()
	c.InFlight = l.InFlight()
	c.Exchanges = l.exchanges.Load()
	c.PingEvery = l.limits.Ping
	if at := l.pingAt.Load(); at != 0 && (c.InFlight == 0 || l.pingBusy) {
		c.PingNext = time.Unix(0, at)
	}
	c.RTT, c.RTTMin = time.Duration(l.rtt.Load()), time.Duration(l.rttMin.Load())
	switch {
	case l.isClosing():
		c.State = engine.StateClosing
	case l.draining.Load():
		c.State = engine.StateDraining
	case c.InFlight > 0:
		c.State = engine.StateBusy
	default:
		c.State = engine.StateIdle
	}
}
