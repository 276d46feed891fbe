package origin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// The client of plain-HTTP origins: HTTP/1.1 and nothing else (RFC 9112). What
// net/http does with three goroutines for each request happens here in the
// calling one; content that has to be waited for is written by a second one.
// http1_write.go has the request head, http1_head.go and http1_chunks.go the
// parsers, http1_content.go the response's content, http1_upload.go the
// request's, http1_conn.go the connections.
type http1 struct {
	t       *Transport
	timeout time.Duration // for the final head; 0: none
	conns   http1Conns
	buffers sync.Pool // of *[http1Buffer]byte, with a request head or what was read
}

const (
	http1Buffer  = 4 << 10 // bytes read ahead
	readyContent = 4 << 10 // request content up to here goes with its head
)

func newHTTP1(t *Transport, o Options) *http1 {
	h := &http1{t: t, timeout: o.HeadTimeout}
	h.conns.init(o)
	h.buffers.New = func() any { return new([http1Buffer]byte) }
	return h
}

// A http1Exchange is one request with its response: all of it is one
// allocation.
type http1Exchange struct {
	Response
	h       *http1
	ctx     context.Context
	request *Request
	conn    *http1Conn  // nil: it was given back
	stop    func() bool // of ctx's hold on conn; nil: none
	upload  *http1Upload

	deadline time.Time // of the read that is due; zero: none
	unread   error     // of the connection, for the next read

	readAhead
	head responseHead
	body http1Content
	room [10]field
}

// readAhead is what was read of a connection and not taken yet. Before, its
// memory has the request's head.
type readAhead struct {
	pool  *sync.Pool         // of *[http1Buffer]byte
	small *[http1Buffer]byte // of pool; nil: there is none
	buf   []byte             // small, or what was allocated because that is too small
	r, w  int                // buf[r:w] was read and not taken
}

// take sees to it that there is room.
func (a *readAhead) take() {
	if a.buf == nil {
		a.small = a.pool.Get().(*[http1Buffer]byte)
		a.buf = a.small[:]
	}
}

// free gives it back.
func (a *readAhead) free() {
	if a.small != nil {
		a.pool.Put(a.small)
	}
	a.small, a.buf, a.r, a.w = nil, nil, 0, 0
}

// send performs one exchange; see [Transport.Send].
func (h *http1) send(ctx context.Context, r *Request) (*Response, error) {
	x := &http1Exchange{h: h, ctx: ctx, request: r, readAhead: readAhead{pool: &h.buffers}}
	x.take()
	r.upload = nil
	start := time.Now()
	head, expects, err := appendHead(x.buf[:0], r)
	if err != nil {
		err = engine.Fail("send request", engine.ReasonMalformed, err)
	} else if err = x.write(start, head, expects); err == nil {
		x.take()
		err = x.receive(start)
	}
	if err != nil {
		x.abandon()
		return nil, x.classify("send request", err)
	}
	return &x.Response, nil
}

// write sends the head, with the content that is at hand, on a connection. It
// is written again only where no byte of it was (R2).
func (x *http1Exchange) write(start time.Time, buf []byte, expects bool) error {
	r := x.request
	content := hasContent(r)
	left, taken := r.Length, expects || !content
	for try := 1; ; {
		if err := x.connect(start); err != nil {
			return err
		}
		if !taken {
			taken = true
			var ended bool
			var err error
			if buf, left, ended, err = appendReady(buf, r); err != nil {
				x.release(true) // it has carried nothing
				return err
			}
			content = !ended
		}
		n, err := x.writeHead(start, buf, content)
		if err == nil {
			break
		}
		if err == errStale { // each turn takes one from the pool, and connect looks at ctx
			x.release(false)
			continue
		}
		if x.conn.reused && n == 0 && try < maxAttempts && x.ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			try++
			x.release(false)
			continue
		}
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		// An origin that reads no further may have said why.
		x.body.broken = err
		break
	}
	if content && x.body.broken == nil {
		x.upload = newHTTP1Upload(x.h, x.conn.Conn, r, left, expects)
		r.upload = x.upload
		go x.upload.run()
	} else if content && x.h.timeout > 0 {
		x.deadline = start.Add(x.Connected + x.h.timeout)
		x.conn.arm(x.deadline)
	}
	return nil
}

// errStale is the end of a connection that was not alive when it was to be used
// again. Nothing was written to it.
var errStale = errors.New("idle connection has ended")

