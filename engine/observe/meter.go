package observe

import (
	"time"

	"adit/engine"
)

// A Meter makes rates and histories of snapshots. It is not safe for use by two
// goroutines.
type Meter struct {
	total       Gauge
	connections []Gauge
}

// NewMeter returns a meter that has seen nothing.
func NewMeter() *Meter { return new(Meter) }

// Add takes the next snapshot, at any interval; it keeps nothing of s. After a
// gap of more than 3 s the histories show a break.
func (m *Meter) Add(s *engine.Snapshot) {}

// Total returns the gauge of the whole engine, valid until the next Add.
func (m *Meter) Total() *Gauge { return &m.total }

// Connection returns the gauge of the i-th connection of the last snapshot,
// valid until the next Add.
func (m *Meter) Connection(i int) *Gauge { return &m.connections[i] }

// HistorySamples is how many seconds a history goes back.
const HistorySamples = 60

// A Gauge is what a meter knows of one connection or of all.
type Gauge struct {
	// Rates per second, weighted towards the last second.
	BytesIn, BytesOut   float64
	FramesIn, FramesOut FrameRates
	Requests            float64
	// Shares of the requests that ended in the last 10 s, 0 to 1; -1: none ended.
	Failed float64
	Server float64 // status 500 or more; of the whole engine only

	LastFrame time.Time // when the count of frames last changed, as seen by snapshots
	LastOut   bool      // what changed then went out

	In, Out  History    // bytes per second
	Rate     History    // requests per second
	RTT      Samples    // of a connection: one value for each answered ping
	Statuses [6]float64 // of the whole engine: requests per second by status / 100
}

// FrameRates are frames per second by opcode.
type FrameRates struct {
	Text, Binary, Continuation, Close, Ping, Pong float64
}

// A History has one value for each of the last seconds, the newest last; the
// last is of the second that runs. A value below 0 means that nothing is known.
type History struct {
	Values [HistorySamples]float32
}

// Samples are the newest values of something that comes now and then.
type Samples struct {
	values []float32 // a ring
}

// Values appends the newest at most n values, oldest first, to into.
func (s *Samples) Values(into []float32, n int) []float32 { return into }

// Quantile returns the q-quantile, 0 to 1, of what is kept; 0 where nothing is.
func (s *Samples) Quantile(q float64) float32 { return 0 }
