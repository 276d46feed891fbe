// Package themepicker is the menu of themes: the screen behind it shows what the
// one under the cursor looks like.
package themepicker

import (
	tea "charm.land/bubbletea/v2"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
)

const width = 44

// A Menu chooses a theme.
type Menu struct {
	before string // what esc goes back to
	names  []string
	kinds  []string
	list   overlay.List
}

// New returns the menu of the themes, with the one for the terminal before them.
// current is the name that was chosen, themes.Auto or "" for none.
func New(current string, list []*themes.Theme) *Menu {
	if current == "" {
		current = themes.Auto
	}
	m := &Menu{before: current, names: []string{themes.Auto}, kinds: []string{"by the terminal"}}
	for _, t := range list {
		kind := t.Kind()
		if t.File != "" {
			kind += ", yours"
		}
		m.names, m.kinds = append(m.names, t.Name), append(m.kinds, kind)
	}
	for i, name := range m.names {
		if name == current {
			m.list.Cursor = i
		}
	}
	return m
}

// Update implements [pane.Overlay].
func (m *Menu) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	at := m.list.Cursor
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		m.list.Wheel(msg, len(m.names))
	case tea.MouseClickMsg:
		if i, ok := m.list.Hit(msg.X, msg.Y, len(m.names)); ok && msg.Button == tea.MouseLeft {
			if i == at {
				return m.keep()
			}
			m.list.Cursor = i
		}
	case tea.KeyPressMsg:
		switch msg.String() {
		case "esc", "q":
			return pane.UseTheme{Name: m.before}, false
		case "enter":
			return m.keep()
		}
		m.list.Key(msg, len(m.names), f, false)
	}
	if m.list.Cursor == at {
		return nil, true
	}
	return pane.UseTheme{Name: m.names[m.list.Cursor]}, true
}

func (m *Menu) keep() (pane.Effect, bool) {
	return pane.UseTheme{Name: m.names[m.list.Cursor], Keep: true}, false
}

// Draw implements [pane.Overlay].
func (m *Menu) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	const sample = 2
	in := overlay.Right(a, width, len(m.names)+sample+3).Box(canvas.Box{
		Title: "Theme", Right: f.Glyphs.Name, Focused: true, Overlay: true, Glyphs: f.Glyphs,
	})
	rows := in.H()
	if rows > sample+3 {
		rows -= sample + 1
		m.sample(in.Sub(2, rows+1, in.W()-3, sample), f)
	}
	list := in.Sub(0, 0, in.W(), rows)
	from, to := m.list.Window(list, len(m.names))
	for i := from; i < to; i++ {
		row := i - from
		kind := m.kinds[i]
		end := list.Cut(2, row, list.W()-2-canvas.Width(kind)-2, m.names[i], f.Glyphs.Cut, canvas.Of(themes.Fg))
		if m.names[i] == m.before {
			list.Text(end+1, row, f.Glyphs.Marked, canvas.Of(themes.Mark))
		}
		list.Right(list.W()-canvas.Width(kind)-1, row, canvas.Width(kind), kind, canvas.Of(themes.Muted))
		if i == m.list.Cursor {
			overlay.Row(list, row, f)
		}
	}
	return 0, 0, false
}

// sample shows what the roles look like on an overlay.
func (m *Menu) sample(a canvas.Area, f *pane.Frame) {
	g, x := f.Glyphs, 0
	for _, s := range []struct {
		text string
		role themes.Role
	}{{g.Idle + " ok", themes.OK}, {g.Busy + " info", themes.Info}, {g.Draining + " warn", themes.Warn}, {g.Failed + " err", themes.Err}} {
		x = a.Text(x, 0, s.text, canvas.Of(s.role)) + 2
	}
	x = 0
	for _, s := range []struct {
		text string
		role themes.Role
	}{{"text", themes.Fg}, {"muted", themes.Muted}, {"accent", themes.Accent}, {g.Marked + " marked", themes.Mark},
		{g.In + g.Bars[3] + g.Bars[6], themes.GraphIn}, {g.Out + g.Bars[5] + g.Bars[2], themes.GraphOut}} {
		x = a.Text(x, 1, s.text, canvas.Of(s.role)) + 2
	}
}

// Hints implements [pane.Overlay].
func (m *Menu) Hints(f *pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: f.Glyphs.In + f.Glyphs.Out, Text: "preview"}, {Key: f.Glyphs.Enter, Text: "keep"}, {Key: "esc", Text: "as before"}}
}
