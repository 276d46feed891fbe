package capture

import (
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
)

// load runs n exchanges a second, of so many bytes each, for d, and returns how
// many of them were kept.
func load(k *Keeper, n, bytes int, d time.Duration) (kept, all int) {
	content := make([]byte, bytes)
	for begin := time.Now(); time.Since(begin) < d; time.Sleep(10 * time.Millisecond) {
		for range n / 100 {
			all++
			x := k.Begin(&engine.Request{}, false)
			if x != nil {
				kept++
			}
			x.Response(content)
			x.EndResponse()
		}
	}
	return kept, all
}

func TestBurstIsKeptWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keeper(t, Options{})
		if kept, all := load(k, 500, 64<<10, 800*time.Millisecond); kept != all {
			t.Errorf("of a burst of %d exchanges %d are kept", all, kept)
		}
		if s := state(k); s.Sampling != 1 || s.Dropped != 0 {
			t.Errorf("state %+v", s)
		}
	})
}

// Under load so much is left out that what is kept lasts for some seconds.
func TestTooMuchIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keeper(t, Options{Limit: 16 << 20})
		load(k, 10_000, 4<<10, 3*time.Second) // 40 MB/s: over in 0.4 s
		s := state(k)
		if s.Sampling < 8 || s.Sampling > 30 {
			t.Errorf("1 in %d is kept", s.Sampling)
		}
		begin := time.Now()
		first := k.Begin(&engine.Request{}, true)
		var c engine.Content
		for first.Content(&c) && time.Since(begin) < time.Minute {
			load(k, 10_000, 4<<10, 100*time.Millisecond)
		}
		if lasts := time.Since(begin); lasts < 3*time.Second || lasts > 12*time.Second {
			t.Errorf("what is kept lasts for %v", lasts)
		}
		if s := state(k); s.Bytes > s.Limit || s.Dropped == 0 {
			t.Errorf("state %+v", s)
		}
		// A replay is kept whatever the load.
		for range 100 {
			if k.Begin(&engine.Request{}, true) == nil {
				t.Fatal("a replay is left out")
			}
		}
	})
}

func TestSamplingEndsWithTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keeper(t, Options{Limit: 16 << 20})
		load(k, 10_000, 4<<10, 5*time.Second)
		if s := state(k); s.Sampling < 2 {
			t.Fatalf("nothing is left out: %+v", s)
		}
		time.Sleep(10 * time.Second)
		if s := state(k); s.Sampling != 1 {
			t.Errorf("after 10 quiet seconds 1 in %d is kept", s.Sampling)
		}
		if kept, all := load(k, 100, 4<<10, time.Second); kept != all {
			t.Errorf("of %d under little load %d are kept", all, kept)
		}
	})
}
