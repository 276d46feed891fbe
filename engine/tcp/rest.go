package tcp

import (
	"net"
	"sync"
)

// A buffer is what a resting connection reads into. Larger reads pass it by.
type buffer [4 << 10]byte

// buffers are those that hold nothing.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Rest returns c with reads of less than 4 KiB through a buffer of that size,
// which a connection that [Wrap] has changed owns only while bytes lie in it:
// waiting it has none. Whoever reads in small pieces above needs no large buffer
// of his own then. Only one goroutine at a time may read.
func Rest(c net.Conn) net.Conn {
	r := &resting{Conn: c}
	if r.below, _ = c.(lender); r.below == nil {
		r.buf = new(buffer)
	}
	return r
}

// A lender reads into a buffer that it takes when there is something to read.
// The buffer belongs to the caller then; it is nil with an error.
type lender interface {
	readLent() (*buffer, int, error)
}

type resting struct {
	net.Conn
	below lender // Conn; nil: buf stays
	buf   *buffer
	left  []byte // of buf, to be read
}

func (r *resting) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		if len(p) >= len(buffer{}) {
			return r.Conn.Read(p)
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	if len(r.left) == 0 && r.below != nil {
		buffers.Put(r.buf)
		r.buf, r.left = nil, nil
	}
	return n, nil
}

// fill reads once.
func (r *resting) fill() error {
	var n int
	var err error
	if r.below != nil {
		r.buf, n, err = r.below.readLent()
	} else {
		n, err = r.Conn.Read(r.buf[:])
	}
	if n == 0 {
		return err
	}
	r.left = r.buf[:n] // an error comes again with the next read
	return nil
}
