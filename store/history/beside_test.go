package history

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
)

// add adds n requests, a few at a time, and waits until they can be read.
func add(t *testing.T, f *File, first engine.RequestID, n int) {
	t.Helper()
	var key uint64
	for i := range n {
		if key = f.Add(finished(int(first) + i)); key == 0 {
			t.Errorf("no room: %s", f.Problem())
			return
		}
		if i%50 == 49 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	settle(t, f, key)
}

// alone waits until a file has the lock that its former process had.
func alone(t *testing.T, f *File) {
	t.Helper()
	eventually(t, "the lock of the former process", f.sole.Load)
}

// Rows, counts or keys that one of two writers takes from the other.
func TestFormerProcessWritesToo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	former, err := Open(path, Options{Role: "server", Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	add(t, former, 1, 200)
	if _, err := Open(path, Options{}); err == nil {
		t.Fatal("a stranger writes too")
	}
	successor := open(t, path, Options{Role: "server", Name: "a", Beside: true, FirstRequest: 5001, FirstConnection: 91})
	if r, c := successor.Next(); r < 5001 || c < 91 {
		t.Fatalf("begins with %v, %v", r, c)
	}
	first, _ := successor.Next()
	done := make(chan struct{})
	go func() {
		defer close(done)
		add(t, former, 201, 1000)
	}()
	add(t, successor, first, 1000)
	<-done
	for i := range 20 {
		former.Add(&engine.Event{Kind: engine.KindNotice, Time: time.Now(), Seq: uint64(i), Reason: "former"})
		successor.Add(&engine.Event{Kind: engine.KindNotice, Time: time.Now(), Seq: uint64(i), Reason: "successor"})
	}
	if err := former.Close(); err != nil {
		t.Fatal(err)
	}
	alone(t, successor)
	add(t, successor, first+1000, 100)
	if n := count(t, successor, "SELECT count(*) FROM requests"); n != 2300 {
		t.Errorf("%d rows, want 2300", n)
	}
	if n := count(t, successor, "SELECT requests FROM kept"); n != 2300 {
		t.Errorf("%d are said to be kept, want 2300", n)
	}
	if n := count(t, successor, "SELECT count(*) FROM gaps"); n != 0 {
		t.Errorf("%d gaps", n)
	}
	for _, who := range []string{"former", "successor"} {
		if n := count(t, successor, "SELECT count(*) FROM events WHERE reason = '"+who+"'"); n != 20 {
			t.Errorf("%d events of the %s, want 20", n, who)
		}
	}
	if n := count(t, successor, "SELECT count(*) FROM runs a JOIN runs b ON a.id < b.id AND a.last_request >= b.first_request"); n != 0 {
		t.Error("ids of two runs overlap")
	}
}

// writer starts a process that writes until it is killed, and returns it with
// the first id that it has given.
func writing(t *testing.T, path string, env ...string) (kill func(), first int64) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(append(os.Environ(), crashEnv+"="+path), env...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("it says nothing")
	}
	if _, err := fmt.Sscanf(lines.Text(), "first %d", &first); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	return func() {
		_ = c.Process.Kill()
		<-drained
		_ = c.Wait()
	}, first
}

// A former process that is killed while both write is not noted, or takes rows
// of its successor with it.
func TestFormerProcessIsKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	kill, _ := writing(t, path)
	eventually(t, "rows", func() bool { _, err := os.Stat(path); return err == nil })
	time.Sleep(300 * time.Millisecond)
	f := open(t, path, Options{Role: "server", Name: "crash", Beside: true, FirstRequest: 1_000_001})
	first, _ := f.Next()
	add(t, f, first, 500)
	kill()
	add(t, f, first+500, 500)
	alone(t, f)
	if n := count(t, f, "SELECT count(*) FROM requests WHERE id > 1000000"); n != 1000 {
		t.Errorf("%d rows of the successor, want 1000", n)
	}
	if n := count(t, f, "SELECT count(*) FROM requests"); n != count(t, f, "SELECT requests FROM kept") {
		t.Errorf("%d rows, other than are said to be kept", n)
	}
	if n := count(t, f, "SELECT count(*) FROM gaps WHERE why LIKE 'killed%' AND run = 1"); n != 1 {
		t.Errorf("%d gaps for the kill", n)
	}
}

// A successor that is killed takes rows of the former process with it.
func TestSuccessorIsKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	f, err := Open(path, Options{Role: "server", Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	add(t, f, 1, 100)
	kill, first := writing(t, path, crashBesideEnv+"=1")
	if first < 10_000 {
		t.Errorf("the successor begins with %d, which the former process may still give", first)
	}
	add(t, f, 101, 500)
	kill()
	add(t, f, 601, 100)
	if n := count(t, f, "SELECT count(*) FROM requests WHERE id <= 700"); n != 700 {
		t.Errorf("%d rows, want 700", n)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, path, Options{Role: "server", Name: "a"})
	if n := count(t, next, "SELECT count(*) FROM gaps WHERE why LIKE 'killed%'"); n != 1 {
		t.Errorf("%d gaps for the kill", n)
	}
	if n := count(t, next, "SELECT count(*) FROM requests"); n != count(t, next, "SELECT requests FROM kept") {
		t.Errorf("%d rows, other than are said to be kept", n)
	}
}
