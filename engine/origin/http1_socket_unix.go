//go:build unix

package origin

import (
	"io"
	"net"
	"os"
	"syscall"

	"adit/engine/tcp"
)

// A http1Socket is the non-blocking socket of a connection to an origin. It
// does with three system calls what takes net.Conn four: the runtime is told of
// the wait for the answer before the request is written, so that nobody has to
// try and read what cannot be there yet.
type http1Socket struct {
	raw  syscall.RawConn
	step func(fd uintptr) bool // one of the two below, as RawConn.Read wants it

	state socketState
	out   []byte
	room  *readAhead // of who exchanges
	wrote int
	err   error // of the write or of the read
	probe [1]byte
}

type socketState uint8

const (
	socketProbes socketState = iota // only whether it is alive
	socketAsks                      // and then writes
	socketWrites
	socketReads
	socketStale // it was not alive
	socketDone
)

// newHTTP1Socket returns nil for a connection that is no plain socket.
func newHTTP1Socket(c net.Conn) *http1Socket {
	sys, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return nil
	}
	s := &http1Socket{raw: raw}
	s.step = s.advance
	return s
}

// alive reports whether the socket is open and has nothing to read.
func (s *http1Socket) alive() bool {
	s.state = socketProbes
	return s.raw.Read(s.step) == nil && s.state == socketDone
}

// exchange writes out and reads what comes first into room, of which it owns no
// memory while it waits: out, which may lie in it, is lost once it was written.
// Where asks is true it does so only if the socket is alive, and otherwise
// returns errStale. wrote says how much was written, also with an error; if that
// is not all of out nothing was read.
func (s *http1Socket) exchange(out []byte, room *readAhead, asks bool) (wrote int, err error) {
	s.state, s.out, s.room, s.wrote, s.err = socketWrites, out, room, 0, nil
	if asks {
		s.state = socketAsks
	}
	err = s.raw.Read(s.step)
	if err == nil {
		err = s.err
	}
	s.out, s.room = nil, nil
	if s.state == socketStale {
		err = errStale
	}
	return s.wrote, err
}

// advance is called first when the runtime has been told of the wait, and then
// when there may be something to read; true ends the wait.
func (s *http1Socket) advance(fd uintptr) bool {
	asked := s.state == socketAsks
	switch s.state {
	case socketProbes:
		s.state = socketStale
		if silent(fd, s.probe[:]) {
			s.state = socketDone
		}
		return true
	case socketAsks:
		if !silent(fd, s.probe[:]) {
			s.state = socketStale
			return true
		}
		fallthrough
	case socketWrites:
		n, err := tcp.WriteSocket(fd, s.out)
		s.wrote = n
		if s.wrote < len(s.out) {
			if err != nil && err != syscall.EAGAIN {
				s.err = os.NewSyscallError("write", err)
			}
			return true
		}
		s.state = socketReads
		s.out = nil
		s.room.free()
		if asked {
			return false // nothing had come when the runtime knew of the wait already
		}
		// Of what had come before that on a new connection nobody tells.
	}
	s.room.take()
	n, err := tcp.ReadSocket(fd, s.room.buf)
	switch {
	case err == syscall.EAGAIN:
		s.room.free()
		return false
	case err != nil:
		s.err = os.NewSyscallError("read", err)
	case n == 0:
		s.err = io.EOF
	}
	s.room.w = n
	return true
}

// silent reports whether a non-blocking socket is open and has nothing to read.
func silent(fd uintptr, p []byte) bool {
	_, err := tcp.ReadSocket(fd, p)
	return err == syscall.EAGAIN
}
