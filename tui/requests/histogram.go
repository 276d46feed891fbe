package requests

import (
	"math"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
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
	most := float32(0)
	for _, v := range values {
		most = max(most, v)
	}
	w, h := in.Size()
	const axis = 7
	rows := h - 1
	s.text = format.AppendRate(s.text[:0], float64(most))
	in.RightBytes(0, 0, axis-1, s.text, canvas.Of(themes.Muted))
	if rows > 1 {
		in.Right(0, rows-1, axis-1, "0", canvas.Of(themes.Muted))
	}
	width := max(w-axis-1, 1)
	for x := range width {
		v := values[x*len(values)/width]
		if v < 0 || most == 0 {
			continue // nothing is known of that second
		}
		full := len(f.Glyphs.Bars)
		level := int(math.Ceil(float64(v/most) * float64(rows*full)))
		for y := range rows {
			here := min(level-(rows-1-y)*full, full)
			if here > 0 {
				in.Text(axis+x, y, f.Glyphs.Bars[here-1], canvas.Of(themes.GraphIn))
			}
		}
	}
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
