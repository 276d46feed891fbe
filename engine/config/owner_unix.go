//go:build unix

package config

import (
	"os"
	"syscall"
)

// keepOwner gives f the owner of what it replaces: a server that does not run as
// root must still be able to read what root wrote. Where that is not allowed f stays
// as it is.
func keepOwner(f *os.File, of os.FileInfo) {
	if stat, ok := of.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(stat.Uid), int(stat.Gid))
	}
}
