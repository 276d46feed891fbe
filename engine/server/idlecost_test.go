package server

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/tunnel"
)

// idle opens n native connections, two for each client, that end closes; it is
// called at the end of the test in any case.
func idle(t testing.TB, b *bench, n int) (end func()) {
	t.Helper()
	var sessions []tunnel.Session
	end = func() {
		for _, s := range sessions {
			s.Close(engine.CloseNormal, "")
		}
		sessions = nil
	}
	t.Cleanup(end)
	for i := range n {
		id := "idle-" + strconv.Itoa(n) + "-" + strconv.Itoa(i/2)
		s, err := tunnel.Dial(context.Background(), tunnel.DialOptions{
			ID: engine.ConnectionID(i + 1), URL: "ws://" + b.addr + "/register", Counters: new(frame.Counters),
			Greeting: &engine.Greeting{ID: id, PoolSize: 2, Instance: id},
			Handler:  func(tunnel.Incoming) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	return end
}

// settled returns the number of goroutines when it has been the same for a
// while, or is not above most.
func settled(most int) int {
	n, since := runtime.NumGoroutine(), time.Now()
	for begin := since; n > most && time.Since(since) < time.Second && time.Since(begin) < 5*time.Second; {
		time.Sleep(time.Millisecond) // handshakes end
		if now := runtime.NumGoroutine(); now != n {
			n, since = now, time.Now()
		}
	}
	return n
}

// TestAnIdleConnectionHasOneGoroutine at each end, its reader: stacks are most
// of what it costs. None waits for its end, writes, or keeps its time.
func TestAnIdleConnectionHasOneGoroutine(t *testing.T) {
	const n = 50
	b := serve(t, Options{})
	idle(t, b, 2) // what the first ones start for all
	before := settled(0)
	idle(t, b, n)
	if got := settled(before+2*n) - before; got != 2*n {
		t.Errorf("%d goroutines for %d connections with both of their ends", got, n)
	}
}

// BenchmarkIdleConnection reports what an idle connection holds, both ends
// together: live heap and stacks. Its time is that of opening them.
func BenchmarkIdleConnection(b *testing.B) {
	const n = 200
	s := serve(b, Options{})
	idle(b, s, 2)
	alone := settled(0)
	for b.Loop() {
		b.StopTimer()
		before := held()
		b.StartTimer()
		end := idle(b, s, n)
		b.StopTimer()
		settled(alone + 2*n)
		b.ReportMetric(float64(held()-before)/n, "B/connection")
		end()
		settled(alone)
		b.StartTimer()
	}
}

func held() int64 {
	runtime.GC()
	runtime.GC() // what the pools had
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
