package origin

import (
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	chunkHead = len("7ff0\r\n")
	chunkTail = len("\r\n0\r\n\r\n")
)

var errLongContent = errors.New("request content is longer than its length")

// Whether content that waits for 100 Continue is sent.
const (
	uploadWaits = iota
	uploadGoes
	uploadRefused
)

// A http1Upload writes a request's content: what is at hand with the head, the
// rest on a goroutine of its own.
type http1Upload struct {
	h       *http1
	conn    net.Conn
	r       *Request
	left    int64 // of a known length; -1: unknown
	expects bool

	proceed chan struct{} // of 1: 100 Continue has come
	stop    chan struct{} // closed by halt
	written chan struct{} // closed by the goroutine when it writes no more
	done    chan struct{} // closed by the goroutine at its end
	state   atomic.Int32  // uploadWaits ...

	finishing atomic.Bool // the write that ends the request has begun
	sent      atomic.Bool // and succeeded
	answered  atomic.Bool // the final head is here: it has no deadline any more

	mu     sync.Mutex
	halted bool
	eof    bool  // of the source
	err    error // of the source
}

func newHTTP1Upload(h *http1, c net.Conn, r *Request, left int64, expects bool) *http1Upload {
	return &http1Upload{h: h, conn: c, r: r, left: left, expects: expects,
		proceed: make(chan struct{}, 1), stop: make(chan struct{}),
		written: make(chan struct{}), done: make(chan struct{})}
}

// A readySource knows whether its next Read would wait.
type readySource interface{ Buffered() bool }

func ready(r io.Reader) bool {
	s, ok := r.(readySource)
	return ok && s.Buffered()
}

// appendReady appends the content that is at hand, if all of it may fit, and
// returns what is left to come: 0 and true when the source has ended.
func appendReady(b []byte, r *Request) (head []byte, left int64, ended bool, err error) {
	left = r.Length
	for left >= 0 && left <= readyContent && ready(r.Content) {
		b = slices.Grow(b, int(left)+1)
		n, err := r.Content.Read(b[len(b) : len(b)+int(left)+1])
		if int64(n) > left {
			return b, left, false, errLongContent
		}
		b, left = b[:len(b)+n], left-int64(n)
		switch {
		case err == io.EOF && left > 0:
			return b, left, false, io.ErrUnexpectedEOF
		case err == io.EOF:
			return b, 0, true, nil
		case err != nil:
			return b, left, false, err
		case n == 0:
			return b, left, false, nil
		}
	}
	return b, left, false, nil
}

// run writes the content to conn.
func (u *http1Upload) run() {
	defer close(u.done)
	if u.expects && !u.mayGo() {
		close(u.written)
		return
	}
	buf := u.h.t.buffers.Get().(*[contentBuffer]byte)
	defer u.h.t.buffers.Put(buf)
	var err error
	if u.left >= 0 {
		err = u.copySized(buf[:])
	} else {
		err = u.copyChunked(buf[:])
	}
	switch {
	case err == errStopped:
		return // whoever halted it knows whether the connection can be kept
	case err != nil:
		u.conn.Close() // a request that is not whole must not look so
		return
	}
	if u.h.timeout > 0 {
		u.conn.SetReadDeadline(time.Now().Add(u.h.timeout))
		if u.answered.Load() {
			u.conn.SetReadDeadline(time.Time{})
		}
	}
}

// mayGo waits for 100 Continue, at most a second (RFC 9110 §10.1.1).
func (u *http1Upload) mayGo() bool {
	timer := time.NewTimer(continueTimeout)
	defer timer.Stop()
	select {
	case <-u.proceed:
	case <-timer.C:
	case <-u.stop:
	}
	return u.state.CompareAndSwap(uploadWaits, uploadGoes) || u.state.Load() == uploadGoes
}

// go100 is called when 100 Continue has come.
func (u *http1Upload) go100() {
	u.state.CompareAndSwap(uploadWaits, uploadGoes)
	select {
	case u.proceed <- struct{}{}:
	default: // a second one
	}
}

// answer is called when the final head has come: content that was not begun is
// not sent.
func (u *http1Upload) answer() {
	u.answered.Store(true)
	if u.expects && u.state.CompareAndSwap(uploadWaits, uploadRefused) {
		u.halt()
	}
}

