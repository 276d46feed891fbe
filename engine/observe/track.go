package observe

import (
	"math"
	"slices"
	"time"

	"adit/engine"
)

// A span is the interval between two snapshots.
type span struct {
	length  time.Duration // 0: there was none, or nothing is known of it
	seconds float64       // the same
	weight  float64       // of this interval in an average
	gap     bool          // too long to be known
	first   int64         // second in which it begins
	second  int64         // second in which it ends
	rolls   int           // seconds that ended in it
	parts   [5]float64    // seconds of it in the first second, in the next, and so on
}

// rate moves an average towards more per this interval, or sets it where there
// was none.
func (sp *span) rate(r *float64, more uint64, average bool) {
	now := float64(more) / sp.seconds
	if !average {
		*r = now
		return
	}
	const least = 1e-3 // an average below that nothing feeds has gone out
	if *r += sp.weight * (now - *r); more == 0 && *r < least {
		*r = 0
	}
}

// counts are what rates are made of.
type counts struct {
	bytesIn, bytesOut uint64
	ended, failed     uint64
	in, out           engine.Frames
}

// since returns by how much a count has grown, and notes it. One that went back
// has not changed: those of the engine may for a moment.
func since(prev *uint64, now uint64) uint64 {
	if now <= *prev {
		return 0
	}
	n := now - *prev
	*prev = now
	return n
}

// The histories of a track.
const (
	historyIn = iota
	historyOut
	historyRate
	histories
)

// lag is for how many seconds values wait before a history moves: to move it
// costs more than all the rest, and connections take turns.
const lag = 8

// A track is what the meter knows of one connection, or of all.
type track struct {
	id      uint64
	seen    bool // prev is of the last snapshot
	quiet   bool // nothing has changed for so long that all rates are 0
	pending bool // a pong was counted whose round trip does not show yet
	prev    counts
	pongs   uint64
	rtt     time.Duration // newest seen

	sums    [histories]float64 // of the second that runs
	covered float64            // seconds of it that were seen
	late    [histories][lag]float32
	n       int // values in each of late

	ended, failed window
	gauge         Gauge
}

// reset makes a track new.
func (t *track) reset(id uint64) {
	samples := t.gauge.RTT.values[:0]
	*t = track{id: id}
	t.gauge.RTT.values = samples
	t.gauge.Failed, t.gauge.Server = -1, -1
	for _, h := range t.histories() {
		for i := range h.Values {
			h.Values[i] = -1
		}
	}
}

func (t *track) histories() [histories]*History {
	return [histories]*History{&t.gauge.In, &t.gauge.Out, &t.gauge.Rate}
}

// add takes the counts of a snapshot at the end of sp.
func (t *track) add(sp *span, now *counts, at time.Time) {
	t.ended.pass(sp)
	t.failed.pass(sp)
	if !t.seen || sp.gap {
		t.lose(sp)
		t.prev, t.seen, t.quiet = *now, true, false
	} else if sp.length > 0 {
		t.addKnown(sp, now, at)
	}
	t.gauge.Failed = t.failed.share(&t.ended)
}

// lose lets the seconds of sp pass without anything known of them.
func (t *track) lose(sp *span) {
	for i := range sp.rolls {
		t.roll(sp.first + int64(i))
	}
	t.sums, t.covered = [histories]float64{}, 0
	g := &t.gauge
	g.Known, g.BytesIn, g.BytesOut, g.Requests = false, 0, 0, 0
	g.FramesIn, g.FramesOut = FrameRates{}, FrameRates{}
}

func (t *track) addKnown(sp *span, now *counts, at time.Time) {
	if t.quiet && *now == t.prev {
		for i := range sp.rolls + 1 {
			t.covered += sp.parts[i]
			if i < sp.rolls {
				t.roll(sp.first + int64(i))
			}
		}
		return
	}
	g, p := &t.gauge, &t.prev
	average := g.Known
	g.Known = true
	if inward, outward := now.in != p.in, now.out != p.out; inward || outward {
		g.LastFrame, g.LastOut = at, !inward
	}
	in, out := since(&p.bytesIn, now.bytesIn), since(&p.bytesOut, now.bytesOut)
	ended, failed := since(&p.ended, now.ended), since(&p.failed, now.failed)
	sp.rate(&g.BytesIn, in, average)
	sp.rate(&g.BytesOut, out, average)
	sp.rate(&g.Requests, ended, average)
	sp.frames(&g.FramesIn, &p.in, &now.in, average)
	sp.frames(&g.FramesOut, &p.out, &now.out, average)
	t.ended.add(sp, ended)
	t.failed.add(sp, failed)
	more := [histories]float64{float64(in), float64(out), float64(ended)}
	for i := range sp.rolls + 1 {
		share := sp.parts[i] / sp.seconds
		for h := range more {
			t.sums[h] += more[h] * share
		}
		t.covered += sp.parts[i]
		if i < sp.rolls {
			t.roll(sp.first + int64(i))
		}
	}
	t.quiet = g.BytesIn == 0 && g.BytesOut == 0 && g.Requests == 0 &&
		g.FramesIn == FrameRates{} && g.FramesOut == FrameRates{}
}

