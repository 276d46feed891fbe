package connections

import (
	"math"
	"slices"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/pane"
	"adit/tui/table"
)

// A Table is the pane of connections, grouped by client or flat, that two screens
// show. It belongs to the dashboard's goroutine.
type Table struct {
	name    string
	table   *table.Table[uint64]
	list    *listing
	context filter.Context
	f       *pane.Frame // while a method runs
	loaded  bool
	inside  bool // the pane has the focus: its rows hold still after a key

	text     string // of the filter
	narrow   string // the clause that selects least, where nothing is selected
	before   []view
	values   map[string][]pane.Value
	valuesAt time.Time
	asked    bool // for values, since they were gathered
	buf      []byte
	blank    *blank
}

// A view is what undo takes back.
type view struct {
	text       string
	column     string
	descending bool
	flat       bool
}

const undoMost = 20

// NewTable returns one that groups by client and sorts by what goes out. What the
// operator changes is remembered under name. Full is for the screen of its own,
// which has more columns.
func NewTable(name string, full bool) *Table {
	t := &Table{name: name, list: newListing(), blank: new(blank)}
	t.table = table.New[uint64](name, 3, columns(full)...)
	t.table.SetOrder("out", true, nil)
	t.context.Marked = func(id uint64) bool { return t.table.Marked(id) }
	t.context.Labels = t.labels
	return t
}

// with gives what the table's source needs to know of the frame, and brings the
// rows up to it.
func (t *Table) with(f *pane.Frame) {
	t.f = f
	if !t.loaded {
		t.loaded = true
		t.table.Recall(f.Memory)
		if f.Memory != nil {
			t.list.flat = f.Memory.Get("tree."+t.name) == "flat"
		}
	}
	column, descending := t.table.Order()
	if by := keyOf(column); by != t.list.by || descending == t.list.ascending {
		t.list.by, t.list.ascending, t.list.dirty = by, !descending, true
	}
	t.context.Now = f.Snapshot.Time
	fresh := t.list.generation
	t.list.update(f, t.inside && t.table.Held(f.Wall()), &t.context)
	if fresh != t.list.generation {
		t.table.Prune(t.exists)
		t.narrow = ""
		if t.list.matched == 0 && t.list.of > 0 {
			t.narrow = t.narrowest()
		}
		t.gatherValues(false)
	}
}

func (t *Table) labels(client string) map[string]string {
	i := t.f.Rows.Index(client)
	if i < 0 {
		return nil
	}
	for _, n := range t.f.Rows.Clients[i].Connections {
		if g := t.f.Snapshot.Connections[n].Greeting; g != nil {
			return g.Labels
		}
	}
	return nil
}

// Forget is what [pane.Marking] asks for.
func (t *Table) Forget(f *pane.Frame, all bool) int {
	n := t.table.Marks()
	if n == 0 {
		return 0
	}
	if all {
		t.table.Unmark()
		t.marked()
		return n
	}
	t.with(f)
	return n - t.table.Marks()
}

// exists reports whether a marked row still is something that can be acted on,
// shown or not.
func (t *Table) exists(id uint64) bool {
	if id&clientBit == 0 {
		_, ok := slices.BinarySearch(t.list.ids, engine.ConnectionID(id))
		return ok
	}
	return t.client(id) != nil
}

// client returns the client that a row id names, nil if it is gone.
func (t *Table) client(id uint64) *pane.Client {
	if i := t.f.Rows.Index(t.list.names[id]); i >= 0 && t.list.clients[t.list.names[id]].id == id {
		return &t.f.Rows.Clients[i]
	}
	return nil
}

// Len implements [table.Source].
func (t *Table) Len() int { return len(t.list.rows) }

// Key implements [table.Source].
func (t *Table) Key(row int) uint64 { return t.list.rows[row].id }

// Index implements [table.Source].
func (t *Table) Index(id uint64) int {
	if id&clientBit != 0 {
		return t.list.find(id)
	}
	i, ok := slices.BinarySearch(t.list.ids, engine.ConnectionID(id))
	if !ok || math.IsInf(t.list.places[i], 1) {
		return -1
	}
	return int(t.list.places[i])
}

// Kind implements [table.Source].
func (t *Table) Kind(int) table.Kind { return 0 }

// selected returns the row of the cursor; ok is false if there is none.
func (t *Table) selected() (r row, ok bool) {
	i, _ := t.table.Cursor(t)
	if i < 0 || i >= len(t.list.rows) {
		return row{}, false
	}
	return t.list.rows[i], true
}

// Selected returns the index in the snapshot of the connection under the cursor,
// of a client's row that of its oldest; -1 if there is none.
func (t *Table) Selected(f *pane.Frame) int {
	t.with(f)
	r, ok := t.selected()
	switch {
	case !ok:
		return -1
	case r.conn >= 0:
		return int(r.conn)
	}
	c := &f.Rows.Clients[r.client]
	if c.Oldest >= 0 && c.Oldest < len(f.Snapshot.Connections) && slices.Contains(c.Connections, c.Oldest) {
		return c.Oldest
	}
	if len(c.Connections) > 0 {
		return c.Connections[0]
	}
	return -1
}

// Step implements [pane.ConnectionSequence]: the order of the rows, without those
// of clients and what is folded.
func (t *Table) Step(id engine.ConnectionID, by int) (engine.ConnectionID, bool) {
	at := t.Index(uint64(id))
	if at < 0 {
		// It is gone, or the filter hides it: the next is the one at the cursor.
		if at, _ = t.table.Cursor(t); at < 0 {
			return 0, false
		}
		at -= by
	}
	for at += by; at >= 0 && at < len(t.list.rows); at += by {
		if r := t.list.rows[at]; r.conn >= 0 {
			t.table.SetFocus(r.id, t)
			return engine.ConnectionID(r.id), true
		}
	}
	return 0, false
}

