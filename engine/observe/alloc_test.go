//go:build !race

package observe

import "testing"

func TestHotPathDoesNotAllocate(t *testing.T) {
	bus := stalledBus(t)
	e := finished()
	line := make([]byte, 0, 4096)
	for name, f := range map[string]func(){
		"publish":      func() { bus.Publish(e) },
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
