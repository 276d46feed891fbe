//go:build !race

package frame

import (
	"net"
	"testing"
)

// endless reads as much as is asked for and takes all writes.
type endless struct{ net.Conn }

func (endless) Read(p []byte) (int, error)  { return len(p), nil }
func (endless) Write(p []byte) (int, error) { return len(p), nil }

func TestCountingDoesNotAllocate(t *testing.T) {
	var counters Counters
	conn := NewConn(endless{}, &counters, StartNow, StartAfterHead)
	frames := append([]byte("\r\n\r\n"), appendFrame(nil, 0x82, true, 64, make([]byte, 100))...)
	buffer := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := conn.Write(frames); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(buffer); err != nil {
			t.Fatal(err)
		}
		_ = counters.Traffic()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
