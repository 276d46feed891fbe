package tui

import (
	"adit/keys"
	"adit/themes"
	"adit/tui/bars"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// drawHead draws who this is, and where one is with how fresh the data is.
func (m *model) drawHead(a canvas.Area) {
	f := &m.frame
	bars.Identity(a.Sub(0, 0, a.W(), 1), f)
	if !f.Stale.IsZero() {
		m.drawBanner(a.Sub(0, 1, a.W(), 1))
		return
	}
	m.tabs.Shown, m.tabs.Crumbs, m.tabs.Status = m.shown, m.top().Crumbs(f), m.status()
	m.tabs.Draw(a.Sub(0, 1, a.W(), 1), f)
}

// tabNames are the names of the screens, in order.
func tabNames() []string { return []string{"Overview", "Connections", "Requests", "Events", "Config"} }

func (m *model) drawFoot(a canvas.Area) {
	text, bad, more := m.notes.line()
	if text == "" {
		bars.Foot(a, m.footHints())
		return
	}
	n := bars.Note{Text: text, Bad: bad, More: more}
	if k := m.frame.Keys.Keys(keys.Acknowledge, m.frame.Glyphs.ASCII, keys.Everywhere); len(k) > 0 {
		n.Key = k[0]
	}
	n.Draw(a, &m.frame)
}

// drawCard draws what there is room for in a terminal too small for a screen.
func (m *model) drawCard(a canvas.Area) {
	f := &m.frame
	text, _, _ := m.notes.line()
	var buffer [2]pane.Hint
	hints := buffer[:0]
	for _, action := range [...]keys.Action{keys.Quit, keys.Help} {
		if k := f.Keys.Keys(action, f.Glyphs.ASCII, keys.Everywhere); len(k) > 0 {
			hints = append(hints, pane.Hint{Key: k[0], Text: keys.Of(action).Short})
		}
	}
	m.card.Draw(a, f, m.status(), text, hints)
}

// tabAt returns the screen whose tab is at a cell, -1 if none is.
func (m *model) tabAt(x, y int) int {
	if y != 1 || m.frame.Class == pane.Tiny || !m.frame.Stale.IsZero() {
		return -1
	}
	return m.tabs.At(x, &m.frame)
}

func (m *model) windowTitle() string { return string(bars.Title(nil, &m.frame)) }

// since says how many requests have ended since the screen stands still.
func (m *model) since() string {
	return format.Exact(m.latest.Totals.Requests - min(m.frame.Snapshot.Totals.Requests, m.latest.Totals.Requests))
}

// drawBanner says that the data is old: since when, why, and for how long.
func (m *model) drawBanner(a canvas.Area) {
	f := &m.frame
	style := canvas.Of(themes.Err) | canvas.Reverse | canvas.Bold
	a.Fill(style)
	b := append(m.scratch[:0], f.Glyphs.Lost...)
	b = append(b, " LOST "...)
	b = append(b, f.Snapshot.Name...)
	if m.failure != "" {
		b = append(append(append(b, " ("...), m.failure...), ')')
	}
	b = append(b, ' ')
	b = format.AppendElapsed(b, f.Now.Sub(f.Stale))
	b = append(b, " ago "...)
	b = append(b, f.Glyphs.Dot...)
	b = append(b, " data is STALE since "...)
	b = format.AppendTimeShort(b, f.Stale, f.UTC)
	m.scratch = b
	a.Bytes(1, 0, b, style)
}
