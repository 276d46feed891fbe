//go:build unix

package server

import (
	"math"
	"syscall"
)

// openFiles returns how many files the process may have open, 0 for no bound.
func openFiles() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || uint64(l.Cur) > math.MaxInt32 {
		return 0
	}
	return int(l.Cur)
}
