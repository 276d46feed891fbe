//go:build chaos

package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// kept makes the server keep its history at path, in a state directory of the
// test's own.
func kept(path string, flags ...string) option {
	return serverFlags(append([]string{"--events", "lifecycle", "--control", "none", "--store=" + path}, flags...)...)
}

// A pour is small requests as fast as a few callers can send them, or at a rate.
// Each has a number of its own in its target.
type pour struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
	last   atomic.Int64 // numbers given out

	mu     sync.Mutex
	ended  map[int64]time.Time // requests with an answer in full, and when it was read
	took   []time.Duration
	failed map[string]int
}

// pour begins. rate is requests a second, 0 no bound.
func (r *rig) pour(callers, rate int) *pour {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pour{cancel: cancel, ended: map[int64]time.Time{}, failed: map[string]int{}}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: callers}
	began := time.Now()
	for range callers {
		p.work.Go(func() {
			for ctx.Err() == nil {
				n := p.last.Add(1)
				if rate > 0 {
					due := time.NewTimer(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate))))
					select {
					case <-due.C:
					case <-ctx.Done():
						due.Stop()
						return
					}
				}
				p.send(ctx, transport, "http://"+r.addr+"/size?n=12&plain=1&x="+strconv.FormatInt(n, 10), n)
			}
		})
	}
	r.t.Cleanup(func() {
		p.stop()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *pour) send(ctx context.Context, transport *http.Transport, target string, n int64) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		panic(err)
	}
	req.Host = "app." + domain
	began := time.Now()
	resp, err := transport.RoundTrip(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(resp.Status)
		}
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			p.failed[strings.TrimSpace(err.Error())]++
			time.Sleep(time.Millisecond) // a server that is gone refuses fast
		}
		return
	}
	p.ended[n] = now
	p.took = append(p.took, now.Sub(began))
}

func (p *pour) stop() {
	p.cancel()
	p.work.Wait()
}

// take returns the time that 99 of 100 requests since the last take stayed below,
// and how many there were.
func (p *pour) take() (p99 time.Duration, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.took
	p.took = nil
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[len(took)*99/100], len(took)
}

// faults returns what went wrong, once.
func (p *pour) faults() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	failed := p.failed
	p.failed = map[string]int{}
	return failed
}

