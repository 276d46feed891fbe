// Package graph draws values over time: areas of dots, lines of blocks, bars.
// Values come oldest first; one below 0 is not known, and its place stays empty,
// while one of 0 stands on the ground line. Nothing here allocates.
package graph

import (
	"math"
	"strconv"

	"adit/themes"
	"adit/tui/canvas"
)

// Fill draws values over all of a, the newest at the right: top is the value
// that reaches the upper edge, 0 the largest there is.
func Fill(a canvas.Area, g *themes.Glyphs, values []float32, top float64, style canvas.Style) {
	w, h := a.Size()
	if w <= 0 || h <= 0 || len(values) == 0 {
		return
	}
	if top <= 0 {
		top = Largest(values)
	}
	if g.Braille {
		for x := range w {
			left := height(values, 2*x, 2*w, 4*h, top)
			right := height(values, 2*x+1, 2*w, 4*h, top)
			for y := range h {
				below := 4 * (h - 1 - y)
				if dots := columns(left-below, right-below); dots != 0 {
					a.Rune(x, y, 0x2800+dots, style)
				}
			}
		}
		return
	}
	n := len(g.Bars)
	for x := range w {
		up := height(values, x, w, n*h, top)
		for y := range h {
			if part := min(up-n*(h-1-y), n); part > 0 {
				a.Text(x, y, g.Bars[part-1], style)
			}
		}
	}
}

// columns returns the dots of a braille cell that is filled from below so far.
func columns(left, right int) rune {
	const lefts, rights = "\x00\x40\x44\x46\x47", "\x00\x80\xa0\xb0\xb8"
	return rune(lefts[min(max(left, 0), 4)]) | rune(rights[min(max(right, 0), 4)])
}

// height returns how many of full steps the x-th of w columns is high: 0 where
// nothing is known.
func height(values []float32, x, w, full int, top float64) int {
	v := sample(values, x, w)
	if v < 0 {
		return 0
	}
	if top <= 0 {
		return 1
	}
	return min(max(int(math.Round(float64(v)/top*float64(full))), 1), full)
}

// sample returns the value for the x-th of w columns: the largest of those that
// fall on it, so that no peak is lost.
func sample(values []float32, x, w int) float32 {
	n := len(values)
	from, to := x*n/w, (x+1)*n/w
	v := values[from]
	for i := from + 1; i < to; i++ {
		v = max(v, values[i])
	}
	if v != v { // NaN
		return -1
	}
	return v
}

// Spark draws values as one line of w blocks.
func Spark(a canvas.Area, x, y, w int, g *themes.Glyphs, values []float32, top float64, style canvas.Style) {
	if len(values) == 0 {
		return
	}
	if top <= 0 {
		top = Largest(values)
	}
	for i := range max(w, 0) {
		if up := height(values, i, w, len(g.Bars), top); up > 0 {
			a.Text(x+i, y, g.Bars[up-1], style)
		}
	}
}

// Bar draws a share of 0 to 1 as a bar of up to w cells; more than nothing is at
// least one.
func Bar(a canvas.Area, x, y, w int, g *themes.Glyphs, share float64, style canvas.Style) {
	if !(share > 0) || w <= 0 {
		return
	}
	a.Repeat(x, y, max(1, int(math.Round(min(share, 1)*float64(w)))), g.Block, style)
}

// Span draws the part of a bar of w cells from one share to another, both 0 to 1:
// for waterfalls, where one part begins in the cell after the last one's. It takes
// at least one cell.
func Span(a canvas.Area, x, y, w int, g *themes.Glyphs, from, to float64, style canvas.Style) {
	if w <= 0 || !(from <= to) {
		return
	}
	first := min(int(max(from, 0)*float64(w)), w-1)
	last := max(first+1, int(min(to, 1)*float64(w)))
	a.Repeat(x+first, y, last-first, g.Block, style)
}

// Largest returns the largest value, 0 if none is known.
func Largest(values []float32) float64 {
	top := float32(0)
	for _, v := range values {
		top = max(top, v)
	}
	if top != top || math.IsInf(float64(top), 0) {
		return 0
	}
	return float64(top)
}

// NiceBytes returns a value for the upper edge that is at least v and changes
// seldom: 14M, 16M, 20M, 24M, 28M, 32M. It is at least 1K.
func NiceBytes(v float64) float64 {
	unit := 1024.0
	for unit*1024 < v && unit < 1e17 {
		unit *= 1024
	}
	for top := unit; ; top *= 2 {
		if top >= v || top > 1e18 {
			return top
		}
		for quarter := 5.0; quarter < 8; quarter++ {
			// Only what a label can say without a fraction.
			if n := top / unit * quarter / 4; top/4*quarter >= v && n == math.Trunc(n) {
				return top / 4 * quarter
			}
		}
	}
}

// Nice is NiceBytes for what is counted by tens: 1, 2, 5, 10, 20, 50.
func Nice(v float64) float64 {
	top := 1.0
	for top < v && top < 1e18 {
		for _, step := range [...]float64{2, 5} {
			if top*step >= v {
				return top * step
			}
		}
		top *= 10
	}
	return top
}

// AppendBytes appends a value of NiceBytes: "96M", "1.5K", "1G".
func AppendBytes(b []byte, v float64) []byte {
	unit := -1
	for v >= 1024 && unit < 5 {
		v /= 1024
		unit++
	}
	digits := 0
	if v != math.Trunc(v) {
		digits = 1
	}
	b = strconv.AppendFloat(b, v, 'f', digits, 64)
	if unit < 0 {
		return append(b, 'B')
	}
	return append(b, "KMGTPE"[unit])
}
