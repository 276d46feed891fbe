package tunnel

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// A classicReply is a response head, or why there is none.
type classicReply struct {
	response *wire.Response
	err      *engine.Error
}

// A classicExchange is the server's end of a request over wsp.
type classicExchange struct {
	c       *classicConn
	ctx     context.Context
	release func() // takes ctx off the connection; nil: it is not on it
	head    bool   // HEAD: the response has no content
	sent    time.Time

	reply   chan classicReply // capacity 1; never closed
	replied bool              // of the link's reader: the head came
	body    classicBody
	rest    []byte // of the reading goroutine: of a piece that Read has begun
	final   bool   // of the reading goroutine: the head was read

	// Of the writing goroutine.
	left  int64 // of what content-length promised; -1 unknown
	whole bool  // no content was written yet

	ended   atomic.Bool  // all request content was written, or its last frame is on its way
	refused atomic.Bool  // the request was not performed
	early   atomic.Bool  // what is not written is not wanted: it was answered
	moved   atomic.Int64 // when request content last moved, nanoseconds since opened
}

// fault returns the error of the exchange for what became of the connection.
func (x *classicExchange) fault(cause *engine.Error) error {
	if x.ctx.Err() != nil {
		return engine.Fail("exchange", engine.ReasonCallerGone, context.Cause(x.ctx))
	}
	return cause
}

// hold ends the connection when the caller goes away, until letGo.
func (x *classicExchange) hold() {
	gone := make(chan struct{})
	stop := context.AfterFunc(x.ctx, func() {
		defer close(gone)
		x.callerGone()
	})
	x.release = func() {
		if !stop() {
			<-gone
		}
	}
}

func (x *classicExchange) letGo() {
	if x.release != nil {
		x.release()
		x.release = nil
	}
}

// callerGone ends the connection: wsp has no other word for it.
func (x *classicExchange) callerGone() {
	x.c.abort("the caller went away, and wsp has no other word for it", engine.ReasonCallerGone)
}

// answered stops the writing of a request that is not wanted any more: its
// connection closes when the response was delivered.
func (x *classicExchange) answered() {
	if !x.ended.Load() {
		x.early.Store(true)
		x.c.w.hurry(time.Now())
	}
}

// ReadResponse waits for the head.
func (x *classicExchange) ReadResponse() (*wire.Response, error) {
	if x.final {
		return nil, engine.Fail("read response", engine.ReasonInternal, errors.New("the head was read before"))
	}
	limit := x.c.limits.Head
	timer := x.c.headTimer
	if timer == nil {
		timer = time.NewTimer(limit)
		x.c.headTimer = timer
	} else {
		timer.Reset(limit)
	}
	defer timer.Stop()
	var gone <-chan struct{}
	if x.release == nil {
		gone = x.ctx.Done()
	}
	for {
		select {
		case reply := <-x.reply:
			return x.take(reply)
		case <-x.c.closing:
			select {
			case reply := <-x.reply:
				return x.take(reply)
			default:
				return nil, x.fault(x.c.cause())
			}
		case <-gone:
			gone = nil
			x.callerGone()
			continue
		case <-timer.C:
		}
		// A real client answers when it has the whole request.
		quiet := time.Since(x.c.opened) - time.Duration(x.moved.Load())
		if quiet < limit {
			timer.Reset(limit - quiet)
			continue
		}
		x.c.abort("no response head in time", engine.ReasonTimedOut)
	}
}

func (x *classicExchange) take(reply classicReply) (*wire.Response, error) {
	x.final = true
	if reply.err != nil {
		return nil, reply.err
	}
	if x.release == nil && x.body.ready != nil {
		x.hold()
	}
	return reply.response, nil
}

// Next returns the next piece of content.
func (x *classicExchange) Next() ([]byte, error) {
	if len(x.rest) > 0 {
		p := x.rest
		x.rest = nil
		return p, nil
	}
	p, err := x.body.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, x.fault(x.c.cause())
	}
	return p, err
}

