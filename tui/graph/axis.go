package graph

import (
	"strconv"
	"time"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
)

// Scale draws a vertical axis at the left: a label of at most w cells at its
// upper end, the line beside it. It returns what is left for the values. With
// tick a mark leads from the label to the line.
func Scale(a canvas.Area, g *themes.Glyphs, w int, label []byte, tick bool) canvas.Area {
	line := canvas.Of(themes.Border)
	a.RightBytes(0, 0, w, label, canvas.Of(themes.Muted))
	for y := range a.H() {
		mark := g.Axis.Vertical
		if y == 0 && tick {
			mark = g.Axis.Tick
		}
		a.Text(w+1, y, mark, line)
	}
	return a.Sub(w+2, 0, a.W()-w-2, a.H())
}

// Time draws the axis below values that go back so long: the corner stands below
// the line of [Scale] with labels of w cells. It takes row y.
func Time(a canvas.Area, y int, g *themes.Glyphs, w int, long time.Duration) {
	line, text := canvas.Of(themes.Border), canvas.Of(themes.Muted)
	a.Text(w+1, y, g.Axis.Corner, line)
	a = a.Sub(w+2, y, a.W()-w-2, 1)
	n := a.W()
	a.Repeat(0, 0, n, g.Axis.Horizontal, line)
	if n >= 16 {
		a.Text(n/4, 0, g.Axis.Mark, line)
		a.Text(n*3/4, 0, g.Axis.Mark, line)
	}
	var buffer [16]byte
	ago := func(d time.Duration) []byte {
		b := append(buffer[:0], '-')
		if d <= 2*time.Minute {
			return append(strconv.AppendInt(b, int64(d/time.Second), 10), 's')
		}
		return format.AppendAge(b, d)
	}
	if n >= 12 {
		a.Bytes(0, 0, ago(long), text)
	}
	if n >= 24 {
		half := ago(long / 2)
		a.Bytes(n/2-len(half)/2, 0, half, text)
	}
	a.Right(0, 0, n, "now", text)
}
