package observe

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	sweepEvery = 10 * time.Millisecond
	lateAge    = 8 * time.Millisecond
)

// A Sweeper has exchanges that run for longer than most announced, for those who
// asked for no more (engine.SubscribeOptions.Late): the fast ones are then spared
// a record of their start. It has no goroutine while nothing is announced late.
type Sweeper struct {
	sweep func(before time.Time) bool
	armed atomic.Bool

	mu     sync.Mutex // held while sweep runs
	timer  *time.Timer
	closed bool
}

// NewSweeper returns a sweeper. sweep announces every exchange that began before
// the given time and was not announced, and reports whether there are others to
// announce, later. Close releases it.
func NewSweeper(sweep func(before time.Time) bool) *Sweeper {
	s := &Sweeper{sweep: sweep}
	s.timer = time.AfterFunc(time.Hour, s.run)
	s.timer.Stop()
	return s
}

// Arm is called after an exchange that is to be announced late has begun: it is
// announced between 8 and 20 ms from now.
func (s *Sweeper) Arm() {
	if !s.armed.Load() && s.armed.CompareAndSwap(false, true) {
		s.timer.Reset(sweepEvery)
	}
}

func (s *Sweeper) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	// Before it looks: who begins from now on arms it again.
	s.armed.Store(false)
	if s.sweep(time.Now().Add(-lateAge)) {
		s.Arm()
	}
}

// Close returns when nothing is announced any more.
func (s *Sweeper) Close() {
	s.timer.Stop()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
}
