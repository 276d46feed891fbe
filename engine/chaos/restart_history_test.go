//go:build chaos

package chaos

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestRestartHistory: while two processes write to one history no row is lost,
// none is there twice, and no run is taken for one that was killed.
func TestRestartHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := newSuccession(t, kept(path))
	s.works(t, 5*time.Second)
	p := s.pour(16, 3000)
	rounds := pick(t, 2, 5, 25)
	for range rounds {
		time.Sleep(500 * time.Millisecond)
		former := s.pid
		s.restart(startWait)
		time.Sleep(500 * time.Millisecond)
		if !eventually(restartGrace+2*time.Second, func() bool { return ended(former) }) {
			t.Fatal("the former process is still there")
		}
	}
	p.stop()
	s.server.tell()
	if err := syscall.Kill(s.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	stopped := s.server.await(0, "stopped", rounds+1, 10*time.Second)
	if !eventually(5*time.Second, func() bool { return ended(s.pid) }) {
		t.Fatal("the last process is still there")
	}
	var requests uint64
	for _, e := range stopped {
		requests += e.Requests
	}
	db := database(t, path)
	sound(t, db)
	complete(t, db, requests)
	if n := number(t, db, "SELECT count(*) FROM gaps"); n != 0 {
		t.Errorf("%d gaps", n)
	}
	if n := number(t, db, "SELECT count(*) FROM runs WHERE ended IS NOT NULL"); n != int64(rounds)+1 {
		t.Errorf("%d runs have ended, want %d", n, rounds+1)
	}
	if n := number(t, db, "SELECT count(*) FROM (SELECT target FROM requests WHERE target LIKE '%&x=%' GROUP BY target HAVING count(*) > 1)"); n != 0 {
		t.Errorf("%d requests are there twice", n)
	}
	if faults := p.faults(); len(faults) > 0 {
		t.Errorf("callers were told %v", faults)
	}
}
