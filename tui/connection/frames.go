package connection

import (
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/graph"
	"adit/tui/pane"
)

// Counts are frames and bytes of one connection or of all, since the start or
// since the operator set what is shown to zero.
type Counts struct {
	In, Out           engine.Frames
	BytesIn, BytesOut uint64
	ShapeIn, ShapeOut engine.FrameShape
	Since             time.Time // zero: the start
}

// ShapeKnown reports whether what the frames looked like is known: a recording has
// their numbers alone.
func (c *Counts) ShapeKnown(f *pane.Frame) bool {
	return f.Playback == nil || c.ShapeIn != engine.FrameShape{} || c.ShapeOut != engine.FrameShape{}
}

// less returns what came to c since base.
func (c Counts) less(base Counts) Counts {
	c.In, c.Out = lessFrames(c.In, base.In), lessFrames(c.Out, base.Out)
	c.BytesIn, c.BytesOut = c.BytesIn-min(base.BytesIn, c.BytesIn), c.BytesOut-min(base.BytesOut, c.BytesOut)
	c.ShapeIn, c.ShapeOut = lessShape(c.ShapeIn, base.ShapeIn), lessShape(c.ShapeOut, base.ShapeOut)
	c.Since = base.Since
	return c
}

func lessFrames(a, b engine.Frames) engine.Frames {
	return engine.Frames{
		Text: a.Text - min(a.Text, b.Text), Binary: a.Binary - min(a.Binary, b.Binary),
		Continuation: a.Continuation - min(a.Continuation, b.Continuation), Close: a.Close - min(a.Close, b.Close),
		Ping: a.Ping - min(a.Ping, b.Ping), Pong: a.Pong - min(a.Pong, b.Pong),
	}
}

func lessShape(a, b engine.FrameShape) engine.FrameShape {
	for i := range a.Sizes {
		a.Sizes[i] -= min(a.Sizes[i], b.Sizes[i])
	}
	a.Fragmented -= min(a.Fragmented, b.Fragmented)
	return a
}

// A Reset is the moment from which on frames are counted on the screen; the
// engine's counters know nothing of it. The zero value counts from the start.
type Reset struct{ base Counts }

// To makes now the moment: c are the counters of now.
func (r *Reset) To(c Counts, now time.Time) {
	r.base = c
	r.base.Since = now
}

// Undo counts from the start again; false if it did already.
func (r *Reset) Undo() bool {
	was := !r.base.Since.IsZero()
	r.base = Counts{}
	return was
}

// Apply returns c counted from the moment on. Counters that are below what they
// were at the moment, as after a restart of the engine, count from the start.
func (r *Reset) Apply(c Counts) Counts {
	if c.BytesIn < r.base.BytesIn || c.BytesOut < r.base.BytesOut {
		r.base = Counts{}
	}
	return c.less(r.base)
}

// CountsOf returns the counters of one connection.
func CountsOf(x *engine.Connection) Counts {
	return Counts{x.FramesIn, x.FramesOut, x.BytesIn, x.BytesOut, x.ShapeIn, x.ShapeOut, time.Time{}}
}

// opcodes are the rows of the pane (RFC 6455 §5.2).
var opcodes = [...]struct {
	code  string
	name  string
	count func(*engine.Frames) uint64
	rate  func(*observe.FrameRates) float64
}{
	{" 0", "cont", func(f *engine.Frames) uint64 { return f.Continuation }, func(r *observe.FrameRates) float64 { return r.Continuation }},
	{" 1", "text", func(f *engine.Frames) uint64 { return f.Text }, func(r *observe.FrameRates) float64 { return r.Text }},
	{" 2", "binary", func(f *engine.Frames) uint64 { return f.Binary }, func(r *observe.FrameRates) float64 { return r.Binary }},
	{" 8", "close", func(f *engine.Frames) uint64 { return f.Close }, func(r *observe.FrameRates) float64 { return r.Close }},
	{" 9", "ping", func(f *engine.Frames) uint64 { return f.Ping }, func(r *observe.FrameRates) float64 { return r.Ping }},
	{"10", "pong", func(f *engine.Frames) uint64 { return f.Pong }, func(r *observe.FrameRates) float64 { return r.Pong }},
}

// OpcodeName returns the name of an opcode, "" if it has none.
func OpcodeName(code uint8) string {
	switch code {
	case 0:
		return "cont"
	case 1:
		return "text"
	case 2:
		return "bin"
	case 8:
		return "close"
	case 9:
		return "ping"
	case 10:
		return "pong"
	}
	return ""
}

// A Pen draws the panes of one frame. It keeps a buffer for numbers, so that
// drawing allocates nothing.
type Pen struct {
	buf     []byte
	number  [24]byte
	scratch []float32
}

// OpcodeTable draws six rows of frames by opcode and direction, with a line of
// titles above them where titled, and returns the row after them. gauge is nil
// where there are no rates.
func (p *Pen) OpcodeTable(a canvas.Area, f *pane.Frame, c *Counts, gauge *observe.Gauge, titled bool) int {
	muted, fg := canvas.Of(themes.Muted), canvas.Of(themes.Fg)
	// Columns as in " 2 binary     1.92M   9.8k/s      14.1M    61k/s", and closer
	// together where room is short.
	// A number is left out before it is cut: what is left of a cut one is another.
	in, inRate, out, outRate := 10, 18, 29, 37
	count, rate := 8, 8
	switch w := a.W(); {
	case titled && w >= outRate+rate:
	case w >= 41:
		in, inRate, out, outRate = 9, 17, 25, 33
	case w >= 38:
		in, inRate, out, outRate = 9, 16, 24, 31
		count, rate = 7, 7
	default:
		in, out = 9, 17
		gauge = nil
	}
	mix := outRate + rate + 3
	wide := a.W() >= mix+10
	if titled {
		a.Text(0, 0, "OP NAME", muted)
		a.Right(in, 0, count, "IN", muted)
		a.Right(out, 0, count, "OUT", muted)
		if gauge != nil {
			a.Right(inRate, 0, rate, "RATE", muted)
			a.Right(outRate, 0, rate, "RATE", muted)
		}
		if wide {
			a.Text(mix, 0, "MIX (out)", muted)
		}
	}
	first := 0
	if titled {
		first = 1
	}
	total := c.Out.Total()
	known := f.Counted()
	for i, op := range opcodes {
		y := first + i
		a.Text(0, y, op.code, muted)
		a.Text(3, y, op.name, fg)
		if !known {
			continue
		}
		p.buf = format.AppendCount(p.buf[:0], op.count(&c.In))
		a.RightBytes(in, y, count, p.buf, fg)
		p.buf = format.AppendCount(p.buf[:0], op.count(&c.Out))
		a.RightBytes(out, y, count, p.buf, fg)
		if gauge != nil && gauge.Known {
			p.buf = perSecond(p.buf[:0], op.rate(&gauge.FramesIn))
			a.RightBytes(inRate, y, rate, p.buf, muted)
			p.buf = perSecond(p.buf[:0], op.rate(&gauge.FramesOut))
			a.RightBytes(outRate, y, rate, p.buf, muted)
		}
		if wide && total > 0 {
			graph.Bar(a, mix, y, min(a.W()-mix, 16), f.Glyphs, float64(op.count(&c.Out))/float64(total), canvas.Of(themes.GraphOut))
		}
	}
	return first + len(opcodes)
}

// perSecond appends a rate with its unit; nothing if it is not known.
func perSecond(b []byte, v float64) []byte {
	n := len(b)
	if b = format.AppendRate(b, v); len(b) > n {
		b = append(b, "/s"...)
	}
	return b
}
