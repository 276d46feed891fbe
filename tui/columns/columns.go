// Package columns is the menu of a table's columns: which are shown, and in what
// order.
package columns

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
)

const width = 44

// A Menu shows columns and hides them, and moves them.
type Menu struct {
	before  []pane.Column // what esc goes back to
	columns []pane.Column
	apply   func([]pane.Column)
	list    overlay.List
	last    bool // the last column that is shown was to be hidden
}

// New returns the menu for what e asks for. Every change is applied at once.
func New(e pane.ChooseColumns) *Menu {
	return &Menu{before: slices.Clone(e.Columns), columns: slices.Clone(e.Columns), apply: e.Apply}
}

// Update implements [pane.Overlay].
func (m *Menu) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	m.last = false
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		m.list.Wheel(msg, len(m.columns))
	case tea.MouseClickMsg:
		if i, ok := m.list.Hit(msg.X, msg.Y, len(m.columns)); ok && msg.Button == tea.MouseLeft {
			m.list.Cursor = i
			m.toggle()
		}
	case tea.KeyPressMsg:
		return nil, m.key(msg, f)
	}
	return nil, true
}

func (m *Menu) key(msg tea.KeyPressMsg, f *pane.Frame) (open bool) {
	switch msg.String() {
	case "esc", "q":
		if !slices.Equal(m.columns, m.before) {
			m.columns = m.before
			m.changed()
		}
		return false
	case "enter":
		return false
	case "space":
		m.toggle()
		return true
	case "shift+up":
		m.shift(-1)
		return true
	case "shift+down":
		m.shift(1)
		return true
	}
	switch action, _ := f.Keys.Find(msg.String(), keys.Everywhere); action {
	case keys.ItemPrevious:
		m.shift(-1)
	case keys.ItemNext:
		m.shift(1)
	default:
		m.list.Key(msg, len(m.columns), f, false)
	}
	return true
}

func (m *Menu) toggle() {
	if len(m.columns) == 0 {
		return
	}
	c := &m.columns[m.list.Cursor]
	if c.Shown && m.shown() == 1 {
		m.last = true
		return
	}
	c.Shown = !c.Shown
	m.changed()
}

func (m *Menu) shown() int {
	n := 0
	for _, c := range m.columns {
		if c.Shown {
			n++
		}
	}
	return n
}

// shift moves the column under the cursor, and the cursor with it.
func (m *Menu) shift(by int) {
	i := m.list.Cursor
	j := i + by
	if j < 0 || j >= len(m.columns) || i >= len(m.columns) {
		return
	}
	m.columns[i], m.columns[j] = m.columns[j], m.columns[i]
	m.list.Cursor = j
	m.changed()
}

func (m *Menu) changed() {
	if m.apply != nil {
		m.apply(slices.Clone(m.columns))
	}
}

// Draw implements [pane.Overlay].
func (m *Menu) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	foot := ""
	if m.last {
		foot = "one column stays"
	}
	in := overlay.Middle(a, width, len(m.columns)+2).Box(canvas.Box{
		Title: "Columns", Foot: foot, Focused: true, Overlay: true, Glyphs: f.Glyphs,
	})
	from, to := m.list.Window(in, len(m.columns))
	for i := from; i < to; i++ {
		c := &m.columns[i]
		row := i - from
		style, box := canvas.Of(themes.Fg), "[x] "
		if !c.Shown {
			style, box = canvas.Of(themes.Muted), "[ ] "
		}
		title := c.Title
		if title == "" {
			title = c.Name
		}
		x := in.Text(2, row, box, style)
		in.Cut(x, row, in.W()-x-1, title, f.Glyphs.Cut, style)
		if i == m.list.Cursor {
			overlay.Row(in, row, f)
		}
	}
	return 0, 0, false
}

// Hints implements [pane.Overlay].
func (m *Menu) Hints(f *pane.Frame) []pane.Hint {
	move := "[ ]"
	ascii := f.Glyphs.ASCII
	if a, b := f.Keys.Keys(keys.ItemPrevious, ascii, keys.Everywhere), f.Keys.Keys(keys.ItemNext, ascii, keys.Everywhere); len(a) > 0 && len(b) > 0 {
		move = a[0] + " " + b[0]
	}
	return []pane.Hint{{Key: "space", Text: "show / hide"}, {Key: move, Text: "move up / down"},
		{Key: f.Glyphs.Enter, Text: "done"}, {Key: "esc", Text: "as before"}}
}
