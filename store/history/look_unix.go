//go:build unix

package history

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockedBy returns which process has the lock that take takes, 0 for none: it is
// asked for and not taken, since a server that starts meanwhile would go without
// its history.
func lockedBy(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	const firstLock, locks = 0x40000000, 512 // PENDING_BYTE and what follows it (SQLite, os.h)
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0, Start: firstLock, Len: locks}
	if unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock) != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	return int(lock.Pid)
}
