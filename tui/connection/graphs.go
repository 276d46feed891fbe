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

func (p *Pen) sparkline(a canvas.Area, f *pane.Frame, h *observe.History, role themes.Role) {
	graph.Spark(a, 0, 0, min(a.W(), len(h.Values)), f.Glyphs, h.Values[:], 0, canvas.Of(role))
}

// rttLabel is the width of "410ms".
const rttLabel = 5

// rttGraph draws the newest samples that there is room for, one a column of dots.
func (p *Pen) rttGraph(a canvas.Area, f *pane.Frame, samples []float32, bare bool) {
	if !bare {
		width := 2 * (a.W() - rttLabel - 2)
		samples = samples[max(0, len(samples)-width):]
		switch most := graph.Largest(samples); {
		case most < 9.95:
			p.buf = append(format.AppendMillis(p.buf[:0], most), "ms"...)
		case most < 999.5:
			p.buf = append(format.AppendCount(p.buf[:0], uint64(most+0.5)), "ms"...)
		default: // "1 351ms" has no room
			p.buf = format.AppendDuration(p.buf[:0], time.Duration(float64(most)*float64(time.Millisecond)))
		}
		a = graph.Scale(a, f.Glyphs, rttLabel, p.buf, false)
	} else {
		samples = samples[max(0, len(samples)-2*a.W()):]
	}
	if len(samples) < a.W() { // each its own column, from the left on
		a = a.Sub(0, 0, len(samples), a.H())
	}
	graph.Fill(a, f.Glyphs, samples, 0, canvas.Of(themes.Info))
}

// sizeNames are the classes of [engine.FrameShape].Sizes.
func sizeNames(ascii bool) [4]string {
	if ascii {
		return [4]string{"<128B", "<1K", "<16K", ">=16K"}
	}
	return [4]string{"<128B", "<1K", "<16K", "≥16K"}
}

// histogram draws how large the frames with data of one direction are.
func (p *Pen) histogram(a canvas.Area, f *pane.Frame, way string, s *engine.FrameShape, role themes.Role) {
	muted := canvas.Of(themes.Muted)
	a.Text(0, 0, "sizes", muted)
	a.Text(6, 0, way, muted)
	total := uint64(0)
	for _, n := range s.Sizes {
		total += n
	}
	if total == 0 {
		a.Text(10, 0, "no frame with data yet", muted)
		return
	}
	each := (a.W() - 10) / len(s.Sizes)
	for i, name := range sizeNames(f.Glyphs.ASCII) {
		x := 10 + i*each
		a.Text(x, 0, name, muted)
		graph.Bar(a, x+6, 0, each-7, f.Glyphs, float64(s.Sizes[i])/float64(total), canvas.Of(role))
	}
}
