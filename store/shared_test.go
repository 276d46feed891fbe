package store

import (
	"testing"
	"time"

	"adit/engine"
)

// Records that a former process wrote after they had been looked for are missing
// from lists for ever.
func TestRecordsOfTheFormerProcessThatCameLate(t *testing.T) {
	f := stocked(10)
	f.first, f.shared = 101, true
	l := overHistory(t, f, 10)
	feed(l, started(101))
	feed(l, finished(101))
	queries := []engine.RequestQuery{{Count: 100}, {Count: 100, Filter: "status:>=100"}, {Count: 100, Order: engine.ByDuration}}
	for _, q := range queries {
		if page := whole(t, l, q); page.Matched != 11 {
			t.Fatalf("%+v: %d records, want 11", q, page.Matched)
		}
	}
	f.mu.Lock()
	for i := 11; i <= 15; i++ {
		f.rows = append(f.rows, *typical(i))
	}
	f.shared = false
	f.mu.Unlock()
	for _, q := range queries {
		deadline := time.Now().Add(10 * time.Second)
		for whole(t, l, q).Matched != 16 {
			if time.Now().After(deadline) {
				t.Fatalf("%+v: %d records, want 16", q, whole(t, l, q).Matched)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
