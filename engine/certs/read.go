package certs

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

const (
	// maxFile bounds a file of certificates, keys or authorities, in bytes: those of
	// all authorities that systems know have 0.3 MiB.
	maxFile = 16 << 20
	// pipeWait bounds how long somebody who writes into a pipe is waited for.
	pipeWait = 5 * time.Second
)

// ReadFile reads a file of certificates or keys, of at most 16 MiB. It does not wait
// for who never writes into a pipe.
func ReadFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(pipeWait)) // files have none
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("larger than 16 MiB: that is no certificate and no key")}
	}
	return text, nil
}
