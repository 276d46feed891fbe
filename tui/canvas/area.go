package canvas

import (
	"unicode/utf8"

	"adit/themes"
)

// An Area is a rectangle of a canvas that can be drawn on, by coordinates of its
// own. What would fall outside is cut. The zero Area takes everything and draws
// nothing.
type Area struct {
	c    *Canvas
	at   Rect  // in cells of the canvas
	clip Rect  // in cells of the canvas, inside of it
	add  Style // attributes of everything that is drawn
}

// Size returns width and height.
func (a Area) Size() (w, h int) { return a.at.W, a.at.H }

// W and H return the width and the height.
func (a Area) W() int { return a.at.W }
func (a Area) H() int { return a.at.H }

// Bounds returns where the area lies on the canvas: for the mouse.
func (a Area) Bounds() Rect { return a.at }

// Sub returns a part of the area. What of it lies outside is never drawn.
func (a Area) Sub(x, y, w, h int) Area {
	a.at = Rect{a.at.X + x, a.at.Y + y, max(w, 0), max(h, 0)}
	a.clip = a.clip.intersect(a.at)
	return a
}

// With returns the area with attributes that all that is drawn on it gets.
func (a Area) With(attributes Style) Area {
	a.add |= attributes &^ roleMask
	return a
}

// Text draws s from (x, y) on and returns the column after it. Bytes of s that
// are no printable character, or could move the cursor, change direction or
// join with a neighbour, are drawn as visible stand-ins.
func (a Area) Text(x, y int, s string, style Style) int { return draw(a, x, y, s, style) }

// Bytes is Text for bytes that are not kept: numbers formatted into a buffer. Of
// more than 32 bytes it makes a copy.
func (a Area) Bytes(x, y int, s []byte, style Style) int { return draw(a, x, y, string(s), style) }

func draw(a Area, x, y int, s string, style Style) int {
	if a.c == nil || y < 0 || y >= a.at.H {
		return x + Width(s)
	}
	for i := 0; i < len(s); {
		n := 0
		for i+n < len(s) && s[i+n] >= ' ' && s[i+n] < 0x7f {
			n++
		}
		if n > 0 {
			ascii(a, x, y, s[i:i+n], style)
			i += n
			x += n
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		x = a.rune(x, y, r, style)
		i += size
	}
	return x
}

// ascii draws what takes one cell a byte.
func ascii(a Area, x, y int, s string, style Style) {
	x, y = x+a.at.X, y+a.at.Y
	if y < a.clip.Y || y >= a.clip.Y+a.clip.H {
		return
	}
	from, to := max(x, a.clip.X), min(x+len(s), a.clip.X+a.clip.W)
	if from >= to {
		return
	}
	row := a.c.cells[y*a.c.w : (y+1)*a.c.w]
	a.c.set(row, from, cell{' ', 0})
	a.c.set(row, to-1, cell{' ', 0})
	style |= a.add
	for i := from; i < to; i++ {
		row[i] = cell{rune(s[i-x]), style}
	}
}

func (a Area) rune(x, y int, r rune, style Style) int {
	r, w := glyph(r)
	if a.c.ascii && r >= 0x80 {
		for i := range w {
			a.c.put(a.at.X+x+i, a.at.Y+y, '?', 1, style|a.add, a.clip)
		}
		return x + w
	}
	a.c.put(a.at.X+x, a.at.Y+y, r, w, style|a.add, a.clip)
	return x + w
}

// Cut is Text in at most w cells; what is longer ends in cut. It returns the
// column after what was drawn.
func (a Area) Cut(x, y, w int, s, cut string, style Style) int {
	// No character takes more cells than it has bytes, but for what is not UTF-8.
	if len(s) <= w || Width(s) <= w {
		return a.part(x, y, w, s, style)
	}
	room := w - Width(cut)
	if room < 0 {
		return a.part(x, y, w, cut, style)
	}
	return a.Text(a.part(x, y, room, s, style), y, cut, style)
}

// part draws the characters of s that fit into w cells.
func (a Area) part(x, y, w int, s string, style Style) int {
	used := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		_, rw := glyph(r)
		if used+rw > w {
			return a.Text(x, y, s[:i], style)
		}
		used += rw
		i += n
	}
	return a.Text(x, y, s, style)
}

// Right draws s so that it ends before column x+w. What is longer is cut at its
// left, where a mark says so: a number without its first digits is another one.
func (a Area) Right(x, y, w int, s string, style Style) { right(a, x, y, w, s, style) }

// RightBytes is Right for bytes that are not kept.
func (a Area) RightBytes(x, y, w int, s []byte, style Style) {
	right(a, x, y, w, string(s), style)
}

