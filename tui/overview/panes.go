package overview

import (
	"strconv"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/connection"
	"adit/tui/format"
	"adit/tui/graph"
	"adit/tui/pane"
)

// historyLong is how far the graphs go back.
const historyLong = time.Minute

func (s *Screen) drawThroughput(a canvas.Area, f *pane.Frame, focused bool) {
	total := f.Meter.Total()
	in, out := graph.Largest(total.In.Values[:]), graph.Largest(total.Out.Values[:])
	right := "60s"
	if f.Class == pane.Wide {
		b := append(s.buf[:0], "60s  peak "...)
		b = append(b, f.Glyphs.Out...)
		b = format.AppendByteFlow(b, out)
		b = append(append(b, ' '), f.Glyphs.In...)
		b = format.AppendByteFlow(b, in)
		s.buf = b
		right = string(b)
	}
	box := a.Box(canvas.Box{Title: "Throughput", Right: right, Focused: focused, Glyphs: f.Glyphs})
	box = box.Sub(1, 0, box.W()-2, box.H())
	w, h := box.Size()
	if h < 3 {
		return
	}
	upper := (h - 1) / 2
	label := 0
	for _, most := range [...]float64{in, out} {
		s.buf = graph.AppendBytes(s.buf[:0], graph.NiceBytes(most))
		label = max(label, len(s.buf)+2) // an arrow and a space before it
	}
	s.direction(box.Sub(0, 0, w, upper), f, f.Glyphs.Out, total.Out.Values[:], out, label, themes.GraphOut)
	s.direction(box.Sub(0, upper, w, h-1-upper), f, f.Glyphs.In, total.In.Values[:], in, label, themes.GraphIn)
	graph.Time(box, h-1, f.Glyphs, label, historyLong)
}

func (s *Screen) direction(a canvas.Area, f *pane.Frame, arrow string, values []float32, most float64, label int, role themes.Role) {
	top := graph.NiceBytes(most)
	b := append(s.buf[:0], arrow...)
	b = append(b, ' ')
	b = graph.AppendBytes(b, top)
	s.buf = b
	graph.Fill(graph.Scale(a, f.Glyphs, label, b, true), f.Glyphs, values, top, canvas.Of(role))
}

// drawStrip is throughput and frames in two lines.
func (s *Screen) drawStrip(a canvas.Area, f *pane.Frame, focused bool) {
	in := a.Box(canvas.Box{Title: "Throughput " + f.Glyphs.Dot + " Frames", Right: "60s", Focused: focused, Glyphs: f.Glyphs})
	in = in.Sub(1, 0, in.W()-2, in.H())
	total, muted, fg := f.Meter.Total(), canvas.Of(themes.Muted), canvas.Of(themes.Fg)
	half := in.W() / 2
	side := func(x int, arrow string, values []float32, rate float64, role themes.Role) {
		at := in.Sub(x, 0, half, 1)
		at.Text(0, 0, arrow, muted)
		graph.Spark(at, 2, 0, half-14, f.Glyphs, values, 0, canvas.Of(role))
		if s.buf = append(s.buf[:0], '?'); total.Known && f.Counted() {
			s.buf = format.AppendByteRate(s.buf[:0], rate)
		}
		at.RightBytes(half-12, 0, 9, s.buf, fg)
	}
	side(0, f.Glyphs.Out, total.Out.Values[:], total.BytesOut, themes.GraphOut)
	side(half, f.Glyphs.In, total.In.Values[:], total.BytesIn, themes.GraphIn)
	c := s.reset.Apply(s.counts(f))
	b := append(s.buf[:0], "op "...)
	for _, op := range [...]struct {
		code string
		n    uint64
	}{
		{" 0:", c.In.Continuation + c.Out.Continuation}, {" 1:", c.In.Text + c.Out.Text}, {" 2:", c.In.Binary + c.Out.Binary},
		{" 8:", c.In.Close + c.Out.Close}, {" 9:", c.In.Ping + c.Out.Ping}, {" 10:", c.In.Pong + c.Out.Pong},
	} {
		b = append(b, op.code...)
		b = format.AppendShort(b, op.n)
	}
	if total.Known && f.Counted() {
		b = append(b, "   in "...)
		b = format.AppendRate(b, framesPerSecond(&total.FramesIn))
		b = append(b, "/s out "...)
		b = format.AppendRate(b, framesPerSecond(&total.FramesOut))
		b = append(b, "/s"...)
	}
	s.buf = b
	in.Bytes(0, 1, s.buf, muted)
}

