package control

import "time"

// Bounds of how late a stream may be.
const (
	noticed  = time.Second     // less is what a network does
	tooLate  = 3 * time.Second // for that long: less is asked for
	driftOne = 10_000          // one in so many is what two clocks may differ in speed
)

// clock takes how late a snapshot is that was just read: buffers on the way may
// hold minutes of what a slow network has not carried yet. The clocks of neither
// day need be right for it. It reports whether another stream, which brings less
// and has empty buffers, should take the place of this one. The link's mu is held.
func (s *stream) clock(now time.Time) (again bool) {
	if s.at <= 0 {
		return false
	}
	late := now.Sub(s.base) - s.at - s.at/driftOne
	if late < 0 {
		s.base, late = s.base.Add(late), 0
	}
	s.late = late
	if late < noticed {
		s.late = 0
	}
	if late < tooLate {
		s.slowSince = time.Time{}
		return false
	}
	if s.slowSince.IsZero() {
		s.slowSince = now
	}
	return now.Sub(s.slowSince) > tooLate && s.r.interval < longestAsked
}
