package server

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

// Whoever guesses credentials has them told once a second, each refusal counted: a
// flood would else push everything out of the events that a dashboard keeps.
func TestFloodOfRefusalsIsToldInDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := observe.NewBus()
		batches, err := bus.Subscribe(context.Background(), engine.SubscribeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var told []engine.Event
		done := make(chan struct{})
		go func() {
			defer close(done)
			for b := range batches {
				mu.Lock()
				told = append(told, b.Events...)
				mu.Unlock()
			}
		}()
		taken := func() []engine.Event {
			time.Sleep(3 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			all := told
			told = nil
			return all
		}
		count := func(all []engine.Event) (sum int) {
			for _, e := range all {
				if e.Kind != engine.KindAdmissionRefused || e.Code != 401 {
					t.Errorf("told %+v", e)
				}
				sum += e.Count
			}
			return sum
		}
		s := newQuiet(t, bus)
		const n = 1000
		for i := range n { // 5 s, each from a port of its own
			s.refused(engine.Event{Peer: fmt.Sprintf("192.0.2.7:%d", 1024+i), Code: 401, Reason: "credential wrong"})
			time.Sleep(5 * time.Millisecond)
		}
		all := taken()
		if got := count(all); got != n || len(all) > 8 {
			t.Errorf("%d of %d in %d events", got, n, len(all))
		}
		if e := all[0]; e.Count != 1 || e.Duration != 0 || e.Peer != "192.0.2.7:1024" {
			t.Errorf("first %+v", e)
		}
		if e := all[1]; e.Count < 100 || e.Duration < time.Second/2 || e.Duration > 2*time.Second || e.Reason != "credential wrong" {
			t.Errorf("second %+v", e)
		}
		// Other reasons, and other ways, are no part of it.
		for _, e := range []engine.Event{
			{Peer: "192.0.2.7:1", Code: 401, Reason: "credential wrong"}, {Peer: "192.0.2.7:1", Code: 401, Reason: "credential expired"},
			{Peer: "192.0.2.7:1", Code: 401, Reason: "credential wrong", Way: engine.WayHost}, {Peer: "192.0.2.8:1", Code: 401, Reason: "credential wrong"},
		} {
			s.refused(e)
		}
		if all := taken(); len(all) != 4 {
			t.Errorf("told %+v", all)
		}
		// A flood from everywhere is bounded too, and counted.
		for i := range 10_000 {
			s.refused(engine.Event{Peer: fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255), Code: 401, Reason: fmt.Sprint(i)})
		}
		s.limits.close()
		if all := taken(); count(all) != 10_000 || len(all) > maxTold+2 {
			t.Errorf("%d of 10000 in %d events", count(all), len(all))
		}
		s.Close()
		bus.Close()
		<-done
	})
}
