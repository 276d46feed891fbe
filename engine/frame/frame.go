// Package frame counts WebSocket frames on the wire: a passive parser of
// RFC 6455 §5.2 frame headers in a net.Conn below the WebSocket library, which
// hides continuation frames. It copies nothing, locks nothing and never alters
// or delays a byte; what it can't parse it stops counting.
package frame

import (
	"net"
	"time"

	"adit/engine"
)

// Counters are the counts of one connection. Each field is written by one
// goroutine at a time (reader or writer) and read by any.
type Counters struct {
	// unexported atomics
}

// Traffic returns the counts so far.
func (c *Counters) Traffic() engine.Traffic { panic("in work") }

// BytesIn returns the bytes read so far, handshake excluded: liveness.
func (c *Counters) BytesIn() uint64 { panic("in work") }

// A Start says where counting begins in one direction.
type Start uint8

const (
	StartNow       Start = iota // the handshake is over in this direction
	StartAfterHead              // after the first CRLF CRLF
)

// Conn is a net.Conn that counts. It embeds the net.Conn interface, never a
// *net.TCPConn, so that no writev passes it by.
type Conn struct {
	net.Conn
	// unexported
}

// NewConn returns a counting conn. At a server reads start now, writes after the head;
// at a client both after the head.
func NewConn(c net.Conn, counters *Counters, read, write Start) *Conn { panic("in work") }

var _ = time.Now
