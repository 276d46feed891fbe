//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openToOthers refuses a directory that others can write to, or of somebody else
// but root.
func openToOthers(dir string, info fs.FileInfo) error {
	if mode := info.Mode(); mode.Perm()&0o022 != 0 && mode&fs.ModeSticky == 0 {
		return fmt.Errorf("others can write to the directory (mode %04o); chmod 700 %s, or choose another", mode.Perm(), dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Getuid() {
		return fmt.Errorf("the directory belongs to user %d; choose one of your own instead of %s", st.Uid, dir)
	}
	return nil
}

// lockDirectory waits for the lock of a directory, but not for ever: anybody may
// hold that of one like /tmp.
func lockDirectory(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for range 40 {
		if err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return func() { _ = d.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	_ = d.Close()
	return nil, fmt.Errorf("lock %s: %w", dir, err)
}

// refused reports whether nobody listens.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
