package tui

import (
	"strconv"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
)

func (m *model) drawHead(a canvas.Area) {
	f := &m.frame
	a.Text(1, 0, "adit "+f.Snapshot.Role.String()+" "+f.Snapshot.Name, canvas.Of(0))
	a.Right(0, 0, a.W()-1, f.Now.Format("15:04:05"), canvas.Of(0))
	if !f.Stale.IsZero() {
		m.drawBanner(a.Sub(0, 1, a.W(), 1))
		return
	}
	x := 1
	for i := range screenCount {
		text := " " + strconv.Itoa(i+1) + " "
		if i == m.shown {
			text = "[" + strconv.Itoa(i+1) + "]"
		}
		x = a.Text(x, 1, text, canvas.Of(0))
	}
	a.Right(0, 1, a.W()-1, m.status(), canvas.Of(0))
}

func (m *model) drawFoot(a canvas.Area) {
	if text, _, _ := m.notes.line(); text != "" {
		a.Text(1, 0, text, canvas.Of(0))
		return
	}
	x := 1
	for _, h := range m.footHints() {
		x = a.Text(x, 0, h.Key+" "+h.Text+"  ", canvas.Of(0))
	}
}

func (m *model) drawCard(a canvas.Area) {
	a.Text(1, 0, "adit "+m.frame.Snapshot.Name, canvas.Of(0))
}

// tabAt returns the screen whose tab is at a cell, -1 if none is.
func (m *model) tabAt(x, y int) int {
	if y != 1 || x < 1 || x >= 1+3*screenCount {
		return -1
	}
	return (x - 1) / 3
}

func (m *model) windowTitle() string {
	s := m.frame.Snapshot
	return "adit " + s.Name + " · " + plural(len(s.Connections), "conn")
}

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
