//go:build unix

package doctor

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe in the place of the database is not opened: that would wait for ever.
func TestStoreThatIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "server.db")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	s := &ServerPlan{History: HistoryPlan{Path: pipe, Look: func(context.Context, string) (History, error) {
		t.Error("it is looked into")
		return History{}, nil
	}}}
	findings(examineHistory(t.Context(), s, ThisMachine())).want(t, "store", Warning, "no file", "--store=PATH")
}
