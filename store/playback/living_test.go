package playback

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
	"adit/store/history"
)

// A database that a server writes to can be played, and so can the files of one
// that was killed, which have not been put in order by anybody.
func TestLivingAndKilledArePlayed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "server-edge.db")
	f, err := history.Open(path, history.Options{Role: "server", Name: "edge"})
	if err != nil {
		t.Fatal(err)
	}
	write := func(from, to engine.RequestID) {
		t.Helper()
		var key uint64
		for id := from; id <= to; id++ {
			r := request(int(id - 1))
			key = f.Add(&engine.Event{Time: r.Arrived, Kind: engine.KindRequestFinished, Request: r})
		}
		for end := time.Now().Add(10 * time.Second); f.Readable() < key; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nothing is written")
			}
		}
	}
	shown := func(path string) int {
		t.Helper()
		r := opened(t, path)
		defer r.Close()
		r.Seek(after(1e6))
		var page engine.RequestPage
		if err := r.Requests(t.Context(), engine.RequestQuery{Count: 100, Complete: true}, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Requests) != page.Matched {
			t.Errorf("%d of %d requests", len(page.Requests), page.Matched)
		}
		return page.Matched
	}
	write(1, 20)
	if n := shown(path); n != 20 {
		t.Errorf("living: %d requests", n)
	}
	early := opened(t, path)
	write(21, 40)
	if n := shown(path); n != 40 {
		t.Errorf("living, later: %d requests", n)
	}
	var page engine.RequestPage
	early.Seek(after(1e6))
	if err := early.Requests(t.Context(), engine.RequestQuery{Count: 100, Complete: true}, &page); err != nil || page.Matched != 20 {
		t.Errorf("opened before: %d requests, %v", page.Matched, err)
	}

	// What a kill leaves behind is the files as they are now.
	killed := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(killed, "server-edge.db"+suffix), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := shown(filepath.Join(killed, "server-edge.db")); n != 40 {
		t.Errorf("killed: %d requests", n)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if n := shown(path); n != 40 {
		t.Errorf("closed: %d requests", n)
	}
}
