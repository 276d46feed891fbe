package history

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// What another program changes is not to be read as if nobody did: rows would be
// missing, or come from pages of two times.
func TestFileThatSomebodyBeginsToWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "h.db")
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	settle(t, f, f.Add(finished(1)))
	// Right after a checkpoint the log of a server is empty.
	if err := f.Read(context.Background(), f.check); err != nil {
		t.Fatal(err)
	}
	c, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exec("PRAGMA wal_checkpoint(truncate)"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n := logSize(f); n != 0 {
		t.Fatalf("the log has %d bytes", n)
	}
	early, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	settle(t, f, f.Add(finished(2)))
	if n := count(t, early, "SELECT count(*) FROM requests"); n != 2 {
		t.Errorf("%d rows of 2 of a server whose log was empty", n)
	}
	if err := errors.Join(early.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}

	still, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer still.Close()
	if !still.inPlace.Load() {
		t.Error("one that was closed well, after it was read, is not one file")
	}
	f = open(t, path, Options{})
	settle(t, f, f.Add(finished(3)))
	if n := count(t, still, "SELECT count(*) FROM requests"); n != 3 {
		t.Errorf("%d rows of 3 of a server that has begun since", n)
	}
	if n := len(collect(t, still, nil, nil, 0)); n != 3 {
		t.Errorf("%d rows of 3 found", n)
	}
}
