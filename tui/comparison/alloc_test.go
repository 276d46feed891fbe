//go:build !race

package comparison_test

import "testing"

func TestFrameOfAComparisonIsCheap(t *testing.T) {
	st := newStage(t, 120, 36, both())
	if n := testing.AllocsPerRun(50, func() { st.screen.Draw(st.canvas.Area(), st.frame) }); n > 60 {
		t.Errorf("%v allocations", n)
	}
}
