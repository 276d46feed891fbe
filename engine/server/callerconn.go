package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine/tcp"
)

const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 4 << 20
)

// A callerListener wraps what it accepts in a callerConn.
type callerListener struct {
	net.Listener
	s      *Server
	once   sync.Once
	closed chan struct{}
}

func (l *callerListener) Accept() (net.Conn, error) {
	c, err := l.s.accept(l.Listener, l.closed, l.s.turnAway)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends a pause of Accept too, for which net/http waits.
func (l *callerListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// A callerConn is the TCP connection of a caller. It cuts writes that a caller
// does not take within Options.Stall: net/http's WriteTimeout is for a whole
// response and would break long streams. Deadlines are refreshed at most every
// sixteenth of that time.
//
// net/http moves the read deadline five times a request, each of them a change
// to the runtime's timers that may wake a thread. The deadline of the operating
// system's connection is therefore left alone while it is not later than the
// one that is wanted: where it passes too early, Read sets it anew and goes on.
//
// # The read in the background
//
// While a handler runs, net/http reads one byte on a goroutine of its own, to
// learn that the caller has left; this costs a sixth of a small request. Where
// the kernel tells of that by itself (callerWatch), this read is answered with
// nothing (0, nil), and the watch ends the context of the connection, as
// net/http would have: what it relies on is held by TestNetHTTPReadsAsBefore.
//   - The background read is a Read of one byte directly after a SetReadDeadline
//     of zero. Another Read that looks the same (of a bufio.Reader with room for
//     one byte) gets nothing once and reads again: an io.Reader may do so.
//   - After (0, nil) net/http holds the background read for ended, without a
//     byte and without a fault, and does not repeat it for that request.
//   - Once the caller has closed its side, Read is nothing but Read.
//
// Under TLS the same byte is read by tls.Conn, whose Reads down here are of whole
// records, and what the kernel knows of the socket says nothing of what is left in
// there: nobody is watched, and net/http reads in the background as it does.
type callerConn struct {
	net.Conn
	socket  *net.TCPConn // of Conn; nil where that is something else
	s       *Server
	epoch   time.Time
	refresh atomic.Int64       // nanoseconds since epoch from when a write needs a new deadline
	meeting *meeting           // with a load balancer; nil: the peer is the caller
	seat    *seat              // its place among the sockets that are counted
	linger  atomic.Bool        // unread request content is coming in: do not RST what we answered
	bare    atomic.Bool        // a WebSocket over TLS: its deadlines are the tunnel's
	leave   context.CancelFunc // ends the contexts of its requests; nil for a TCP port and under TLS

	mu      sync.Mutex
	want    time.Time // read deadline as asked for
	armed   time.Time // read deadline of Conn: zero, or not later than want while a Read waits
	reading int       // calls of Read that may wait
	cleared bool      // no Read since SetReadDeadline of zero
	heading bool      // want is for a request head
	begun   bool      // a byte came since the last request
	idle    bool      // between two requests: the next deadline is for that
	quiet   bool      // the background read was answered with nothing, and none followed
	closed  bool      // the caller has closed its side
	watched watchID   // 0: not yet, or not any more
}

// Read returns what the caller sent; see callerConn for (0, nil).
func (c *callerConn) Read(p []byte) (int, error) {
	if c.bare.Load() {
		return c.Conn.Read(p)
	}
	if err := c.meet(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	background := len(p) == 1 && c.cleared
	c.cleared, c.quiet = false, false
	if background && c.watch() {
		c.quiet = true
		c.mu.Unlock()
		return 0, nil
	}
	for {
		if !c.want.IsZero() && (c.armed.IsZero() || c.want.Before(c.armed)) {
			c.arm()
		}
		c.reading++
		c.mu.Unlock()
		n, err := c.Conn.Read(p)
		c.mu.Lock()
		c.reading--
		c.begun = c.begun || n > 0
		if n > 0 || err == nil || c.armed.Equal(c.want) || !errors.Is(err, os.ErrDeadlineExceeded) {
			slow := err != nil && c.heading && c.begun && errors.Is(err, os.ErrDeadlineExceeded)
			c.mu.Unlock()
			if slow {
				c.reached(limitHeaderTimeout, "a request head, or a tls handshake, was not complete in time")
			}
			return n, err
		}
		if err := c.arm(); err != nil {
			c.mu.Unlock()
			return 0, err
		}
	}
}

// arm sets the deadline of the connection below; under mu.
func (c *callerConn) arm() error {
	c.armed = c.want
	return c.Conn.SetReadDeadline(c.want)
}

// SetReadDeadline is net.Conn's.
func (c *callerConn) SetReadDeadline(t time.Time) error {
	if c.bare.Load() {
		return c.Conn.SetReadDeadline(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t = c.inForce(t)
	c.want, c.cleared = t, t.IsZero()
	if c.reading > 0 && !t.IsZero() && (c.armed.IsZero() || t.Before(c.armed)) {
		return c.arm()
	}
	return nil
}

// watch reports whether the watch would tell that the caller leaves; under mu.
func (c *callerConn) watch() bool {
	if c.closed || c.leave == nil || c.socket == nil {
		return false
	}
	if c.watched == 0 {
		c.watched = c.s.watch.add(c)
	}
	return c.watched != 0
}

// left is called by the watch when the caller has closed its side of the
// connection, or all of it.
func (c *callerConn) left() {
	c.mu.Lock()
	c.closed = true
	quiet := c.quiet
	c.mu.Unlock()
	// Like net/http: not before everything that the caller sent was read.
	if quiet && exhausted(c.socket) {
		c.leave()
	}
}

// unwatch takes the connection from the watch; under mu.
func (c *callerConn) unwatch() {
	if c.watched != 0 {
		c.s.watch.remove(c)
		c.watched = 0
	}
	c.quiet, c.closed = false, true
}

func newCallerConn(c net.Conn, s *Server) *callerConn {
	socket, _ := c.(*net.TCPConn)
	return &callerConn{Conn: tcp.Wrap(c), socket: socket, s: s, epoch: time.Now()}
}

func (c *callerConn) Write(p []byte) (int, error) {
	if c.bare.Load() {
		return c.Conn.Write(p)
	}
	if now := int64(time.Since(c.epoch)); now >= c.refresh.Load() {
		stall := c.s.live().Caps.Stall
		c.refresh.Store(now + int64(min(stall/16, time.Second)))
		if err := c.Conn.SetWriteDeadline(c.epoch.Add(time.Duration(now) + stall)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(p)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && c.refresh.Load() != never {
		c.reached(limitStall, "a caller does not take what is sent to it")
	}
	if len(p) == len(headTooBig) && string(p) == headTooBig {
		c.reached(limitHeaderBytes, "a request head is too big")
	}
	return n, err
}

// never is a refresh that does not come: somebody else has set the deadline.
const never = int64(1) << 62

// SetWriteDeadline with zero, which net/http calls at the end of each request and
// of a TLS handshake, gives the deadline back to Write.
func (c *callerConn) SetWriteDeadline(t time.Time) error {
	if c.bare.Load() {
		return c.Conn.SetWriteDeadline(t)
	}
	if t.IsZero() {
		c.refresh.CompareAndSwap(never, 0)
		return nil
	}
	t, _ = c.ofHead(t)
	c.refresh.Store(never)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is what net/http calls with zero on Hijack: who has the
// connection from now on reads until EOF, and may take Conn out of c.
func (c *callerConn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.unwatch()
		c.want = t
		return c.arm()
	}
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.SetReadDeadline(t)
}

// CloseWrite sends FIN.
func (c *callerConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errNoHalfClose
}

// Close lingers where request content was left unread: closing a socket with
// unread bytes sends RST, which would take the answer away from the caller.
func (c *callerConn) Close() error {
	if c.linger.Swap(false) && !c.s.stopping.Load() && c.CloseWrite() == nil {
		if c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
	}
	c.release()
	defer c.seat.leave()
	return c.Conn.Close()
}

// release ends what stands beside Conn. It is enough where Conn was taken out.
func (c *callerConn) release() {
	c.mu.Lock()
	c.unwatch()
	c.mu.Unlock()
	if c.leave != nil {
		c.leave()
	}
}

// strip gives the deadlines to who has the connection from now on, and returns what
// there is to read from: Conn, or the TLS above c.
func (c *callerConn) strip(conn net.Conn) net.Conn {
	c.release()
	if _, ok := conn.(*callerConn); ok {
		return c.Conn
	}
	c.bare.Store(true)
	_ = c.Conn.SetDeadline(time.Time{})
	return conn
}

// callerConnOf returns the callerConn that carries conn, nil where none does.
func callerConnOf(conn net.Conn) *callerConn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*callerConn)
	return c
}

type callerConnKey struct{}

// withCallerConn makes the context of a connection, which its watch can end.
func withCallerConn(ctx context.Context, conn net.Conn) context.Context {
	c, clear := conn.(*callerConn)
	if clear {
		ctx, c.leave = context.WithCancel(ctx)
	} else if c = callerConnOf(conn); c == nil {
		return ctx
	}
	return context.WithValue(ctx, callerConnKey{}, c)
}

// lingerAfter makes the connection of r linger when it is closed.
func lingerAfter(r *http.Request) {
	if c, ok := r.Context().Value(callerConnKey{}).(*callerConn); ok {
		c.linger.Store(true)
	}
}

// countCaller counts the goroutines of net/http, so that the end of the server
// can wait for them.
func (s *Server) countCaller(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateIdle:
		if c := callerConnOf(conn); c != nil {
			c.rest()
		}
	case http.StateNew:
		s.webWork.Add(1)
		s.webCount.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.webCount.Add(-1)
		s.webWork.Done()
	}
}
