package procs

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// heapFloor is the size up to which the heap grows before it is collected.
	// With the few MiB that a small process keeps, the runtime alone would
	// collect dozens of times a second under load: a tenth of its CPU.
	heapFloor = 16 << 20
	// usualPercent is the runtime's own choice (GOGC).
	usualPercent = 100
	// mostPercent is enough: the runtime collects no heap below 4 MiB times GOGC
	// / 100, which is then the floor.
	mostPercent = 400
)

// RoomToGrow has the garbage collector leave a heap of less than 16 MiB alone,
// until stop is called; a larger one is collected when it has doubled, as ever.
// It does nothing where the environment sets GOGC or GOMEMLIMIT.
func RoomToGrow() (stop func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	f := &floor{set: debug.SetGCPercent, live: liveHeap}
	f.adapt()
	f.watch()
	return f.stop
}

// A floor sets the percentage anew after each collection.
type floor struct {
	live func() uint64 // bytes that the last collection left
	set  func(percent int) int

	mu      sync.Mutex
	percent int // as set
	stopped bool
}

// watch has adapt called after each collection, until stop, by the goroutine
// that runs the finalizers of the process.
func (f *floor) watch() {
	runtime.SetFinalizer(new(mark), func(*mark) {
		if f.adapt() {
			f.watch()
		}
	})
}

// A mark is what the next collection finds unused. It holds a pointer so that it
// shares its memory with nothing.
type mark struct{ _ *mark }

// adapt reports whether it is to be called again. Small changes are left out, but
// for the one that takes the room away.
func (f *floor) adapt() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return false
	}
	want := percentFor(f.live())
	if want != f.percent && (want == usualPercent || 4*want < 3*f.percent || 4*want > 5*f.percent) {
		f.percent = want
		f.set(want)
	}
	return true
}

// percentFor returns the percentage by which a heap may grow to reach the floor.
func percentFor(live uint64) int {
	if live >= heapFloor/2 {
		return usualPercent
	}
	return int(min((heapFloor-live)*100/max(live, 1), mostPercent))
}

func (f *floor) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	f.set(usualPercent)
}

func liveHeap() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample[:])
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return heapFloor // not known: as the runtime has it
	}
	return sample[0].Value.Uint64()
}
