package connections

import (
	"slices"
	"strings"
	"time"

	"adit/engine"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// title is what the line above the rows says at its left.
func (t *Table) title(f *pane.Frame) string {
	b := append(t.buf[:0], "Connections"...)
	if t.list.of > 0 {
		b = append(b, ' ')
		if f.Class != pane.Compact || t.text != "" {
			b = append(b, ' ')
			b = format.AppendExact(b, uint64(t.list.matched))
			b = append(b, " of "...)
		}
		b = format.AppendExact(b, uint64(t.list.of))
	}
	if t.text != "" {
		b = append(b, "  / "...)
		b = append(b, t.text...)
	}
	t.buf = b
	return string(b)
}

// order is what it says at its right: by what the rows are sorted.
func (t *Table) order(f *pane.Frame) string {
	if t.list.of == 0 {
		return "0"
	}
	column, descending := t.table.Order()
	b := t.buf[:0]
	if f.Class == pane.Compact {
		b = append(b, orderTitle(column)...)
		if descending {
			b = append(b, f.Glyphs.Descending...)
		} else {
			b = append(b, f.Glyphs.Ascending...)
		}
	} else {
		b = append(append(b, "sort "...), orderTitle(column)...)
		if descending {
			b = append(b, " desc "...)
		} else {
			b = append(b, " asc "...)
		}
		b = append(b, f.Glyphs.Dot...)
		switch {
		case t.list.flat:
			b = append(b, " flat"...)
		case f.Snapshot.Role == engine.RoleClient:
			b = append(b, " group server"...)
		default:
			b = append(b, " group client"...)
		}
	}
	t.buf = b
	return string(b)
}

// foot is what the line below says.
func (t *Table) foot(f *pane.Frame) string {
	b := t.buf[:0]
	if n := len(f.Rows.Clients); n > 0 && f.Class != pane.Compact {
		b = append(append(b, f.Glyphs.Opened...), ' ')
		noun := "client"
		if f.Snapshot.Role == engine.RoleClient {
			noun = "server"
		}
		b = format.AppendPlural(b, n, noun)
	}
	if n := t.table.Marks(); n > 0 || t.table.Ranging() {
		if len(b) > 0 {
			b = append(append(append(b, ' '), f.Glyphs.Dot...), ' ')
		}
		b = format.AppendExact(b, uint64(n))
		b = append(b, " marked"...)
		if t.table.Ranging() {
			b = append(b, ", range begun"...)
		}
	}
	t.buf = b
	return string(b)
}

// drawNoMatch says that the filter selects nothing, and which part of it is why.
func (t *Table) drawNoMatch(a canvas.Area, f *pane.Frame) {
	y := max((a.H()-4)/2, 0)
	b := append(t.buf[:0], "0 of "...)
	b = format.AppendExact(b, uint64(t.list.of))
	b = append(b, " match"...)
	t.buf = b
	a.Bytes(7, y, b, canvas.Of(themes.Fg))
	at := a.Text(7, y+1, "/ ", canvas.Of(themes.Muted))
	before, after, ok := strings.Cut(t.text, t.narrow)
	if !ok || t.narrow == "" {
		before, after = t.text, ""
	}
	at = a.Text(at, y+1, before, canvas.Of(themes.Fg))
	if ok && t.narrow != "" {
		at = a.Text(at, y+1, t.narrow, canvas.Of(themes.Warn)|canvas.Underline)
	}
	a.Text(at, y+1, after, canvas.Of(themes.Fg))
	a.Text(7, y+3, "esc shows all connections", canvas.Of(themes.Muted))
}

// valuesEvery is how often what can be completed is counted.
const valuesEvery = 2 * time.Second

// gatherValues counts what fields of the filter are seen to be, if somebody has
// asked since they were counted last.
func (t *Table) gatherValues(now bool) {
	if !now && (!t.asked || t.f.Snapshot.Time.Sub(t.valuesAt).Abs() < valuesEvery) {
		return
	}
	t.valuesAt, t.asked = t.f.Snapshot.Time, false
	const most = 200 // values of one field
	counts := map[string]map[string]int{}
	count := func(field, value string) {
		if value == "" {
			return
		}
		if counts[field] == nil {
			counts[field] = map[string]int{}
		}
		if _, ok := counts[field][value]; ok || len(counts[field]) < most {
			counts[field][value]++
		}
	}
	for i := range t.f.Rows.Clients {
		c := &t.f.Rows.Clients[i]
		for _, n := range c.Connections {
			x := &t.f.Snapshot.Connections[n]
			count("client", x.Client)
			count("server", x.Server)
			count("state", x.State.String())
			count("credential", x.Credential)
		}
		if len(c.Connections) == 0 {
			continue
		}
		g := t.f.Snapshot.Connections[c.Connections[0]].Greeting
		if g == nil {
			continue
		}
		count("version", g.Version)
		count("os", g.OS)
		count("arch", g.Arch)
		count("hostname", g.Hostname)
		for name, value := range g.Labels {
			count("label."+name, value)
		}
	}
	t.values = map[string][]pane.Value{}
	for field, seen := range counts {
		var all []pane.Value
		for text, n := range seen {
			all = append(all, pane.Value{Text: text, Count: n})
		}
		slices.SortFunc(all, func(a, b pane.Value) int {
			if a.Count != b.Count {
				return b.Count - a.Count
			}
			return strings.Compare(a.Text, b.Text)
		})
		t.values[field] = all
	}
}

// Values returns what a field of the filter was seen to be.
func (t *Table) Values(field string) []pane.Value {
	t.asked = true
	return t.values[field]
}
