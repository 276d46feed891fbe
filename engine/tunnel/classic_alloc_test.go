//go:build !race

package tunnel

import (
	"net"
	"testing"
	"time"

	"adit/engine/wire"
)

// TestClassicExchangeAllocations: what a small request with its response costs
// at both ends together, with the request that this test makes.
func TestClassicExchangeAllocations(t *testing.T) {
	const most = 45
	fields := []wire.Field{{Name: "Content-Length", Value: "12"}, {Name: "Content-Type", Value: "text/plain"}}
	text := []byte("hello world\n")
	c, _ := paired(t, classicOptions{handler: func(in Incoming) {
		if done, err := in.Respond(&wire.Response{Status: 200, Fields: fields}, text); !done || err != nil {
			t.Error(done, err)
		}
	}})
	n := testing.AllocsPerRun(200, func() {
		x := opened(t, c, t.Context(), ask("GET", "/hello", wire.Field{Name: "Accept", Value: "*/*"}), true)
		if _, err := x.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := x.Next(); err != nil {
				break
			}
		}
		x.Close()
	})
	if n > most {
		t.Errorf("%v allocations per exchange, at most %d", n, most)
	}
}

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
