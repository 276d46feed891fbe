package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

const (
	pieceSize    = tunnel.PieceSize
	continueWait = time.Second // for a 100 before content is read anyway
)

var piecePool = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// An upload carries request content from the caller to the exchange, on a
// goroutine of its own, because an origin may answer before it has read all.
type upload struct {
	active bool
	w      http.ResponseWriter
	r      *http.Request
	ex     tunnel.Exchange
	c      *call
	stall  time.Duration
	watch  *stallWatch // in HTTP/2, in place of deadlines
	expect bool        // the caller waits for a 100

	done    chan struct{} // closed when the goroutine has returned
	decided chan struct{} // closed when expect is decided: a 100 or a final head
	eof     atomic.Bool   // all content was read
	failed  atomic.Uint32 // an engine.Reason: the caller left, or what it sent can't pass
	n       int64         // bytes taken; for others after done
	live    *engine.Live  // of the call; may be nil
	tee     *capture.Tee  // likewise

	mu       sync.Mutex // w.WriteHeader for 1xx, and what follows
	final    bool       // the final head came, or the end: no deadline any more
	stopped  bool
	cut      bool // a read was woken by a past deadline: the connection is spoilt
	settled  bool // decided is closed
	went100  bool
	deadline time.Time
}

// start begins to carry content.
func (u *upload) start(w http.ResponseWriter, r *http.Request, ex tunnel.Exchange, c *call, expect bool) {
	u.active, u.w, u.r, u.ex, u.c, u.expect = true, w, r, ex, c, expect
	u.stall = c.s.live().Caps.Stall
	if r.ProtoMajor == 2 {
		u.watch = newReadWatch(c, w, r)
	} else {
		http.NewResponseController(w).EnableFullDuplex()
	}
	u.done = make(chan struct{})
	if expect {
		u.decided = make(chan struct{})
	}
	go u.run()
}

func (u *upload) run() {
	defer close(u.done)
	if u.expect && !u.mayRead() {
		return
	}
	buf := piecePool.Get().(*[pieceSize]byte)
	defer piecePool.Put(buf)
	for {
		u.arm()
		n, err := u.r.Body.Read(buf[:])
		u.watch.end()
		if err == io.EOF {
			u.eof.Store(true)
			u.disarm()
		}
		if n > 0 && u.tooBig(n) {
			return
		}
		if n > 0 {
			u.c.on.pace(u.r.Context(), u.c.s, true, u.n, n, u.isStopped)
			u.n += int64(n)
			u.tee.Request(buf[:n])
			if u.live != nil {
				u.live.RequestBytes.Store(u.n)
			}
			if _, werr := u.ex.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err == io.EOF {
			u.tee.EndRequest()
			if err := u.ex.CloseWrite(requestTrailers(u.r.Trailer)); err != nil {
				u.fail(engine.ReasonOf(err), "trailers that can't pass")
			}
			return
		}
		if err != nil {
			if u.hasStalled(err) {
				u.c.callerReached(limitStall, "a caller does not send what is due")
			}
			if !u.isStopped() {
				u.fail(engine.ReasonCallerGone, "the caller left or stalled")
			}
			return
		}
	}
}

// hasStalled reports whether err is that content which was due did not come. net/http
// ends the context of the request before it returns such an error: the exchange may
// be over by now, and its end look like a read that stop has woken.
func (u *upload) hasStalled(err error) bool {
	if u.watch != nil {
		return u.watch.hasFired()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return errors.Is(err, os.ErrDeadlineExceeded) && !u.deadline.IsZero() && !time.Now().Before(u.deadline)
}

// fail ends the exchange for a fault of the caller's side.
func (u *upload) fail(reason engine.Reason, text string) {
	u.failed.Store(uint32(reason))
	u.ex.Reset(wire.ResetCancelled, text)
}

func (u *upload) fault() engine.Reason { return engine.Reason(u.failed.Load()) }

// mayRead waits for a 100, sends one of our own after a second, and reports
// false if a final head came instead.
func (u *upload) mayRead() bool {
	timer := time.NewTimer(continueWait)
	defer timer.Stop()
	select {
	case <-u.decided:
	case <-timer.C:
	case <-u.r.Context().Done():
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.final || u.stopped {
		return false
	}
	u.send100()
	return true
}

// send100 lets the caller send; under mu. In HTTP/2 net/http sends it on the
// first read, and would send a second one.
func (u *upload) send100() {
	if u.expect && !u.went100 && u.r.ProtoMajor == 1 {
		u.w.WriteHeader(http.StatusContinue)
	}
	u.went100 = true
}

func (u *upload) settle() {
	if u.decided != nil && !u.settled {
		u.settled = true
		close(u.decided)
	}
}

// informational passes a 1xx head on (RFC 9110 §15.2).
func (u *upload) informational(w http.ResponseWriter, r *http.Request, resp *wire.Response) {
	if !r.ProtoAtLeast(1, 1) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if resp.Status == http.StatusContinue {
		if u.active && u.expect {
			u.send100()
			u.settle()
		}
		return
	}
	h := w.Header()
	copyHead(h, resp.Fields)
	w.WriteHeader(resp.Status)
	clear(h)
}

// arm sets the deadline for content that is due, until the final head came.
func (u *upload) arm() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.final || u.stopped {
		return
	}
	if u.watch != nil {
		u.watch.begin()
		return
	}
	now := time.Now()
	if u.deadline.Sub(now) < u.stall-min(u.stall/16, time.Second) {
		u.deadline = now.Add(u.stall)
		http.NewResponseController(u.w).SetReadDeadline(u.deadline)
	}
}

func (u *upload) disarm() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.deadline.IsZero() && !u.stopped {
		u.deadline = time.Time{}
		http.NewResponseController(u.w).SetReadDeadline(time.Time{})
	}
}

// answered says that the final head came: content is read on without a
// deadline, or, if the caller still waits for a 100, never.
func (u *upload) answered() {
	if !u.active {
		return
	}
	u.watch.end()
	u.mu.Lock()
	u.final = true
	u.settle()
	armed := !u.deadline.IsZero() && !u.stopped
	u.deadline = time.Time{}
	if armed {
		http.NewResponseController(u.w).SetReadDeadline(time.Time{})
	}
	u.mu.Unlock()
}

// stop joins the goroutine. The exchange is over, or was reset. A past deadline
// wakes it where it reads; the connection is then not used again.
func (u *upload) stop() {
	if !u.active {
		return
	}
	u.mu.Lock()
	u.stopped = true
	u.settle()
	if !u.eof.Load() {
		u.cut = true
		pastReadDeadline(u.w)
	}
	u.mu.Unlock()
	<-u.done
	u.watch.close()
	u.active = false
}

// unread reports, before the goroutine began or after it was joined, whether
// content of r may still stand on the connection.
func (u *upload) unread(r *http.Request) bool {
	return hasContent(r) && (u.cut || !u.eof.Load())
}

func (u *upload) isStopped() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stopped
}

// pastReadDeadline ends a read of the request's content now.
func pastReadDeadline(w http.ResponseWriter) {
	http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
}
