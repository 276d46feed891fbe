package tunnel

import (
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"adit/engine"
)

const (
	// classicPiece is the most content that one frame carries.
	classicPiece = 32 << 10
	// classicKept is the most buffer that an idle connection keeps.
	classicKept = 4 << 10
	// maxFrameHeader is the longest frame header (RFC 6455 §5.2).
	maxFrameHeader = 14

	finBit  = 0x80
	maskBit = 0x80

	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// errBroken is why nothing is written any more: a write has failed, and what
// stands on the wire may be half a frame; or Close was written.
var errBroken = errors.New("nothing can be written any more")

// A frameWriter writes WebSocket frames past the library, whose message writer
// can't flush: a fragment would leave only when its buffer is full and one more
// byte comes. Each call is one Write on the connection, and calls take turns.
type frameWriter struct {
	conn net.Conn
	mask *rand.ChaCha8 // of masking keys; nil at a server, which does not mask

	// turn holds one token, of whoever writes. It guards mask, what follows,
	// and the order of frames; until is beside it. Never closed.
	turn   chan struct{}
	buf    []byte
	inside bool // a binary message is open: its FIN=1 was not written
	broken bool

	until atomic.Int64 // Unix nanoseconds that no write may outlive; 0 none
}

func newFrameWriter(c net.Conn, server bool) *frameWriter {
	w := &frameWriter{conn: c, turn: make(chan struct{}, 1)}
	if !server {
		var seed [32]byte
		_, _ = crand.Read(seed[:]) // never fails since Go 1.24
		w.mask = rand.NewChaCha8(seed)
	}
	return w
}

// text writes a text message and, if there is no content to follow, the empty
// binary message that stands for it.
func (w *frameWriter) text(p []byte, empty bool, timeout time.Duration) error {
	w.turn <- struct{}{}
	defer w.release()
	w.begin(len(p) + 2*maxFrameHeader)
	w.frame(opText, true, p)
	if empty {
		w.frame(opBinary, true, nil)
	}
	return w.send(timeout)
}

// answer writes a text and a binary message.
func (w *frameWriter) answer(head, content []byte, timeout time.Duration) error {
	w.turn <- struct{}{}
	defer w.release()
	w.begin(len(head) + len(content) + 2*maxFrameHeader)
	w.frame(opText, true, head)
	w.frame(opBinary, true, content)
	return w.send(timeout)
}

// content writes a piece of a binary message of at most classicPiece bytes; fin
// says that it is the last.
func (w *frameWriter) content(p []byte, fin bool, timeout time.Duration) error {
	w.turn <- struct{}{}
	defer w.release()
	w.begin(len(p) + maxFrameHeader)
	opcode := byte(opBinary)
	if w.inside {
		opcode = opContinuation
	}
	w.inside = !fin
	w.frame(opcode, fin, p)
	return w.send(timeout)
}

// control writes a control frame, also between the fragments of a message.
func (w *frameWriter) control(opcode byte, p []byte, timeout time.Duration) error {
	w.turn <- struct{}{}
	defer w.release()
	w.begin(len(p) + maxFrameHeader)
	w.frame(opcode, true, p)
	return w.send(timeout)
}

// close writes a Close frame. A code that must not stand in one (RFC 6455
// §7.4.1) leaves it empty.
func (w *frameWriter) close(code engine.CloseCode, reason string) error {
	var p []byte
	if code != engine.CloseAbnormal && code != closeNoStatus && code != 0 {
		p = binary.BigEndian.AppendUint16(make([]byte, 0, 125), uint16(code))
		p = append(p, closeReason(reason)...)
	}
	w.turn <- struct{}{}
	defer w.release()
	w.begin(len(p) + maxFrameHeader)
	w.frame(opClose, true, p)
	err := w.send(closeWait)
	w.broken = true // nothing follows a Close frame (RFC 6455 §5.5.1)
	return err
}

// closeNoStatus stands for a Close frame without a code (RFC 6455 §7.4.1).
const closeNoStatus engine.CloseCode = 1005

// hurry lets no write, one that is under way included, go on after t. What is
// cut short breaks the writer.
func (w *frameWriter) hurry(t time.Time) {
	w.until.Store(t.UnixNano())
	_ = w.conn.SetWriteDeadline(t)
}

func (w *frameWriter) release() { <-w.turn }

func (w *frameWriter) begin(size int) {
	if cap(w.buf) < size {
		w.buf = make([]byte, 0, max(size, 512))
	}
	w.buf = w.buf[:0]
}

// shrink gives back a large buffer of a connection that has become idle.
func (w *frameWriter) shrink() {
	select {
	case w.turn <- struct{}{}:
		if cap(w.buf) > classicKept {
			w.buf = nil
		}
		w.release()
	default: // a ping or pong is being written
	}
}

// frame appends one frame to what send writes.
func (w *frameWriter) frame(opcode byte, fin bool, p []byte) {
	if fin {
		opcode |= finBit
	}
	var masked byte
	if w.mask != nil {
		masked = maskBit
	}
	b := append(w.buf, opcode)
	switch {
	case len(p) < 126:
		b = append(b, masked|byte(len(p)))
	case len(p) < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(len(p)))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(len(p)))
	}
	if w.mask == nil {
		w.buf = append(b, p...)
		return
	}
	key := uint32(w.mask.Uint64())
	b = binary.LittleEndian.AppendUint32(b, key)
	start := len(b)
	b = append(b, p...)
	maskPayload(b[start:], key)
	w.buf = b
}

// maskPayload applies a masking key whose first byte is the lowest (RFC 6455 §5.3).
func maskPayload(p []byte, key uint32) {
	wide := uint64(key)<<32 | uint64(key)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(key >> (8 * (i & 3)))
	}
}

// send writes what was appended.
func (w *frameWriter) send(timeout time.Duration) error {
	if w.broken {
		return errBroken
	}
	_ = w.conn.SetWriteDeadline(time.Now().Add(timeout))
	// hurry stores before it sets: whichever comes last, its deadline holds.
	if until := w.until.Load(); until != 0 {
		_ = w.conn.SetWriteDeadline(time.Unix(0, until))
	}
	if _, err := w.conn.Write(w.buf); err != nil {
		w.broken = true
		return err
	}
	return nil
}

// refusing is a connection that takes no write.
type refusing struct{ net.Conn }

func (refusing) Write([]byte) (int, error) { return 0, errBroken }

// retireLibrary makes the library never write again: its reader answers broken
// frames with a Close of its own, and those would come between ours. It writes
// nothing on a connection on which a write of its own has failed. No goroutine
// uses the socket yet.
func (s *socket) retireLibrary() {
	below := s.tap.Conn
	s.tap.Conn = refusing{below}
	_ = s.ws.WriteControl(opPing, nil, time.Time{})
	s.tap.Conn = below
}
