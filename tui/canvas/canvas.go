// Package canvas is a grid of cells that a frame is drawn on: text that can't
// leave its area, boxes, and one string of the whole for the terminal. A canvas
// is used again for every frame. Its widths are those that Bubble Tea's renderer
// computes, whichever way the terminal measures; what the ways disagree about,
// and what joins with a neighbour, is never drawn (see [Width]).
package canvas

import (
	"unicode/utf8"

	"adit/themes"
)

// A Rect is a rectangle of cells, relative to what it is a part of.
type Rect struct{ X, Y, W, H int }

// Contains reports whether the cell is inside.
func (r Rect) Contains(x, y int) bool { return x >= r.X && y >= r.Y && x < r.X+r.W && y < r.Y+r.H }

func (r Rect) intersect(o Rect) Rect {
	x, y := max(r.X, o.X), max(r.Y, o.Y)
	return Rect{x, y, max(0, min(r.X+r.W, o.X+o.W)-x), max(0, min(r.Y+r.H, o.Y+o.H)-y)}
}

// A Style is a role of the theme with attributes.
type Style uint16

// Of returns the plain style of a role.
func Of(r themes.Role) Style { return Style(r) }

// Role returns the role of a style, without its attributes.
func (s Style) Role() themes.Role { return themes.Role(s & roleMask) }

// As returns the style with another role and the same attributes.
func (s Style) As(r themes.Role) Style { return s&^roleMask | Style(r) }

const roleMask Style = 1<<8 - 1

// Attributes, to be combined with a role by OR.
const (
	Bold Style = 1 << (iota + 8)
	Faint
	Underline
	Reverse
	Selected // on the background of a selected row, where every role becomes SelFg
	Overlay  // on the background of an overlay
	styleEnd
)

// A cell is one column of one row; a wide character takes a second, empty one.
type cell struct {
	r     rune // 0: the second half of a wide one
	style Style
}

// A Canvas is the screen of one frame. It belongs to one goroutine.
type Canvas struct {
	w, h  int
	cells []cell
	ascii bool
	sgr   palette
	out   []byte
}

// New returns a canvas without size.
func New() *Canvas { return new(Canvas) }

// MaxCells is the largest canvas; what is larger is drawn as none at all.
const MaxCells = 1 << 20

// Resize changes the size and clears.
func (c *Canvas) Resize(w, h int) {
	if w < 0 || h < 0 || h > 0 && w > MaxCells/h {
		w, h = 0, 0
	}
	if n := w * h; cap(c.cells) < n {
		c.cells = make([]cell, n)
	} else {
		c.cells = c.cells[:n]
	}
	c.w, c.h = w, h
	c.Clear()
}

// Size returns width and height.
func (c *Canvas) Size() (w, h int) { return c.w, c.h }

// SetASCII makes the canvas draw a question mark in every cell of a character
// that is not ASCII: for terminals that could not show it.
func (c *Canvas) SetASCII(on bool) { c.ascii = on }

// Clear makes every cell a space in style Fg.
func (c *Canvas) Clear() {
	for i := range c.cells {
		c.cells[i] = cell{r: ' '}
	}
}

// Area returns the whole canvas.
func (c *Canvas) Area() Area {
	all := Rect{0, 0, c.w, c.h}
	return Area{c: c, at: all, clip: all}
}

// Plain returns the text of the canvas, rows of exactly the canvas's width ended
// by newlines: for tests and for line mode.
func (c *Canvas) Plain() string {
	out := make([]byte, 0, len(c.cells)+c.h)
	for y := range c.h {
		for _, cell := range c.cells[y*c.w : (y+1)*c.w] {
			if cell.r != 0 {
				out = utf8.AppendRune(out, cell.r)
			}
		}
		out = append(out, '\n')
	}
	return string(out)
}

// StyleAt returns the style of one cell: for tests. Outside it is Fg.
func (c *Canvas) StyleAt(x, y int) Style {
	if !(Rect{0, 0, c.w, c.h}).Contains(x, y) {
		return 0
	}
	return c.cells[y*c.w+x].style
}

// put draws a character of w cells, of which clip cuts what is outside. A half
// of a wide one is a space, as is what remains of one that is overwritten.
func (c *Canvas) put(x, y int, r rune, w int, style Style, clip Rect) {
	if clip.W == 0 || y < clip.Y || y >= clip.Y+clip.H || x+w <= clip.X || x >= clip.X+clip.W {
		return
	}
	row := c.cells[y*c.w : (y+1)*c.w]
	if w == 1 {
		c.set(row, x, cell{r, style})
		return
	}
	if x < clip.X || x+1 >= clip.X+clip.W {
		c.set(row, max(x, clip.X), cell{' ', style})
		return
	}
	c.set(row, x, cell{r, style})
	c.set(row, x+1, cell{' ', style})
	row[x+1].r = 0
	row[x].r = r
}

// set changes one cell and makes a space of the other half of a wide character
// that was there.
func (c *Canvas) set(row []cell, x int, to cell) {
	if row[x].r == 0 && x > 0 {
		row[x-1].r = ' '
	}
	if x+1 < len(row) && row[x+1].r == 0 {
		row[x+1].r = ' '
	}
	row[x] = to
}
