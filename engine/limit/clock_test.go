package limit

import (
	"testing"
	"time"
)

// TestClockThatIsSetChangesNoRate: what rates and waits are reckoned from must have
// what a clock that is set does not change.
func TestClockThatIsSetChangesNoRate(t *testing.T) {
	steady := func(t time.Time) bool { return t != t.Round(0) }
	if r := NewRate(1); !steady(r.epoch) {
		t.Error("a rate is reckoned by the wall clock")
	}
	var p Pacer
	p.Take(1000, 1000, 0)
	if !steady(p.due) {
		t.Error("a bandwidth is reckoned by the wall clock")
	}
}
