//go:build unix

package doctor

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFiles returns how many files a process of this user may have open; 0
// any number, or not known. Go raises what a process may have to the most that it
// could.
func openFiles() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	files := uint64(max(l.Cur, l.Max))
	if files >= unlimited {
		return 0
	}
	return files
}

// unlimited is above every bound that a system has: RLIM_INFINITY is greater.
const unlimited = 1 << 62

// ownerOf returns whose a file is.
func ownerOf(info os.FileInfo) (name string, ours bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	name = "user " + strconv.FormatUint(uint64(stat.Uid), 10)
	if u, err := user.LookupId(strconv.FormatUint(uint64(stat.Uid), 10)); err == nil {
		name = u.Username
	}
	return name, int(stat.Uid) == os.Geteuid()
}

// mayWrite reports why this user can't write to a file or into a directory.
func mayWrite(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// inUse reports whether somebody else has an address.
func inUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