func right(a Area, x, y, w int, s string, style Style) {
	have := Width(s)
	if have <= w {
		draw(a, x+w-have, y, s, style)
		return
	}
	if w <= 0 {
		return
	}
	draw(a.Sub(x, 0, w, a.at.H), w-have, y, s, style)
	mark := '…'
	if a.c != nil && a.c.ascii {
		mark = '~'
	}
	a.Rune(x, y, mark, style)
}

// Rune draws one character and returns the column after it.
func (a Area) Rune(x, y int, r rune, style Style) int {
	if a.c == nil || y < 0 || y >= a.at.H {
		_, w := glyph(r)
		return x + w
	}
	return a.rune(x, y, r, style)
}

// Repeat draws the first character of s, which takes one cell, w times.
func (a Area) Repeat(x, y, w int, s string, style Style) {
	r, _ := utf8.DecodeRuneInString(s)
	for i := range max(w, 0) {
		a.Rune(x+i, y, r, style)
	}
}

// Fill makes all cells of the area spaces of a style.
func (a Area) Fill(style Style) {
	if a.clip.W == 0 {
		return
	}
	to := cell{' ', style | a.add}
	for y := a.clip.Y; y < a.clip.Y+a.clip.H; y++ {
		row := a.c.cells[y*a.c.w : (y+1)*a.c.w]
		a.c.set(row, a.clip.X, to)
		a.c.set(row, a.clip.X+a.clip.W-1, to)
		row = row[a.clip.X : a.clip.X+a.clip.W]
		for x := range row {
			row[x] = to
		}
	}
}

// Restyle gives the cells of one row in [x, x+w) another style, or adds
// attributes: f gets the old one.
func (a Area) Restyle(x, y, w int, f func(Style) Style) {
	row := Rect{a.at.X + x, a.at.Y + y, max(w, 0), 1}.intersect(a.clip)
	if row.H == 0 || row.W == 0 {
		return
	}
	from := row.Y*a.c.w + row.X
	for i := from; i < from+row.W; i++ {
		a.c.cells[i].style = f(a.c.cells[i].style)
	}
}

// Select gives a row the look of a selected one, over all that was drawn on it.
func (a Area) Select(y int) {
	a.Restyle(0, y, a.W(), func(s Style) Style { return s | Selected })
}

// A Box is a frame with texts in its lines. A text that does not fit is cut, the
// right one before the title.
type Box struct {
	Title, Right, Foot string
	Focused            bool
	Glyphs             *themes.Glyphs
	Overlay            bool
}

// Box draws a frame around the area, with a title in its top line at the left,
// others at the right of the top and bottom lines, and returns the area inside.
// An overlay's area is emptied first and keeps the background of one.
func (a Area) Box(b Box) Area {
	if b.Overlay {
		a = a.With(Overlay)
		a.Fill(0)
	}
	w, h := a.Size()
	if w < 2 || h < 2 {
		return a.Sub(0, 0, 0, 0)
	}
	f, line := &b.Glyphs.Normal, Of(themes.Border)
	if b.Focused {
		f, line = &b.Glyphs.Focused, Of(themes.BorderFocus)
	}
	a.Text(0, 0, f.TopLeft, line)
	a.Repeat(1, 0, w-2, f.Top, line)
	a.Text(w-1, 0, f.TopRight, line)
	for y := 1; y < h-1; y++ {
		a.Text(0, y, f.Left, line)
		a.Text(w-1, y, f.Right, line)
	}
	a.Text(0, h-1, f.BottomLeft, line)
	a.Repeat(1, h-1, w-2, f.Bottom, line)
	a.Text(w-1, h-1, f.BottomRight, line)

	free := w - 4 // between one cell of line at each end
	title := 0
	if b.Title != "" && free > 2 {
		title = min(Width(b.Title), free-2)
		a.label(2, 0, title, b.Title, b.Glyphs.Cut, Of(themes.Title))
		title += 3 // its spaces, and one cell of line after it
	}
	a.atRight(0, free-title, b.Right, b.Glyphs.Cut)
	a.atRight(h-1, free, b.Foot, b.Glyphs.Cut)
	return a.Sub(1, 1, w-2, h-2)
}

// atRight draws a text with its spaces at the right of a line, where room cells
// are free. A few letters of a text say nothing: then there is none.
func (a Area) atRight(y, room int, s, cut string) {
	n := min(Width(s), room-2)
	if n < 1 || n < 4 && n < Width(s) {
		return
	}
	a.label(a.at.W-4-n, y, n, s, cut, Of(themes.Muted))
}

func (a Area) label(x, y, w int, s, cut string, style Style) {
	a.Rune(x, y, ' ', style)
	end := a.Cut(x+1, y, w, s, cut, style)
	a.Repeat(end, y, x+w+2-end, " ", style)
}
