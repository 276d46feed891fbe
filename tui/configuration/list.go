package configuration

import (
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// A list is rows with a cursor.
type list struct {
	lines  []line
	cursor int
	top    int // first row that is drawn
	height int // rows of the last drawing
}

// names is how wide the column of names is.
const names = 14

func (l *list) selected() line {
	if l.cursor < len(l.lines) {
		return l.lines[l.cursor]
	}
	return line{}
}

// move moves the cursor over rows that say something.
func (l *list) move(by int) { l.put(l.cursor+by, by) }

// moveTo puts the cursor on a row of the last drawing.
func (l *list) moveTo(row int) {
	if row >= 0 && row < l.height {
		l.put(l.top+row, 1)
	}
}

func (l *list) put(at, direction int) {
	at = min(max(at, 0), len(l.lines)-1)
	step := 1
	if direction < 0 {
		step = -1
	}
	for _, step := range []int{step, -step} {
		for i := at; i >= 0 && i < len(l.lines); i += step {
			if k := l.lines[i].kind; k != blank && k != heading {
				l.cursor = i
				return
			}
		}
	}
}

// draw draws what fits, the cursor's row always.
func (l *list) draw(a canvas.Area, f *pane.Frame, focused bool) {
	w, h := a.Size()
	l.height = h
	l.put(l.cursor, 1)
	if l.cursor < l.top {
		l.top = l.cursor
		// A heading above the first row belongs to it.
		for l.top > 0 && l.lines[l.top-1].kind == heading {
			l.top--
		}
	}
	if l.cursor >= l.top+h {
		l.top = l.cursor - h + 1
	}
	l.top = max(0, min(l.top, len(l.lines)-h))
	for y := range min(h, len(l.lines)-l.top) {
		x := &l.lines[l.top+y]
		x.draw(a.Sub(0, y, w, 1), f)
		if focused && l.top+y == l.cursor {
			a.Text(0, y, f.Glyphs.Selected, canvas.Of(themes.Accent))
			a.Select(y)
		}
	}
}

// draw draws one row.
func (x *line) draw(a canvas.Area, f *pane.Frame) {
	w, cut := a.W(), f.Glyphs.Cut
	at := 2 + names + 1
	switch x.kind {
	case heading:
		a.Cut(1, 0, w-1, x.name, cut, canvas.Of(themes.Title)|canvas.Bold)
	case fact:
		a.Cut(2, 0, names, x.name, cut, canvas.Of(themes.Muted))
		if x.name == "" {
			at = 2
		}
		a.Cut(at, 0, w-at, x.value, cut, canvas.Of(themes.Fg))
	case setting:
		const source = 16
		wide := max(names, min(28, w-44)) // the longest name, where there is room
		at = 2 + wide + 1
		a.Cut(2, 0, wide, x.name, cut, canvas.Of(themes.Fg))
		value := x.value
		if value == "" {
			value = "-"
		}
		a.Cut(at, 0, w-at-source-2, value, cut, canvas.Of(themes.Fg))
		a.Cut(w-source-1, 0, source, kindOf(x.extra), cut, sourceStyle(x.extra))
	case warning:
		a.Text(0, 0, " "+f.Glyphs.Failed, canvas.Of(themes.Warn))
		a.Cut(3, 0, names-1, x.name, cut, canvas.Of(themes.Warn))
		a.Cut(at, 0, w-at, x.value, cut, canvas.Of(themes.Fg))
	case command:
		a.Cut(2, 0, w-2, x.value, cut, canvas.Of(themes.Fg))
	}
}
