package requests

import (
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/graph"
	"adit/tui/pane"
)

// drawHistogram draws how many requests a second ended, and which share of them
// with what status.
func (s *Screen) drawHistogram(a canvas.Area, f *pane.Frame) {
	in := a.Box(canvas.Box{Title: "Requests/s by status", Right: "60s", Glyphs: f.Glyphs})
	if f.Meter == nil {
		return
	}
	total := f.Meter.Total()
	values := total.Rate.Values[:]
	top := graph.Nice(graph.Largest(values))
	w, h := in.Size()
	const axis = 7
	rows := h - 1
	s.text = format.AppendRate(s.text[:0], top)
	in.RightBytes(0, 0, axis-1, s.text, canvas.Of(themes.Muted))
	if rows > 1 {
		in.Right(0, rows-1, axis-1, "0", canvas.Of(themes.Muted))
	}
	graph.Fill(in.Sub(axis, 0, max(w-axis-1, 0), rows), f.Glyphs, values, top, canvas.Of(themes.GraphIn))
	sum := 0.0
	for _, v := range total.Statuses {
		sum += max(v, 0)
	}
	x := axis
	for class := 2; class <= 5; class++ {
		s.text = append(s.text[:0], '0'+byte(class), 'x', 'x', ' ')
		if sum > 0 {
			s.text = append(format.AppendShare(s.text, max(total.Statuses[class], 0)/sum), '%')
		} else {
			s.text = append(s.text, '-')
		}
		x = in.Bytes(x, h-1, s.text, exchange.StatusStyle(class*100)) + 3
	}
	if none := total.Statuses[0]; none > 0 {
		s.text = append(format.AppendRate(append(s.text[:0], "no status "...), none), "/s"...)
		in.Bytes(x, h-1, s.text, canvas.Of(themes.Muted))
	}
}
