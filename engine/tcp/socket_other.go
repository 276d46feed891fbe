//go:build unix && (!linux || race)

package tcp

import "syscall"

// ReadSocket is one read of a non-blocking socket, for a function that
// [syscall.RawConn] calls; EAGAIN where that would wait.
func ReadSocket(fd uintptr, p []byte) (int, error) { return once(syscall.Read, fd, p) }

// WriteSocket is one write to a non-blocking socket; see ReadSocket.
func WriteSocket(fd uintptr, p []byte) (int, error) { return once(syscall.Write, fd, p) }

func once(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
