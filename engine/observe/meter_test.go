package observe

import (
	"math"
	"slices"
	"testing"
	"time"

	"adit/engine"
)

// A film makes the snapshots of one engine.
type film struct {
	m *Meter
	s engine.Snapshot
}

func newFilm(connections ...engine.Connection) *film {
	f := &film{m: NewMeter(), s: engine.Snapshot{Time: at, Started: at.Add(-time.Hour), Connections: connections}}
	f.m.Add(&f.s)
	return f
}

// after adds a snapshot d later, in which change was made.
func (f *film) after(d time.Duration, change func(s *engine.Snapshot)) {
	f.s.Time = f.s.Time.Add(d)
	if change != nil {
		change(&f.s)
	}
	f.m.Add(&f.s)
}

// decayed is r after d with nothing.
func decayed(r float64, d time.Duration) float64 { return r * math.Exp(-d.Seconds()) }

func checkRate(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// checkHistory holds the newest values to want, and all before to be unknown.
func checkHistory(t *testing.T, what string, h *History, want ...float32) {
	t.Helper()
	if got := h.Values[HistorySamples-len(want):]; !slices.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
	for i, v := range h.Values[:HistorySamples-len(want)] {
		if v >= 0 {
			t.Errorf("%s: %v at %d, where nothing is known", what, v, i)
		}
	}
}

func TestNothingIsKnownOfTheTimeBeforeTheFirstSnapshot(t *testing.T) {
	f := newFilm(engine.Connection{ID: 1, Opened: at.Add(-time.Minute), Exchanges: 5, Failed: 5,
		Traffic: engine.Traffic{BytesIn: 1 << 30, FramesIn: engine.Frames{Text: 9}}})
	for _, g := range []*Gauge{f.m.Total(), f.m.Connection(0)} {
		if g.Known || g.BytesIn != 0 || g.FramesIn.Text != 0 || g.Failed != -1 || g.Server != -1 || !g.LastFrame.IsZero() {
			t.Errorf("%+v", g)
		}
		checkHistory(t, "in", &g.In)
		if g.RTT.Quantile(0.5) != 0 || len(g.RTT.Values(nil, 10)) != 0 {
			t.Error("samples of nothing")
		}
	}
}

func TestRatesAreOfOneSecond(t *testing.T) {
	f := newFilm()
	f.after(100*time.Millisecond, func(s *engine.Snapshot) {
		s.Totals.BytesIn, s.Totals.Requests, s.Totals.Statuses[2] = 1000, 3, 3
		s.Totals.FramesOut.Ping = 2
	})
	g := f.m.Total()
	checkRate(t, "the first interval", g.BytesIn, 10_000)
	checkRate(t, "requests", g.Requests, 30)
	checkRate(t, "status 2xx", g.Statuses[2], 30)
	checkRate(t, "pings", g.FramesOut.Ping, 20)
	if !g.Known || !g.LastFrame.Equal(f.s.Time) || !g.LastOut {
		t.Errorf("known %v, last frame %v, out %v", g.Known, g.LastFrame, g.LastOut)
	}
	f.after(400*time.Millisecond, nil)
	checkRate(t, "after a silence", g.BytesIn, decayed(10_000, 400*time.Millisecond))
	f.after(time.Second, func(s *engine.Snapshot) { s.Totals.BytesIn += 500; s.Totals.FramesIn.Text++ })
	checkRate(t, "after more", g.BytesIn, 500+decayed(decayed(10_000, 400*time.Millisecond)-500, time.Second))
	if g.LastOut || !g.LastFrame.Equal(f.s.Time) {
		t.Errorf("last frame %v, out %v", g.LastFrame, g.LastOut)
	}
	for range 40 {
		f.after(time.Second, nil)
	}
	if g.BytesIn != 0 || g.Requests != 0 || g.FramesOut.Ping != 0 {
		t.Errorf("%v and %v long after", g.BytesIn, g.Requests)
	}
}

func TestHistoryHasWhatEachSecondSaw(t *testing.T) {
	f := newFilm(engine.Connection{ID: 3})
	conn := func(in, ended uint64) func(*engine.Snapshot) {
		return func(s *engine.Snapshot) {
			s.Connections[0].BytesIn += in
			s.Connections[0].Exchanges += ended
			s.Totals.BytesIn += in
			s.Totals.Requests += ended
		}
	}
	f.after(500*time.Millisecond, conn(100, 1))
	checkHistory(t, "running", &f.m.Total().In, 200)
	f.after(500*time.Millisecond, conn(300, 0)) // the first second is full: the next has begun
	checkHistory(t, "at its end", &f.m.Total().In, 400, -1)
	f.after(2*time.Second, conn(1000, 4)) // evenly over two
	for _, g := range []*Gauge{f.m.Total(), f.m.Connection(0)} {
		checkHistory(t, "in", &g.In, 400, 500, 500, -1)
		checkHistory(t, "requests", &g.Rate, 1, 2, 2, -1)
		checkHistory(t, "out", &g.Out, 0, 0, 0, -1)
	}
	f.after(500*time.Millisecond, conn(10, 0))
	f.after(time.Second, conn(40, 0)) // half in each
	checkHistory(t, "across a boundary", &f.m.Connection(0).In, 400, 500, 500, 30, 40)
	for i := range 200 {
		f.after(time.Second, conn(uint64(i), 0))
	}
	want := make([]float32, HistorySamples)
	for i := range want {
		want[i] = 199 - HistorySamples + 1 + float32(i) + 0.5 // half of one step, half of the next
	}
	want[HistorySamples-1] = 199
	checkHistory(t, "long after", &f.m.Connection(0).In, want...)
	checkHistory(t, "long after, of all", &f.m.Total().In, want...)
}

func TestGapIsABreak(t *testing.T) {
	f := newFilm(engine.Connection{ID: 1})
	add := func(s *engine.Snapshot) {
		s.Totals.BytesOut += 100
		s.Totals.Requests, s.Totals.Failed, s.Totals.Statuses[5] = s.Totals.Requests+1, s.Totals.Failed+1, s.Totals.Statuses[5]+1
		s.Connections[0].BytesOut += 100
	}
	f.after(time.Second, add)
	if g := f.m.Total(); g.Failed != 1 || g.Server != 1 {
		t.Errorf("shares %v, %v", g.Failed, g.Server)
	}
	f.after(4*time.Second, add)
	for _, g := range []*Gauge{f.m.Total(), f.m.Connection(0)} {
		if g.Known || g.BytesOut != 0 || g.Statuses[5] != 0 || g.Failed != -1 || g.Server != -1 {
			t.Errorf("something is known of a gap: %+v", g)
		}
		checkHistory(t, "after the gap", &g.Out, 100, -1, -1, -1, -1, -1)
	}
	f.after(time.Second, add)
	f.after(3*time.Second, add) // no gap yet
	for _, g := range []*Gauge{f.m.Total(), f.m.Connection(0)} {
		third := float32(float64(100) * (1.0 / 3.0))
		if !g.Known {
			t.Error("not known again")
		}
		checkHistory(t, "later", &g.Out, 100, -1, -1, -1, -1, 100, third, third, third, -1)
	}
	checkRate(t, "after the gap", f.m.Total().BytesOut, 100+(100.0/3-100)*(1-math.Exp(-3)))
	f.after(24*time.Hour, add)
	checkHistory(t, "a day later", &f.m.Total().Out)
}

func TestSharesAreOfTenSeconds(t *testing.T) {
	f := newFilm(engine.Connection{ID: 1})
	step := func(ended, failed, server uint64) {
		f.after(time.Second, func(s *engine.Snapshot) {
			s.Totals.Requests, s.Totals.Failed = s.Totals.Requests+ended, s.Totals.Failed+failed
			s.Totals.Statuses[5] += server
			s.Connections[0].Exchanges, s.Connections[0].Failed = s.Connections[0].Exchanges+ended, s.Connections[0].Failed+failed
		})
	}
	step(4, 1, 2)
	step(4, 3, 0)
	if g := f.m.Total(); g.Failed != 0.5 || g.Server != 0.25 || f.m.Connection(0).Failed != 0.5 || f.m.Connection(0).Server != -1 {
		t.Errorf("%v and %v", g.Failed, g.Server)
	}
	for range 8 {
		step(0, 0, 0)
	}
	if g := f.m.Total(); g.Failed != 0.5 || g.Server != 0.25 {
		t.Errorf("%v and %v in the tenth second", g.Failed, g.Server)
	}
	step(0, 0, 0)
	if g := f.m.Total(); g.Failed != 0.75 || g.Server != 0 {
		t.Errorf("%v and %v when the first is over", g.Failed, g.Server)
	}
	step(0, 0, 0)
	if g := f.m.Total(); g.Failed != -1 || g.Server != -1 || f.m.Connection(0).Failed != -1 {
		t.Errorf("%v and %v when all are over", g.Failed, g.Server)
	}
}

func TestConnectionsAreToldApartByID(t *testing.T) {
	f := newFilm(engine.Connection{ID: 2}, engine.Connection{ID: 5}, engine.Connection{ID: 9})
	f.after(time.Second, func(s *engine.Snapshot) {
		s.Connections[0].BytesIn, s.Connections[1].BytesIn, s.Connections[2].BytesIn = 20, 50, 90
	})
	f.after(time.Second, func(s *engine.Snapshot) {
		s.Connections = []engine.Connection{
			{ID: 5, Traffic: engine.Traffic{BytesIn: 100}},
			{ID: 7, Opened: s.Time.Add(-time.Hour), Traffic: engine.Traffic{BytesIn: 1 << 40}}, // of which nobody told before
			{ID: 9, Traffic: engine.Traffic{BytesIn: 180}},
			{ID: 11, Opened: s.Time.Add(-time.Millisecond), Traffic: engine.Traffic{BytesIn: 110}},
		}
	})
	for i, want := range [][]float32{{50, 50, -1}, {}, {90, 90, -1}, {110, -1}} {
		checkHistory(t, "in", &f.m.Connection(i).In, want...)
	}
	for i, want := range []float64{50, 0, 90, 110} {
		checkRate(t, "in", f.m.Connection(i).BytesIn, want)
	}
	f.after(time.Second, func(s *engine.Snapshot) { s.Connections = s.Connections[:0] })
	f.after(time.Second, func(s *engine.Snapshot) {
		s.Connections = append(s.Connections, engine.Connection{ID: 12, Opened: s.Time, Traffic: engine.Traffic{BytesIn: 12}})
	})
	checkHistory(t, "of one that uses old memory", &f.m.Connection(0).In, 12, -1)
}

// TestTotalsThatGoBackForAMoment: a remote end may send such snapshots.
func TestTotalsThatGoBackForAMoment(t *testing.T) {
	f := newFilm()
	for _, sum := range []uint64{1000, 400, 1500} {
		f.after(time.Second, func(s *engine.Snapshot) { s.Totals.BytesIn = sum })
	}
	checkHistory(t, "in", &f.m.Total().In, 1000, 0, 500, -1)
}

func TestAnotherEngineBeginsAnew(t *testing.T) {
	f := newFilm(engine.Connection{ID: 1})
	f.after(time.Second, func(s *engine.Snapshot) { s.Totals.BytesIn, s.Connections[0].BytesIn = 1000, 1000 })
	f.after(time.Second, func(s *engine.Snapshot) {
		s.Started, s.Totals.BytesIn, s.Connections[0].BytesIn = s.Time, 5000, 5000
	})
	for _, g := range []*Gauge{f.m.Total(), f.m.Connection(0)} {
		if g.Known || g.BytesIn != 0 {
			t.Errorf("a rate of two engines: %v", g.BytesIn)
		}
		checkHistory(t, "in", &g.In)
	}
}

func TestClockThatGoesBack(t *testing.T) {
	f := newFilm()
	f.after(time.Second, func(s *engine.Snapshot) { s.Totals.BytesIn = 100 })
	f.after(-500*time.Millisecond, func(s *engine.Snapshot) { s.Totals.BytesIn = 150 })
	checkHistory(t, "a little", &f.m.Total().In, 100, -1)
	f.after(1500*time.Millisecond, func(s *engine.Snapshot) { s.Totals.BytesIn = 200 })
	checkHistory(t, "again on its way", &f.m.Total().In, 100, 100, -1)
	f.after(-time.Hour, func(s *engine.Snapshot) { s.Totals.BytesIn = 300 })
	f.after(500*time.Millisecond, func(s *engine.Snapshot) { s.Totals.BytesIn = 350 })
	checkHistory(t, "an hour", &f.m.Total().In, 100)
}

func TestOneSampleForEachAnsweredPing(t *testing.T) {
	f := newFilm(engine.Connection{ID: 1, RTT: 5 * time.Millisecond, Traffic: engine.Traffic{FramesIn: engine.Frames{Pong: 3}}})
	step := func(pongs uint64, rtt time.Duration) {
		f.after(time.Second, func(s *engine.Snapshot) {
			s.Connections[0].FramesIn.Pong, s.Connections[0].RTT = pongs, rtt
		})
	}
	step(3, 5*time.Millisecond)
	step(4, 5*time.Millisecond) // counted, and not noted yet
	step(4, 7*time.Millisecond)
	step(4, 7*time.Millisecond)
	step(5, 7*time.Millisecond) // another one, equal
	step(5, 7*time.Millisecond)
	step(5, 7*time.Millisecond)
	step(6, 9*time.Millisecond)
	step(6, 9*time.Millisecond)
	step(6, 0)
	samples := &f.m.Connection(0).RTT
	if got := samples.Values(nil, 99); !slices.Equal(got, []float32{5, 7, 7, 9}) {
		t.Errorf("%v", got)
	}
	if got := samples.Values([]float32{1}, 2); !slices.Equal(got, []float32{1, 7, 9}) {
		t.Errorf("the newest two: %v", got)
	}
	for q, want := range map[float64]float32{0: 5, 0.25: 5, 0.26: 7, 0.5: 7, 0.75: 7, 0.76: 9, 1: 9} {
		if got := samples.Quantile(q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}

func TestOnlyTheNewestSamplesAreKept(t *testing.T) {
	var s Samples
	for i := range 1000 {
		s.add(float32(i))
	}
	got := s.Values(nil, 1000)
	if len(got) != maxSamples || got[0] != 1000-maxSamples || got[maxSamples-1] != 999 || !slices.IsSorted(got) {
		t.Errorf("%d from %v to %v", len(got), got[0], got[len(got)-1])
	}
	if s.Quantile(1) != 999 || s.Quantile(0) != 1000-maxSamples {
		t.Errorf("%v to %v", s.Quantile(0), s.Quantile(1))
	}
}

// crowd returns snapshots of n connections, of which one in busy moves.
func crowd(n, busy int) (*Meter, *engine.Snapshot, func()) {
	s := &engine.Snapshot{Time: at, Started: at}
	for i := range n {
		s.Connections = append(s.Connections, engine.Connection{ID: engine.ConnectionID(i + 1), RTT: time.Millisecond})
	}
	m := NewMeter()
	m.Add(s)
	return m, s, func() {
		s.Time = s.Time.Add(100 * time.Millisecond)
		for i := 0; i < n; i += busy {
			c := &s.Connections[i]
			c.BytesIn, c.BytesOut, c.Exchanges = c.BytesIn+1000, c.BytesOut+500, c.Exchanges+1
			c.FramesIn.Binary, c.FramesOut.Binary = c.FramesIn.Binary+1, c.FramesOut.Binary+1
		}
		s.Totals.BytesIn += uint64(1000 * n / busy)
		m.Add(s)
	}
}

// BenchmarkMeter adds a snapshot of 10,000 connections.
func BenchmarkMeter(b *testing.B) {
	for name, busy := range map[string]int{"all busy": 1, "one in ten busy": 10} {
		b.Run(name, func(b *testing.B) {
			_, _, step := crowd(10_000, busy)
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
		})
	}
}
