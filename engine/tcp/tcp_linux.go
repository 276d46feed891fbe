//go:build linux && !race

package tcp

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// counts says that wrapped connections count.
const counts = true

// conn is a TCP connection. What else package net offers of it (CloseWrite,
// SetLinger, SyscallConn, ReadFrom) passes by.
type conn struct {
	*net.TCPConn
	raw   syscall.RawConn
	read  call
	write call
}

func wrap(c net.Conn) net.Conn {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return c
	}
	own := &conn{TCPConn: t, raw: raw, read: call{trap: syscall.SYS_READ}, write: call{trap: syscall.SYS_WRITE, all: true}}
	own.read.attempt, own.write.attempt = own.read.try, own.write.try
	return own
}

// A call is the Read or the Write of a connection that goes on.
type call struct {
	trap    uintptr
	all     bool                  // it is over when all of p is done
	lend    bool                  // p is lent, and taken only where it can be filled
	attempt func(fd uintptr) bool // try, made once

	mu    sync.Mutex // held by who reads or writes
	p     []byte
	lent  *buffer
	n     int // bytes of p that are done
	errno syscall.Errno
}

// try makes the system call and reports whether the poller need not wait for
// the socket.
func (c *call) try(fd uintptr) bool {
	if c.lend {
		c.lent = buffers.Get().(*buffer)
		c.p = c.lent[:]
	}
	for {
		rest := c.p[c.n:min(len(c.p), c.n+mostAtOnce)]
		n, _, errno := syscall.RawSyscall(c.trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(rest))), uintptr(len(rest)))
		switch errno {
		case 0:
			c.n += int(n)
			large.Add(int(n))
			if !c.all || c.n == len(c.p) {
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			if c.lend {
				c.takeBack()
			}
			return false
		default:
			c.errno = errno
			return true
		}
	}
}

// takeBack gives up the buffer that was lent.
func (c *call) takeBack() {
	buffers.Put(c.lent)
	c.lent, c.p = nil, nil
}

// do runs a call on p through the poller's wait.
func (c *call) do(wait func(func(uintptr) bool) error, p []byte) (int, syscall.Errno, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.p, c.n, c.errno = p, 0, 0
	err := wait(c.attempt)
	c.p = nil
	return c.n, c.errno, err
}

func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, errno, err := c.read.do(c.raw.Read, p)
	switch {
	case err != nil || errno != 0:
		return 0, c.failure("read", errno, err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (c *conn) readLent() (*buffer, int, error) {
	r := &c.read
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lend, r.n, r.errno = true, 0, 0
	err := c.raw.Read(r.attempt)
	r.lend = false
	if r.n == 0 && r.lent != nil {
		r.takeBack()
	}
	buf, n, errno := r.lent, r.n, r.errno
	r.lent, r.p = nil, nil
	switch {
	case err != nil || errno != 0:
		return nil, 0, c.failure("read", errno, err)
	case n == 0:
		return nil, 0, io.EOF
	}
	return buf, n, nil
}

func (c *conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, errno, err := c.write.do(c.raw.Write, p)
	if err != nil || errno != 0 {
		return n, c.failure("write", errno, err)
	}
	return n, nil
}

// failure is the error that package net would have returned.
func (c *conn) failure(op string, errno syscall.Errno, err error) error {
	if errno != 0 {
		err = os.NewSyscallError(op, errno)
	}
	var own *net.OpError
	if errors.As(err, &own) {
		err = own.Err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
