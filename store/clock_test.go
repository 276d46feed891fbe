package store

import (
	"fmt"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// TestClockThatIsSet: where the clock is set by an hour and back, filters by time
// select by what stands in the record, lists stay in the order of the ids, and what
// is asked again and again, with a time of asking that jumps too, neither loses a
// record nor shows one twice.
func TestClockThatIsSet(t *testing.T) {
	noon := time.Now().Round(0)
	const n = 90
	var all []engine.Request
	l := empty(n, 1<<20)
	for i := range n {
		e := finished(i + 1)
		at := noon.Add(time.Duration(i-n) * time.Minute)
		switch {
		case i >= 30 && i < 50:
			at = at.Add(time.Hour)
		case i >= 50 && i < 70:
			at = at.Add(-time.Hour)
		}
		e.Request.Arrived = at
		all = append(all, *e.Request)
		put(l, e)
	}
	for _, text := range []string{"time:-30m..", "time:..-30m", "time:-70m..-20m", "-time:-30m..", "age:<10m", "age:>50m", "age:0s..", ""} {
		f, err := filter.Parse(filter.Requests, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for step, by := range []time.Duration{0, time.Hour, 0, -time.Hour, 0, 2 * time.Hour, 0} {
			now := noon.Add(by)
			var want []engine.RequestID
			for i := range all {
				if f.Request(&all[i], &filter.Context{Now: now}) {
					want = append(want, all[i].ID)
				}
			}
			var got []engine.RequestID
			page := ask(t, l, engine.RequestQuery{Filter: text, Now: now, Count: n, Ascending: true})
			for i := range page.Requests {
				got = append(got, page.Requests[i].ID)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || page.Matched != len(want) {
				t.Errorf("%q, step %d, the clock is off by %v: %d of %v, want %v", text, step, by, page.Matched, got, want)
			}
		}
	}
}

// TestClockOfWhatIsInFlight: how long an exchange takes is no difference of clocks.
func TestClockOfWhatIsInFlight(t *testing.T) {
	l := empty(10, 1<<20)
	e := started(1)
	e.Request.Arrived = time.Now()
	put(l, e)
	if a := l.ring.asides; len(a) == 0 || a[0].arrived == a[0].arrived.Round(0) {
		t.Error("the moment of arrival has lost what a clock that is set does not change")
	}
}
