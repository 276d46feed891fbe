package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine"
)

// notices collects what is said.
type notices struct {
	mu  sync.Mutex
	all []string
}

func (n *notices) add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, text)
}

func (n *notices) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, "\n")
}

// accounted fails where rows and gaps do not make all that ended.
func accounted(t *testing.T, f *File, finished int) (gap int64) {
	t.Helper()
	rows, gap := count(t, f, "SELECT count(*) FROM requests"), count(t, f, "SELECT sum(count) FROM gaps")
	if rows+gap != int64(finished) {
		t.Errorf("%d rows and %d in gaps, %d have ended", rows, gap, finished)
	}
	return gap
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	var said notices
	var full atomic.Bool
	f := open(t, "", Options{Notice: said.add, retry: 10 * time.Millisecond, opened: func(c *conn) error {
		limit := 1 << 30
		if full.Load() {
			limit = 1 // as many as there are
		}
		_, err := c.number(fmt.Sprintf("PRAGMA max_page_count = %d", limit))
		return err
	}})
	ended := 0
	add := func(n int) (last uint64) {
		for range n {
			ended++
			if key := f.Add(finished(ended)); key != 0 {
				last = key
			}
		}
		return last
	}
	settle(t, f, add(1000))
	full.Store(true)
	// The connection that writes finds out when it is opened anew.
	path := f.path
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	add(1)
	eventually(t, "notices that its file is gone", func() bool { return strings.Contains(said.String(), "taken away") })
	eventually(t, "suspended for want of room", func() bool { add(1); return strings.Contains(f.Problem(), "disk full; make room in ") })
	last := add(70_000)
	if f.Problem() == "" {
		t.Error("it has resumed with a full disk")
	}
	full.Store(false)
	settle(t, f, last)
	eventually(t, "resumed", func() bool { return f.Problem() == "" })
	settle(t, f, add(1000))
	if gap := accounted(t, f, ended-1000); gap < 70_000-maxRows {
		t.Errorf("%d in gaps", gap)
	} else if n := f.Gaps(); n != uint64(gap) {
		t.Errorf("it says %d are in gaps, it has %d", n, gap)
	}
	if n, rows := f.Rows(), count(t, f, "SELECT count(*) FROM requests"); n != int64(rows) {
		t.Errorf("it says it has %d rows, it has %d", n, rows)
	}
	if n := count(t, f, "SELECT count(*) FROM gaps WHERE why = 'suspended: disk full' AND from_seq > 0 AND to_seq > from_seq AND to_time > from_time"); n != 1 {
		t.Errorf("%d gaps for a full disk", n)
	}
	if s := said.String(); strings.Count(s, "disk full") != 1 || !strings.HasSuffix(s, "the history goes on") {
		t.Errorf("said:\n%s", s)
	}
}

func TestLockOfAnotherProgram(t *testing.T) {
	t.Parallel()
	var said notices
	f := open(t, "", Options{Notice: said.add, retry: 10 * time.Millisecond})
	other, err := dial(f.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	last := f.Add(finished(1))
	eventually(t, "suspended", func() bool { return strings.HasPrefix(f.Problem(), "locked by another program") })
	if _, err := f.Request(context.Background(), 1); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("reading while it is locked: %v", err)
	}
	if err := other.exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	settle(t, f, last)
	eventually(t, "resumed", func() bool { return f.Problem() == "" })
	accounted(t, f, 1)
}

func TestFileTakenAway(t *testing.T) {
	t.Parallel()
	var said notices
	f := open(t, "", Options{Notice: said.add, retry: 10 * time.Millisecond})
	settle(t, f, f.Add(finished(1)))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(f.path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, f, f.Add(finished(2)))
	if _, err := f.Request(context.Background(), 2); err != nil {
		t.Errorf("what is in the new file: %v", err)
	}
	if !strings.Contains(said.String(), "taken away") {
		t.Errorf("said: %s", said.String())
	}
	if _, err := os.Stat(f.path); err != nil {
		t.Error(err)
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(data []byte) []byte{
		"no database": func([]byte) []byte { return []byte(strings.Repeat("what is this? ", 1000)) },
		"first page":  func(data []byte) []byte { copy(data[100:4000], strings.Repeat("\xAA", 3900)); return data },
		"rows":        func(data []byte) []byte { copy(data[len(data)/2:], strings.Repeat("\xAA", len(data))); return data },
		"cut":         func(data []byte) []byte { return data[:len(data)/3] },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server-edge.db")
			f, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			last := uint64(0)
			for n := range 2000 {
				last = f.Add(finished(n + 1))
			}
			settle(t, f, last) // Close waits for 2 s at most
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			data = damage(data)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var said notices
			f = open(t, path, Options{Notice: said.add})
			settle(t, f, f.Add(finished(3_000_000)))
			aside, err := filepath.Glob(path + ".corrupt-*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("moved aside: %v, %v", aside, err)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != string(data) {
				t.Errorf("what was there has changed: %v", err)
			}
			if !strings.Contains(said.String(), aside[0]) {
				t.Errorf("said: %s", said.String())
			}
		})
	}
}