// Do does what a key asks of the rows. Handled is false for what is no matter of
// theirs.
func (t *Table) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	t.with(f)
	switch a {
	case keys.Open:
		return t.open(), true
	case keys.Tree:
		t.remember()
		t.setFlat(!t.list.flat)
		return nil, true
	case keys.Columns:
		return pane.ChooseColumns{Columns: t.table.Choice(), Apply: func(c []pane.Column) {
			t.table.Choose(c, f.Memory)
		}}, true
	case keys.Filter:
		t.gatherValues(true)
		return pane.EditFilter{}, true
	case keys.Kill, keys.Drain, keys.Ban, keys.Unban:
		return t.ask(a), true
	case keys.Copy:
		return t.copyMenu(), true
	case keys.MatchNext, keys.MatchPrevious:
		// Every row that is shown matches: the next match is the next row.
		if a == keys.MatchNext {
			a = keys.MoveDown
		} else {
			a = keys.MoveUp
		}
	case keys.Sort, keys.SortReverse:
		t.remember()
	case keys.Undo:
		if t.table.Do(a, t, f.Wall(), f.Memory) {
			t.marked()
			return nil, true
		}
		return t.undo(), true
	case keys.Back:
		switch {
		case t.text != "":
			t.SetFilter("")
		case t.table.Marks() > 0 || t.table.Ranging():
			t.table.Unmark()
			t.marked()
		default:
			return nil, false
		}
		return nil, true
	case keys.Follow:
		return nil, false // the order of connections is not that of time
	}
	handled = t.table.Do(a, t, f.Wall(), f.Memory)
	t.marked()
	return nil, handled
}

// marked lets a filter that asks for marks see those of now.
func (t *Table) marked() {
	if t.list.filter != nil && t.list.filter.Needs()&filter.NeedsMarked != 0 {
		t.list.dirty = true
	}
}

// open opens the connection under the cursor, or folds its client.
func (t *Table) open() pane.Effect {
	r, ok := t.selected()
	if !ok {
		return nil
	}
	if r.conn >= 0 {
		return pane.OpenConnection{ID: engine.ConnectionID(r.id), From: t}
	}
	line := t.list.clients[t.f.Rows.Clients[r.client].Name]
	line.folded, t.list.dirty = !line.folded, true
	return nil
}

func (t *Table) setFlat(flat bool) {
	t.list.flat, t.list.dirty = flat, true
	if t.f.Memory != nil {
		word := "tree"
		if flat {
			word = "flat"
		}
		t.f.Memory.Set("tree."+t.name, word)
	}
}

func (t *Table) remember() {
	column, descending := t.table.Order()
	if len(t.before) == undoMost {
		t.before = append(t.before[:0], t.before[1:]...)
	}
	t.before = append(t.before, view{t.text, column, descending, t.list.flat})
}

func (t *Table) undo() pane.Effect {
	if len(t.before) == 0 {
		return pane.Say{Text: "nothing to undo"}
	}
	v := t.before[len(t.before)-1]
	t.before = t.before[:len(t.before)-1]
	t.table.SetOrder(v.column, v.descending, t.f.Memory)
	t.setFlat(v.flat)
	t.setFilter(v.text)
	return nil
}

// Filter returns the text of the filter, SetFilter narrows the rows to it; it is
// one that parses.
func (t *Table) Filter() string { return t.text }

// SetFilter narrows the rows to what text selects; one that does not parse is
// left alone.
func (t *Table) SetFilter(text string) {
	if text != t.text {
		t.remember()
		t.setFilter(text)
	}
}

func (t *Table) setFilter(text string) {
	if parsed, err := filter.Parse(filter.Connections, text); err == nil {
		t.text, t.list.filter, t.list.dirty = text, parsed, true
	}
}

// Matches says how many connections the filter selects, of how many.
func (t *Table) Matches() pane.Matches {
	return pane.Matches{Matched: t.list.matched, Of: t.list.of, Took: t.list.took}
}

// narrowest returns the clause that selects the fewest connections.
func (t *Table) narrowest() string {
	clauses := t.list.filter.Clauses()
	counts := make([]int, len(clauses))
	for i, node := range clauses {
		f, err := filter.Parse(filter.Connections, node.String())
		if err != nil {
			return ""
		}
		for n := range t.f.Snapshot.Connections {
			if f.Connection(&t.f.Snapshot.Connections[n], &t.context) {
				counts[i]++
			}
		}
	}
	if i := filter.Narrowest(counts); i >= 0 && i < len(clauses) {
		return clauses[i].String()
	}
	return ""
}

// Mouse does what the mouse asks for within the rows.
func (t *Table) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	t.with(f)
	open, _ := t.table.Mouse(m, t, f.Wall(), f.Memory)
	if open {
		return t.open()
	}
	return nil
}

// Draw draws the pane with its frame.
func (t *Table) Draw(a canvas.Area, f *pane.Frame, focused bool) {
	t.inside = focused
	t.with(f)
	in := a.Box(canvas.Box{Title: t.title(f), Right: t.order(f), Foot: t.foot(f), Focused: focused, Glyphs: f.Glyphs})
	switch {
	case len(f.Snapshot.Connections) == 0:
		t.blank.draw(in, f)
		return
	case t.list.matched == 0:
		t.drawNoMatch(in, f)
	default:
		t.table.Draw(in.Sub(0, 0, in.W()-1, in.H()), t, table.Look{Glyphs: f.Glyphs, Focused: focused})
	}
	t.blank.ever = true
}
