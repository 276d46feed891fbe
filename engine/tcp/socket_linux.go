//go:build linux && !race

package tcp

import (
	"syscall"
	"unsafe"
)

// ReadSocket is one read of a non-blocking socket, for a function that
// [syscall.RawConn] calls; EAGAIN where that would wait.
func ReadSocket(fd uintptr, p []byte) (int, error) { return once(syscall.SYS_READ, fd, p) }

// WriteSocket is one write to a non-blocking socket; see ReadSocket.
func WriteSocket(fd uintptr, p []byte) (int, error) { return once(syscall.SYS_WRITE, fd, p) }

func once(trap, fd uintptr, p []byte) (int, error) {
	p = p[:min(len(p), mostAtOnce)]
	for {
		n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
