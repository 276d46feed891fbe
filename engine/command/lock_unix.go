//go:build unix && !solaris && !aix

package command

import (
	"os"
	"syscall"
)

// lockFile takes the lock of f, which ends with f, or fails at once.
func lockFile(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
