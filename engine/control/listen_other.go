//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package control

import "io/fs"

func ownedByOthers(string, fs.FileInfo) error { return nil }

func lockDirectory(string) (unlock func(), err error) { return func() {}, nil }

// refused takes every failure for nobody's listening.
func refused(error) bool { return true }
