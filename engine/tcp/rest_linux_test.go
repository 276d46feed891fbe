//go:build linux && !race

package tcp

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// TestARestingConnectionOwnsNoBuffer: 4 KiB for each idle connection is a
// quarter of what it costs.
func TestARestingConnectionOwnsNoBuffer(t *testing.T) {
	a, b := ends(t)
	own := Rest(Wrap(a)).(*resting)
	if own.below == nil {
		t.Fatal("no buffers are lent")
	}
	p := make([]byte, 3)
	for range 3 {
		b.Write([]byte("hello"))
		if n, err := own.Read(p); n != 3 || err != nil || own.buf == nil {
			t.Fatalf("read: %d, %v", n, err)
		}
		if n, err := own.Read(p); n != 2 || err != nil || own.buf != nil {
			t.Fatalf("read: %d, %v; it owns %p", n, err, own.buf)
		}
		own.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, err := own.Read(p); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || own.buf != nil {
			t.Fatalf("read: %d, %v; it owns %p", n, err, own.buf)
		}
		own.SetReadDeadline(time.Time{})
	}
	b.CloseWrite()
	if n, err := own.Read(p); n != 0 || err != io.EOF || own.buf != nil {
		t.Fatalf("read: %d, %v; it owns %p", n, err, own.buf)
	}
}
