package observe

import (
	"math"
	"time"

	"adit/engine"
)

// A Meter makes rates and histories of snapshots. It is not safe for use by two
// goroutines. It holds some 2.5 KiB for each connection of the last snapshot.
type Meter struct {
	started time.Time     // of the engine that was seen
	gap     time.Duration // longest interval that says something; 0: maxGap
	base    time.Time     // when the first of the seconds began
	last    time.Time     // of the last snapshot; zero before the first
	second  int64         // that runs, counted from base
	span    span          // between the last two snapshots

	total       track
	statuses    [6]uint64 // of the last snapshot
	serverSides window    // requests with a status of 500 or more
	connections []*track  // in order of id, as in the last snapshot
	spare       []*track  // the list before, to be used again
	free        []*track  // of connections that are gone, at most maxFree
}

// maxFree bounds what is kept of connections that are gone.
const maxFree = 1024

// maxGap is the longest interval between two snapshots that says something about
// the seconds within.
const maxGap = 3 * time.Second

// SetPatience sets the longest interval between two snapshots that says something
// about the seconds within: 3 s, but what is shown faster than it happened has
// longer ones.
func (m *Meter) SetPatience(gap time.Duration) { m.gap = gap }

func (m *Meter) patience() time.Duration { return max(m.gap, maxGap) }

// NewMeter returns a meter that has seen nothing.
func NewMeter() *Meter {
	m := new(Meter)
	m.total.reset(0)
	return m
}

// Add takes the next snapshot, at any interval; it keeps nothing of s. Between
// two snapshots everything is taken to have happened evenly, but after a gap of
// more than 3 s nothing is known of it: histories show a break, and rates begin
// anew. A snapshot of an engine that was started again, or of long before the
// last one, begins everything anew. The connections of s are in order of id.
func (m *Meter) Add(s *engine.Snapshot) {
	if m.last.IsZero() || !s.Started.Equal(m.started) || s.Time.Before(m.last.Add(-m.patience())) {
		m.begin(s)
	}
	m.pass(s.Time)
	sp := &m.span
	m.addStatuses(&s.Totals)
	m.total.add(sp, &counts{
		bytesIn: s.Totals.BytesIn, bytesOut: s.Totals.BytesOut, ended: s.Totals.Requests, failed: s.Totals.Failed,
		in: s.Totals.FramesIn, out: s.Totals.FramesOut,
	}, s.Time)
	m.total.gauge.Server = m.serverSides.share(&m.total.ended)

	m.spare, m.connections = m.connections, m.spare[:0]
	before, old := s.Time.Add(-sp.length), m.spare
	for i := range s.Connections {
		c := &s.Connections[i]
		for len(old) > 0 && old[0].id < uint64(c.ID) {
			m.release(old[0])
			old = old[1:]
		}
		var t *track
		if len(old) > 0 && old[0].id == uint64(c.ID) {
			t, old = old[0], old[1:]
		} else {
			t = m.take(uint64(c.ID))
			// What was opened since the last snapshot had counted nothing then.
			t.seen = sp.length > 0 && c.Opened.After(before)
		}
		t.addRTT(c.RTT, c.FramesIn.Pong)
		t.add(sp, &counts{
			bytesIn: c.BytesIn, bytesOut: c.BytesOut, ended: c.Exchanges, failed: c.Failed,
			in: c.FramesIn, out: c.FramesOut,
		}, s.Time)
		m.connections = append(m.connections, t)
	}
	for _, t := range old {
		m.release(t)
	}
	clear(m.spare)
	m.spare = m.spare[:0]
}

// begin forgets everything.
func (m *Meter) begin(s *engine.Snapshot) {
	for _, t := range m.connections {
		m.release(t)
	}
	clear(m.connections)
	*m = Meter{started: s.Started, gap: m.gap, base: s.Time, connections: m.connections[:0], spare: m.spare, free: m.free}
	m.total.reset(0)
}

// pass sets span to the interval that ends at now; a clock that went back a
// little makes it empty.
func (m *Meter) pass(now time.Time) {
	sp := &m.span
	*sp = span{first: m.second, second: m.second}
	if m.last.IsZero() {
		m.last = now
		return
	}
	length := now.Sub(m.last)
	if length <= 0 {
		return
	}
	from, to := m.last.Sub(m.base), now.Sub(m.base)
	m.last, m.second = now, int64(to/time.Second)
	sp.second = m.second
	sp.rolls = int(min(m.second-sp.first, HistorySamples+lag))
	sp.first = m.second - int64(sp.rolls)
	if length > m.patience() {
		sp.gap = true
		return
	}
	sp.length, sp.seconds = length, length.Seconds()
	sp.weight = 1 - math.Exp(-sp.seconds)
	for i := range sp.rolls + 1 {
		end := min(time.Duration(sp.first+int64(i)+1)*time.Second, to)
		sp.parts[i] = (end - from).Seconds()
		from = end
	}
}

// addStatuses comes before the totals are added.
func (m *Meter) addStatuses(now *engine.Totals) {
	sp, t := &m.span, &m.total
	m.serverSides.pass(sp)
	if !t.seen || sp.gap {
		m.statuses, t.gauge.Statuses = now.Statuses, [6]float64{}
		return
	}
	if sp.length == 0 {
		return
	}
	for i := range m.statuses {
		more := since(&m.statuses[i], now.Statuses[i])
		sp.rate(&t.gauge.Statuses[i], more, t.gauge.Known)
		if i == 5 {
			m.serverSides.add(sp, more)
		}
	}
}

func (m *Meter) take(id uint64) *track {
	var t *track
	if n := len(m.free); n > 0 {
		t, m.free = m.free[n-1], m.free[:n-1]
	} else {
		t = new(track)
	}
	t.reset(id)
	return t
}

func (m *Meter) release(t *track) {
	if len(m.free) < maxFree {
		m.free = append(m.free, t)
	}
}

// Total returns the gauge of the whole engine, valid until the next Add.
func (m *Meter) Total() *Gauge { return m.total.shown() }

// Connection returns the gauge of the i-th connection of the last snapshot,
// valid until the next Add.
func (m *Meter) Connection(i int) *Gauge { return m.connections[i].shown() }

// Rates is Connection for who does not look at the histories, which may lag: it
// costs nothing.
func (m *Meter) Rates(i int) *Gauge { return &m.connections[i].gauge }

// HistorySamples is how many seconds a history goes back.
const HistorySamples = 60

// A Gauge is what a meter knows of one connection or of all.
type Gauge struct {
	// Rates per second, weighted towards the last second: an average in which
	// what is a second old weighs 1/e. 0 unless Known.
	BytesIn, BytesOut   float64
	FramesIn, FramesOut FrameRates
	Requests            float64
	// Shares of the requests that ended in the last 10 s, 0 to 1; -1: none ended.
	Failed float64
	Server float64 // status 500 or more; of the whole engine only

	Known     bool      // rates are of an interval that was seen
	LastOut   bool      // what changed at LastFrame went out, and nothing came in
	LastFrame time.Time // when the count of frames last changed, as seen by snapshots; zero: it has not

	In, Out  History    // bytes per second
	Rate     History    // requests per second
	RTT      Samples    // of a connection: milliseconds, one value for each answered ping
	Statuses [6]float64 // of the whole engine: requests per second by status / 100
}

// FrameRates are frames per second by opcode.
type FrameRates struct {
	Text, Binary, Continuation, Close, Ping, Pong float64
}

// A History has one value for each of the last seconds, the newest last; the
// last is of the second that runs, as far as it has run. A value below 0 means
// that nothing is known.
type History struct {
	Values [HistorySamples]float32
}
