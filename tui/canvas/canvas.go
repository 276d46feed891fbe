// Package canvas is a grid of cells that a frame is drawn on: text that can't
// leave its area, boxes, and one string of the whole for the terminal. A canvas
// is used again for every frame.
package canvas

import "adit/themes"

// A Rect is a rectangle of cells, relative to what it is a part of.
type Rect struct{ X, Y, W, H int }

// Contains reports whether the cell is inside.
func (r Rect) Contains(x, y int) bool { return x >= r.X && y >= r.Y && x < r.X+r.W && y < r.Y+r.H }

// A Style is a role of the theme with attributes.
type Style uint16

// Of returns the plain style of a role.
func Of(r themes.Role) Style { return Style(r) }

// Attributes, to be combined with a role by OR.
const (
	Bold Style = 1 << (iota + 8)
	Faint
	Underline
	Reverse
	Selected // on the background of a selected row, where every role becomes SelFg
	Overlay  // on the background of an overlay
)

// A cell is one column of one row; a wide character takes a second, empty one.
type cell struct {
	r     rune // 0: the second half of a wide one
	style Style
}

// A Canvas is the screen of one frame.
type Canvas struct {
	w, h  int
	cells []cell
}

// New returns a canvas without size.
func New() *Canvas { return new(Canvas) }

// Resize changes the size and clears.
func (c *Canvas) Resize(w, h int) {}

// Clear makes every cell a space in style Fg.
func (c *Canvas) Clear() {}

// Area returns the whole canvas.
func (c *Canvas) Area() Area { return Area{c, Rect{0, 0, c.w, c.h}, Rect{0, 0, c.w, c.h}} }

// Encode returns the canvas as one string for the terminal: rows joined by
// newlines, with as few style changes as possible.
func (c *Canvas) Encode(t *themes.Theme) string { return "" }

// Plain returns the text of the canvas, rows of exactly the canvas's width ended
// by newlines: for tests and for line mode.
func (c *Canvas) Plain() string { return "" }

// An Area is a rectangle of a canvas that can be drawn on, by coordinates of its
// own. What would fall outside is cut.
type Area struct {
	c    *Canvas
	at   Rect // in cells of the canvas
	clip Rect // in cells of the canvas
}

// Size returns width and height.
func (a Area) Size() (w, h int) { return a.at.W, a.at.H }

// W and H return the width and the height.
func (a Area) W() int { return a.at.W }
func (a Area) H() int { return a.at.H }

// Bounds returns where the area lies on the canvas: for the mouse.
func (a Area) Bounds() Rect { return a.at }

// Sub returns a part of the area.
func (a Area) Sub(x, y, w, h int) Area { return a }

// Text draws s from (x, y) on and returns the column after it. Bytes of s that
// are no printable character, or could move the cursor, change direction or
// join with a neighbour, are drawn as visible stand-ins.
func (a Area) Text(x, y int, s string, style Style) int { return x }

// Cut is Text in at most w cells; what is longer ends in cut. It returns the
// column after what was drawn.
func (a Area) Cut(x, y, w int, s, cut string, style Style) int { return x }

// Right draws s so that it ends before column x+w, cut at the left end of the
// cell range [x, x+w) if it is longer.
func (a Area) Right(x, y, w int, s string, style Style) {}

// Bytes is Text for bytes that are not kept: numbers formatted into a buffer.
func (a Area) Bytes(x, y int, s []byte, style Style) int { return x }

// RightBytes is Right for bytes that are not kept.
func (a Area) RightBytes(x, y, w int, s []byte, style Style) {}

// Rune draws one character and returns the column after it.
func (a Area) Rune(x, y int, r rune, style Style) int { return x }

// Fill makes all cells of the area spaces of a style.
func (a Area) Fill(style Style) {}

// Restyle gives the cells of one row in [x, x+w) another style, or adds
// attributes: f gets the old one.
func (a Area) Restyle(x, y, w int, f func(Style) Style) {}

// Box draws a frame around the area, with a title in its top line at the left,
// others at the right of the top and bottom lines, and returns the area inside.
func (a Area) Box(b Box) Area { return a }

// A Box is a frame with texts in its lines. A text that does not fit is cut, the
// right one before the title.
type Box struct {
	Title, Right, Foot string
	Focused            bool
	Glyphs             *themes.Glyphs
	Overlay            bool
}

// Width returns the cells that s takes.
func Width(s string) int { return len(s) }
