//go:build !race

package observe

import "testing"

func TestMeterDoesNotAllocate(t *testing.T) {
	m, s, step := crowd(500, 3)
	for range 300 {
		step()
	}
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%v allocations for a snapshot", n)
	}
	// Connections that come and go use the memory of those before.
	next := s.Connections[len(s.Connections)-1].ID
	if n := testing.AllocsPerRun(200, func() {
		copy(s.Connections, s.Connections[1:])
		next++
		s.Connections[len(s.Connections)-1].ID = next
		step()
	}); n != 0 {
		t.Errorf("%v allocations for a snapshot with one that is new", n)
	}
	if n := testing.AllocsPerRun(200, func() { m.Connection(7).RTT.Quantile(0.95); m.Total() }); n != 0 {
		t.Errorf("%v allocations for a gauge", n)
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	bus := stalledBus(t)
	e := finished()
	var totals Totals
	line := make([]byte, 0, 4096)
	for name, f := range map[string]func(){
		"publish":      func() { bus.Publish(e) },
		"count":        func() { totals.RequestEnded(e.Request) },
		"append event": func() { line = AppendEvent(line[:0], &e) },
		"plain target": func() { _ = Target("/api/v1/things/4711") },
		"query target": func() { _ = Target("http://api.internal:80/v1?page=3&order=name#top") },
		"masked twice": func() { _ = Target("/v1?token=***&page=3") },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
