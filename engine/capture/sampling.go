package capture

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	// turnover is the shortest time in which content may push out all older: what
	// comes faster is thinned out, so that what is kept can still be looked at.
	turnover = 5 * time.Second

	// window is how often the rate is looked at.
	window = 250 * time.Millisecond

	// maxSampling bounds how much is left out.
	maxSampling = 10_000
)

// sampling says which exchanges are kept where there are too many. It is guarded
// by Keeper.mu.
//
// A burst is kept whole: nothing is left out before what came in excess of the
// rate that is allowed would fill half of the limit.
type sampling struct {
	one    int       // 1 in so many is kept
	began  time.Time // of the window
	excess float64   // bytes above the rate that is allowed
}

// due reports whether a window has ended.
func (s *sampling) due(now time.Time) bool { return now.Sub(s.began) >= window }

// look ends a window, in which fresh bytes were kept.
func (s *sampling) look(now time.Time, fresh, limit int64) {
	elapsed := now.Sub(s.began).Seconds()
	s.began = now
	allowed := float64(limit) / turnover.Seconds()
	s.excess = min(max(s.excess+float64(fresh)-allowed*elapsed, 0), float64(limit))
	want := math.Ceil(float64(fresh) / elapsed * float64(s.one) / allowed)
	switch {
	case want <= 1:
		s.one = 1
	case s.one == 1 && s.excess < float64(limit)/2:
	default:
		// Falling by halves: one quiet window is not the end of it.
		s.one = int(min(max(want, float64(s.one)/2), maxSampling))
	}
}

// takes reports whether the next exchange is one that is kept.
func (s *sampling) takes() bool { return s.one <= 1 || rand.IntN(s.one) == 0 }
