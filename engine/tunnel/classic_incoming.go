package tunnel

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// classicPatience is how long at least a response waits for the socket while its
// origin takes nothing of the request, before the rest of that is discarded. A
// real server reads no answer before it has sent all of its request: not
// reading it would be a deadlock.
const classicPatience = time.Second

// A classicIncoming is the client's end of a request over wsp.
type classicIncoming struct {
	s       *classicSession
	request *wire.Request // nil if it was invalid
	length  int64         // of its content; -1 unknown
	arrived time.Time
	ctx     context.Context
	cancel  context.CancelFunc

	body     classicBody
	rest     []byte                        // of the reading goroutine: of a piece that Read has begun
	finished chan struct{}                 // closed when the handler has returned; nil where content was taken
	parts    atomic.Int32                  // of the exchange that have not ended: content, handler
	ended    atomic.Bool                   // all parts have
	over     atomic.Pointer[chan struct{}] // closed then, if a reader waits for it

	answered atomic.Bool // the last frame of the answer was written, or is on its way
	headOut  atomic.Bool // the head was written, or is on its way

	writing atomic.Uint64 // number of the piece that the socket has not taken yet; 0 none

	// Of the writing goroutine.
	left  int64  // of what content-length promised; -1 unknown
	piece uint64 // pieces of content
}

func (in *classicIncoming) Request() *wire.Request        { return in.request }
func (in *classicIncoming) Connect() (wire.Connect, bool) { return wire.Connect{}, false }
func (in *classicIncoming) HasContent() bool              { return in.length != 0 }
func (in *classicIncoming) Context() context.Context      { return in.ctx }
func (in *classicIncoming) Arrived() time.Time            { return in.arrived }

// part says that one part of the exchange has ended.
func (in *classicIncoming) part() {
	if in.parts.Add(-1) > 0 {
		return
	}
	in.s.idle()
	in.ended.Store(true)
	if over := in.over.Load(); over != nil {
		close(*over)
	}
}

// join waits until all parts have ended, and reports whether they have: the
// connection may end first.
func (in *classicIncoming) join() bool {
	over := make(chan struct{})
	in.over.Store(&over)
	if in.ended.Load() { // else part sees over
		return true
	}
	select {
	case <-over:
		return true
	case <-in.s.closing:
		return false
	}
}

// Next returns the next piece of content.
func (in *classicIncoming) Next() ([]byte, error) {
	if len(in.rest) > 0 {
		p := in.rest
		in.rest = nil
		return p, nil
	}
	return in.body.next()
}

// Read is Next as an io.Reader.
func (in *classicIncoming) Read(p []byte) (int, error) {
	if len(in.rest) == 0 {
		var err error
		if in.rest, err = in.Next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}

// Buffered is true for content that came whole with its head, its end included,
// and for what Read has left over: what the socket holds is not known without
// waiting for it.
func (in *classicIncoming) Buffered() bool { return in.body.ready == nil || len(in.rest) > 0 }

// Trailers returns nil: wsp carries none.
func (in *classicIncoming) Trailers() []wire.Field { return nil }

// WriteInformational does nothing: wsp carries none.
func (in *classicIncoming) WriteInformational(int, []wire.Field) error { return nil }

// WriteResponse sends the head.
func (in *classicIncoming) WriteResponse(r *wire.Response, end bool) error {
	text, left, err := in.head(r, end)
	if err != nil {
		return err
	}
	if in.left = left; end {
		in.answered.Store(true)
	}
	return in.wrote(in.s.w.text(text, end, in.s.limits.Head))
}

// head encodes the head and takes the right to write it. left is what its
// content-length promises; -1 unknown.
func (in *classicIncoming) head(r *wire.Response, end bool) (text []byte, left int64, err error) {
	const op = "send response"
	switch {
	case r.Status == 101:
		return nil, 0, engine.Fail(op, engine.ReasonUnsupported, errors.New("wsp carries no upgrades"))
	case r.Status < 200:
		return nil, 0, engine.Fail(op, engine.ReasonInternal, errors.New("not a final response"))
	}
	if err := wire.CheckResponse(r); err != nil {
		return nil, 0, headError(op, err)
	}
	none := noContent(r.Status, in.request != nil && in.request.Method == "HEAD")
	head := classicResponse(r, end, none)
	text = wire.AppendClassicResponse(make([]byte, 0, 512), head)
	if len(text) > maxClassicText {
		return nil, 0, headError(op, wire.ErrTooBig)
	}
	if !in.claim() {
		return nil, 0, engine.Fail(op, engine.ReasonInternal, engine.ErrClosed)
	}
	if none {
		return text, 0, nil
	}
	return text, head.ContentLength, nil
}

// claim takes the right to write the head, which there is once.
func (in *classicIncoming) claim() bool { return in.headOut.CompareAndSwap(false, true) }

// Write sends content, each piece of it as a frame.
func (in *classicIncoming) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		piece := p[:min(len(p), classicPiece)]
		p = p[len(piece):]
		if in.left >= 0 {
			if in.left -= int64(len(piece)); in.left < 0 {
				return written, in.contradicts()
			}
		}
		whole := in.piece == 0 && in.left == 0
		if err := in.send(piece, whole); err != nil {
			return written, err
		}
		written += len(piece)
	}
	return written, nil
}