func framesPerSecond(r *observe.FrameRates) float64 {
	return r.Text + r.Binary + r.Continuation + r.Close + r.Ping + r.Pong
}

// counts returns the counters of all connections, those that are gone included;
// shapes are of the open ones.
func (s *Screen) counts(f *pane.Frame) connection.Counts {
	snap := f.Snapshot
	if !snap.Time.Equal(s.shapesOf) {
		s.shapesOf, s.shapes = snap.Time, shapes{}
		for i := range snap.Connections {
			s.shapes.in.Fragmented += snap.Connections[i].ShapeIn.Fragmented
			s.shapes.out.Fragmented += snap.Connections[i].ShapeOut.Fragmented
		}
	}
	t := &snap.Totals
	return connection.Counts{In: t.FramesIn, Out: t.FramesOut, BytesIn: t.BytesIn, BytesOut: t.BytesOut,
		ShapeIn: s.shapes.in, ShapeOut: s.shapes.out}
}

func (s *Screen) drawFrames(a canvas.Area, f *pane.Frame, focused bool) {
	counts := s.reset.Apply(s.counts(f))
	right := connection.Hint(f, keys.ResetCounters, "reset", keys.Connections)
	since := counts.Since
	if since.IsZero() && f.Class == pane.Wide {
		since = f.Snapshot.Started
	}
	if !since.IsZero() {
		b := append(s.buf[:0], "since "...)
		b = format.AppendTimeShort(b, since, f.UTC)
		if right != "" {
			b = append(append(append(b, ' '), f.Glyphs.Dot...), ' ')
			b = append(b, right...)
		}
		s.buf, right = b, string(b)
	}
	in := a.Box(canvas.Box{Title: "Frames by opcode", Right: right, Focused: focused, Glyphs: f.Glyphs})
	in = in.Sub(1, 0, in.W()-1, in.H())
	y := s.pen.OpcodeTable(in, f, &counts, f.Meter.Total(), true)
	if in.H()-y < 4 {
		s.drawCloses(in.Sub(0, y, in.W(), 1), f, true)
		return
	}
	s.pen.Volume(in.Sub(0, y+1, in.W(), 1), &counts)
	b := append(s.buf[:0], "protocol errors "...)
	b = format.AppendCount(b, violations(f.Snapshot.Closes))
	if counts.ShapeKnown(f) {
		b = append(b, "   fragmented msgs "...)
		b = format.AppendCount(b, counts.ShapeIn.Fragmented+counts.ShapeOut.Fragmented)
		b = append(b, " (open conns)"...)
	}
	s.buf = b
	in.Bytes(0, y+2, s.buf, canvas.Of(themes.Muted))
	s.drawCloses(in.Sub(0, y+3, in.W(), 1), f, false)
}

// drawCloses draws "close codes 1000×14 1001×5 1006×2   proto err 0". What does
// not fit of the codes is cut, the errors are not.
func (s *Screen) drawCloses(a canvas.Area, f *pane.Frame, errors bool) {
	style, times := canvas.Of(themes.Muted), "×"
	if f.Glyphs.ASCII {
		times = "x"
	}
	n := 0
	b := s.buf[:0]
	if errors {
		b = append(b, "  proto err "...)
		b = format.AppendCount(b, violations(f.Snapshot.Closes))
		n = len(b)
	}
	b = append(b, "close codes"...)
	for _, c := range f.Snapshot.Closes {
		b = append(b, ' ')
		if c.Code == 0 {
			b = append(b, "other"...)
		} else {
			b = strconv.AppendUint(b, uint64(c.Code), 10)
		}
		b = append(b, times...)
		b = format.AppendShort(b, c.Count)
	}
	if len(f.Snapshot.Closes) == 0 {
		b = append(b, " none"...)
	}
	s.buf = b
	at := a.Cut(0, 0, a.W()-n, string(b[n:]), f.Glyphs.Cut, style)
	a.Bytes(at, 0, b[:n], style)
}

func violations(closes []engine.CloseCount) uint64 {
	n := uint64(0)
	for _, c := range closes {
		if connection.Violation(c.Code) {
			n += c.Count
		}
	}
	return n
}
