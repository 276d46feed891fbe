package history

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"adit/engine"
)

// However many ids are missing, each that is there is told once, the newest first.
func TestSpansAreTheIDsThatAreThere(t *testing.T) {
	t.Parallel()
	f, err := Open(filepath.Join(t.TempDir(), "spans.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var want []engine.RequestID
	for id := engine.RequestID(1); id < 40_000; id++ {
		if id > 1000 && id < 5000 && id%3 == 0 || id == 20_000 || id > 30_000 && id < 39_000 {
			continue
		}
		want = append(want, id)
		e := engine.Event{Time: time.Now(), Kind: engine.KindRequestFinished, Request: &engine.Request{ID: id, Arrived: time.Now(), Outcome: engine.OutcomeCompleted}}
		for f.Add(&e) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for f.Readable() < uint64(len(want)) {
		time.Sleep(time.Millisecond)
	}
	for _, before := range []engine.RequestID{1 << 40, 39_500, 35_000, 3000, 2, 1} {
		var got []engine.RequestID
		if err := f.Spans(t.Context(), before, func(from, to engine.RequestID) bool {
			for id := to - 1; id >= from; id-- {
				got = append(got, id)
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(got)
		n, _ := slices.BinarySearch(want, before)
		if !slices.Equal(got, want[:n]) {
			t.Errorf("before %v: %d ids, want %d", before, len(got), n)
		}
	}
	calls := 0
	if err := f.Spans(t.Context(), 1<<40, func(_, _ engine.RequestID) bool { calls++; return calls < 2 }); err != nil || calls != 2 {
		t.Errorf("%d calls, %v", calls, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
