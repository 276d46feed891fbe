package history

import "time"

// believedAfter is how long a wall clock must stay set forward until rows are held
// to it: one that is set forward by mistake, and back again, costs no row.
const believedAfter = time.Hour

// forward is what a wall clock may go ahead of the time that passes between two
// looks and be taken to have been corrected only.
const forward = time.Minute

// An ageClock says what the time is for retention. Of a clock that was set back it
// says the new time at once: then rows stay longer, at most.
type ageClock struct {
	wall   time.Time     // at the last look that was believed
	passed time.Duration // then
	since  time.Duration // when the clock was found ahead; negative: it is not
}

// at returns the time for retention from the wall clock and the time that has
// passed, which no clock that is set changes.
func (c *ageClock) at(wall time.Time, passed time.Duration) time.Time {
	wall = wall.Round(0)
	due := c.wall.Add(passed - c.passed)
	switch {
	case c.wall.IsZero() || wall.Sub(due) <= forward:
	case c.since < 0:
		c.since = passed
		return due
	case passed-c.since < believedAfter:
		return due
	}
	c.wall, c.passed, c.since = wall, passed, -1
	return wall
}
