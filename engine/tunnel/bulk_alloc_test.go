//go:build !race

package tunnel

import "testing"

// Content costs next to no allocations at both ends together: buffers come from
// pools, and a piece that fits a message is one message.
func TestBulkAllocations(t *testing.T) {
	l := newLink(t, linkOptions{growth: NewBudget(256 << 20), handler: bulkHandler})
	defer l.close()
	read, stop := download(t, l)
	defer stop()
	read(8 * mebibyte)
	const most = 120 // of a MiB: the library's reader and writer of 17 messages, WINDOW records, timers of the network
	if n := testing.AllocsPerRun(50, func() { read(mebibyte) }); n > most {
		t.Errorf("%.0f allocations for each MiB, want at most %d", n, most)
	}
}
