package history

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// A database of before there were names of credentials is read as it is, searched
// for them too, and brought up to date by who writes to it.
func TestDatabaseWithoutCredentials(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, f, f.Add(finished(1)))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exec("ALTER TABLE requests DROP COLUMN credential; PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	searched := func(f *File, text string) (found []engine.RequestID) {
		t.Helper()
		fl, err := filter.Parse(filter.Requests, text)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Search(context.Background(), fl, &filter.Context{Now: time.Now()}, engine.ByArrival, 1, 1<<62, func(batch []Entry, _ engine.RequestID) bool {
			for _, e := range batch {
				found = append(found, e.ID)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}
	check := func(f *File, want map[string]string) {
		t.Helper()
		for text, ids := range want {
			if got := fmt.Sprint(searched(f, text)); got != ids {
				t.Errorf("%s finds %s, want %s", text, got, ids)
			}
		}
	}
	old, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := old.Request(context.Background(), 1); err != nil || r.Credential != "" || r.Client != "edge-1" {
		t.Errorf("%+v, %v", r, err)
	}
	check(old, map[string]string{"credential:robot": "[]", "credential:!=robot": "[r-1]", "client:edge-1": "[r-1]", "header.x:1 OR credential:/r/": "[]"})

	f = open(t, path, Options{})
	var last uint64
	for n := 2; n <= 40; n++ { // more than one statement writes
		e := finished(n)
		if n != 3 {
			e.Request.Credential = "robot"
		}
		if n == 5 {
			e.Request.Reason = "why"
		}
		last = f.Add(e)
	}
	settle(t, f, last)
	for n, want := range map[engine.RequestID]string{1: "", 2: "robot", 3: "", 5: "robot", 40: "robot"} {
		if r, err := f.Request(context.Background(), n); err != nil || r.Credential != want {
			t.Errorf("%d: %+v, %v", n, r, err)
		}
	}
	check(f, map[string]string{"credential:!=robot": "[r-3 r-1]", "credential:rob reason:why": "[r-5]"})
	// Who has read it since before.
	if r, err := old.Request(context.Background(), 2); err != nil || r.Credential != "robot" {
		t.Errorf("%+v, %v", r, err)
	}
	check(old, map[string]string{"credential:!=robot": "[r-3 r-1]"})
	if err := old.Close(); err != nil {
		t.Error(err)
	}
}
