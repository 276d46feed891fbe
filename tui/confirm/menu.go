package confirm

import (
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
)

// A menu asks what is meant.
type menu struct {
	pane.Choose
	list overlay.List
}

// NewMenu returns the menu of e. Enter or a digit chooses; esc does nothing.
func NewMenu(e pane.Choose) pane.Overlay { return &menu{Choose: e} }

// Update implements [pane.Overlay].
func (m *menu) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	n := len(m.Options)
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		m.list.Wheel(msg, n)
	case tea.MouseClickMsg:
		if i, ok := m.list.Hit(msg.X, msg.Y, n); ok && msg.Button == tea.MouseLeft {
			return m.choose(i)
		}
	case tea.KeyPressMsg:
		switch key := msg.String(); key {
		case "esc", "q":
			return nil, false
		case "enter":
			return m.choose(m.list.Cursor)
		case "1", "2", "3", "4", "5", "6", "7", "8", "9":
			return m.choose(int(key[0] - '1'))
		default:
			m.list.Key(msg, n, f, false)
		}
	}
	return nil, true
}

func (m *menu) choose(i int) (pane.Effect, bool) {
	switch {
	case i >= len(m.Options):
		return nil, true
	case m.Options[i].Off != "":
		return pane.Say{Text: m.Options[i].Title + ": " + m.Options[i].Off}, true
	}
	return m.Options[i].Effect, false
}

// Draw implements [pane.Overlay].
func (m *menu) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	var lines []string
	for _, l := range m.Lines {
		lines = append(lines, canvas.Wrap(l, min(width, a.W())-4)...)
	}
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	in := box(a, f, m.Title, len(lines)+len(m.Options))
	lines = lines[:min(len(lines), max(in.H()-len(m.Options), 0))]
	for i, l := range lines {
		in.Cut(1, i, in.W()-2, l, f.Glyphs.Cut, canvas.Of(themes.Fg))
	}
	rows := in.Sub(0, len(lines), in.W(), in.H()-len(lines))
	from, to := m.list.Window(rows, len(m.Options))
	for i := from; i < to; i++ {
		o := &m.Options[i]
		style, note := canvas.Of(themes.Fg), o.Note
		if o.Off != "" {
			style, note = canvas.Of(themes.Muted), o.Off
		}
		if i < 9 {
			rows.Text(2, i-from, strconv.Itoa(i+1), canvas.Of(themes.Muted))
		}
		end := rows.Cut(4, i-from, rows.W()-5, o.Title, f.Glyphs.Cut, style)
		if end+3 < rows.W() {
			rows.Cut(end+2, i-from, rows.W()-end-3, note, f.Glyphs.Cut, canvas.Of(themes.Muted))
		}
		if i == m.list.Cursor {
			overlay.Row(rows, i-from, f)
		}
	}
	return 0, 0, false
}

// Hints implements [pane.Overlay].
func (m *menu) Hints(*pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: "enter", Text: "choose"}, {Key: "esc", Text: "nothing"}}
}

// A text asks for a line.
type text struct {
	pane.AskText
	line overlay.Line
}

// NewText returns the dialog of e. Enter takes the line; esc does nothing.
func NewText(e pane.AskText) pane.Overlay {
	return &text{AskText: e, line: overlay.NewLine(overlay.MaxSearch, e.Text)}
}

// Update implements [pane.Overlay].
func (d *text) Update(msg tea.Msg, _ *pane.Frame) (pane.Effect, bool) {
	if key, ok := msg.(tea.KeyPressMsg); ok {
		switch key.String() {
		case "esc":
			return nil, false
		case "enter":
			return d.Then(strings.TrimSpace(d.line.Text())), false
		}
	}
	d.line.Update(msg)
	return nil, true
}

// Draw implements [pane.Overlay].
func (d *text) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	in := box(a, f, d.Title, 1)
	column := d.line.Draw(in, 1, 0, in.W()-2, canvas.Of(themes.Fg))
	return in.Bounds().X + column, in.Bounds().Y, true
}

// Hints implements [pane.Overlay].
func (d *text) Hints(*pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: "enter", Text: "take it"}, {Key: "esc", Text: "cancel"}}
}
