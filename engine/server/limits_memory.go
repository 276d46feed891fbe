package server

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	memoryEvery = time.Second     // between two looks
	freeEvery   = 5 * time.Second // between two attempts to give memory back
)

// A memoryGuard watches what memory the process has, once a second while there is
// a bound. The collector is told of nine tenths of the bound, so that it works
// harder before anybody is refused.
type memoryGuard struct {
	over atomic.Bool // nothing new is taken

	used func() uint64     // bytes of the process
	soft func(int64) int64 // debug.SetMemoryLimit
	free func()            // debug.FreeOSMemory

	mu      sync.Mutex
	bound   int64
	former  int64 // the soft limit before ours
	running bool
	freed   time.Time
}

func (g *memoryGuard) init() {
	g.used, g.soft, g.free = memoryUsed, debug.SetMemoryLimit, debug.FreeOSMemory
}

// update sets the bound; none where it is not positive. It starts the watch.
func (g *memoryGuard) update(s *Server, bound int64) {
	if g.set(max(bound, 0)) {
		s.spawn(func() { g.watch(s) })
	}
}

// set sets the bound and reports whether a watch is to be started.
func (g *memoryGuard) set(bound int64) (start bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if bound == g.bound {
		return false
	}
	if g.bound == 0 {
		g.former = g.soft(-1)
	}
	g.bound = bound
	if bound == 0 {
		g.soft(g.former)
		g.over.Store(false)
		return false
	}
	g.soft(min(bound/10*9+bound%10*9/10, g.former))
	start, g.running = !g.running, true
	return start
}

// watch looks until there is no bound any more or the server ends.
func (g *memoryGuard) watch(s *Server) {
	ticker := time.NewTicker(memoryEvery)
	defer ticker.Stop()
	for g.look() {
		select {
		case <-ticker.C:
		case <-s.base.Done():
			return
		}
	}
}

func (g *memoryGuard) look() bool {
	g.mu.Lock()
	if g.bound == 0 {
		g.running = false
		g.mu.Unlock()
		return false
	}
	over := g.used() > uint64(g.bound)
	g.over.Store(over)
	// Nothing may be allocated any more that would make the collector run.
	free := over && time.Since(g.freed) >= freeEvery
	if free {
		g.freed = time.Now()
	}
	g.mu.Unlock()
	if free {
		g.free()
	}
	return true
}

// close leaves the collector as it was.
func (g *memoryGuard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bound > 0 {
		g.soft(g.former)
		g.bound = 0
	}
}

// memoryUsed returns what the runtime has of the operating system, less what it
// gave back: what its soft limit counts.
func memoryUsed() uint64 {
	s := [2]metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s[:])
	for i := range s {
		if s[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
	}
	return min(s[0].Value.Uint64()-s[1].Value.Uint64(), math.MaxInt64)
}
