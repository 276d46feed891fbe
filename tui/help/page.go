package help

import (
	"slices"
	"strconv"
	"strings"

	"adit/engine/filter"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// leastColumn is the width of a column of keys that is worth another one.
const (
	leastColumn = 36
	mostColumns = 3
)

// drawKeys draws the groups in as many columns as there is room for, each where
// the least stands above it; all columns scroll together.
func (h *Help) drawKeys(a canvas.Area, f *pane.Frame) {
	n := max(min((a.W()+2)/leastColumn, mostColumns), 1)
	w := a.W() / n
	if len(h.groups) == 0 {
		h.rows, h.tall = a.H(), 1
		a.Cut(0, 0, a.W(), "no key for "+strconv.Quote(h.search.Text()), f.Glyphs.Cut, canvas.Of(themes.Muted))
		return
	}
	h.tall = h.layout(n, nil)
	a = h.fit(a, f)
	h.layout(n, func(g *group, column, row int) {
		drawGroup(a.Sub(column*w, 0, w, a.H()), g, row-h.from, f)
	})
}

// layout calls put, if it is not nil, for each group with its column and first row and returns the
// rows of the tallest column.
func (h *Help) layout(n int, put func(g *group, column, row int)) int {
	var ends [mostColumns]int // the rows taken in each column
	for i := range h.groups {
		g := &h.groups[i]
		column := 0
		for c := 1; c < n; c++ {
			if ends[c] < ends[column] {
				column = c
			}
		}
		if ends[column] > 0 {
			ends[column]++ // a row between groups
		}
		if put != nil {
			put(g, column, ends[column])
		}
		ends[column] += len(g.lines) + 1
	}
	return max(ends[0], ends[1], ends[2])
}

func drawGroup(a canvas.Area, g *group, row int, f *pane.Frame) {
	if row >= a.H() || row+len(g.lines) < 0 {
		return
	}
	a.Cut(0, row, a.W()-1, g.title, f.Glyphs.Cut, canvas.Of(themes.Title)|canvas.Bold)
	for i := range g.lines {
		l := &g.lines[i]
		y := row + 1 + i
		if y < 0 || y >= a.H() {
			continue
		}
		x := a.Cut(0, y, a.W()-1, l.keys, f.Glyphs.Cut, canvas.Of(themes.Accent))
		x = max(x+1, keyWidth+1)
		a.Cut(x, y, a.W()-1-x, l.text, f.Glyphs.Cut, canvas.Of(themes.Fg))
	}
}

// fit returns the part of a for the page of h.tall rows. If that is less, the
// last row says what of the page is shown.
func (h *Help) fit(a canvas.Area, f *pane.Frame) canvas.Area {
	h.rows = a.H()
	if h.tall <= h.rows || h.rows < 3 {
		h.scroll(0)
		return a
	}
	h.rows--
	h.scroll(0)
	arrows := " "
	if h.from > 0 {
		arrows += f.Glyphs.Out
	}
	if h.from+h.rows < h.tall {
		arrows += f.Glyphs.In
	}
	a.Right(0, h.rows, a.W(), strconv.Itoa(h.from+1)+"-"+strconv.Itoa(h.from+h.rows)+" of "+strconv.Itoa(h.tall)+arrows,
		canvas.Of(themes.Muted))
	return a.Sub(0, 0, a.W(), h.rows)
}

// lines draws a page of text.
func (h *Help) lines(a canvas.Area, f *pane.Frame, lines []line) {
	h.tall = len(lines)
	a = h.fit(a, f)
	for y := range min(a.H(), len(lines)-h.from) {
		l := &lines[h.from+y]
		x := 0
		if l.heading != "" {
			a.Cut(0, y, a.W(), l.heading, f.Glyphs.Cut, canvas.Of(themes.Title)|canvas.Bold)
		}
		if l.keys != "" {
			x = max(a.Cut(0, y, a.W(), l.keys, f.Glyphs.Cut, canvas.Of(themes.Accent))+1, keyWidth+1)
		}
		a.Cut(x, y, a.W()-x, l.text, f.Glyphs.Cut, canvas.Of(themes.Fg))
	}
}

// conflicts are the problems of the operator's files, each as long as it is.
func (h *Help) conflicts(w int, f *pane.Frame) []line {
	if h.told == nil || h.toldWidth != w || !slices.Equal(h.problems, f.Problems) {
		h.problems, h.toldWidth = slices.Clone(f.Problems), w
		h.told = tell(w, f)
	}
	return h.told
}

func tell(w int, f *pane.Frame) []line {
	if len(f.Problems) == 0 {
		return []line{{text: "No conflicts: every key means what the file says, or its default."}}
	}
	var all []line
	for _, p := range f.Problems {
		for i, text := range canvas.Wrap(p.String(), w-2) {
			if i > 0 {
				text = "  " + text
			}
			all = append(all, line{text: text})
		}
	}
	return append(all, line{}, line{text: "`adit keys --check` says the same."})
}

// grammar is the language of filters on one page.
func grammar() []line {
	all := []line{
		{keys: "word", text: "in the path, the name or the message"},
		{keys: "field:value", text: "text contains it, a number equals it"},
		{keys: "a b", text: "both; a,b after a field: any of them"},
		{keys: "a OR b", text: "either; NOT a or -a: not; ( ) groups"},
		{keys: "/expr/ /expr/i", text: "a regular expression; i: whatever case"},
		{keys: "* ?", text: "in a value: any characters, one character"},
		{keys: "> >= < <= = !=", text: "before a value: dur:>200ms"},
		{keys: "a..b", text: "from a to b: status:500..504"},
		{keys: "A", text: "a capital letter minds capitals"},
	}
	for _, s := range []struct {
		title   string
		subject filter.Subject
	}{{"REQUESTS", filter.Requests}, {"CONNECTIONS", filter.Connections}, {"EVENTS", filter.Events}} {
		all = append(all, line{}, line{heading: s.title})
		for _, field := range filter.Fields(s.subject) {
			text := field.Help
			if field.Example != "" {
				text += ": " + field.Example
			}
			if strings.HasSuffix(field.Name, ".") {
				field.Name += "NAME"
			}
			all = append(all, line{keys: field.Name, text: text})
		}
	}
	return all
}
