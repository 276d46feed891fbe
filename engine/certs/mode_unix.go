//go:build unix

package certs

import "io/fs"

func othersMayRead(info fs.FileInfo) bool { return info.Mode().Perm()&0o004 != 0 }