func (sp *span) frames(r *FrameRates, prev, now *engine.Frames, average bool) {
	sp.rate(&r.Text, since(&prev.Text, now.Text), average)
	sp.rate(&r.Binary, since(&prev.Binary, now.Binary), average)
	sp.rate(&r.Continuation, since(&prev.Continuation, now.Continuation), average)
	sp.rate(&r.Close, since(&prev.Close, now.Close), average)
	sp.rate(&r.Ping, since(&prev.Ping, now.Ping), average)
	sp.rate(&r.Pong, since(&prev.Pong, now.Pong), average)
}

// roll ends a second.
func (t *track) roll(second int64) {
	for h := range t.sums {
		t.late[h][t.n] = t.running(h)
	}
	t.n++
	t.sums, t.covered = [histories]float64{}, 0
	if t.n == lag || (uint64(second)+t.id)%lag == 0 {
		t.settle()
	}
}

// running returns the value of the second that runs.
func (t *track) running(h int) float32 {
	if t.covered == 0 {
		return -1
	}
	return float32(t.sums[h] / t.covered)
}

// settle moves the histories. Their last value is of the second that runs.
func (t *track) settle() {
	for h, history := range t.histories() {
		ended := history.Values[:HistorySamples-1]
		copy(ended, ended[t.n:])
		copy(ended[len(ended)-t.n:], t.late[h][:t.n])
	}
	t.n = 0
}

// shown returns the gauge with its histories complete.
func (t *track) shown() *Gauge {
	if t.n > 0 {
		t.settle()
	}
	for h, history := range t.histories() {
		history.Values[HistorySamples-1] = t.running(h)
	}
	return &t.gauge
}

// addRTT takes one sample for each answered ping that shows. A snapshot may have
// counted the pong before its round trip was noted: that is then seen in the next.
func (t *track) addRTT(rtt time.Duration, pongs uint64) {
	counted := t.seen && pongs > t.pongs
	if t.pongs = pongs; rtt == 0 {
		return
	}
	if rtt == t.rtt && !t.pending {
		t.pending = counted
		return
	}
	t.pending = rtt == t.rtt && counted
	t.rtt = rtt
	t.gauge.RTT.add(float32(rtt.Seconds() * 1e3))
}

// windowSeconds is how far back shares go.
const windowSeconds = 10

// A window counts what happened in the last seconds, the one that runs included.
type window struct {
	sum uint64
	n   [windowSeconds]uint32 // by second
}

// pass forgets what is too old, or before a gap.
func (w *window) pass(sp *span) {
	switch {
	case w.sum == 0:
	case sp.gap, sp.rolls >= windowSeconds:
		*w = window{}
	default:
		for i := range sp.rolls {
			n := &w.n[(sp.first+int64(i)+1)%windowSeconds]
			w.sum -= uint64(*n)
			*n = 0
		}
	}
}

func (w *window) add(sp *span, n uint64) {
	slot := &w.n[sp.second%windowSeconds]
	n = min(n, uint64(math.MaxUint32-*slot))
	*slot += uint32(n)
	w.sum += n
}

// share returns w as a part of all, -1 where there is none.
func (w *window) share(all *window) float64 {
	if all.sum == 0 {
		return -1
	}
	return min(float64(w.sum)/float64(all.sum), 1)
}

// maxSamples is how many samples are kept.
const maxSamples = 256

// Samples are the newest values of something that comes now and then.
type Samples struct {
	values []float32 // a ring once it is full
	oldest int
}

func (s *Samples) add(v float32) {
	if len(s.values) < maxSamples {
		s.values = append(s.values, v)
		return
	}
	s.values[s.oldest] = v
	s.oldest = (s.oldest + 1) % maxSamples
}

// Values appends the newest at most n values, oldest first, to into.
func (s *Samples) Values(into []float32, n int) []float32 {
	for i := len(s.values) - min(max(n, 0), len(s.values)); i < len(s.values); i++ {
		into = append(into, s.values[(s.oldest+i)%len(s.values)])
	}
	return into
}

// Quantile returns the q-quantile, 0 to 1, of what is kept (at most 256 values):
// the least that so large a part of them does not exceed; 0 where nothing is.
func (s *Samples) Quantile(q float64) float32 {
	if len(s.values) == 0 {
		return 0
	}
	var room [maxSamples]float32
	sorted := append(room[:0], s.values...)
	slices.Sort(sorted)
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
