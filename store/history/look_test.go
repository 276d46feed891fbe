package history

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// kept returns a database with n requests, closed.
func kept(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server-edge.db")
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for i := range n {
		last = f.Add(large(i + 1))
	}
	settle(t, f, last)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLookInto(t *testing.T) {
	t.Parallel()
	path := kept(t, 500)
	before, _ := os.ReadDir(filepath.Dir(path))
	l, err := LookInto(t.Context(), path)
	if err != nil || !l.Checked || l.Damage != "" || l.Requests != 500 || !l.Counted || l.Schema != l.Newest || l.Writer != 0 || l.Size < 100_000 {
		t.Errorf("it finds %+v, %v", l, err)
	}
	if want := finished(500).Request.Arrived; !l.Last.Equal(want) {
		t.Errorf("the newest is of %v, want %v", l.Last, want)
	}
	if after, _ := os.ReadDir(filepath.Dir(path)); len(after) != len(before) {
		t.Errorf("looking has left files: %v, before: %v", after, before)
	}
}

// A server that starts anew leaves a gap of ids, which holds no requests.
func TestLookCountsNoGaps(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "server-edge.db")
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.Add(finished(1))
	settle(t, f, f.Add(finished(200_001)))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err := LookInto(t.Context(), path); err != nil || l.Requests != 2 || !l.Counted {
		t.Errorf("it finds %+v, %v", l, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := LookInto(ctx, path); err == nil && l.Counted {
		t.Errorf("it has counted in no time: %+v", l)
	}
}

// A look that ended what writes, or did not see it, would cost a history.
func TestLookIntoWhatIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "server-edge.db")
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), crashEnv+"="+path)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(c.Process.Kill(), c.Wait()) }()
	writer := c.Process.Pid
	deadline := time.Now().Add(10 * time.Second)
	for {
		l, err := LookInto(t.Context(), path)
		if err == nil && l.Requests > 0 && (l.Writer == writer || runtime.GOOS == "windows") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it finds %+v, %v; process %d writes", l, err, writer)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("the writer has lost its lock: %v", err)
	}
}

func TestLookIntoWhatIsNoHistory(t *testing.T) {
	t.Parallel()
	if _, err := LookInto(t.Context(), filepath.Join(t.TempDir(), "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no file it says %v", err)
	}
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("what is this? ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LookInto(t.Context(), path); err == nil {
		t.Error("a text is taken for a history")
	}
	path = kept(t, 3000)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[len(data)/2:], strings.Repeat("\xAA", len(data)/4))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := LookInto(t.Context(), path); err == nil && l.Damage == "" {
		t.Errorf("damage is not found: %+v", l)
	}
}

func TestLookThatHasNoTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := LookInto(ctx, kept(t, 10)); err == nil && l.Checked {
		t.Errorf("it has checked all in no time: %+v", l)
	}
}
