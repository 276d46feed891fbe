// Package table is a table of any number of rows of which only those that can be
// seen are asked for. Its cursor stays on what it is on, by key, however rows
// come, go and move.
package table

import (
	"time"

	"adit/themes"
	"adit/tui/canvas"
)

// A Source has the rows of a table. It may know only some of them: a key that is
// the zero value means that the row is not at hand.
type Source[K comparable] interface {
	Len() int
	Key(row int) K
	Index(key K) int // -1 if it is not at hand, or gone
	Kind(row int) Kind
	// Cell draws one cell; columns count as they were given to New. A Whole row is drawn once, with column -1.
	Cell(row, column int, c Cell)
}

// A Kind says what a row is beside its cells.
type Kind uint8

// Kinds, combined by OR.
const (
	Failed Kind = 1 << iota // has the mark for it where neither cursor nor mark stands
	Muted                   // everything in it is muted
	Whole                   // is one text across all columns
)

// A Cell is where one value is drawn.
type Cell struct {
	canvas.Area        // one row high
	Buffer      []byte // empty, to format into; the table's
	right       bool
	cut         string
	muted       bool
}

// Put draws a text as the column is aligned, cut if it is too long.
func (c Cell) Put(s string, style canvas.Style) {
	if c.right {
		c.Right(0, 0, c.W(), s, c.style(style))
		return
	}
	c.Cut(0, 0, c.W(), s, c.cut, c.style(style))
}

// PutBytes is Put for a number formatted into Buffer.
func (c Cell) PutBytes(b []byte, style canvas.Style) {
	if c.right {
		c.RightBytes(0, 0, c.W(), b, c.style(style))
		return
	}
	c.Bytes(0, 0, b, c.style(style))
}

func (c Cell) style(s canvas.Style) canvas.Style {
	if c.muted {
		return s.As(themes.Muted)
	}
	return s
}

// HoldOrder is how long after a key press rows had better stay where they are.
const HoldOrder = 2 * time.Second

// MaxMarks is how many rows can be marked.
const MaxMarks = 10_000

// A Table is the state of one table on the screen.
type Table[K comparable] struct {
	// Follow keeps the cursor on the first row, which is the newest; moving
	// away ends it.
	Follow bool

	name       string // for what is remembered
	columns    []Column
	margin     int // cells left of the columns
	sort       string
	descending bool

	cursor  int
	key     K
	offset  int // of the first row drawn
	skip    int // columns scrolled
	marks   map[K]struct{}
	anchor  K // where a range of marks begins, if ranging
	ranging bool
	touched time.Time

	page   int // rows drawn by the last Draw
	drawn  canvas.Rect
	placed []placed
	buffer [96]byte
}

// New returns a table. The name is that of what is remembered of it. Margin is
// 3, or 2 where room is short: of its cells the last but one has the marks.
func New[K comparable](name string, margin int, columns ...Column) *Table[K] {
	for i := range columns {
		columns[i].id = i
	}
	return &Table[K]{name: name, margin: max(margin, 2), columns: columns, marks: map[K]struct{}{}, page: 1}
}

// Cursor returns where the cursor is; row is -1 if there are no rows. The key is
// the zero value if that row is not at hand.
func (t *Table[K]) Cursor(s Source[K]) (row int, key K) {
	t.Sync(s)
	if s.Len() == 0 {
		return -1, key
	}
	return t.cursor, t.key
}

// Focus returns the key that the cursor keeps to, at hand or not.
func (t *Table[K]) Focus() K { return t.key }

// SetFocus puts the cursor on a key, wherever that turns out to be.
func (t *Table[K]) SetFocus(key K, s Source[K]) {
	t.Follow = false
	t.key = key
	if i := s.Index(key); i >= 0 {
		t.cursor = i
	}
}

// Offset returns the first row drawn and how many there is room for: what a
// source needs at hand.
func (t *Table[K]) Offset() (first, rows int) { return t.offset, t.page }

// Held reports whether a key was pressed so lately that rows had better not
// change places.
func (t *Table[K]) Held(now time.Time) bool {
	d := now.Sub(t.touched)
	return d >= 0 && d < HoldOrder
}

