//go:build !race

package tunnel

import (
	"net"
	"testing"
	"time"
)

// sink is a connection that takes everything.
type sink struct{ net.Conn }

func (sink) Write(p []byte) (int, error)      { return len(p), nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }

// TestFrameWriterDoesNotAllocate: a piece of content costs no garbage.
func TestFrameWriterDoesNotAllocate(t *testing.T) {
	piece := make([]byte, classicPiece)
	for _, server := range []bool{true, false} {
		w := newFrameWriter(sink{}, server)
		n := testing.AllocsPerRun(100, func() {
			if err := w.content(piece, false, time.Second); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("server %v: %v allocations per piece", server, n)
		}
	}
}