// writeHead writes buf and returns how much of it was written. Where no content
// follows, and the connection is a socket, it also waits for what comes first.
func (x *http1Exchange) writeHead(start time.Time, buf []byte, content bool) (int, error) {
	c := x.conn
	if content {
		if !c.armed.IsZero() {
			c.arm(time.Time{}) // the head's time begins when the content has ended
		}
		if c.reused && c.socket != nil && !c.socket.alive() {
			return 0, errStale
		}
		return c.Write(buf)
	}
	if x.h.timeout > 0 {
		x.deadline = start.Add(x.Connected + x.h.timeout)
		if c.armed.IsZero() || c.armed.Before(start) {
			c.arm(x.deadline)
		}
	}
	if c.socket == nil {
		return c.Write(buf)
	}
	wrote, err := c.socket.exchange(buf, &x.readAhead, c.reused)
	if wrote == 0 && x.early(err) {
		wrote, err = c.socket.exchange(buf, &x.readAhead, c.reused)
	}
	switch {
	case wrote == len(buf):
		x.unread = err
		return wrote, nil
	case err == nil: // the socket takes no more at once
		n, err := c.Write(buf[wrote:])
		return wrote + n, err
	}
	return wrote, err
}

// read reads from the connection. A deadline costs the runtime more than a look
// at the clock; so the socket has that of an earlier exchange as long as it can,
// and only if it passes too early the one that is meant.
func (x *http1Exchange) read(p []byte) (int, error) {
	for {
		n, err := 0, x.unread
		if x.unread = nil; err == nil {
			n, err = x.conn.Read(p)
		}
		if n > 0 || !x.early(err) {
			return n, err
		}
	}
}

// early reports whether err is a deadline that has passed before the exchange's,
// which it then sets.
func (x *http1Exchange) early(err error) bool {
	c := x.conn
	if c.armed.IsZero() || !errors.Is(err, os.ErrDeadlineExceeded) ||
		!x.deadline.IsZero() && (!c.armed.Before(x.deadline) || !time.Now().Before(x.deadline)) {
		return false
	}
	c.arm(x.deadline)
	return true
}

// connect gives x an idle connection or a new one.
func (x *http1Exchange) connect(start time.Time) error {
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	o := origin{x.request.Class, x.request.Address}
	if x.conn = x.h.conns.take(o); x.conn == nil {
		c, err := x.h.t.dialTCP(x.ctx, o.class, o.addr)
		if err != nil {
			return err
		}
		x.conn = newHTTP1Conn(c, o)
		x.Connected = time.Since(start)
	}
	x.stop = afterFunc(x.ctx, x.conn.canceled)
	return nil
}

// afterFunc is context.AfterFunc; nil for a context that has no end. A context
// that knows AfterFunc itself is asked for no channel.
func afterFunc(ctx context.Context, f func()) (stop func() bool) {
	if own, ok := ctx.(interface {
		AfterFunc(func()) func() bool
	}); ok {
		return own.AfterFunc(f)
	}
	if ctx.Done() == nil {
		return nil
	}
	return context.AfterFunc(ctx, f)
}

// release gives the connection back, to be kept if reuse is true.
func (x *http1Exchange) release(reuse bool) {
	c := x.conn
	if c == nil {
		return
	}
	x.conn = nil
	if x.stop != nil && !x.stop() {
		<-c.ended
		reuse = false
	}
	if !reuse {
		c.Conn.Close()
		return
	}
	x.h.conns.put(c)
}

// abandon ends an exchange that failed. The upload is joined by Request.Join.
func (x *http1Exchange) abandon() {
	if x.upload != nil {
		x.upload.halt()
	}
	x.release(false)
	x.free()
}

// classify prefers the error of the upload, which ended the connection, to that
// of the connection.
func (x *http1Exchange) classify(op string, err error) error {
	if x.upload != nil && x.ctx.Err() == nil {
		if cause := x.upload.failure(); cause != nil {
			err = cause
		}
	}
	return classify(x.ctx, op, err)
}

// receive reads heads up to the final one.
func (x *http1Exchange) receive(start time.Time) error {
	for count := 0; ; count++ {
		fields, err := x.readHead()
		if err != nil {
			if x.body.broken != nil && x.ctx.Err() == nil {
				return x.body.broken
			}
			return err
		}
		switch {
		case x.head.status >= 200:
			x.FirstByte = time.Since(start)
			x.Status, x.Fields = x.head.status, fields
			return x.begin()
		case x.head.chunked || x.head.length > 0: // some send a length of 0
			return errFramed1xx
		case x.head.status == 101:
			x.FirstByte = time.Since(start)
			x.Status, x.Fields = x.head.status, fields
			return x.switchProtocols()
		case count == wire.MaxInformational:
			return errMany1xx
		}
		if x.head.status == 100 && x.upload != nil {
			x.upload.go100()
		}
		if x.request.Informational != nil {
			if err := x.request.Informational(x.head.status, fields); err != nil {
				return err
			}
		}
	}
}