// Sync makes cursor and offset fit the rows there are now. Draw does it too.
func (t *Table[K]) Sync(s Source[K]) {
	var none K
	n := s.Len()
	if n == 0 {
		t.cursor, t.offset = 0, 0
		return
	}
	if t.Follow {
		t.cursor, t.offset = 0, 0
		t.key = s.Key(0)
		return
	}
	if t.key != none {
		if i := s.Index(t.key); i >= 0 {
			// The row stays where it is on the screen, the others move.
			t.offset += i - t.cursor
			t.cursor = i
		}
	}
	t.cursor = min(max(t.cursor, 0), n-1)
	if key := s.Key(t.cursor); key != none {
		t.key = key
	}
	t.show(n)
}

// show moves the offset until the cursor is seen and the last page is full.
func (t *Table[K]) show(n int) {
	t.offset = min(t.offset, t.cursor, n-t.page)
	t.offset = max(t.offset, t.cursor-t.page+1, 0)
}

// Look is how a table is drawn.
type Look struct {
	Glyphs  *themes.Glyphs
	Focused bool // the selected row has its background
	Bare    bool // without the header
}

// Draw draws header and rows.
func (t *Table[K]) Draw(a canvas.Area, s Source[K], look Look) {
	w, h := a.Size()
	header := 1
	if look.Bare {
		header = 0
	}
	t.drawn = a.Bounds()
	t.drawn.Y -= 1 - header
	t.drawn.H += 1 - header
	t.page = max(1, h-header)
	t.Sync(s)
	t.place(w)
	if !look.Bare {
		t.header(a, look.Glyphs)
	}
	low, high := t.span(s)
	for y := header; y < h; y++ {
		row := t.offset + y - header
		if row >= s.Len() {
			break
		}
		t.row(a.Sub(0, y, w, 1), s, row, row >= low && row <= high, look)
	}
}

func (t *Table[K]) header(a canvas.Area, g *themes.Glyphs) {
	style := canvas.Of(themes.Muted)
	for _, p := range t.placed {
		c := &t.columns[p.index]
		title, mark := c.Title, ""
		if c.Name == t.sort && c.Sortable {
			mark = g.Ascending
			if t.descending {
				mark = g.Descending
			}
		}
		n := canvas.Width(title) + canvas.Width(mark)
		x := p.x
		if mark != "" && n == p.w+1 {
			// The mark stands in the gap: a cut title is worse.
			a.Text(x, 0, title, style)
			a.Text(x+p.w, 0, mark, canvas.Of(themes.Accent))
			continue
		}
		n = min(n, p.w)
		if c.Right {
			x += p.w - n
		}
		x = a.Cut(x, 0, n-canvas.Width(mark), title, g.Cut, style)
		a.Text(x, 0, mark, canvas.Of(themes.Accent))
	}
}

func (t *Table[K]) row(a canvas.Area, s Source[K], row int, ranged bool, look Look) {
	kind, g := s.Kind(row), look.Glyphs
	_, marked := t.marks[s.Key(row)]
	marked = marked || ranged
	selected := row == t.cursor
	if selected && look.Focused {
		a = a.With(canvas.Selected)
		a.Fill(0)
	}
	at := t.margin - 2
	if selected {
		a.Text(at, 0, g.Selected, canvas.Of(themes.Accent))
		at-- // what else there is to say, if there is room
	}
	switch {
	case at < 0:
	case marked:
		a.Text(at, 0, g.Marked, canvas.Of(themes.Mark))
	case kind&Failed != 0:
		a.Text(at, 0, g.Failed, canvas.Of(themes.Err))
	}
	cell := Cell{Buffer: t.buffer[:0], cut: g.Cut, muted: kind&Muted != 0}
	if kind&Whole != 0 {
		cell.Area = a.Sub(t.margin, 0, a.W()-t.margin, 1)
		s.Cell(row, -1, cell)
		return
	}
	for _, p := range t.placed {
		cell.Area, cell.right = a.Sub(p.x, 0, p.w, 1), t.columns[p.index].Right
		s.Cell(row, t.columns[p.index].id, cell)
	}
}
