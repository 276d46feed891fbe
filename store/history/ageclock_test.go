package history

import (
	"testing"
	"time"

	"adit/engine"
)

// TestClockOfRetention: a clock that is set forward by an hour and back again makes
// no row too old; one that stays there is believed after a while, and one that is
// set back at once.
func TestClockOfRetention(t *testing.T) {
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		set  map[int]time.Duration // minute → by how much the clock is wrong from then on
		want map[int]time.Duration // minute → what retention has in excess of the time that passed
	}{
		{"right", nil, map[int]time.Duration{0: 0, 60: 0, 500: 0}},
		{"forward and back", map[int]time.Duration{10: time.Hour, 40: 0}, map[int]time.Duration{10: 0, 39: 0, 40: 0, 200: 0}},
		{"forward for good", map[int]time.Duration{10: time.Hour}, map[int]time.Duration{10: 0, 69: 0, 70: time.Hour, 200: time.Hour}},
		{"back for good", map[int]time.Duration{10: -time.Hour}, map[int]time.Duration{9: 0, 10: -time.Hour, 200: -time.Hour}},
		{"back and forward again", map[int]time.Duration{10: -time.Hour, 30: 0}, map[int]time.Duration{29: -time.Hour, 30: -time.Hour, 90: 0}},
		{"a little", map[int]time.Duration{10: 5 * time.Second}, map[int]time.Duration{10: 5 * time.Second}},
		{"years, at a boot without a battery", map[int]time.Duration{1: 20 * 365 * 24 * time.Hour}, map[int]time.Duration{60: 0, 61: 20 * 365 * 24 * time.Hour}},
	} {
		var c ageClock
		wrong := time.Duration(0)
		for minute := range 501 {
			if by, is := tt.set[minute]; is {
				wrong = by
			}
			passed := time.Duration(minute) * time.Minute
			got := c.at(noon.Add(passed+wrong), passed).Sub(noon.Add(passed))
			if want, is := tt.want[minute]; is && got != want {
				t.Errorf("%s: after %d minutes %v in excess, want %v", tt.name, minute, got, want)
			}
		}
	}
}

// TestClockThatWasAheadKeepsNoRowLonger: rows that say that they come from the
// future go with those that came after them, and the order is that of their ids.
func TestClockThatWasAheadKeepsNoRowLonger(t *testing.T) {
	t.Parallel()
	f := open(t, "", Options{Age: 24 * time.Hour})
	now := time.Now()
	var last uint64
	for n := 1; n <= 30; n++ {
		e := finished(n)
		switch {
		case n <= 10:
			e.Request.Arrived = now.Add(-23*time.Hour - 30*time.Minute) // an hour ahead: it was 24.5 hours ago
		case n <= 20:
			e.Request.Arrived = now.Add(-24*time.Hour - time.Minute)
		default:
			e.Request.Arrived = now.Add(-time.Minute)
		}
		last = f.Add(e)
	}
	settle(t, f, last)
	time.Sleep(trimEvery)
	settle(t, f, f.Add(&engine.Event{Kind: engine.KindNotice, Reason: "another", Time: now}))
	eventually(t, "10 rows", func() bool { return count(t, f, "SELECT count(*) FROM requests") == 10 })
	if oldest := count(t, f, "SELECT min(id) FROM requests"); oldest != 21 {
		t.Errorf("the oldest is %d", oldest)
	}
}
