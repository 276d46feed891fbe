//go:build !race

package client

import "testing"

func TestSmallExchangeAllocations(t *testing.T) {
	serve, h := newHanded(t)
	n := testing.AllocsPerRun(1000, func() { serve(h) })
	t.Logf("%v allocations", n)
	if n > 6 {
		t.Errorf("%v allocations", n)
	}
	if h.answers < 1000 {
		t.Errorf("%d answers", h.answers)
	}
}
