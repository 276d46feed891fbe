package tui

import (
	"adit/keys"
	"adit/themes"
	"adit/tui/bars"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// drawHead draws who this is and, in the second row, where on it we are, or that
// the data is old.
func (m *model) drawHead(a canvas.Area) {
	f := &m.frame
	bars.Identity(a.Sub(0, 0, a.W(), 1), f)
	row := a.Sub(0, 1, a.W(), 1)
	if !f.Stale.IsZero() {
		m.drawBanner(row)
		return
	}
	m.tabs.Shown, m.tabs.Crumbs, m.tabs.Status = m.shown, m.top().Crumbs(f), m.status()
	m.tabs.Draw(row, f)
}

// drawFoot draws what is to be said, else the keys for what is under the cursor.
func (m *model) drawFoot(a canvas.Area) {
	text, bad, more := m.notes.line()
	if text == "" {
		bars.Foot(a, m.footHints())
		return
	}
	note := bars.Note{Text: text, Bad: bad, More: more}
	if k := m.frame.Keys.Keys(keys.Acknowledge, m.frame.Glyphs.ASCII, keys.Everywhere); bad && len(k) > 0 {
		note.Key = k[0]
	}
	note.Draw(a, &m.frame)
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
	if y != 1 || !m.frame.Stale.IsZero() || m.area == (canvas.Rect{}) {
		return -1
	}
	return m.tabs.At(x, &m.frame)
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

// status is the word at the right of the second row.
func (m *model) status() string {
	f := &m.frame
	switch {
	case !f.Stale.IsZero():
		return "STALE " + format.Age(f.Now.Sub(f.Stale))
	case f.Paused:
		return m.pausedStatus()
	}
	if s := m.top().Status(f); s != "" {
		return s
	}
	return "LIVE"
}

// pausedStatus says that the screen stands still and how many requests have
// ended since.
func (m *model) pausedStatus() string {
	since := m.latest.Totals.Requests - min(m.frame.Snapshot.Totals.Requests, m.latest.Totals.Requests)
	b := append(m.scratch[:0], m.frame.Glyphs.Paused...)
	if len(b) > 0 {
		b = append(b, ' ')
	}
	b = format.AppendExact(append(b, "PAUSED +"...), since)
	m.scratch = b
	return string(b)
}

func (m *model) windowTitle() string {
	m.scratch = bars.Title(m.scratch[:0], &m.frame)
	return string(m.scratch)
}
