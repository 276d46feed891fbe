package tui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

const (
	headRows = 2 // identity, tabs
	footRows = 1
	// titleEvery is the shortest time between two titles of the window.
	titleEvery = time.Second
)

// draw makes the view that the program shows until the next one.
func (m *model) draw() {
	start := time.Now()
	f := &m.frame
	m.dirty, m.clock = false, f.Clock.Unix()
	m.view.AltScreen = !m.o.Inline
	m.view.ReportFocus = true
	m.view.MouseMode = tea.MouseModeCellMotion
	if m.noMouse {
		m.view.MouseMode = tea.MouseModeNone
	}
	m.view.BackgroundColor = nil
	if f.Theme.Paints {
		m.view.BackgroundColor = f.Theme.Nominal
	}
	if f.Clock.Sub(m.titled) >= titleEvery {
		m.titled, m.view.WindowTitle = f.Clock, m.windowTitle()
	}
	m.view.Cursor = nil
	if f.Width > 0 && f.Height > 0 {
		if w, h := m.canvas.Size(); w != f.Width || h != f.Height {
			m.canvas.Resize(f.Width, f.Height)
		} else {
			m.canvas.Clear()
		}
		m.compose(m.canvas.Area())
		m.view.Content = m.canvas.Encode(f.Theme)
	}
	m.drawn = time.Now()
	m.drawing = m.drawn.Sub(start)
}

// compose draws everything on a.
func (m *model) compose(a canvas.Area) {
	f := &m.frame
	if f.Class == pane.Tiny {
		m.area = canvas.Rect{}
		m.drawCard(a)
	} else {
		top := headRows
		if f.Playback != nil {
			top++
		}
		body := a.Sub(0, top, a.W(), a.H()-top-footRows)
		m.area = body.Bounds()
		if m.connecting() {
			m.area = canvas.Rect{}
			m.drawConnecting(body)
		} else {
			m.top().Draw(body, f)
		}
		if !f.Stale.IsZero() {
			for y := range body.H() {
				body.Restyle(0, y, body.W(), func(s canvas.Style) canvas.Style { return s.As(themes.Muted) })
			}
		}
		m.drawHead(a)
		m.drawFoot(a.Sub(0, a.H()-footRows, a.W(), footRows))
		if x, y, ok := m.canvas.Selected(m.area); ok {
			m.cursor(x, y)
		}
	}
	for _, o := range m.overlays {
		x, y, cursor := o.Draw(a, f)
		m.view.Cursor = nil
		if cursor {
			m.cursor(x, y)
		}
	}
}

// cursor puts the terminal's cursor where what has the focus is, for input
// methods, screen readers and magnifiers.
func (m *model) cursor(x, y int) {
	if m.at == nil || m.at.X != x || m.at.Y != y {
		// A new one: the renderer still compares with the last.
		m.at = &tea.Cursor{Position: tea.Position{X: x, Y: y}, Shape: tea.CursorBar}
	}
	m.view.Cursor = m.at
}

// footing is what the footer says, kept while what it depends on is the same.
type footing struct {
	actions  []keys.Action
	contexts []keys.Context
	hints    []pane.Hint
	does     []keys.Action // by hint
}

// footHints are the keys for what is under the cursor.
func (m *model) footHints() []pane.Hint {
	f := &m.frame
	if n := len(m.overlays); n > 0 {
		return m.overlays[n-1].Hints(f)
	}
	if m.offline() {
		return m.lostHints()
	}
	actions, contexts := m.top().Hints(f), m.contexts()
	if f.Playback != nil {
		actions = append(hintsOfPlay(), actions...)
	}
	if slices.Equal(actions, m.footing.actions) && slices.Equal(contexts, m.footing.contexts) && m.footing.hints != nil {
		return m.footing.hints
	}
	c := &m.footing
	c.actions = append(c.actions[:0], actions...)
	c.contexts = append(c.contexts[:0], contexts...)
	c.hints, c.does = c.hints[:0], c.does[:0]
	all := append(slices.Clone(contexts), keys.Everywhere)
	// Help is the last, which is kept where there is no room.
	list := slices.DeleteFunc(slices.Clone(actions), func(a keys.Action) bool { return a == keys.Palette || a == keys.Help })
	list = append(list, keys.Palette, keys.Help)
	for i, a := range list {
		info := keys.Of(a)
		if info.Mutating && f.ReadOnly || slices.Contains(list[:i], a) {
			continue
		}
		if a == keys.Filter && slices.Contains(contexts, keys.Request) {
			info.Short = "search" // there is one row, and text in it
		}
		if k := f.Keys.Keys(a, f.Glyphs.ASCII, all...); len(k) > 0 {
			n := len(c.hints)
			if n > 0 && i > 0 && pair(list[i-1], a) {
				c.hints[n-1].Key += " " + k[0]
				c.hints[n-1].Text += "/" + info.Short
				c.does[n-1] = a
				continue
			}
			c.hints, c.does = append(c.hints, pane.Hint{Key: k[0], Text: info.Short}), append(c.does, a)
		}
	}
	return c.hints
}

// pair reports whether two actions are one hint: half of a pair says little.
func pair(a, b keys.Action) bool {
	return a == keys.ItemPrevious && b == keys.ItemNext || a == keys.PlayBack && b == keys.PlayForward ||
		a == keys.PlaySlower && b == keys.PlayFaster
}