// Damage may show only when something is written, or never again if it is not looked
// for: then the history would be suspended for ever.
func TestDamageFoundWhileWriting(t *testing.T) {
	t.Parallel()
	var said notices
	var damaged atomic.Bool
	f := open(t, "", Options{Notice: said.add, retry: 10 * time.Millisecond, opened: func(c *conn) error {
		if !damaged.CompareAndSwap(true, false) {
			return nil
		}
		// As a page that the disk has changed: of a table that opening does not read.
		return c.exec("PRAGMA writable_schema = on; UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'gaps'; PRAGMA writable_schema = reset")
	}})
	settle(t, f, f.Add(finished(1)))
	damaged.Store(true)
	if err := os.Rename(f.path, f.path+".away"); err != nil {
		t.Fatal(err)
	}
	settle(t, f, f.Add(finished(2)))
	f.Lost(engine.Batch{Dropped: 5})
	eventually(t, "moved aside", func() bool { return strings.Contains(said.String(), "was damaged") })
	settle(t, f, f.Add(finished(3)))
	eventually(t, "resumed", func() bool { return f.Problem() == "" && count(t, f, "SELECT count(*) FROM requests") == 1 })
}

func TestFileOfAnotherKind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	c, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exec("CREATE TABLE songs (title TEXT)"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(path, Options{}); !errors.Is(err, errForeign) {
		t.Errorf("a database of another program: %v, %v", f, err)
	}
	if f, err := OpenReadOnly(path); err == nil {
		t.Errorf("opened to be read: %v", f)
	}

	path = filepath.Join(t.TempDir(), "newer.db")
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = dial(path); err != nil {
		t.Fatal(err)
	}
	if err := c.exec("PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(path, Options{}); !errors.Is(err, errNewer) {
		t.Errorf("a newer schema: %v, %v", f, err)
	}
	if f, err := OpenReadOnly(path); !errors.Is(err, errNewer) {
		t.Errorf("a newer schema, to be read: %v, %v", f, err)
	}
}

func TestFileThatOthersCanRead(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there")
	f := open(t, filepath.Join(dir, "h.db"), Options{})
	settle(t, f, f.Add(finished(1)))
	if s, err := os.Stat(dir); err != nil || s.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v", s, err)
	}
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if s, err := os.Stat(f.path + suffix); err != nil || s.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", suffix, s, err)
		}
	}
}

// What was lost before it came here is counted as far as it is known.
func TestLossBeforeTheHistory(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{})
	f.Lost(engine.Batch{Dropped: 9, Ended: 4, Sorted: true})
	eventually(t, "a gap", func() bool { return count(t, f, "SELECT count(*) FROM gaps WHERE count = 4 AND events = 5") == 1 })
	f.Lost(engine.Batch{Dropped: 7})
	eventually(t, "a gap", func() bool { return count(t, f, "SELECT count(*) FROM gaps WHERE count IS NULL AND events = 7") == 1 })
}

// What is added after the queue is full must cost no memory, and be counted.
func TestQueueWithoutABound(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for n := range maxRows + 1000 {
		q.add(item{request: finished(1).Request, bytes: 100}, finished(n+1))
	}
	if len(q.items) != maxRows {
		t.Errorf("%d rows wait", len(q.items))
	}
	gaps := q.losses()
	if len(gaps) != 1 || gaps[0].requests != 1000 || gaps[0].why != whyOverflow {
		t.Errorf("gaps: %+v", gaps)
	}
	q = newQueue()
	for range 100 {
		q.add(item{request: finished(1).Request, bytes: 1 << 20}, finished(1))
	}
	if q.bytes > maxBytes || len(q.items) != 64 {
		t.Errorf("%d rows, %d bytes wait", len(q.items), q.bytes)
	}
}

// What is left when a run ends must not be lost to a fault that is over a moment
// later: nobody tries again after the end.
func TestFaultThatPassesWhileClosing(t *testing.T) {
	t.Parallel()
	var faults atomic.Int32
	path := filepath.Join(t.TempDir(), "h.db")
	f, err := Open(path, Options{retry: time.Hour, opened: func(*conn) error {
		if faults.Add(-1) >= 0 {
			return errors.New("it fails")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, f, f.Add(finished(1)))
	faults.Store(3)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	f.Add(finished(2))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f, err = OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := count(t, f, "SELECT count(*) FROM requests WHERE id = 2"); n != 1 {
		t.Error("what was left is lost")
	}
}
