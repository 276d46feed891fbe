//go:build unix

package certs_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"adit/engine/certs"
)

// What has no end, and a pipe that nobody writes into, must neither eat the memory
// of the machine nor hold up who asks: 23 GiB and for ever, once.
func TestFilesWithoutAnEnd(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/dev/zero": "larger than 16 MiB", pipe: "no certificate"} {
		began := time.Now()
		if _, _, err := certs.ReadPair(path, path); err == nil || !strings.Contains(err.Error(), want) || time.Since(began) > 30*time.Second {
			t.Errorf("%s: %v after %v", path, err, time.Since(began))
		}
		if _, err := certs.Pool(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
