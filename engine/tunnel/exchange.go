package tunnel

import (
	"errors"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// errOver is what a writer gets once the exchange is over without a failure: a
// response's END ended it, and what the request still had is not wanted.
var errOver = errors.New("the exchange is over")

// An exchange is what both ends keep of one request with its response: what
// came and was not read, what waits to be written, and who waits for either.
// The fields below mu are guarded by the conn's mutex.
type exchange struct {
	c    *conn
	gone <-chan struct{} // server: the caller went away

	head    bool // HEAD: the response has no content
	upgrade bool // the request asked for one
	connect bool
	stops   *incomingContext // client: ends with the exchange

	held *chunk // belongs to the reading goroutine: what Next returned last

	// mu: guarded by c.mu from here on.
	readable chan struct{} // capacity 1, made when somebody waits; never closed
	writable chan struct{} // likewise

	id    uint64 // at the server 0 until the head is written
	taken bool   // server: the writer took the head
	over  bool   // records for it are dropped from now on
	err   *engine.Error
	raw   bool
	reset wire.ResetCode // received; 0 none

	in         chunkQueue
	response   *wire.Response   // server: the next head, not read yet
	heads      []*wire.Response // server: those behind it
	final      bool             // server: the final head came. client: it was queued
	inform     int              // informational responses so far
	inEnd      bool             // the peer's END came
	inLeft     int64            // content that content-length promises; -1 unknown
	inTrailers []wire.Field
	inCredit   int64     // what the peer may still send
	window     int64     // what the peer may send and this end has not granted anew
	grant      int64     // credit to be written
	granting   bool      // stands in the outbox's grants
	consumed   int64     // read and not granted yet
	read       int64     // since the last look
	looked     time.Time // when it was last asked whether the window limits the peer
	starved    bool      // the reader has had to wait since then
	grown      int64     // bytes taken from the growth budget

	credit      int64  // what may still be sent
	piece       []byte // waits for the writer
	taking      bool   // the writer is copying from what was piece
	small       *chunk // what piece lies in, if it was copied
	queued      bool   // stands in the outbox's ring
	outEnd      bool   // no more content will be written
	outEnded    bool   // END was written
	outTrailers *chunk

	sent   time.Time // server: when the head was written
	moved  time.Time // when request content last moved
	active uint64    // raw: bytes both ways, for the idle limit
	seen   uint64    // raw: active at the last look
	idle   time.Time // raw: since when they are equal
}

func newExchange(c *conn, gone <-chan struct{}) *exchange {
	x := &exchange{gone: gone}
	x.init(c)
	return x
}

func (x *exchange) init(c *conn) {
	x.c = c
	x.inLeft = -1
	x.window = int64(c.limits.Window)
	x.inCredit = x.window
	x.credit = c.peerWindow
}

// failLocked ends the exchange for cause: what is queued or buffered is
// discarded. It reports whether the exchange was still running.
func (x *exchange) failLocked(cause *engine.Error) bool {
	if x.err != nil || x.over {
		return false
	}
	x.err = cause
	x.in.clear()
	x.response, x.heads = nil, nil
	x.c.overLocked(x)
	return true
}

// overLocked takes an exchange off the connection's books and drops what it
// still wanted to write. What came stays readable.
func (c *conn) overLocked(x *exchange) {
	if x.over {
		return
	}
	x.over = true
	if x.id != 0 {
		delete(c.exchanges, x.id)
	}
	if !x.taking {
		x.dropPieceLocked()
	}
	x.outTrailers.free()
	x.outTrailers = nil
	signal(x.writable)
	signal(x.readable)
}

func (x *exchange) dropPieceLocked() {
	x.piece = nil
	x.small.free()
	x.small = nil
}

// stopped follows a failure, without the lock: it tells the context of an
// Incoming. At the server nobody but the waiting goroutines wants to know.
func (x *exchange) stopped() {
	if x.stops != nil {
		x.stops.end()
	}
}

// resetLocked ends the exchange with a RESET of this end, if it is not over. A
// head that was not written is just taken back.
func (x *exchange) resetLocked(code wire.ResetCode, reason string, cause *engine.Error) bool {
	if x.over {
		return false
	}
	written := x.id != 0
	if !x.failLocked(cause) {
		return false
	}
	x.c.out.abandoned()
	if written {
		x.c.out.resets = append(x.c.out.resets, outReset{id: x.id, payload: wire.AppendReset(nil, code, wireReason(reason))})
		x.c.rouse()
	}
	return true
}

// wireReason bounds what a RESET says.
func wireReason(reason string) string { return strings.ToValidUTF8(engine.Bound(reason), "?") }

// wait lets the mutex go and blocks until *ch is signalled, the party this is
// done for has gone, or the timer fires. The connection's end signals too. The
// channel is made under the mutex, so that no signal for what the caller has
// seen under it is missed.
func (x *exchange) wait(ch *chan struct{}, timer <-chan time.Time) error {
	if *ch == nil {
		*ch = make(chan struct{}, 1)
	}
	wake := *ch
	x.c.mu.Unlock()
	select {
	case <-wake:
		return nil
	case <-x.gone:
		return errGone
	case <-timer:
		return errTimer
	}
}

var (
	errGone  error = engine.Fail("exchange", engine.ReasonCallerGone, nil)
	errTimer error = engine.Fail("wait for the response", engine.ReasonTimedOut, nil)
)

// Write sends content.
func (x *exchange) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n, err := x.writePiece(p)
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// writePiece queues as much of p as there is credit for and, unless it was
// copied, returns when the writer has taken all of it.
func (x *exchange) writePiece(p []byte) (int, error) {
	c := x.c
	c.mu.Lock()
	for {
		if err := x.writeErrLocked(); err != nil {
			c.mu.Unlock()
			return 0, err
		}
		if x.credit >= min(leastCredit, int64(len(p))) && len(x.piece) == 0 && !x.taking {
			break
		}
		if err := x.wait(&x.writable, nil); err != nil {
			return 0, err
		}
		c.mu.Lock()
	}
	n := int(min(int64(len(p)), x.credit))
	copied := n <= smallPiece
	if copied {
		x.queueSmallLocked(p[:n])
	} else {
		x.credit -= int64(n)
		x.piece = p[:n]
		x.queueLocked()
	}
	c.mu.Unlock()
	c.rouse()
	if copied {
		return n, nil
	}
	return n, x.awaitTaken()
}

// queueSmallLocked queues a copy of p, for which there is credit and no piece in
// the way.
func (x *exchange) queueSmallLocked(p []byte) {
	x.credit -= int64(len(p))
	x.small = newChunk(len(p))
	x.small.data = append(x.small.data, p...)
	x.piece = x.small.data
	x.queueLocked()
}

// awaitTaken returns when nobody reads the piece any more: it was taken, or the
// exchange is over, or who it is done for has gone.
func (x *exchange) awaitTaken() error {
	c := x.c
	var gone error
	for {
		c.mu.Lock()
		if !x.taking && (len(x.piece) == 0 || gone != nil) {
			x.piece = nil
			err := x.writeErrLocked()
			c.mu.Unlock()
			if err == nil {
				err = gone
			}
			return err
		}
		if gone != nil {
			x.piece = nil
			ch := x.writable
			c.mu.Unlock()
			<-ch // the writer is copying in memory: it ends at once
			continue
		}
		gone = x.wait(&x.writable, nil)
	}
}

// writeErrLocked says why nothing can be written, nil if it can.
func (x *exchange) writeErrLocked() error {
	switch {
	case x.err != nil:
		return x.err
	case x.over:
		return errOver
	case x.outEnd:
		return engine.Fail("write content", engine.ReasonInternal, engine.ErrClosed)
	}
	return nil
}

// queueLocked puts the exchange into the writer's round.
func (x *exchange) queueLocked() {
	if !x.queued {
		x.queued = true
		if len(x.piece) > fairPiece {
			x.c.out.bulk.push(x)
		} else {
			x.c.out.ready.push(x)
		}
	}
}

// CloseWrite says that no more content follows.
func (x *exchange) CloseWrite(trailers []wire.Field) error {
	var section *chunk
	if len(trailers) > 0 {
		if err := wire.CheckTrailers(trailers); err != nil {
			return headError("send trailers", err)
		}
		section = newChunk(fieldsSize(trailers))
		section.data = wire.AppendTrailers(section.data, trailers)
		if len(section.data) > wire.MaxHead {
			section.free()
			return headError("send trailers", wire.ErrTooBig)
		}
	}
	c := x.c
	c.mu.Lock()
	if x.over || x.outEnd {
		err := x.err
		c.mu.Unlock()
		section.free()
		if err != nil {
			return err
		}
		return nil
	}
	x.outEnd = true
	if !x.raw {
		x.outTrailers = section
	} else {
		section.free()
	}
	x.queueLocked()
	c.mu.Unlock()
	c.rouse()
	return nil
}

// Reset ends the exchange now.
func (x *exchange) Reset(code wire.ResetCode, reason string) {
	x.c.mu.Lock()
	did := false
	if !x.over {
		did = x.resetLocked(code, reason, engine.Fail("reset", resetReason(code), resetCause(engine.Bound(reason))))
	}
	x.c.mu.Unlock()
	if did {
		x.stopped()
	}
}

// resetReason is what a RESET means to a caller.
func resetReason(code wire.ResetCode) engine.Reason {
	switch code {
	case wire.ResetCancelled:
		return engine.ReasonCallerGone
	case wire.ResetOriginFailed:
		return engine.ReasonOriginFailed
	case wire.ResetTimedOut:
		return engine.ReasonTimedOut
	case wire.ResetRefused:
		return engine.ReasonRefused
	case wire.ResetDenied:
		return engine.ReasonDenied
	}
	return engine.ReasonInternal
}

// headError is what is wrong with a head that was to be sent.
func headError(op string, err error) *engine.Error {
	if errors.Is(err, wire.ErrTooBig) {
		return engine.Fail(op, engine.ReasonHeadTooBig, err)
	}
	return engine.Fail(op, engine.ReasonMalformed, err)
}

// release frees what the exchange still holds; its goroutines have returned.
// Content may outlast the exchange by long: the growth of its window is given
// back only here, with the buffers.
func (x *exchange) release() {
	x.held.free()
	x.held = nil
	c := x.c
	c.mu.Lock()
	x.in.clear()
	if x.grown > 0 {
		c.growth.give(x.grown)
		c.grown -= x.grown
		x.grown = 0
	}
	c.mu.Unlock()
}