// readHead reads one head and takes it out of the buffer. Lines are looked at
// as they come, so that what is no HTTP ends at its first line.
func (x *http1Exchange) readHead() ([]field, error) {
	line, lines := 0, 0 // from x.r: where the current line begins; how many before it
	looked := 0         // and where the search for its end goes on
	for {
		i := bytes.IndexByte(x.buf[x.r+looked:x.w], '\n')
		if i < 0 {
			looked = x.w - x.r
			if looked >= maxResponseHead {
				return nil, errHeadTooBig
			}
			if err := x.fill(); err != nil {
				return nil, err
			}
			continue
		}
		end := looked + i + 1
		if end > maxResponseHead {
			return nil, errHeadTooBig
		}
		text := x.buf[x.r+line : x.r+end]
		if len(text) < 2 || text[len(text)-2] != '\r' {
			return nil, errBareLF
		}
		if lines == 0 {
			if err := x.head.parseStatusLine(text[:len(text)-2]); err != nil {
				return nil, err
			}
		} else if len(text) == 2 {
			fields, err := x.parseHead(x.buf[x.r:x.r+end], lines-1)
			x.r += end
			return fields, err
		}
		if lines++; lines > wire.MaxFields+1 {
			return nil, errManyFields
		}
		line, looked = end, end
	}
}

func (x *http1Exchange) parseHead(head []byte, lines int) ([]field, error) {
	room := x.room[:0]
	if lines > cap(room) || head[len("HTTP/1.1 ")] == '1' {
		room = make([]field, 0, lines) // those of a 1xx are kept by whoever is told
	}
	return x.head.parse(head, room)
}

// fill reads more into the buffer, which it lets grow.
func (x *http1Exchange) fill() error {
	if x.w == len(x.buf) {
		if x.r > 0 {
			x.w = copy(x.buf, x.buf[x.r:x.w])
			x.r = 0
		} else {
			grown := make([]byte, min(2*len(x.buf), maxResponseHead+http1Buffer))
			x.w = copy(grown, x.buf)
			if x.small != nil {
				x.h.buffers.Put(x.small)
				x.small = nil
			}
			x.buf = grown
		}
	}
	n, err := x.read(x.buf[x.w:])
	x.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// switchProtocols hands the connection over, with what was read of the other
// protocol.
func (x *http1Exchange) switchProtocols() error {
	switch {
	case x.request.Upgrade == "":
		return errUnasked101
	case !x.head.upgrade:
		return errNo101Upgrade
	}
	if x.stop != nil && !x.stop() {
		<-x.conn.ended
		x.stop = nil
		return context.Cause(x.ctx)
	}
	x.conn.arm(time.Time{})
	c := x.conn.Conn
	x.Raw = &raw{Reader: c, conn: c}
	if x.r < x.w {
		x.Raw = &raw{Reader: io.MultiReader(bytes.NewReader(bytes.Clone(x.buf[x.r:x.w])), c), conn: c}
	}
	x.conn, x.stop = nil, nil
	x.free()
	x.body.begin(x, contentNone)
	return nil
}

// begin follows the final head: it decides the framing (RFC 9112 §6.3).
func (x *http1Exchange) begin() error {
	h := &x.head
	x.body.keep = h.persistent() && x.body.broken == nil
	x.deadline = time.Time{}
	if x.upload != nil {
		x.upload.answer()
		x.conn.arm(time.Time{})
	}
	switch {
	case x.request.Method == "HEAD" || h.status == 304:
		x.body.begin(x, contentNone)
	case h.status == 204:
		// Content cannot follow; that it was announced is reason for doubt.
		x.body.keep = x.body.keep && !h.chunked && h.length <= 0
		x.body.begin(x, contentNone)
	case h.chunked:
		x.Length, x.Trailers = -1, x.body.trailerFields
		x.body.begin(x, contentChunked)
	case h.length >= 0:
		x.Length = h.length
		x.body.left = h.length
		x.body.begin(x, contentSized)
	default:
		x.Length = -1
		x.body.keep = false
		x.body.begin(x, contentUntilClose)
	}
	return nil
}
