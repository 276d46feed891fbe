package tunnel

import (
	"math/rand/v2"
	"time"
)

// pace is the interval until the next ping: ± 20 %, so that not all connections
// ping at once, and then to the next stroke of a clock that all connections
// share, so that many do: a ping that wakes the process from its sleep costs
// five times what it costs as one of many.
func pace(now time.Time, interval time.Duration) time.Duration {
	stroke := max(interval/pingStrokes, 1)
	d := interval - interval/5 + rand.N(2*interval/5+1)
	if d -= time.Duration((now.UnixNano() + int64(d)) % int64(stroke)); d < interval-interval/5 {
		d += stroke
	}
	return d
}

// pingStrokes is how many strokes of the common clock an interval has.
const pingStrokes = 40
