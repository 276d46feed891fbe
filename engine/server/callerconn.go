package server

import (
	"context"
	"io"
	"net"
	"net/http"
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
	s *Server
}

func (l *callerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newCallerConn(c, l.s), nil
}

// A callerConn is the TCP connection of a caller. It cuts writes that a caller
// does not take within Options.Stall: net/http's WriteTimeout is for a whole
// response and would break long streams. Deadlines are refreshed at most every
// sixteenth of that time.
type callerConn struct {
	net.Conn
	s       *Server
	epoch   time.Time
	refresh atomic.Int64 // nanoseconds since epoch from when a write needs a new deadline
	linger  atomic.Bool  // unread request content is coming in: do not RST what we answered
}

func newCallerConn(c net.Conn, s *Server) *callerConn {
	return &callerConn{Conn: tcp.Wrap(c), s: s, epoch: time.Now()}
}

func (c *callerConn) Write(p []byte) (int, error) {
	if now := int64(time.Since(c.epoch)); now >= c.refresh.Load() {
		stall := c.s.o.Stall
		c.refresh.Store(now + int64(min(stall/16, time.Second)))
		if err := c.Conn.SetWriteDeadline(c.epoch.Add(time.Duration(now) + stall)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// SetWriteDeadline ignores net/http's clearing at the end of each request.
func (c *callerConn) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	c.refresh.Store(int64(1) << 62)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline is what net/http calls with zero on Hijack.
func (c *callerConn) SetDeadline(t time.Time) error {
	if t.IsZero() {
		return c.Conn.SetReadDeadline(t)
	}
	if err := c.SetWriteDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetReadDeadline(t)
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
	return c.Conn.Close()
}

type callerConnKey struct{}

func withCallerConn(ctx context.Context, c net.Conn) context.Context {
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
func (s *Server) countCaller(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.webWork.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.webWork.Done()
	}
}
