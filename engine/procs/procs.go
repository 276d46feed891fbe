// Package procs lets a process that has little to do run on one processor.
//
// With more, the Go scheduler wakes a second thread for every goroutine that
// becomes ready while the first is still running: it finds the work taken,
// spins and sleeps again, and that once or twice for each small request. On one
// processor the same request costs a fifth to a third less, and arrives sooner.
//
// One processor has two prices, and so it is for quiet times only. Less work
// gets done; and the scheduler asks the network only when nothing else is ready,
// so that beside a bulk transfer, where something always is, a small request
// would wait up to 10 ms. Both are seen by what they do: CPU time, and system
// calls that move much (package tcp).
//
// It also lets a small heap grow before it is collected: see RoomToGrow.
package procs

import (
	"os"
	"runtime"
	"time"

	"adit/engine/tcp"
)

const (
	tick = 100 * time.Millisecond

	// busy is the share of one processor from which one is not enough.
	busy = 0.7
	// quiet is the share below which one is: less than what was busy costs
	// with more processors.
	quiet = 0.5
	// calm is for how many ticks on end it has to be quiet.
	calm = 10
	// bulk is how many large system calls in a tick are a transfer: 2.5 MB/s.
	bulk = 16
)

// Govern has the process run on one processor (GOMAXPROCS) while it is quiet,
// and on as many as the runtime chooses while it is not, until stop is called,
// which waits and leaves the runtime's choice in force. It does nothing where
// the environment sets GOMAXPROCS, where there is one processor anyway, and where
// it can't see how busy the process is: outside Linux.
func Govern() (stop func()) {
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) == 1 || tcp.Large() == nil {
		return func() {}
	}
	g := &governor{
		usage: cpuTime,
		large: tcp.Large(),
		one:   func() { runtime.GOMAXPROCS(1) },
		all:   runtime.SetDefaultGOMAXPROCS,
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		g.run(end)
	}()
	return func() {
		close(end)
		<-done
	}
}

// A governor is the loop with what it looks at and what it sets.
type governor struct {
	usage    func() time.Duration // CPU time of the process so far
	large    *tcp.Counter         // large system calls of the process
	one, all func()
}

func (g *governor) run(end <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	single := false
	quietTicks := 0
	at, used, moved := time.Now(), g.usage(), g.large.Load()
	for {
		var alarm <-chan struct{}
		if single {
			alarm = g.large.Alarm()
		}
		select {
		case <-end:
			if single {
				g.all()
			}
			return
		case <-alarm:
			single, quietTicks = false, 0
			g.all()
		case <-ticker.C:
			now, u, m := time.Now(), g.usage(), g.large.Load()
			load := float64(u-used) / float64(max(now.Sub(at), 1))
			transfer := m-moved >= bulk
			at, used, moved = now, u, m
			switch {
			case single && (transfer || load >= busy):
				single, quietTicks = false, 0
				g.all()
			case single:
			case transfer || load >= quiet:
				quietTicks = 0
			default:
				if quietTicks++; quietTicks == calm {
					single = true
					g.large.Rearm()
					g.one()
				}
			}
		}
	}
}

// CPUTime returns the user and system time of the process so far, 0 if unknown.
func CPUTime() time.Duration { return cpuTime() }
