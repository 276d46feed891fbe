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

// A tick over a ring and a history in which nothing is new costs nothing either,
// wherever in it one looks.
func TestStandingQueryOverHistoryAllocates(t *testing.T) {
	f := stocked(20_000)
	l := overHistory(t, f, 1000)
	for i := range 3000 {
		feed(l, finished(20_001+i))
	}
	f.commit()
	var page engine.RequestPage
	for name, q := range map[string]engine.RequestQuery{
		"all": {Offset: 9000}, "filter": {Filter: "method:GET", Offset: 5000}, "order": {Order: engine.ByPath, Ascending: true, At: 500}, "paused": {Order: engine.ByDuration, Until: 15_000, Offset: 700},
	} {
		q.Count, q.Complete = 60, true
		ask := func() {
			if err := l.Requests(t.Context(), q, &page); err != nil {
				t.Fatal(err)
			}
		}
		ask()
		q.Complete = false
		if n := testing.AllocsPerRun(100, ask); n > 2 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
