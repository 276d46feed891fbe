package enginetest

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// PipeBuffer is how many bytes each direction of a [Pipe] holds before a
// writer waits.
const PipeBuffer = 64 << 10

// A Conn is one end of an in-memory connection that behaves like TCP: buffered,
// with deadlines, half-close and reset. It blocks only in ways that are durable
// inside a testing/synctest bubble. Unlike TCP, closing with unread bytes does
// not reset.
type Conn struct {
	in, out       *flow
	local, remote net.Addr
}

// Pipe returns the two ends of an in-memory connection. The caller closes both.
func Pipe() (a, b *Conn) {
	return pipe(&net.TCPAddr{IP: loopback(), Port: 1}, &net.TCPAddr{IP: loopback(), Port: 2})
}

func pipe(addrA, addrB net.Addr) (a, b *Conn) {
	ab, ba := newFlow(), newFlow()
	return &Conn{in: ba, out: ab, local: addrA, remote: addrB},
		&Conn{in: ab, out: ba, local: addrB, remote: addrA}
}

func loopback() net.IP { return net.IPv4(127, 0, 0, 1) }

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = c.failure("read", err)
	}
	return n, err
}

// Write implements [net.Conn]. Once the peer has closed it fails with EPIPE.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = c.failure("write", err)
	}
	return n, err
}

// Close ends both directions: the peer reads what is buffered, then EOF.
func (c *Conn) Close() error {
	c.out.finish(net.ErrClosed)
	c.in.refuse(syscall.EPIPE)
	return nil
}

// CloseWrite ends the direction to the peer, which reads what is buffered, then
// EOF, and may go on writing.
func (c *Conn) CloseWrite() error {
	c.out.finish(syscall.EPIPE)
	return nil
}

// Reset ends both directions at once: the peer loses what is buffered and sees
// ECONNRESET, this end [net.ErrClosed].
func (c *Conn) Reset() {
	c.out.reset(syscall.ECONNRESET, net.ErrClosed)
	c.in.reset(net.ErrClosed, syscall.ECONNRESET)
}

// Buffered returns the bytes that this end has written and the peer has not
// read.
func (c *Conn) Buffered() int {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.n
}

func (c *Conn) LocalAddr() net.Addr  { return c.local }
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

func (c *Conn) failure(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// A flow is one direction of a Conn: a ring of bytes between a writer and a
// reader.
type flow struct {
	mu       sync.Mutex
	moved    sync.Cond // bytes, ends and deadlines
	ring     []byte    // made by the first write
	start, n int

	readErr  error // what the reader gets once drained: io.EOF after a FIN
	writeErr error // what the writer gets
	readBy   deadline
	writeBy  deadline
}

func newFlow() *flow {
	f := &flow{}
	f.moved.L = &f.mu
	return f
}

func (f *flow) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.readErr != nil && f.readErr != io.EOF:
			return 0, f.readErr
		case f.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case f.n > 0:
			end := min(f.start+f.n, len(f.ring))
			n := copy(p, f.ring[f.start:end])
			f.start = (f.start + n) % len(f.ring)
			f.n -= n
			f.moved.Broadcast()
			return n, nil
		case f.readErr != nil:
			return 0, f.readErr
		}
		f.moved.Wait()
	}
}

func (f *flow) write(p []byte) (written int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.writeErr != nil:
			return written, f.writeErr
		case f.writeBy.passed:
			return written, os.ErrDeadlineExceeded
		case len(p) == 0:
			return written, nil
		}
		if f.ring == nil {
			f.ring = make([]byte, PipeBuffer)
		}
		if f.n < len(f.ring) {
			at := (f.start + f.n) % len(f.ring)
			end := len(f.ring)
			if at < f.start {
				end = f.start
			}
			n := copy(f.ring[at:end], p)
			p, written = p[n:], written+n
			f.n += n
			f.moved.Broadcast()
			continue
		}
		f.moved.Wait()
	}
}

// finish lets the reader have what is buffered, then EOF.
func (f *flow) finish(writeErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readErr == nil {
		f.readErr = io.EOF
	}
	if f.writeErr == nil || writeErr == net.ErrClosed {
		f.writeErr = writeErr
	}
	f.moved.Broadcast()
}

// refuse is the reader's close.
func (f *flow) refuse(writeErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readErr = net.ErrClosed
	if f.writeErr == nil {
		f.writeErr = writeErr
	}
	f.ring, f.start, f.n = nil, 0, 0
	f.moved.Broadcast()
}

func (f *flow) reset(readErr, writeErr error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readErr == nil || f.readErr == io.EOF {
		f.readErr = readErr
	}
	if f.writeErr == nil || writeErr == net.ErrClosed {
		f.writeErr = writeErr
	}
	f.ring, f.start, f.n = nil, 0, 0
	f.moved.Broadcast()
}

// A deadline wakes the waiters of its flow when it passes.
type deadline struct {
	timer  *time.Timer
	set    uint64 // tells a timer that was stopped too late from the current one
	passed bool
}

func (f *flow) setDeadline(d *deadline, t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.set++
	d.passed = false
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.passed = true
		f.moved.Broadcast()
		return
	}
	set := d.set
	d.timer = time.AfterFunc(wait, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if d.set == set {
			d.passed = true
			f.moved.Broadcast()
		}
	})
}

// A Listener accepts the in-memory connections that its Dial opens.
type Listener struct {
	addr    *net.TCPAddr
	backlog chan *Conn    // never closed
	closed  chan struct{} // closed by Close

	once    sync.Once
	dialled atomic.Uint32
}

// NewListener returns a listener whose address is 127.0.0.1 and port, which
// binds nothing. The caller closes it.
func NewListener(port int) *Listener {
	return &Listener{
		addr:    &net.TCPAddr{IP: loopback(), Port: port},
		backlog: make(chan *Conn, 128),
		closed:  make(chan struct{}),
	}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	case c := <-l.backlog:
		return c, nil
	}
}

// Close refuses new connections and resets those nobody has accepted.
func (l *Listener) Close() error {
	err := error(&net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed})
	l.once.Do(func() {
		close(l.closed)
		l.drop()
		err = nil
	})
	return err
}

// drop resets what is in the backlog.
func (l *Listener) drop() {
	for {
		select {
		case c := <-l.backlog:
			c.Reset()
		default:
			return
		}
	}
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return l.addr }

// Dial opens a connection to l: ECONNREFUSED when it is closed. It waits, until
// ctx ends, while 128 connections are not accepted.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	port := 40_000 + int(l.dialled.Add(1))%20_000
	here, there := pipe(&net.TCPAddr{IP: loopback(), Port: port}, l.addr)
	err := error(syscall.ECONNREFUSED)
	select {
	case <-l.closed:
	default:
		select {
		case <-l.closed:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case l.backlog <- there:
			select {
			case <-l.closed:
				l.drop() // Close may have looked before
			default:
			}
			return here, nil
		}
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: l.addr, Err: err}
}

// A Network is a set of listeners by address, for code that dials by address.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*Listener
}

// NewNetwork returns a network without listeners.
func NewNetwork() *Network { return &Network{listeners: map[string]*Listener{}} }

// Listen returns a listener that DialContext reaches as addr ("host:port",
// any name). A later one takes the place of an earlier.
func (n *Network) Listen(addr string) *Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := NewListener(10_000 + len(n.listeners))
	n.listeners[addr] = l
	return l
}

// DialContext dials a listener by its address; network is not looked at.
func (n *Network) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[addr]
	n.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host in this network", Name: addr, IsNotFound: true}}
	}
	return l.Dial(ctx)
}
