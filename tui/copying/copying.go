// Package copying is the menu of what can be copied.
package copying

import (
	"strconv"

	tea "charm.land/bubbletea/v2"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
)

const width = 60

// A Menu asks which of several texts is meant.
type Menu struct {
	choices []pane.Choice
	list    overlay.List
}

// New returns the menu for what e offers. It shows titles and sizes, never the
// texts: these may be long, or secret.
func New(e pane.CopyText) *Menu { return &Menu{choices: e.Choices} }

// Update implements [pane.Overlay].
func (m *Menu) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		m.list.Wheel(msg, len(m.choices))
	case tea.MouseClickMsg:
		if i, ok := m.list.Hit(msg.X, msg.Y, len(m.choices)); ok && msg.Button == tea.MouseLeft {
			return m.choose(i)
		}
	case tea.KeyPressMsg:
		switch key := msg.String(); key {
		case "esc", "q":
			return nil, false
		case "enter":
			return m.choose(m.list.Cursor)
		case "1", "2", "3", "4", "5", "6", "7", "8", "9":
			if i := int(key[0] - '1'); i < len(m.choices) {
				return m.choose(i)
			}
		default:
			m.list.Key(msg, len(m.choices), f, false)
		}
	}
	return nil, true
}

func (m *Menu) choose(i int) (pane.Effect, bool) {
	if i >= len(m.choices) {
		return nil, false
	}
	return pane.CopyText{Choices: m.choices[i : i+1 : i+1]}, false
}

// Draw implements [pane.Overlay].
func (m *Menu) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	in := overlay.Middle(a, width, len(m.choices)+2).Box(canvas.Box{
		Title: "Copy", Focused: true, Overlay: true, Glyphs: f.Glyphs,
	})
	from, to := m.list.Window(in, len(m.choices))
	for i := from; i < to; i++ {
		c := &m.choices[i]
		row := i - from
		if i < 9 {
			in.Text(2, row, strconv.Itoa(i+1), canvas.Of(themes.Muted))
		}
		size := strconv.Itoa(len(c.Text)) + " B"
		in.Cut(4, row, in.W()-4-len(size)-2, c.Title, f.Glyphs.Cut, canvas.Of(themes.Fg))
		in.Right(in.W()-len(size)-1, row, len(size), size, canvas.Of(themes.Muted))
		if i == m.list.Cursor {
			overlay.Row(in, row, f)
		}
	}
	return 0, 0, false
}

// Hints implements [pane.Overlay].
func (m *Menu) Hints(f *pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: f.Glyphs.Enter, Text: "copy"}, {Key: "1-9", Text: "choose"}, {Key: "esc", Text: "cancel"}}
}
