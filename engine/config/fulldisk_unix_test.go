//go:build unix

package config_test

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"adit/engine/config"
)

// On a full disk adit token revoke said "revoked", of a token that was worth as
// much as before. A file that may not grow is as good as a full disk.
func TestFullDiskRevokesNothing(t *testing.T) {
	item := func(id string) string {
		return "- {id: " + id + ", name: " + id + ", kind: client, hash: '" + oneHash + "'}\n"
	}
	path := tokenFile(t, "# "+strings.Repeat("x", 1<<21)+"\ntokens:\n"+item("aaaa")+item("bbbb"))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	small := limit
	small.Cur = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	removed, revoked := config.RevokeToken(path, "aaaa")
	added := config.AddToken(path, newToken("new"))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	if revoked == nil || len(removed) > 0 {
		t.Errorf("revoked %d tokens, %v", len(removed), revoked)
	}
	if added == nil {
		t.Error("a token was added")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file has %d bytes, %v, want %d", len(after), err, len(before))
	}
	if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
