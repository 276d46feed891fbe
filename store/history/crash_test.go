package history

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

// crashEnv says, in the process that is to be killed, which database it writes to.
const crashEnv = "ADIT_HISTORY_CRASH"

// crashBesideEnv says that another process writes to it too.
const crashBesideEnv = "ADIT_HISTORY_CRASH_BESIDE"

// writeUntilKilled adds 5,000 requests a second and prints the id of each that
// was added, with the time.
func writeUntilKilled(path string) error {
	f, err := Open(path, Options{Role: "server", Name: "crash", Beside: os.Getenv(crashBesideEnv) != ""})
	if err != nil {
		return err
	}
	id, _ := f.Next()
	fmt.Printf("first %d\n", id)
	tick := time.NewTicker(10 * time.Millisecond)
	out := bufio.NewWriter(os.Stdout)
	for range tick.C {
		for range 50 {
			e := finished(int(id))
			if f.Add(e) == 0 {
				return fmt.Errorf("no room: %s", f.Problem())
			}
			id++
		}
		fmt.Fprintf(out, "added %d %d\n", id-1, time.Now().UnixNano())
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// A kill at any moment may lose what came in the last 250 ms, and nothing else.
// ADIT_HISTORY_KILLS=50 measures that; beside other tests, which take the
// processor, only a writer that keeps no time at all is told from one that does.
func TestKillLosesMoreThanTheLastBatch(t *testing.T) {
	t.Parallel()
	times, most := 10, time.Second
	if s := os.Getenv("ADIT_HISTORY_KILLS"); s != "" {
		var err error
		if times, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		most = 250 * time.Millisecond
	}
	path := filepath.Join(t.TempDir(), "h.db")
	var worst time.Duration
	var used, total int64
	for n := range times {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), crashEnv+"="+path)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		first, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(errors.Join(err, c.Process.Kill(), c.Wait()))
		}
		// Killed at another phase of the batches each time, however long the start took.
		time.AfterFunc(300*time.Millisecond+time.Duration(n)*37*time.Millisecond, func() { _ = c.Process.Kill() })
		printed, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err == nil {
			t.Fatal("it ended by itself")
		}
		lost := examine(t, path, first+string(printed), &used, most)
		worst = max(worst, lost)
		total = used
	}
	t.Logf("%d kills, %d ids given out: at most the last %v were lost", times, total, worst)
}

// examine looks at what a kill has left and returns how old the oldest request
// was that was lost, which may be most.
func examine(t *testing.T, path, printed string, used *int64, most time.Duration) (lost time.Duration) {
	t.Helper()
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	var check string
	err = f.Read(context.Background(), func(db *sql.Conn) error {
		return db.QueryRowContext(context.Background(), "PRAGMA integrity_check").Scan(&check)
	})
	if err != nil || check != "ok" {
		t.Fatalf("integrity_check: %s, %v", check, err)
	}
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	var first, newest, at, held int64
	if _, err := fmt.Sscanf(lines[0], "first %d", &first); err != nil {
		t.Fatalf("%q: %v", printed, err)
	}
	if first <= *used {
		t.Errorf("ids begin again with %d, up to %d were given out", first, *used)
	}
	kept := count(t, f, "SELECT max(id) FROM requests")
	if rows := count(t, f, fmt.Sprintf("SELECT count(*) FROM requests WHERE id >= %d", first)); kept >= first && rows != kept-first+1 {
		t.Errorf("%d rows between %d and %d: there is a hole", rows, first, kept)
	}
	if kept, said := count(t, f, "SELECT count(*) FROM requests"), count(t, f, "SELECT requests FROM kept"); kept != said {
		t.Errorf("%d rows, %d are said to be kept", kept, said)
	}
	var oldest int64
	for _, line := range lines[1:] {
		var id, when int64
		if _, err := fmt.Sscanf(line, "added %d %d", &id, &when); err != nil {
			continue // cut by the kill
		}
		// For as long as the machine did something else nothing was written either.
		held = max(held, pause(at, when))
		newest, at = id, when
		if id > kept && oldest == 0 {
			oldest = when
		}
	}
	*used = max(*used, newest)
	if oldest != 0 {
		lost = time.Duration(at - oldest)
	}
	if lost > most+time.Duration(held) {
		t.Errorf("what came in the last %v was lost; the machine did something else for %v", lost, time.Duration(held))
	}
	if n := count(t, f, "SELECT count(*) FROM gaps WHERE why LIKE 'killed%' AND run = (SELECT max(id) - 1 FROM runs)"); n != 1 {
		t.Errorf("%d gaps for a kill", n)
	}
	if next, _ := f.Next(); next <= engine.RequestID(*used) {
		t.Errorf("ids go on with %v, up to %d were given out", next, *used)
	}
	return lost
}

// pause returns how much longer than it should be a time between two rounds is.
func pause(before, at int64) int64 {
	if before == 0 {
		return 0
	}
	return max(at-before-int64(10*time.Millisecond), 0)
}
