package tunnel

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPingsShareStrokes: pings that each come at a moment of their own wake an
// idle server hundreds of times a second; pings that all come at one moment
// meet their peers as one blow.
func TestPingsShareStrokes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(int64(time.Second), int64(2*time.Minute)).Draw(t, "interval"))
		stroke := interval / pingStrokes
		now := time.Unix(0, rapid.Int64Range(0, 1<<61).Draw(t, "now"))
		seen := map[time.Duration]bool{}
		for range 1000 {
			d := pace(now, interval)
			if d < interval*4/5 || d > interval*6/5 {
				t.Fatalf("%v is not within 20 %% of %v", d, interval)
			}
			if now.Add(d).UnixNano()%int64(stroke) != 0 {
				t.Fatalf("%v after %d is between two strokes of %v", d, now.UnixNano(), stroke)
			}
			seen[d] = true
		}
		if len(seen) < pingStrokes/3 {
			t.Fatalf("only %d strokes are used", len(seen))
		}
	})
}
