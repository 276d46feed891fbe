//go:build !race

package store

import (
	"reflect"
	"testing"
	"time"

	"adit/engine"
)

func TestIngestAllocates(t *testing.T) {
	l := filled(defaultRecords)
	start, end := events()
	id := defaultRecords
	if n := testing.AllocsPerRun(2000, func() { id++; exchange(l, start, end, id) }); n > 0 {
		t.Errorf("%v allocations for one request", n)
	}
}

func TestStandingQueryAllocates(t *testing.T) {
	l := filled(10_000)
	var page engine.RequestPage
	for name, q := range map[string]engine.RequestQuery{"all": {}, "filter": {Filter: busy}, "order": {Order: engine.ByPath, Ascending: true}, "in flight": {Filter: "is:inflight", At: 50}} {
		q.Count = 60
		ask := func() {
			if err := l.Requests(t.Context(), q, &page); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		if n := testing.AllocsPerRun(100, ask); n > 2 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestRecordIsLargerThanCounted(t *testing.T) {
	if n := reflect.TypeFor[record]().Size(); n > recordSize {
		t.Errorf("a record has %d bytes, not %d", n, recordSize)
	}
	l := filled(1000)
	if each := l.ring.bytes / l.ring.kept(); each > 400 {
		t.Errorf("a typical record is counted as %d bytes", each)
	}
}

// TestStandingQueryLooksAtEverything would take a hundred times as long if it
// did.
func TestStandingQueryLooksAtEverything(t *testing.T) {
	l := filled(defaultRecords)
	var page engine.RequestPage
	took := func() time.Duration {
		best := time.Hour
		for range 5 {
			if err := l.Requests(t.Context(), engine.RequestQuery{Filter: busy, Count: 60}, &page); err != nil {
				t.Fatal(err)
			}
			best = min(best, page.Took)
		}
		return best
	}
	if err := l.Requests(t.Context(), engine.RequestQuery{Filter: busy, Count: 60}, &page); err != nil {
		t.Fatal(err)
	}
	first := page.Took
	if again := took(); again > first/4 {
		t.Errorf("first %v, again %v", first, again)
	}
}
