//go:build windows

package doctor

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// What this system has no such thing for, or no plain way to ask, is not known.

func openFiles() uint64 { return 0 }

func ownerOf(os.FileInfo) (name string, ours bool) { return "", false }

func mayWrite(string) error { return nil }

// inUse reports whether somebody else has an address.
func inUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }
