//go:build unix

package config

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe that nobody writes into must not hold up whoever reads settings.
func TestPipeWithoutAWriter(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := readBounded(pipe, 1<<10); err != nil || len(data) > 0 {
		t.Errorf("%q, %v", data, err)
	}
	if _, _, err := ReadTokens(pipe); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Errorf("tokens: %v", err)
	}
}
