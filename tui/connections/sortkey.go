package connections

import (
	"adit/tui/pane"
)

// A sortKey is what rows are sorted by.
type sortKey uint8

const (
	byName sortKey = iota
	byState
	byOut
	byIn
	byRequests
	byFailed
	byRTT
	byAge
	byLastFrame
	byInFlight
	byBytesIn
	byBytesOut
)

// ofConnection returns the key of the i-th connection.
func (k sortKey) ofConnection(f *pane.Frame, i int) float64 {
	x := &f.Snapshot.Connections[i]
	switch k {
	case byState:
		return float64(x.State)
	case byOut:
		return f.Meter.Rates(i).BytesOut
	case byIn:
		return f.Meter.Rates(i).BytesIn
	case byRequests:
		return f.Meter.Rates(i).Requests
	case byFailed:
		return f.Meter.Rates(i).Failed
	case byRTT:
		return float64(x.RTT)
	case byAge:
		return float64(f.Snapshot.Time.Sub(x.Opened))
	case byLastFrame:
		return float64(f.Meter.Rates(i).LastFrame.UnixMilli())
	case byInFlight:
		return float64(x.InFlight)
	case byBytesIn:
		return float64(x.BytesIn)
	case byBytesOut:
		return float64(x.BytesOut)
	}
	return 0
}

// ofClient returns the key of a client's line: what its line shows.
func (k sortKey) ofClient(f *pane.Frame, c *pane.Client) float64 {
	switch k {
	case byState:
		return float64(c.Busy)
	case byOut:
		return c.BytesOut
	case byIn:
		return c.BytesIn
	case byRequests:
		return c.Requests
	case byFailed:
		return c.Failed
	case byRTT:
		return c.RTT
	case byInFlight:
		return float64(c.InFlight)
	case byAge:
		if c.Oldest >= 0 && c.Oldest < len(f.Snapshot.Connections) {
			return float64(f.Snapshot.Time.Sub(f.Snapshot.Connections[c.Oldest].Opened))
		}
	case byLastFrame, byBytesIn, byBytesOut:
		sum := 0.0
		for _, n := range c.Connections {
			v := k.ofConnection(f, n)
			if k == byLastFrame {
				sum = max(sum, v)
			} else {
				sum += v
			}
		}
		return sum
	}
	return 0
}
