// Package frame counts WebSocket frames on the wire: a passive parser of RFC 6455
// §5.2 frame headers in a net.Conn below the WebSocket library, which hides
// continuation frames. It copies nothing, locks nothing and never alters or
// delays a byte; what it can't parse it stops counting. For five seconds after
// somebody asked it also keeps the newest headers, on a tape.
package frame

import (
	"net"
	"sync"
	"sync/atomic"

	"adit/engine"
)

// Counters are the counts of one connection. Each field is written by one
// goroutine at a time (reader or writer) and read by any. The zero value is
// ready; it must not be copied after first use.
type Counters struct {
	in direction
	_  [cacheLine]byte // reader and writer never write to the same line
	// out follows at a distance that holds for any alignment of Counters.
	out direction
	_   [cacheLine]byte

	asking sync.Mutex // of who asks for the tape; a leaf but for tape.mu
}

// cacheLine is the size in bytes of the unit that cores contend for.
const cacheLine = 64

// A direction holds what went one way.
type direction struct {
	bytes      atomic.Uint64
	frames     [6]atomic.Uint64 // by slot
	sizes      [4]atomic.Uint64 // of data frames, as in engine.FrameShape
	fragmented atomic.Uint64
	last       atomic.Uint64        // newest frame: opcode<<60 | length, so that both are of one frame
	tape       atomic.Pointer[tape] // nil while nobody watches
}

// lastLength masks the length in direction.last. Lengths end at 2⁶³: those that
// nobody ever sends are cut.
const lastLength = 1<<60 - 1

// note counts one frame whose header was read, of which length is the payload.
func (d *direction) note(slot int, opcode byte, fin bool, length uint64) {
	d.frames[slot].Add(1)
	if opcode < 8 {
		d.sizes[sizeClass(length)].Add(1)
		if !fin && opcode != 0 {
			d.fragmented.Add(1)
		}
	}
	d.last.Store(uint64(opcode)<<60 | min(length, lastLength))
}

// sizeClass returns the place of a payload in engine.FrameShape.Sizes.
func sizeClass(length uint64) int {
	switch {
	case length < 128:
		return 0
	case length < 1<<10:
		return 1
	case length < 16<<10:
		return 2
	}
	return 3
}

// Traffic returns the counts so far. Each count is exact; counts that change
// meanwhile may belong to different moments.
func (c *Counters) Traffic() engine.Traffic {
	return engine.Traffic{
		BytesIn:   c.in.bytes.Load(),
		BytesOut:  c.out.bytes.Load(),
		FramesIn:  c.in.load(),
		FramesOut: c.out.load(),
	}
}

// Shapes returns what the frames of both directions look like so far. As in
// Traffic, each count is exact.
func (c *Counters) Shapes() (in, out engine.FrameShape) { return c.in.shape(), c.out.shape() }

func (d *direction) shape() engine.FrameShape {
	last := d.last.Load()
	s := engine.FrameShape{Fragmented: d.fragmented.Load(), LastOpcode: uint8(last >> 60), LastLength: last & lastLength}
	for i := range s.Sizes {
		s.Sizes[i] = d.sizes[i].Load()
	}
	return s
}

// BytesIn returns the bytes read so far, handshake excluded: liveness.
func (c *Counters) BytesIn() uint64 { return c.in.bytes.Load() }

func (d *direction) load() engine.Frames {
	return engine.Frames{
		Continuation: d.frames[0].Load(),
		Text:         d.frames[1].Load(),
		Binary:       d.frames[2].Load(),
		Close:        d.frames[3].Load(),
		Ping:         d.frames[4].Load(),
		Pong:         d.frames[5].Load(),
	}
}

// A Start says where counting begins in one direction.
type Start uint8

const (
	StartNow       Start = iota // the handshake is over in this direction
	StartAfterHead              // after the first CRLF CRLF
)

// Conn is a net.Conn that counts. It embeds the net.Conn interface, never a
// *net.TCPConn, so that no writev passes it by. As for any byte stream, one
// goroutine at a time reads and one writes.
type Conn struct {
	net.Conn
	counters *Counters
	read     tap
	_        [cacheLine]byte
	write    tap
}

// NewConn returns a counting conn. At a server reads start now, writes after the head;
// at a client both after the head.
func NewConn(c net.Conn, counters *Counters, read, write Start) *Conn {
	conn := &Conn{Conn: c, counters: counters, read: newTap(read), write: newTap(write)}
	conn.write.out = true
	return conn
}

// Read reads from the connection below and counts what came.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.read.observe(&c.counters.in, p[:n])
	}
	return n, err
}

// MessagesRead returns the number of messages (RFC 6455 §5.4, no control frames)
// that were read to their last byte. It is for the goroutine that reads.
func (c *Conn) MessagesRead() uint64 { return c.read.messages }

// Write writes to the connection below and counts what it took, which after an
// error may be less than p.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 {
		c.write.observe(&c.counters.out, p[:n])
	}
	return n, err
}
