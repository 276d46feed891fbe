package tunnel

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"adit/engine"
)

var (
	errLength  = errors.New("content is not as long as its content-length says")
	errNotRead = errors.New("content was discarded: it was not taken while the response waited")
)

// A classicBody is the content of one binary message. What is in memory as a
// whole when its head is read, take has taken; nobody then waits for anybody.
// Else (stream) it is read from the library by the goroutine that wants it while
// the link's reader waits, and whoever reads holds the turn.
type classicBody struct {
	l      *classicLink
	length int64         // that was promised; -1 unknown
	ended  atomic.Bool   // the message was read to its end
	moves  atomic.Uint64 // pieces read

	ready chan io.Reader // capacity 1: the message, once it has begun; never closed; nil: taken
	turn  chan struct{}  // capacity 1, a token; guards r, got and err; never closed
	done  chan struct{}  // closed when ended

	taken []byte // what take took and next has not returned
	r     io.Reader
	got   int64
	err   error // io.EOF after the end; else why nothing more can be read
}

// stream says that the content is not in memory. It comes before all but take.
func (b *classicBody) stream() {
	b.ready, b.turn, b.done = make(chan io.Reader, 1), make(chan struct{}, 1), make(chan struct{})
}

// take reads a message that is in memory, or without content, to its end. It
// reports whether that was as promised; if not, the end of the connection is
// decided.
func (b *classicBody) take(r io.Reader) bool {
	if len(b.l.pieces) < classicKept {
		b.l.pieces = make([]byte, classicKept)
	}
	p := b.l.pieces[:classicKept]
	n := 0
	for {
		m, err := r.Read(p[n:])
		n += m
		switch {
		case errors.Is(err, io.EOF):
			if b.length >= 0 && int64(n) != b.length {
				b.fail()
				return false
			}
			b.taken = p[:n]
			b.ended.Store(true)
			return true
		case err != nil:
			b.l.lost(err)
			return false
		case b.length >= 0 && int64(n) > b.length, n == len(p):
			b.fail()
			return false
		}
	}
}

// next returns the next piece, valid until the next call; io.EOF after FIN=1 if
// the length is right. It fails when the connection ends.
func (b *classicBody) next() ([]byte, error) {
	if b.ready == nil {
		p := b.taken
		if b.taken = nil; len(p) == 0 {
			return nil, io.EOF
		}
		return p, nil
	}
	b.turn <- struct{}{}
	defer b.release()
	if b.err == nil && b.r == nil {
		// What came before the end is still read.
		select {
		case b.r = <-b.ready:
		default:
			select {
			case b.r = <-b.ready:
			case <-b.l.closing:
				b.err = b.l.cause()
			}
		}
	}
	if b.err != nil {
		return nil, b.err
	}
	return b.readLocked(b.buffer())
}

func (b *classicBody) release() { <-b.turn }

// readLocked reads a piece into p with the turn held.
func (b *classicBody) readLocked(p []byte) ([]byte, error) {
	for {
		n, err := b.r.Read(p)
		b.got += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			if b.length >= 0 && b.got != b.length {
				b.fail()
				return nil, b.err
			}
			b.err = io.EOF
			b.ended.Store(true)
			close(b.done)
			return nil, io.EOF
		case err != nil:
			b.l.lost(err)
			b.err = b.l.cause()
			return nil, b.err
		case b.length >= 0 && b.got > b.length:
			b.fail()
			return nil, b.err
		case n > 0:
			b.moves.Add(1)
			return p[:n], nil
		}
	}
}

// fail ends the connection: what follows can't be trusted.
func (b *classicBody) fail() {
	b.l.finish(protocolError("%v", errLength))
	b.err = b.l.cause()
}

// buffer returns what the next piece is read into. There is one exchange at a
// time, so the link has one buffer; a large one lives as long as its exchange.
func (b *classicBody) buffer() []byte {
	size := classicKept
	if b.length < 0 || b.length > classicKept {
		size = classicPiece
	}
	if len(b.l.pieces) < size {
		b.l.pieces = make([]byte, size)
	}
	return b.l.pieces
}

// discard reads the message to its end, for nobody: from now on next fails with
// errNotRead. With stalled it does so only if no more than that many pieces
// were ever taken. It reports whether it did and the end came. The message has
// begun.
func (b *classicBody) discard(stalled *uint64) bool {
	if stalled == nil {
		b.turn <- struct{}{}
	} else {
		select {
		case b.turn <- struct{}{}:
		default: // it is being taken
			return false
		}
	}
	defer b.release()
	if stalled != nil && b.moves.Load() != *stalled {
		return false
	}
	if b.r == nil && b.err == nil {
		b.r = <-b.ready
	}
	// Not the link's buffer: the piece in it may still be in use.
	scratch := make([]byte, classicKept)
	for b.err == nil {
		if b.l.isClosing() {
			b.err = b.l.cause()
			break
		}
		_, _ = b.readLocked(scratch)
	}
	if !errors.Is(b.err, io.EOF) {
		return false
	}
	if stalled != nil {
		b.err = engine.Fail("read content", engine.ReasonTunnelFailed, errNotRead)
	}
	return true
}

// quit ends reading because the connection ends. Then nobody reads the
// connection for this body any more.
func (b *classicBody) quit() {
	_ = b.l.tap.SetReadDeadline(time.Now())
	b.turn <- struct{}{}
	if b.err == nil {
		b.err = b.l.cause()
	}
	b.release()
}
