package filter

import (
	"runtime"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // for days on which clocks change, wherever this runs

	"adit/engine"
)

// A time of day is what clocks show, also on the two days of a year that have
// not 24 hours.
func TestTimeOfDayWhenClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range []time.Time{
		time.Date(2026, 3, 28, 0, 0, 0, 0, berlin), time.Date(2026, 3, 29, 0, 0, 0, 0, berlin),
		time.Date(2026, 3, 30, 0, 0, 0, 0, berlin), time.Date(2026, 10, 25, 0, 0, 0, 0, berlin),
	} {
		at := func(h, m, s int) time.Time {
			return time.Date(day.Year(), day.Month(), day.Day(), h, m, s, 0, berlin)
		}
		for _, tt := range []struct {
			text    string
			arrived time.Time
			want    bool
		}{
			{"time:15:04", at(15, 4, 30), true},
			{"time:15:04", at(16, 4, 30), false},
			{"time:14:04", at(15, 4, 30), false},
			{"time:00:30", at(0, 30, 0), true},
			{"time:23:59", at(23, 59, 59), true},
			{"time:..23:59", at(24, 0, 0), false},
			{"time:>23:59", at(24, 0, 0), true},
			{"time:<00:00", at(0, 0, -1), true},
			{"time:<00:00", at(0, 0, 0), false},
			{"time:15:00..15:04", at(15, 4, 59), true},
		} {
			f, err := Parse(Requests, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			c := &Context{Now: at(23, 30, 0)}
			if got := f.Request(&engine.Request{ID: 1, Arrived: tt.arrived}, c); got != tt.want {
				t.Errorf("%s of %v: %v", tt.text, tt.arrived, got)
			}
		}
		date := layouts[3]
		if end := day.Add(date.covers(day)); !end.Equal(at(24, 0, 0)) {
			t.Errorf("%v ends at %v", day, end)
		}
	}
}

// A filter is parsed at each key, on the goroutine that draws.
func TestExpressionThatRepeatsTooMuch(t *testing.T) {
	for _, text := range []string{
		strings.Repeat(".{1000}", 500), strings.Repeat(`\pL{1000}`, 400), strings.Repeat("(a|b|c){1000}", 300),
		strings.Repeat("((a{0,30}){0,30}){0,1}", 150), "(abc){1000}", strings.Repeat("a", 2500), "((((x{10}){10}){10}){10,})",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(Requests, "/"+text+"/")
		runtime.ReadMemStats(&after)
		// What was compiled before it was refused took a hundred.
		if took := (after.TotalAlloc - before.TotalAlloc) >> 20; err == nil || !strings.Contains(err.Error(), "repeat") || took > 8 {
			t.Errorf("%.20s: %v after %d MiB", text, err, took)
		}
	}
	for _, text := range []string{`^/api/v\d+/`, "a{1000}", "[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", "(?:a|b){0,100}c*d+"} {
		if _, err := Parse(Requests, "path:/"+text+"/"); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
