// Package split is how a screen is shared among its panes: which one has the
// focus, whether it has the screen for itself, and where the line between two of
// them stands. It draws nothing.
package split

import (
	"strconv"

	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// Panes are those of one screen, numbered from 0 in the order of tab. The zero
// value has the focus on the first.
type Panes struct {
	// Name is the screen's name in pane.Memory.
	Name string

	rects  []canvas.Rect
	behind []bool // by pane: not drawn, and still to be reached by tab
	focus  int
	zoomed bool
	drag   bool        // the divider is being moved
	split  canvas.Rect // what the divider divides, of the last Draw
	first  int         // rows of split above the divider
}

// Begin forgets where the panes of the last frame were; n is how many there are.
func (p *Panes) Begin(n int) {
	p.rects, p.behind = p.rects[:0], p.behind[:0]
	for range n {
		p.rects, p.behind = append(p.rects, canvas.Rect{}), append(p.behind, false)
	}
	p.focus = min(p.focus, max(n-1, 0))
	p.split = canvas.Rect{}
}

// Put notes where a pane is drawn and reports whether it has the focus.
func (p *Panes) Put(n int, a canvas.Area) bool {
	p.rects[n] = a.Bounds()
	return n == p.focus
}

// Shown reports whether a pane was drawn.
func (p *Panes) Shown(n int) bool { return n < len(p.rects) && p.rects[n].W > 0 }

// Behind says that a pane has its place behind one that is drawn: tab brings it
// to the front.
func (p *Panes) Behind(n int) { p.behind[n] = true }

// Settle moves the focus to the first pane that is drawn, if the one that has it
// is not. It is called when all are put.
func (p *Panes) Settle() {
	if len(p.rects) > 0 && p.rects[p.focus].W == 0 {
		p.step(1)
	}
}

// Focus returns the pane that has it, SetFocus moves it.
func (p *Panes) Focus() int     { return p.focus }
func (p *Panes) SetFocus(n int) { p.focus = n }

// Zoomed reports whether the pane with the focus has the screen for itself.
func (p *Panes) Zoomed() bool { return p.zoomed }

// At returns the pane at a cell of the canvas, -1 if there is none.
func (p *Panes) At(x, y int) int {
	for n, r := range p.rects {
		if r.Contains(x, y) {
			return n
		}
	}
	return -1
}

func (p *Panes) step(way int) {
	for range p.rects {
		p.focus = (p.focus + way + len(p.rects)) % len(p.rects)
		if p.rects[p.focus].W > 0 || p.behind[p.focus] {
			return
		}
	}
}

// Do does what the keys of panes ask for.
func (p *Panes) Do(a keys.Action, f *pane.Frame) bool {
	switch a {
	case keys.PaneNext, keys.PanePrevious:
		way := 1
		if a == keys.PanePrevious {
			way = -1
		}
		if p.zoomed { // the others are not drawn, but they are there
			p.focus = (p.focus + way + len(p.rects)) % max(len(p.rects), 1)
			return true
		}
		p.step(way)
	case keys.PaneZoom:
		p.zoomed = !p.zoomed
	case keys.PaneGrow, keys.PaneShrink:
		by := 1
		if a == keys.PaneShrink {
			by = -1
		}
		if p.focus != 0 {
			by = -by
		}
		p.resize(f, p.first+by)
	default:
		return false
	}
	return true
}

// Unzoom gives the screen back to all panes and reports whether it was zoomed.
func (p *Panes) Unzoom() bool {
	was := p.zoomed
	p.zoomed = false
	return was
}

// Rows returns how many rows of a the first pane gets: what the operator chose
// for this class, else usual; at least least, and rest are left over.
func (p *Panes) Rows(a canvas.Area, f *pane.Frame, usual, least, rest int) int {
	rows := usual
	if f.Memory != nil {
		if permille, err := strconv.Atoi(f.Memory.Get(p.key(f))); err == nil && permille > 0 && permille < 1000 {
			rows = (a.H()*permille + 500) / 1000
		}
	}
	rows = max(min(rows, a.H()-rest), min(least, a.H()))
	p.split, p.first = a.Bounds(), rows
	return rows
}

func (p *Panes) key(f *pane.Frame) string {
	return p.Name + ".split." + f.Class.String()
}

func (p *Panes) resize(f *pane.Frame, rows int) {
	if f.Memory == nil || p.split.H == 0 || rows < 1 || rows >= p.split.H {
		return
	}
	f.Memory.Set(p.key(f), strconv.Itoa(rows*1000/p.split.H))
}

// Mouse moves the focus to the pane under the pointer, and the divider with it.
// Taken is true if that was all there is to do.
func (p *Panes) Mouse(m pane.Mouse, f *pane.Frame) (taken bool) {
	switch m.Kind {
	case pane.Click:
		p.drag = p.split.H > 0 && p.split.Contains(m.X, m.Y) && m.Y == p.split.Y+p.first-1 && !p.zoomed
		if n := p.At(m.X, m.Y); n >= 0 {
			p.focus = n
		}
		return p.drag
	case pane.Drag:
		if p.drag {
			p.resize(f, m.Y-p.split.Y+1)
		}
		return p.drag
	case pane.Release:
		was := p.drag
		p.drag = false
		return was
	}
	return false
}