// read reads the source, unless the upload was halted.
func (u *http1Upload) read(p []byte) (int, error) {
	u.mu.Lock()
	halted := u.halted
	u.mu.Unlock()
	if halted {
		return 0, errStopped
	}
	n, err := u.r.Content.Read(p)
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	if err != nil {
		u.mu.Lock()
		u.eof = err == io.EOF
		u.mu.Unlock()
	}
	return n, err
}

// fail stores what the source failed with, unless the upload was halted: then
// the source may have ended because of that.
func (u *http1Upload) fail(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.halted {
		return errStopped
	}
	u.err = err
	return err
}

// copySized returns an error of the source; one of the connection means that
// the origin reads no more, and may have answered.
func (u *http1Upload) copySized(buf []byte) error {
	writing := true
	defer func() {
		if writing {
			close(u.written)
		}
	}()
	for {
		if u.left == 0 && writing {
			u.sent.Store(true)
			close(u.written)
			writing = false
		}
		n, err := u.read(buf[:min(u.left, int64(len(buf))-1)+1])
		switch {
		case int64(n) > u.left:
			return u.fail(errLongContent)
		case err != nil && (err != io.EOF || int64(n) < u.left):
			return u.fail(err)
		}
		if u.left -= int64(n); u.left == 0 && writing {
			u.finishing.Store(true)
		}
		if n > 0 {
			if _, werr := u.conn.Write(buf[:n]); werr != nil {
				return nil
			}
		}
		if err == io.EOF {
			if writing {
				u.sent.Store(true)
			}
			return nil
		}
	}
}

// copyChunked is copySized for an unknown length (RFC 9112 §7.1).
func (u *http1Upload) copyChunked(buf []byte) error {
	defer close(u.written)
	room := buf[chunkHead : len(buf)-chunkTail]
	for {
		n, err := u.read(room)
		for n > 0 && n < len(room) && err == nil && ready(u.r.Content) {
			var more int
			more, err = u.read(room[n:])
			n += more
		}
		if err != nil && err != io.EOF {
			return u.fail(err)
		}
		begin, out := chunkHead, buf[:chunkHead+n]
		if n > 0 {
			begin = putChunkHead(buf, n)
			out = append(out, '\r', '\n')
		}
		if err == io.EOF {
			out = appendTrailers(append(out, '0', '\r', '\n'), u.r)
			u.finishing.Store(true)
		}
		if _, werr := u.conn.Write(out[begin:]); werr != nil {
			return nil
		}
		if err == io.EOF {
			u.sent.Store(true)
			return nil
		}
	}
}

// putChunkHead writes the size line so that it ends where the data begins, and
// returns where it begins.
func putChunkHead(buf []byte, n int) int {
	var digits [8]byte
	line := append(strconv.AppendInt(digits[:0], int64(n), 16), '\r', '\n')
	return chunkHead - copy(buf[chunkHead-len(line):], line)
}

// appendTrailers appends the trailer section and the empty line.
func appendTrailers(b []byte, r *Request) []byte {
	if r.Trailers != nil {
		for _, f := range r.Trailers() {
			if httpguts.ValidHeaderFieldName(f.Name) && httpguts.ValidTrailerHeader(f.Name) && isValue(f.Value) {
				b = appendField(b, f.Name, f.Value)
			}
		}
	}
	return append(b, '\r', '\n')
}

// failure returns what the source failed with before the upload was halted.
func (u *http1Upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// over reports whether the request was sent to its end and the goroutine is
// done.
func (u *http1Upload) over() bool {
	select {
	case <-u.done:
		return u.sent.Load() && u.failure() == nil
	default:
		return false
	}
}

// finishes reports whether the request was sent to its end. The write that ends
// it is waited for, but not for long: the response is already there.
func (u *http1Upload) finishes() bool {
	if !u.finishing.Load() || u.sent.Load() {
		return u.sent.Load()
	}
	u.conn.SetWriteDeadline(time.Now().Add(lastWrite))
	<-u.written
	u.conn.SetWriteDeadline(time.Time{})
	return u.sent.Load()
}

// halt makes the goroutine end after what it is doing.
func (u *http1Upload) halt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.halted {
		u.halted = true
		close(u.stop)
	}
}

// join returns when nothing reads the source any more.
func (u *http1Upload) join() {
	u.halt()
	select {
	case <-u.done:
	default:
		u.closeSource()
		<-u.done
		return
	}
	u.mu.Lock()
	eof := u.eof
	u.mu.Unlock()
	if !eof {
		u.closeSource()
	}
}

func (u *http1Upload) closeSource() {
	if c, ok := u.r.Content.(io.Closer); ok {
		c.Close()
	}
}
