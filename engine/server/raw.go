package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

var errNoHalfClose = errors.New("connection has no half-close")

// A rawEnd is the caller's end of a byte stream.
type rawEnd interface {
	io.ReadWriter
	flush() error
	closeWrite()               // FIN; where there is none, nothing
	setReadDeadline(time.Time) // wakes a reader too
	finish(aborted bool)       // after both directions ended
}

// raw copies bytes both ways until both sides have ended or one has failed, and
// closes the call. early is what the caller sent before it was told to; up is
// the direction from the caller where it runs already, else nil.
func (s *Server) raw(ctx context.Context, c *call, ex tunnel.Exchange, end rawEnd, early []byte, up *rawUpload) {
	if up == nil {
		up = s.startUpload(c, ex, end, early)
	}
	var fault error
	for {
		piece, err := ex.Next()
		if err == io.EOF {
			c.tee.EndResponse()
			break
		}
		if err != nil {
			fault = err
			break
		}
		if c.rec.FirstByte < 0 {
			c.rec.FirstByte = time.Since(c.rec.Arrived)
		}
		c.on.pace(ctx, s, false, c.rec.ResponseBytes, len(piece), c.cancelled.Load)
		n, err := end.Write(piece)
		c.received(piece[:n])
		if err == nil && !ex.Buffered() {
			err = end.flush()
		}
		if err != nil {
			fault = errCallerLeft
			ex.Reset(wire.ResetCancelled, "the caller left or stalled")
			break
		}
	}
	if fault != nil {
		up.stop()
	} else {
		end.closeWrite()
		up.halfClosed.Store(true)
		end.setReadDeadline(time.Now().Add(up.half))
		<-up.done
	}

	c.rec.RequestBytes = up.n
	if up.gone.Load() {
		c.fail(engine.ReasonCallerGone, "")
	} else if fault != nil {
		c.fail(c.blame(ctx, fault), "")
	}
	c.attach(nil, nil)
	aborted := c.failed
	ex.Close()
	c.end()
	end.finish(aborted)
}

func (s *Server) startUpload(c *call, ex tunnel.Exchange, end rawEnd, early []byte) *rawUpload {
	up := &rawUpload{s: s, on: c.on, ex: ex, end: end, live: c.live, tee: c.tee, half: s.o.Limits.HalfClosed, done: make(chan struct{})}
	go up.run(early)
	return up
}

// stop joins the direction from the caller, whose other direction has failed.
func (u *rawUpload) stop() {
	if u == nil {
		return
	}
	u.stopped.Store(true)
	u.end.setReadDeadline(time.Unix(1, 0))
	<-u.done
}

// A rawUpload is the direction from the caller.
type rawUpload struct {
	s          *Server
	on         *link
	ex         tunnel.Exchange
	end        rawEnd
	half       time.Duration
	n          int64        // bytes; for others after done, like ended
	live       *engine.Live // of the call; may be nil
	tee        *capture.Tee // likewise
	ended      bool         // the caller has sent FIN
	stopped    atomic.Bool  // the other direction has failed
	halfClosed atomic.Bool  // the other direction has ended
	gone       atomic.Bool  // the caller failed
	done       chan struct{}
}

func (u *rawUpload) took(p []byte) {
	u.tee.Request(p)
	u.n += int64(len(p))
	if u.live != nil {
		u.live.RequestBytes.Store(u.n)
	}
}

func (u *rawUpload) run(early []byte) {
	defer close(u.done)
	if len(early) > 0 {
		u.took(early)
		if _, err := u.ex.Write(early); err != nil {
			return
		}
	}
	buf := piecePool.Get().(*[pieceSize]byte)
	defer piecePool.Put(buf)
	for {
		n, err := u.end.Read(buf[:])
		if n > 0 {
			u.on.pace(u.s.base, u.s, true, u.n, n, u.stopped.Load)
			u.took(buf[:n])
			if _, werr := u.ex.Write(buf[:n]); werr != nil {
				return
			}
			if u.halfClosed.Load() && !u.stopped.Load() {
				u.end.setReadDeadline(time.Now().Add(u.half))
			}
		}
		if err == io.EOF {
			u.ended = true
			u.tee.EndRequest()
			u.ex.CloseWrite(nil)
			return
		}
		if err != nil {
			if !u.stopped.Load() {
				u.gone.Store(true)
				u.ex.Reset(wire.ResetCancelled, "the caller left")
			}
			return
		}
	}
}

// serveConnect carries a CONNECT (RFC 9110 §9.3.6).
func (s *Server) serveConnect(w http.ResponseWriter, r *http.Request, c *call, t *target) {
	out, _ := w.(writeDeadliner)
	o := connect{to: t.to, target: t.authority, out: out,
		refuse: func(reason engine.Reason) { s.refuse(w, r, c, reason, "") }}
	ex, resp, ok := s.openConnect(r.Context(), c, &o)
	if !ok {
		return
	}
	c.waterfall(ex, resp)
	c.answered(http.StatusOK, resp)
	c.rec.Upgraded = true
	if r.ProtoMajor == 2 {
		w.WriteHeader(http.StatusOK)
		flush(w)
		watch := newStallWatch(c, w, r)
		defer watch.close()
		s.raw(r.Context(), c, ex, &h2End{w: w, body: r.Body, watch: watch}, nil, nil)
		return
	}
	s.hijack(r.Context(), w, c, ex, []byte("HTTP/1.1 200 OK\r\n\r\n"))
}

// A connect is a byte stream to be opened.
type connect struct {
	to     destination
	target string // host:port; "" where the route knows
	out    writeDeadliner
	end    rawEnd // sends at once, before an answer; nil: after it
	up     *rawUpload
	refuse func(engine.Reason) // ends the call
}

