package table

import (
	"slices"
	"strings"

	"adit/tui/pane"
)

// A Column is one column of a table.
type Column struct {
	Name     string // stable: for sorting, the menu of columns and what is remembered
	Title    string // above it
	Width    int    // in cells; of one that grows the least
	Grow     bool   // takes what the others leave
	Right    bool   // numbers, and their title, end at its right
	Sortable bool
	Priority int  // 0 always shown; where there is no room the greatest goes first
	Hidden   bool // shown only if chosen
	id       int  // its place as given to New
}

// A placed column is one that is drawn.
type placed struct {
	index int // in Table.columns
	x, w  int // in the table's area
}

// gap is between two columns, in cells.
const gap = 1

// place chooses the columns that fit into w cells and where they stand. Scrolled
// to the right, the first stays and others follow in order; else those with the
// greatest priority give way.
func (t *Table[K]) place(w int) {
	t.placed = t.placed[:0]
	room := w - t.margin
	used, scrolled := -gap, 0
	for i := range t.columns {
		c := &t.columns[i]
		if c.Hidden {
			continue
		}
		if len(t.placed) > 0 && scrolled < t.skip {
			scrolled++
			continue
		}
		if t.skip > 0 && len(t.placed) > 1 && used+gap+c.Width > room {
			break
		}
		t.placed = append(t.placed, placed{index: i, w: c.Width})
		used += gap + c.Width
	}
	for t.skip == 0 && used > room {
		worst := -1
		for i, p := range t.placed {
			if n := t.columns[p.index].Priority; n > 0 && (worst < 0 || n >= t.columns[t.placed[worst].index].Priority) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		used -= gap + t.placed[worst].w
		t.placed = slices.Delete(t.placed, worst, worst+1)
	}
	growing := 0
	for _, p := range t.placed {
		if t.columns[p.index].Grow {
			growing++
		}
	}
	x, slack := t.margin, max(0, room-used)
	for i := range t.placed {
		p := &t.placed[i]
		if t.columns[p.index].Grow {
			more := slack / growing
			p.w += more
			slack -= more
			growing--
		}
		p.x, p.w = x, min(p.w, max(w-x, 0))
		x += p.w + gap
	}
}

// maxSkip is how far the columns can be scrolled.
func (t *Table[K]) maxSkip() int {
	n := -2
	for _, c := range t.columns {
		if !c.Hidden {
			n++
		}
	}
	return max(n, 0)
}

// Choice returns the columns for the menu of columns.
func (t *Table[K]) Choice() []pane.Column {
	all := make([]pane.Column, 0, len(t.columns))
	for _, c := range t.columns {
		all = append(all, pane.Column{Name: c.Name, Title: c.Title, Shown: !c.Hidden})
	}
	return all
}

// Choose shows the columns that are chosen, in the order given, and remembers
// them. The first column of the table is always shown, and first.
func (t *Table[K]) Choose(choice []pane.Column, m pane.Memory) {
	t.apply(choice)
	if m == nil {
		return
	}
	var text strings.Builder
	for _, c := range t.columns {
		if c.Hidden {
			text.WriteByte('-')
		}
		text.WriteString(c.Name)
		text.WriteByte(' ')
	}
	m.Set("columns."+t.name, text.String())
}

func (t *Table[K]) apply(choice []pane.Column) {
	if len(t.columns) == 0 {
		return
	}
	first := t.columns[0]
	first.Hidden = false
	next := append(make([]Column, 0, len(t.columns)), first)
	taken := func(name string) bool {
		return slices.ContainsFunc(next, func(c Column) bool { return c.Name == name })
	}
	for _, chosen := range choice {
		i := slices.IndexFunc(t.columns, func(c Column) bool { return c.Name == chosen.Name })
		if i < 0 || taken(chosen.Name) {
			continue
		}
		c := t.columns[i]
		c.Hidden = !chosen.Shown
		next = append(next, c)
	}
	for _, c := range t.columns {
		if !taken(c.Name) {
			next = append(next, c)
		}
	}
	t.columns, t.skip = next, 0
}

// Recall takes up columns and order as the operator left them. What is
// remembered of columns that no longer exist is ignored.
func (t *Table[K]) Recall(m pane.Memory) {
	if m == nil {
		return
	}
	if text := m.Get("columns." + t.name); text != "" {
		var choice []pane.Column
		for name := range strings.FieldsSeq(text) {
			name, hidden := strings.CutPrefix(name, "-")
			choice = append(choice, pane.Column{Name: name, Shown: !hidden})
		}
		t.apply(choice)
	}
	if name, descending := strings.CutPrefix(m.Get("sort."+t.name), "-"); t.sortable(name) {
		t.sort, t.descending = name, descending
	}
}

// Order returns the column that the rows are to be in order of, "" if none.
func (t *Table[K]) Order() (column string, descending bool) { return t.sort, t.descending }

// SetOrder changes the order and remembers it; m may be nil.
func (t *Table[K]) SetOrder(column string, descending bool, m pane.Memory) {
	t.sort, t.descending = column, descending
	if m == nil {
		return
	}
	if descending {
		column = "-" + column
	}
	m.Set("sort."+t.name, column)
}

func (t *Table[K]) sortable(name string) bool {
	return slices.ContainsFunc(t.columns, func(c Column) bool { return c.Name == name && c.Sortable })
}

// nextOrder is the next sortable column that is drawn.
func (t *Table[K]) nextOrder() string {
	first, found := "", false
	for _, p := range t.placed {
		c := &t.columns[p.index]
		switch {
		case !c.Sortable:
		case found:
			return c.Name
		case c.Name == t.sort:
			found = true
		}
		if c.Sortable && first == "" {
			first = c.Name
		}
	}
	if first == "" {
		return t.sort
	}
	return first
}
