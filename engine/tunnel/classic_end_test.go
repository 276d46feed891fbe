package tunnel

import (
	"net"
	"sync"
	"testing"

	"adit/engine/frame"
)

// TestClassicEndIsSeenByWhoeverEndsIt: two goroutines end a connection at once,
// its reader after a 527 and the exchange that gets the 527. The second to come
// must find it closing, or the next exchange takes the connection and fails.
func TestClassicEndIsSeenByWhoeverEndsIt(t *testing.T) {
	for range 20000 {
		a, b := net.Pipe()
		tap := frame.NewConn(a, new(frame.Counters), frame.StartNow, frame.StartNow)
		l := &classicLink{socket: &socket{tap: tap}, w: newFrameWriter(tap, true), closing: make(chan struct{}), cancel: func() {}}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				l.finish(notPerformed())
				if !l.isClosing() {
					t.Error("the end was decided, and the connection looks fit")
				}
			})
		}
		both.Wait()
		_, _ = a.Close(), b.Close()
		if t.Failed() {
			return
		}
	}
}
