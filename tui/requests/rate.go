package requests

import (
	"math"
	"time"

	"adit/engine"
)

// idsJump is from how many ids a second on another run has begun: it leaves a gap
// to the ids before, and no machine serves so much.
const idsJump = 50_000

// arrivals is how fast records come, by their ids, which have no gaps.
type arrivals struct {
	perSecond float64
	known     bool // something was measured
	newest    engine.RequestID
	at        time.Time
}

func (a *arrivals) add(newest engine.RequestID, now time.Time) {
	passed := now.Sub(a.at)
	if a.at.IsZero() || a.newest == 0 || passed > 3*time.Second || passed < 0 || newest < a.newest ||
		float64(newest-a.newest) > idsJump*max(passed.Seconds(), 0.2) {
		*a = arrivals{newest: newest, at: now}
		return
	}
	if passed < 200*time.Millisecond {
		return
	}
	// The weight of what was is such that half of it is gone after a second.
	weight := min(passed.Seconds()/1.4, 1)
	if !a.known {
		a.known, weight = true, 1
	}
	a.perSecond += (float64(newest-a.newest)/passed.Seconds() - a.perSecond) * weight
	if a.perSecond < 0.05 {
		a.perSecond = 0
	}
	a.newest, a.at = newest, now
}

// sampling says how many records there are for each one that a following list
// shows. It counts ids: the ids that came since the page before, over those
// that the rows on the screen span.
type sampling struct {
	oneIn int     // 0: every record was on the screen, or nearly
	came  float64 // newer ones, of late
	shown float64 // rows that there were for them
	top   engine.RequestID
	at    time.Time // when the page before came
	moved time.Time // when a page last had newer ones
	since time.Time // when rows were last skipped wholesale
}

// sampledFrom is from how many on the list says so: below, rows are skipped for
// a moment, not wholesale.
const sampledFrom = 4

func (s *sampling) add(l *List, now time.Time) {
	first, last := l.row(l.top), l.row(l.top+l.height()-1)
	if !l.following || l.order != engine.ByArrival || l.ascending || first == nil {
		*s = sampling{}
		return
	}
	before := s.top
	if now.Sub(s.at) > time.Second {
		before = 0 // nobody looked meanwhile: nothing was kept from the screen
	}
	s.top, s.at = first.ID, now
	// A burst that a short list skips once is not wholesale: what counts is how it
	// goes over several pages.
	oneIn := 0
	moved := first.ID != before
	if moved {
		s.moved = now
	}
	if before != 0 && last != nil && now.Sub(s.moved) < time.Second && first.ID >= before && (moved || s.came > 0) {
		const weight = 0.9
		s.came = s.came*weight + float64(first.ID-before)
		s.shown = s.shown*weight + float64(first.ID-last.ID) + 1
		oneIn = int(math.Round(s.came / s.shown))
	} else {
		s.came, s.shown = 0, 0
	}
	switch {
	case moved && oneIn >= sampledFrom:
		s.oneIn, s.since = oneIn, now
	case now.Sub(s.since) > time.Second:
		s.oneIn = 0
	}
}
