package procs

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestRoomOfSmallHeaps: a small heap may grow to the floor, a large one must
// never be given more than the runtime would.
func TestRoomOfSmallHeaps(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 400, 1 << 20: 400, 2 << 20: 400, 4 << 20: 300, 8 << 20: 100, 16 << 20: 100, 1 << 30: 100, math.MaxUint64: 100,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d %%, want %d", live, got, want)
		}
	}
}

// TestRoomFollowsTheHeap: what was right for a small heap must not stay in force
// for one that has grown.
func TestRoomFollowsTheHeap(t *testing.T) {
	var sets []int
	live := uint64(2 << 20)
	f := &floor{set: func(p int) int { sets = append(sets, p); return 0 }, live: func() uint64 { return live }}
	for _, live = range []uint64{2 << 20, 2<<20 + 1000, 100 << 20, 110 << 20, 4 << 20, 7<<20 + 300<<10, 1 << 30} {
		if !f.adapt() {
			t.Fatal("stopped by itself")
		}
	}
	f.stop()
	if f.adapt() {
		t.Error("goes on after stop")
	}
	want := []int{400, 100, 300, 119, 100, 100}
	if len(sets) != len(want) {
		t.Fatalf("set %v, want %v", sets, want)
	}
	for i := range want {
		if sets[i] != want[i] {
			t.Fatalf("set %v, want %v", sets, want)
		}
	}
}

// TestCollectionsAreNoticed: each one, not the first only.
func TestCollectionsAreNoticed(t *testing.T) {
	calls := make(chan struct{}, 100)
	f := &floor{set: func(int) int { return 0 }, live: func() uint64 { calls <- struct{}{}; return 1 << 30 }}
	f.watch()
	defer f.stop()
	for i := range 3 {
		runtime.GC()
		select {
		case <-calls:
		case <-time.After(10 * time.Second):
			t.Fatalf("collection %d went unnoticed", i+1)
		}
	}
}

// TestTheEnvironmentHasTheWordOnTheHeap: what an operator set is not overridden,
// and a limit on memory would be met too late with room on top.
func TestTheEnvironmentHasTheWordOnTheHeap(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			t.Setenv(name, "77")
			old := debug.SetGCPercent(77)
			stop := RoomToGrow()
			during := debug.SetGCPercent(77)
			stop()
			after := debug.SetGCPercent(old)
			if during != 77 || after != 77 {
				t.Errorf("%d, and %d after stop", during, after)
			}
		})
	}
}
