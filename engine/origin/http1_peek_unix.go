//go:build unix

package origin

import "syscall"

const canPeek = true

// silent reports whether a non-blocking socket is open and has nothing to read.
func silent(fd uintptr, p []byte) bool {
	for {
		_, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		}
	}
}
