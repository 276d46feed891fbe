package origin

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// conn is the TCP connection below net/http. It counts what was written, so
// that a request of which nothing was sent can be sent again, and keeps a
// failed write from hiding the response that an origin sent before it stopped
// reading: net/http reports whichever error it sees first.
type conn struct {
	net.Conn
	written atomic.Int64
	sending atomic.Pointer[content] // of the HTTP/1.1 exchange under way, if it has content
}

// Write reports as written what the origin no longer takes, while content is
// sent; the read side then decides what becomes of the exchange.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	if err == nil {
		return n, nil
	}
	body := c.sending.Load()
	if body == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	body.park()
	return len(p), nil
}

// Read tells the content under way that its connection ended: net/http does
// not return before the content's reader has.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		if body := c.sending.Load(); body != nil {
			body.stop(err)
		}
	}
	return n, err
}

// below returns the conn under what net/http uses, or nil.
func below(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// raw is a Raw over a TCP or TLS connection.
type raw struct {
	io.Reader // conn, or what net/http has buffered of it and then conn
	conn      net.Conn
	ended     atomic.Bool // CloseWrite was called
}

func (r *raw) Write(p []byte) (int, error) { return r.conn.Write(p) }

func (r *raw) SetReadDeadline(t time.Time) error { return r.conn.SetReadDeadline(t) }

func (r *raw) CloseWrite() error {
	r.ended.Store(true)
	if own, ok := r.conn.(*conn); ok {
		return closeWrite(own.Conn)
	}
	return closeWrite(r.conn)
}

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

func (r *raw) Close() error {
	if r.ended.Load() {
		return r.conn.Close()
	}
	tcp := r.conn
	if t, ok := tcp.(*tls.Conn); ok {
		tcp = t.NetConn() // no close_notify: that would be a clean end
	}
	if own, ok := tcp.(*conn); ok {
		tcp = own.Conn
	}
	if l, ok := tcp.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	return tcp.Close()
}
