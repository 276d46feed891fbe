package history

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
)

func logSize(f *File) int64 {
	s, err := os.Stat(f.path + "-wal")
	if err != nil {
		return 0
	}
	return s.Size()
}

// Searches one after the other, without a pause between them, leave the writer
// times at which the log can be taken into the database.
func TestLogGrowsWhileReadersRead(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{})
	settle(t, f, f.Add(finished(1)))
	ctx, cancel := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := f.Search(ctx, nil, nil, engine.ByPath, 1, 1<<62, func([]Entry, engine.RequestID) bool { return true }); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	largest, last := int64(0), uint64(0)
	for n := 2; n < 60_000; n++ {
		for last = f.Add(finished(n)); last == 0; last = f.Add(finished(n)) {
			time.Sleep(time.Millisecond)
		}
		if n%10_000 == 0 {
			largest = max(largest, logSize(f))
		}
	}
	cancel()
	readers.Wait()
	settle(t, f, last)
	if largest > 64<<20 {
		t.Errorf("the log has grown to %d bytes", largest)
	}
	if f.Problem() != "" {
		t.Error(f.Problem())
	}
}

// A program that does not end reading must not fill the disk.
func TestReaderThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{Bytes: 8 << 20, retry: 20 * time.Millisecond})
	settle(t, f, f.Add(finished(1)))
	other, err := dial(f.path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.exec("BEGIN; SELECT * FROM requests"); err != nil {
		t.Fatal(err)
	}
	n, last := 1, uint64(0)
	eventually(t, "suspended", func() bool {
		// No more than is written: what waits would be written after the test.
		for i := 0; i < 512 && last < f.Readable()+4096; i++ {
			n++
			last = f.Add(large(n))
		}
		return strings.HasPrefix(f.Problem(), "another program reads")
	})
	if size := logSize(f); size > 64<<20 {
		t.Errorf("the log has grown to %d bytes", size)
	}
	if err := other.exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "resumed", func() bool { return f.Problem() == "" })
}