// CloseWrite ends the content. Trailers are dropped.
func (in *classicIncoming) CloseWrite([]wire.Field) error {
	if in.answered.Load() {
		return nil
	}
	if in.left > 0 {
		return in.contradicts()
	}
	return in.send(nil, true)
}

// Respond sends the head and all of the content in one write.
func (in *classicIncoming) Respond(r *wire.Response, content []byte) (done bool, err error) {
	if len(content) == 0 || len(content) > classicPiece {
		return false, nil
	}
	text, left, err := in.head(r, false)
	if err != nil {
		return false, err
	}
	if left >= 0 && left != int64(len(content)) {
		return false, in.contradicts()
	}
	in.answered.Store(true)
	if err := in.wrote(in.s.w.answer(text, content, in.s.limits.Head)); err != nil {
		return false, err
	}
	return true, nil
}

func (in *classicIncoming) send(p []byte, fin bool) error {
	switch {
	case !in.headOut.Load(), in.answered.Load():
		return engine.Fail("write content", engine.ReasonInternal, engine.ErrClosed)
	case fin:
		// Before the frame is on its way: the next request may be faster than we are.
		in.answered.Store(true)
	}
	in.piece++
	in.writing.Store(in.piece)
	err := in.s.w.content(p, fin, in.s.limits.Head)
	in.writing.Store(0)
	return in.wrote(err)
}

// wrote ends the connection on which a write has failed.
func (in *classicIncoming) wrote(err error) error {
	if err == nil {
		return nil
	}
	if !in.s.isClosing() {
		in.s.abort("connection lost: "+netText(err), engine.ReasonTunnelFailed)
	}
	return in.s.cause()
}

// contradicts ends an answer whose content is not what its head promised.
func (in *classicIncoming) contradicts() error {
	in.s.abort(errLength.Error(), engine.ReasonOriginFailed)
	return in.s.cause()
}

// Reset ends the exchange with a failure: as wsp does, by an answer with status
// 527 and the reason as its content; once the head is out, by ending TCP without
// FIN=1.
func (in *classicIncoming) Reset(code wire.ResetCode, reason string) {
	if in.answered.Load() {
		return
	}
	in.cancel()
	if in.s.isClosing() {
		return
	}
	if !in.claim() {
		in.s.abort("response cut: "+engine.Bound(reason), engine.ReasonOriginFailed)
		return
	}
	in.answered.Store(true)
	if reason == "" {
		reason = resetText(code)
	}
	reason = engine.Bound(reason)
	head := wire.AppendClassicResponse(nil, &wire.ClassicResponse{
		StatusCode: statusNotPerformed, Header: map[string][]string{}, ContentLength: int64(len(reason))})
	_ = in.wrote(in.s.w.answer(head, []byte(reason), in.s.limits.Head))
}

// resetText says what a code means.
func resetText(code wire.ResetCode) string {
	switch code {
	case wire.ResetCancelled:
		return engine.ReasonCallerGone.String()
	case wire.ResetOriginFailed:
		return engine.ReasonOriginFailed.String()
	case wire.ResetTimedOut:
		return engine.ReasonTimedOut.String()
	case wire.ResetRefused:
		return engine.ReasonRefused.String()
	case wire.ResetDenied:
		return engine.ReasonDenied.String()
	case wire.ResetMalformed:
		return engine.ReasonMalformed.String()
	}
	return engine.ReasonInternal.String()
}
