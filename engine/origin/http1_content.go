package origin

import (
	"errors"
	"io"
	"time"
)

// A contentKind is how the end of a response's content is known.
type contentKind uint8

const (
	contentNone contentKind = iota
	contentSized
	contentChunked
	contentUntilClose
)

// http1Content is a response's content. Read and Close are not called at once.
type http1Content struct {
	x      *http1Exchange
	kind   contentKind
	keep   bool  // the response lets the connection carry another request
	ended  bool  // the response's true end was read
	broken error // of the write
	err    error // what every further Read returns
	closed bool

	left     int64 // contentSized: what is still to come
	chunks   chunkDecoder
	decoded  int // contentChunked: x.buf[x.r:decoded] is content
	trailers []field
}

var errReadClosed = errors.New("read of closed content")

// lastWrite bounds the wait for the write that ends a request whose response has
// already been read.
const lastWrite = 50 * time.Millisecond

// begin takes what has come with the head. A response that came whole gives its
// connection back before anybody reads it.
func (b *http1Content) begin(x *http1Exchange, kind contentKind) {
	b.x, b.kind = x, kind
	x.Content = b
	switch kind {
	case contentNone:
		b.finish(x.r < x.w)
		x.Ready = true
	case contentSized:
		if int64(x.w-x.r) >= b.left {
			b.finish(int64(x.w-x.r) > b.left)
			x.Ready = true
		}
	case contentChunked:
		b.decodeBuffered()
		x.Ready = b.ended
	}
}

// decodeBuffered decodes in place what the buffer holds.
func (b *http1Content) decodeBuffered() {
	x := b.x
	in := x.buf[x.r:x.w]
	nd, ns, err := b.chunks.decode(in, in)
	b.decoded = x.r + nd
	x.w = b.decoded
	b.chunksDecoded(ns < len(in), err)
}

// chunksDecoded follows a piece of chunked content; over: bytes came after its
// end.
func (b *http1Content) chunksDecoded(over bool, err error) {
	if err != nil {
		b.err = b.x.classify("read response", err)
		return
	}
	if b.chunks.state != chunkDone || b.ended {
		return
	}
	b.trailers, err = parseTrailers(b.chunks.trailers)
	if err != nil {
		b.err = b.x.classify("read response", err)
		return
	}
	b.finish(over)
}

// finish follows the response's true end: the connection can be given back if
// the request has come to its end too (R1).
func (b *http1Content) finish(over bool) {
	b.ended = true
	b.keep = b.keep && !over
	if b.x.upload == nil || b.x.upload.over() {
		b.x.release(b.keep)
	}
}

func (b *http1Content) trailerFields() []field { return b.trailers }

func (b *http1Content) Read(p []byte) (int, error) {
	switch {
	case b.closed:
		return 0, errReadClosed
	case b.kind == contentNone:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if n := b.buffered(p); n > 0 {
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.ended {
		return 0, b.end()
	}
	n, err := b.receive(p)
	if err != nil {
		b.err = b.x.classify("read response", err)
		return n, b.err
	}
	if n == 0 {
		if b.err != nil {
			return 0, b.err
		}
		return 0, b.end()
	}
	return n, nil
}

// buffered takes content that is in memory.
func (b *http1Content) buffered(p []byte) int {
	x := b.x
	in := x.buf[x.r:x.w]
	switch b.kind {
	case contentSized:
		in = in[:min(int64(len(in)), b.left)]
	case contentChunked:
		in = x.buf[x.r:b.decoded]
	}
	n := copy(p, in)
	x.r += n
	if b.kind == contentSized {
		b.left -= int64(n)
	}
	return n
}

// end returns io.EOF, unless the exchange was cancelled: an origin that saw the
// cancel may have ended its answer because of it.
func (b *http1Content) end() error {
	if b.x.ctx.Err() != nil {
		b.err = classify(b.x.ctx, "read response", io.EOF)
	} else {
		b.err = io.EOF
	}
	return b.err
}

// receive reads from the connection: into p if that saves a copy. 0 without an
// error is the end, or an error in b.err.
func (b *http1Content) receive(p []byte) (int, error) {
	x := b.x
	x.r, x.w, b.decoded = 0, 0, 0
	direct := len(p) >= len(x.buf)
	switch b.kind {
	case contentSized:
		if direct || int64(len(p)) >= b.left {
			n, err := x.readSome(p[:min(int64(len(p)), b.left)])
			return n, b.sized(n, err)
		}
		n, err := x.readSome(x.buf[:min(int64(len(x.buf)), b.left)])
		x.w = n
		if err != nil {
			return 0, err
		}
		if int64(n) == b.left {
			b.finish(false)
		}
		return b.buffered(p), nil
	case contentUntilClose:
		n, err := x.read(p)
		if n > 0 || err != io.EOF {
			if n == 0 && err == nil {
				err = io.ErrNoProgress
			}
			return n, keepBytes(n, err)
		}
		b.finish(false)
		return 0, nil
	}
	for b.err == nil && !b.ended {
		if direct {
			n, err := x.readSome(p)
			if err != nil {
				return 0, err
			}
			nd, ns, err := b.chunks.decode(p[:n], p[:n])
			b.chunksDecoded(ns < n, err)
			if nd > 0 {
				return nd, nil
			}
			continue
		}
		n, err := x.readSome(x.buf)
		if err != nil {
			return 0, err
		}
		x.r, x.w = 0, n
		b.decodeBuffered()
		if n := b.buffered(p); n > 0 {
			return n, nil
		}
	}
	return 0, nil
}

// sized follows n bytes of sized content that were read into the caller's
// buffer.
func (b *http1Content) sized(n int, err error) error {
	if b.left -= int64(n); b.left == 0 {
		b.finish(false)
	}
	return err
}

// readSome reads at least one byte. EOF here is not the end.
func (x *http1Exchange) readSome(p []byte) (int, error) {
	n, err := x.read(p)
	if n > 0 {
		return n, nil
	}
	if err == nil {
		err = io.ErrNoProgress
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// keepBytes leaves an error that came with bytes to the next Read.
func keepBytes(n int, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

// Close ends the exchange and joins the upload.
func (b *http1Content) Close() error {
	x := b.x
	if b.closed {
		return nil
	}
	b.closed = true
	if u := x.upload; u != nil {
		keep := b.ended && b.keep && u.finishes()
		if !keep {
			u.halt()
			x.release(false)
		}
		u.join()
		x.release(keep && u.failure() == nil)
	}
	x.release(false)
	x.free()
	return nil
}