// Read is Next as an io.Reader.
func (x *classicExchange) Read(p []byte) (int, error) {
	if len(x.rest) == 0 {
		var err error
		if x.rest, err = x.Next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, x.rest)
	x.rest = x.rest[n:]
	return n, nil
}

// Buffered is true for content that came whole with its head, its end included,
// and for what Read has left over. What the socket holds is not known above the
// library.
func (x *classicExchange) Buffered() bool { return x.body.ready == nil || len(x.rest) > 0 }

// Trailers returns nil: wsp carries none.
func (x *classicExchange) Trailers() []wire.Field { return nil }

// Write sends content, each piece of it as a frame.
func (x *classicExchange) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		piece := p[:min(len(p), classicPiece)]
		p = p[len(piece):]
		if x.left >= 0 {
			if x.left -= int64(len(piece)); x.left < 0 {
				return written, x.contradicts()
			}
		}
		// Content that is whole in its first piece is one frame.
		whole := x.whole && x.left == 0
		x.whole = false
		if err := x.send(piece, whole); err != nil {
			return written, err
		}
		written += len(piece)
	}
	return written, nil
}

// CloseWrite ends the content. Trailers are dropped.
func (x *classicExchange) CloseWrite([]wire.Field) error {
	if x.ended.Load() {
		return nil
	}
	if x.left > 0 {
		return x.contradicts()
	}
	return x.send(nil, true)
}

func (x *classicExchange) send(p []byte, fin bool) error {
	if fin && !x.early.Load() {
		// Before the frame is on its way: the answer may be faster than we are.
		x.ended.Store(true)
	}
	if x.early.Load() {
		return errOver
	}
	if x.ended.Load() && !fin {
		return engine.Fail("write content", engine.ReasonInternal, engine.ErrClosed)
	}
	err := x.c.w.content(p, fin, x.c.limits.Head)
	switch {
	case err == nil:
		x.moved.Store(int64(time.Since(x.c.opened)))
		return nil
	case x.early.Load():
		return errOver
	}
	if !x.c.isClosing() {
		x.c.abort("connection lost: "+netText(err), engine.ReasonTunnelFailed)
	}
	return x.fault(x.c.cause())
}

// contradicts ends an exchange whose content is not what its head promised.
func (x *classicExchange) contradicts() error {
	x.c.abort(errLength.Error(), engine.ReasonMalformed)
	return x.fault(x.c.cause())
}

// over reports whether request and response went to their ends, or to what ends
// them early.
func (x *classicExchange) over() bool {
	if x.refused.Load() {
		return true
	}
	return x.body.ended.Load() && (x.ended.Load() || x.early.Load())
}

// Reset ends the exchange, and in wsp the connection with it.
func (x *classicExchange) Reset(code wire.ResetCode, reason string) {
	if x.over() {
		return
	}
	why := engine.ReasonTunnelFailed
	switch code {
	case wire.ResetCancelled:
		why = engine.ReasonCallerGone
	case wire.ResetTimedOut:
		why = engine.ReasonTimedOut
	}
	x.c.abort("exchange reset: "+engine.Bound(reason), why)
}

// Close gives the slot back, if nothing about the exchange is in doubt.
func (x *classicExchange) Close() {
	x.letGo()
	x.c.current.Store(nil)
	x.c.exchanges.Add(1)
	switch {
	case x.refused.Load():
		x.c.finish(notPerformed())
	case x.over() && !x.early.Load():
		x.c.rest()
	default:
		x.c.abort("an exchange did not come to its end", engine.ReasonTunnelFailed)
	}
	x.c.Unreserve()
}

// Retryable is false: the head was written before Open returned.
func (x *classicExchange) Retryable() bool { return false }

// SentAt returns when the head was written.
func (x *classicExchange) SentAt() time.Time { return x.sent }
