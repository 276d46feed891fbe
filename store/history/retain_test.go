package history

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
)

// count returns what a query counts.
func count(t testing.TB, f *File, query string) int64 {
	t.Helper()
	var n sql.NullInt64
	err := f.Read(context.Background(), func(db *sql.Conn) error {
		return db.QueryRowContext(context.Background(), query).Scan(&n)
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n.Int64
}

// eventually waits until what is asked is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestMoreRowsThanTheBound(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{Rows: 1000})
	var last uint64
	for n := 1; n <= 12_345; n++ {
		last = f.Add(finished(n))
	}
	settle(t, f, last)
	eventually(t, "1000 rows", func() bool { return count(t, f, "SELECT count(*) FROM requests") == 1000 })
	if oldest, want := f.Oldest(), engine.RequestID(12_345-999); oldest != want {
		t.Errorf("the oldest is %v, want %v", oldest, want)
	}
	if kept := count(t, f, "SELECT requests FROM kept"); kept != 1000 {
		t.Errorf("%d are said to be kept", kept)
	}
	if n := count(t, f, "SELECT count(*) FROM gaps"); n != 0 {
		t.Errorf("%d gaps, but nothing was lost: retention is none", n)
	}
}

func TestRowsOlderThanTheBound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	year := time.Now().Add(-365 * 24 * time.Hour)
	for n := 1; n <= 2000; n++ {
		e := finished(n)
		e.Request.Arrived = year
		// The clock goes back and forth.
		if n%3 == 0 {
			e.Request.Arrived = year.Add(-time.Hour)
		}
		if n > 1990 {
			e.Request.Arrived = time.Now()
		}
		f.Add(e)
	}
	f.Add(&engine.Event{Seq: 1, Kind: engine.KindNotice, Reason: "old", Time: year})
	f.Add(&engine.Event{Seq: 2, Kind: engine.KindNotice, Reason: "new", Time: time.Now()})
	f.Add(&engine.Event{Seq: 3, Kind: engine.KindConnectionOpened, Connection: 2, Time: year})
	settle(t, f, f.Add(&engine.Event{Seq: 3, Kind: engine.KindConnectionClosed, Connection: 3, Time: year, Closed: &engine.Traffic{}}))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path, Options{Age: 30 * 24 * time.Hour})
	settle(t, f, f.Add(&engine.Event{Kind: engine.KindNotice, Reason: "another", Time: time.Now()}))
	eventually(t, "10 rows", func() bool { return count(t, f, "SELECT count(*) FROM requests") == 10 })
	eventually(t, "2 events", func() bool { return count(t, f, "SELECT count(*) FROM events") == 2 })
	eventually(t, "no connection", func() bool { return count(t, f, "SELECT count(*) FROM connections") == 0 })
}

func TestFileLargerThanTheBound(t *testing.T) {
	t.Parallel()
	const bound = 16 << 20
	path := filepath.Join(t.TempDir(), "h.db")
	f := open(t, path, Options{Bytes: bound})
	size := func() (n int64) {
		for _, suffix := range []string{"", "-wal"} {
			if s, err := os.Stat(path + suffix); err == nil {
				n += s.Size()
			}
		}
		return n
	}
	largest, ids := int64(0), 0
	for range 25 {
		var last uint64
		for range 1500 {
			ids++
			last = f.Add(large(ids))
		}
		settle(t, f, last)
		largest = max(largest, size())
	}
	if largest > bound {
		t.Errorf("%d bytes, the bound is %d", largest, bound)
	}
	if kept := count(t, f, "SELECT count(*) FROM requests"); kept < 10_000 || kept == int64(ids) {
		t.Errorf("%d rows of %d are kept: the bound leaves room for more, and not for all", kept, ids)
	}
}
