package connection

import (
	"slices"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// A spread is what the samples of a round-trip time amount to, in ms.
type spread struct{ last, least, p50, p95, most float64 }

// spreadOf returns the spread of samples, the newest last. scratch is used and
// returned, so that nothing is allocated in the end.
func spreadOf(samples, scratch []float32) (spread, []float32) {
	if len(samples) == 0 {
		return spread{-1, -1, -1, -1, -1}, scratch
	}
	scratch = append(scratch[:0], samples...)
	slices.Sort(scratch)
	at := func(q float64) float64 { return float64(scratch[int(q*float64(len(scratch)-1)+0.5)]) }
	return spread{float64(samples[len(samples)-1]), at(0), at(0.5), at(0.95), at(1)}, scratch
}

// lost returns how many pings of this end got no answer, of how many. The newest
// may still get one.
func lost(x *engine.Connection) (unanswered, sent uint64) {
	sent = x.FramesOut.Ping
	if answered := x.FramesIn.Pong; sent > answered+1 {
		unanswered = sent - answered - 1
	}
	return unanswered, sent
}

// RTT draws the round-trip times of x, oldest first in samples (ms), and what
// they amount to in the last line, in the narrow pane in the last two.
func (p *Pen) RTT(a canvas.Area, f *pane.Frame, x *engine.Connection, samples []float32) {
	muted, fg := canvas.Of(themes.Muted), canvas.Of(themes.Fg)
	if len(samples) == 0 {
		text := "no answered ping yet"
		if x.RTT > 0 {
			text = "RTT " + format.Duration(x.RTT)
		}
		a.Cut(0, 0, a.W(), text, f.Glyphs.Cut, muted)
		return
	}
	var s spread
	s, p.scratch = spreadOf(samples, p.scratch)
	if x.RTTMin > 0 {
		s.least = float64(x.RTTMin) / float64(time.Millisecond)
	}
	narrow := a.W() < 50
	lines := 1
	if narrow {
		lines = 2
	}
	p.rttGraph(a.Sub(0, 0, a.W(), a.H()-lines), f, samples, narrow)
	y := a.H() - lines
	unanswered, sent := lost(x)
	number := func(at int, name string, v float64, precise bool) int {
		at = a.Text(at, y, name, muted)
		if precise || v < 10 {
			p.buf = format.AppendMillis(p.buf[:0], v)
		} else {
			p.buf = format.AppendCount(p.buf[:0], uint64(v+0.5))
		}
		return a.Bytes(at, y, p.buf, fg) + 1
	}
	at := 0
	if narrow {
		at = number(at, "", s.last, true) + 1
		at = number(at, "p50 ", s.p50, false)
		number(at, "p95 ", s.p95, false)
		y, at = y+1, 0
	} else {
		at = number(at, "last ", s.last, true)
		at = number(at, "min ", s.least, false)
		at = number(at, "p50 ", s.p50, false)
		at = number(at, "p95 ", s.p95, false)
		at = number(at, "max ", s.most, false)
	}
	style := fg
	if unanswered > 0 {
		style = canvas.Of(themes.Warn)
	}
	at = a.Text(at, y, "lost ", muted)
	p.buf = format.AppendCount(p.buf[:0], unanswered)
	p.buf = append(p.buf, '/')
	p.buf = append(p.buf, format.AppendCount(p.number[:0], sent)...)
	a.Bytes(at, y, p.buf, style)
}

// pingWords says how often this end pings and when next: "every 20s · next 7s".
func pingWords(b []byte, f *pane.Frame, x *engine.Connection, dot string) []byte {
	if x.PingEvery <= 0 {
		return b
	}
	b = append(b, "every "...)
	b = format.AppendAge(b, x.PingEvery)
	if next := x.PingNext.Sub(f.Now); !x.PingNext.IsZero() && next >= 0 {
		b = append(b, ' ')
		b = append(b, dot...)
		b = append(b, " next "...)
		b = format.AppendAge(b, next)
	}
	return b
}