// database opens a history to look at it.
func database(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func number(t testing.TB, db *sql.DB, query string, args ...any) int64 {
	t.Helper()
	var n sql.NullInt64
	if err := db.QueryRow(query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n.Int64
}

// sound fails the test where SQLite finds damage.
func sound(t testing.TB, db *sql.DB) {
	t.Helper()
	var says string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&says); err != nil || says != "ok" {
		t.Fatalf("integrity_check: %q, %v", says, err)
	}
}

// complete checks that every request that ended is a row or counted in a gap.
func complete(t testing.TB, db *sql.DB, ended uint64) {
	t.Helper()
	rows := number(t, db, "SELECT count(*) FROM requests")
	gaps := number(t, db, "SELECT sum(count) FROM gaps")
	unknown := number(t, db, "SELECT count(*) FROM gaps WHERE count IS NULL")
	t.Logf("%d rows, %d in gaps, %d ended", rows, gaps, ended)
	if uint64(rows+gaps) != ended || unknown != 0 {
		t.Errorf("%d rows and %d in gaps (%d gaps of unknown size), but %d requests ended", rows, gaps, unknown, ended)
	}
}

// TestKillStore is row 5: kill -9 of a server that writes thousands of records a
// second. The database is sound each time, lacks nothing older than the newest
// 250 ms, says that something may be missing, and no id is used twice.
func TestKillStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	r := newRig(t, kept(path))
	r.works(t, 5*time.Second)
	p := r.pour(16, 5000)
	rounds := pick(t, 3, 50, 500)
	var newest int64 // row that an earlier round has looked at
	late := 0
	for round := range rounds {
		p.take()
		time.Sleep(time.Duration(600+round*137%500) * time.Millisecond)
		_, flowed := p.take()
		// On a busy machine they take longer.
		for late := time.Now().Add(10 * time.Second); flowed < 500 && time.Now().Before(late); {
			time.Sleep(20 * time.Millisecond)
			_, more := p.take()
			flowed += more
		}
		killed := time.Now()
		r.server.kill()
		p.faults()

		db := database(t, path)
		sound(t, db)
		written := map[int64]int{}
		rows, err := db.Query("SELECT id, target FROM requests WHERE id > ? ORDER BY id", newest)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var target string
			if err := rows.Scan(&newest, &target); err != nil {
				t.Fatal(err)
			}
			_, x, _ := strings.Cut(target, "&x=")
			n, _ := strconv.ParseInt(x, 10, 64)
			written[n]++
		}
		if err := errors.Join(rows.Err(), db.Close()); err != nil {
			t.Fatal(err)
		}
		missing, oldest := 0, time.Duration(0)
		p.mu.Lock()
		for n, at := range p.ended {
			if written[n] == 0 {
				missing++
				oldest = max(oldest, killed.Sub(at))
			}
		}
		clear(p.ended)
		p.mu.Unlock()
		for n, times := range written {
			if n > 0 && times > 1 {
				t.Errorf("round %d: request %d has %d rows", round, n, times)
			}
		}
		t.Logf("round %d: %d requests, %d rows, %d of the last %v are missing", round, flowed, len(written), missing, oldest.Round(time.Millisecond))
		// What a busy machine adds now and then is not the store's.
		if oldest > 250*time.Millisecond {
			late++
		}
		if oldest > 2*time.Second || late > (rounds+2)/3 && !raceEnabled {
			t.Errorf("round %d: a record of %v before the kill is missing", round, oldest)
		}
		if flowed < 500 {
			t.Errorf("round %d: only %d requests", round, flowed)
		}

		r.startServer()
		r.server.await(0, "greeting_received", 1, 31*time.Second)
		r.works(t, 5*time.Second)
		p.faults()
		p.mu.Lock()
		clear(p.ended) // begun without, or in the middle of a start
		p.mu.Unlock()
	}
	p.stop()
	r.server.signal(os.Interrupt)
	r.server.wait(20 * time.Second)
	db := database(t, path)
	sound(t, db)
	if n := number(t, db, "SELECT count(*) FROM gaps WHERE why LIKE 'killed%'"); n != int64(rounds) {
		t.Errorf("%d gaps for %d kills", n, rounds)
	}
	if n := number(t, db, "SELECT count(*) FROM runs"); n != int64(rounds)+1 {
		t.Errorf("%d runs for %d kills", n, rounds)
	}
	if n := number(t, db, "SELECT count(*) FROM runs a JOIN runs b ON b.id > a.id AND b.first_request <= a.last_request"); n != 0 {
		t.Errorf("%d runs use ids of runs before", n)
	}
	if n := number(t, db, "SELECT count(*) FROM requests q WHERE NOT EXISTS (SELECT 1 FROM runs WHERE q.id BETWEEN first_request AND last_request)"); n != 0 {
		t.Errorf("%d requests of no run", n)
	}
	if n := number(t, db, "SELECT count(*) FROM (SELECT target FROM requests WHERE target LIKE '%&x=%' GROUP BY target HAVING count(*) > 1)"); n != 0 {
		t.Errorf("%d requests are there twice", n)
	}
}

// stopped ends the server well and returns how many requests ended in its run.
func (r *rig) stopped(t testing.TB) uint64 {
	t.Helper()
	r.server.signal(os.Interrupt)
	if code := r.server.wait(20 * time.Second); code != 0 {
		t.Errorf("the server ended with %d", code)
	}
	return r.server.await(0, "stopped", 1, time.Second)[0].Requests
}

// notice waits for a line of the history's.
func (r *rig) notice(t testing.TB, mark int, part string, within time.Duration) {
	t.Helper()
	if !eventually(within, func() bool {
		return slices.ContainsFunc(r.server.since(mark, "notice"), func(e event) bool { return strings.Contains(e.Reason+e.Text, part) })
	}) {
		t.Fatalf("no notice with %q within %v: %v", part, within, r.server.since(mark, "notice"))
	}
}

// figures names what a pour was for a second or more.
func figures(p99 time.Duration, n int, over time.Duration) string {
	return fmt.Sprintf("p99 %v at %.0f/s", p99.Round(10*time.Microsecond), float64(n)/over.Seconds())
}
