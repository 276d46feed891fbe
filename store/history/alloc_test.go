//go:build !race

package history

import "testing"

// Add is called for each request: what it allocates, the tunnel pays.
func TestAddAllocates(t *testing.T) {
	f := &File{writer: newWriter(nil), queue: newQueue()}
	f.queue.items = make([]item, 0, maxRows)
	e := finished(1)
	if n := testing.AllocsPerRun(1000, func() {
		if f.Add(e) == 0 {
			t.Fatal("no room")
		}
	}); n > 0 {
		t.Errorf("%v allocations for a request", n)
	}
	for f.Add(e) != 0 {
	}
	if n := testing.AllocsPerRun(1000, func() { f.Add(e) }); n > 0 {
		t.Errorf("%v allocations for a request that has no room", n)
	}
}
