//go:build !unix

package handover

import (
	"context"
	"os"
)

// Signal is what asks a process to start its successor: nothing does here.
func Signal() os.Signal { return nil }

func own(fd int, name string) *os.File { return os.NewFile(uintptr(fd), name) }

func itself() string { return "" }

func (s *Sockets) start(context.Context, Options) (int, error) { return 0, ErrUnsupported }