// openConnect opens a byte stream and waits until the other end accepted it;
// otherwise it calls o.refuse. A connection that failed before anything was
// sent is replaced once.
func (s *Server) openConnect(ctx context.Context, c *call, o *connect) (tunnel.Exchange, *wire.Response, bool) {
	for attempt := 1; ; attempt++ {
		sl, err := s.dispatch.acquire(ctx, o.to, c.rec.ID, s.patience())
		if err != nil {
			o.refuse(engine.ReasonOf(err))
			return nil, nil, false
		}
		c.found(sl)
		o.to.not = sl.l
		ex, err := sl.l.conn.OpenConnect(ctx, sl.route, o.target)
		if err != nil {
			sl.l.conn.Unreserve()
			if reason := engine.ReasonOf(err); attempt > 1 || reason != engine.ReasonTunnelFailed {
				o.refuse(reason)
				return nil, nil, false
			}
			continue
		}
		c.opened(sl.l, ex, o.out)
		if o.end != nil {
			o.up = s.startUpload(c, ex, o.end, nil)
		}
		resp, err := ex.ReadResponse()
		for err == nil && resp.Status < 200 {
			resp, err = ex.ReadResponse()
		}
		if err == nil {
			return ex, resp, true
		}
		retry := attempt == 1 && ex.Retryable() && !c.cancelled.Load() && ctx.Err() == nil
		reason := c.blame(ctx, err)
		ex.Reset(wire.ResetCancelled, "")
		if o.up != nil {
			o.up.stop()
			c.rec.RequestBytes = o.up.n
			if o.up.gone.Load() {
				reason = engine.ReasonCallerGone
			}
			retry = retry && o.up.n == 0 && reason != engine.ReasonCallerGone && !o.up.ended
			o.end.setReadDeadline(time.Time{})
		}
		c.attach(nil, nil)
		ex.Close()
		if !retry {
			o.refuse(reason)
			return nil, nil, false
		}
		c.again()
	}
}

// serveUpgrade goes on as raw bytes after a 101 (RFC 9110 §7.8).
func (s *Server) serveUpgrade(w http.ResponseWriter, r *http.Request, c *call, ex tunnel.Exchange, resp *wire.Response) {
	head := make([]byte, 0, 512)
	head = append(head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"...)
	for _, f := range resp.Fields {
		if !wire.Carried(f.Name) {
			continue
		}
		head = append(head, http.CanonicalHeaderKey(f.Name)...)
		head = append(head, ": "...)
		head = append(head, f.Value...)
		head = append(head, "\r\n"...)
	}
	head = append(head, "\r\n"...)
	c.answered(http.StatusSwitchingProtocols, resp)
	c.rec.Upgraded = true
	s.hijack(r.Context(), w, c, ex, head)
}

// sameProtocol reports whether the protocol switched to is one that was asked for.
func sameProtocol(asked, got string) bool {
	if asked == "" || got == "" {
		return false
	}
	for token := range strings.SplitSeq(asked, ",") {
		if strings.EqualFold(strings.TrimSpace(token), got) {
			return true
		}
	}
	return false
}

// hijack takes the connection from net/http, writes head and goes on raw.
func (s *Server) hijack(ctx context.Context, w http.ResponseWriter, c *call, ex tunnel.Exchange, head []byte) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		ex.Reset(wire.ResetCancelled, "the caller left")
		c.attach(nil, nil)
		ex.Close()
		c.fail(engine.ReasonCallerGone, "")
		c.end()
		panic(http.ErrAbortHandler)
	}
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Reader.Peek(n)
		early = append(early, peeked...)
	}
	stop := context.AfterFunc(s.base, func() { cut(conn) })
	defer stop()
	if _, err := conn.Write(head); err != nil {
		ex.Reset(wire.ResetCancelled, "the caller left")
	}
	s.raw(ctx, c, ex, connEnd{conn}, early, nil)
}

// A connEnd is a caller with a connection of its own.
type connEnd struct{ net.Conn }

func (e connEnd) flush() error                { return nil }
func (e connEnd) setReadDeadline(t time.Time) { e.SetReadDeadline(t) }

func (e connEnd) closeWrite() {
	if cw, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		cw.CloseWrite()
	}
}

func (e connEnd) finish(aborted bool) {
	if !aborted {
		e.Close()
		return
	}
	// RST, so that the caller does not take a part for the whole. Under TLS no
	// close_notify may come before, which would say that it is the whole.
	conn := e.Conn
	below := callerConnOf(conn)
	if below != nil {
		conn = below.Conn
	}
	if lc, ok := conn.(interface{ SetLinger(int) error }); ok {
		lc.SetLinger(0)
	}
	if below != nil {
		below.Close()
		return
	}
	e.Close()
}

// cut closes a connection now, without TLS's close_notify.
func cut(conn net.Conn) {
	if c := callerConnOf(conn); c != nil {
		conn = c
	}
	conn.Close()
}

// An h2End is a caller with one HTTP/2 stream.
type h2End struct {
	w     http.ResponseWriter
	body  io.Reader
	watch *stallWatch // between Write and flush
}

func (e *h2End) Read(p []byte) (int, error) { return e.body.Read(p) }

func (e *h2End) Write(p []byte) (int, error) {
	e.watch.begin()
	defer e.watch.end()
	return e.w.Write(p)
}

func (e *h2End) flush() error {
	e.watch.begin()
	defer e.watch.end()
	return flush(e.w)
}

// closeWrite can't: END_STREAM leaves when the handler returns.
func (e *h2End) closeWrite() {}

func (e *h2End) setReadDeadline(t time.Time) {
	http.NewResponseController(e.w).SetReadDeadline(t)
}

func (e *h2End) finish(aborted bool) {
	if aborted {
		panic(http.ErrAbortHandler)
	}
}
