package requests

import (
	"context"

	"adit/engine"
	"adit/engine/filter"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// clausesMost bounds how many clauses are counted.
const clausesMost = 16

// narrow finds which clause of a filter that selects nothing excludes most.
type narrow struct {
	l            *List
	scope, text  string
	from, length int // where the clause stands in text, bytes; 0, 0: not known
	ran          bool
}

func (n *narrow) Fetch(ctx context.Context, s pane.Source) {
	n.ran = true
	f, err := filter.Parse(filter.Requests, n.text)
	if err != nil {
		return
	}
	clauses := f.Clauses()
	if len(clauses) < 2 || len(clauses) > clausesMost {
		return
	}
	var page engine.RequestPage
	counts := make([]int, 0, len(clauses))
	for _, c := range clauses {
		q := engine.RequestQuery{Filter: combine(n.scope, c.String()), Count: 1}
		if s.Log.Requests(ctx, q, &page) != nil {
			return
		}
		counts = append(counts, page.Matched)
	}
	c := clauses[filter.Narrowest(counts)]
	n.from, n.length = c.Column, c.Length
}

func (n *narrow) Deliver(*pane.Frame) {
	if n.ran {
		n.l.narrow = *n
	}
}

// wantNarrow appends what has to be counted of a filter that selects nothing:
// once for each filter.
func (l *List) wantNarrow(wants []pane.Want) []pane.Want {
	if l.filter == "" || l.page == nil || l.page.Matched > 0 || l.asked != l.combined ||
		l.narrow.ran && l.narrow.text == l.filter && l.narrow.scope == l.o.Scope {
		return wants
	}
	return append(wants, &narrow{l: l, scope: l.o.Scope, text: l.filter})
}

// drawFilter draws the filter that selects nothing, the clause that excludes
// most underlined.
func (l *List) drawFilter(a canvas.Area, y int, f *pane.Frame) {
	muted := canvas.Of(themes.Muted)
	n := &l.narrow
	room := max(a.W()-gutter-1, 0)
	if n.text != l.filter || n.length == 0 || n.from < 0 || n.from+n.length > len(l.filter) || canvas.Width(l.filter) > room {
		a.Cut(gutter, y, room, l.filter, f.Glyphs.Cut, muted)
		return
	}
	x := a.Text(gutter, y, l.filter[:n.from], muted)
	x = a.Text(x, y, l.filter[n.from:n.from+n.length], canvas.Of(themes.Warn)|canvas.Underline)
	a.Text(x, y, l.filter[n.from+n.length:], muted)
	a.Cut(gutter, y+1, room, l.filter[n.from:n.from+n.length]+" excludes most", f.Glyphs.Cut, muted)
}
