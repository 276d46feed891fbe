package tui

import (
	"strconv"

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
	if f.Playback != nil {
		m.drawSlider(a.Sub(0, headRows, a.W(), 1))
	}
	if m.lost() {
		m.drawBanner(row)
		return
	}
	m.tabs.Shown, m.tabs.Crumbs, m.tabs.Status = m.shown, m.top().Crumbs(f), m.status()
	m.tabs.Draw(row, f)
}

// drawFoot draws what is to be said, else the keys for what is under the cursor.
func (m *model) drawFoot(a canvas.Area) {
	if m.bare {
		return
	}
	text, bad, more := m.notes.line()
	if text == "" {
		if attached := m.attached(); attached != "" && len(m.overlays) == 0 {
			a.Right(0, 0, a.W()-1, attached, canvas.Of(themes.Info))
		}
		bars.Foot(a.Sub(0, 0, m.footWidth(), 1), m.footHints())
		return
	}
	note := bars.Note{Text: text, Bad: bad, More: more}
	if k := m.frame.Keys.Keys(keys.Acknowledge, m.frame.Glyphs.ASCII, keys.Everywhere); bad && len(k) > 0 {
		note.Key = k[0]
	}
	note.Draw(a, &m.frame)
}

// attached says how many operators there are, where one is not alone.
func (m *model) attached() string {
	n := m.frame.Attached
	if n == 0 || n == 1 && m.frame.Link != nil {
		return ""
	}
	m.scratch = append(strconv.AppendInt(m.scratch[:0], int64(n), 10), " attached"...)
	return string(m.scratch)
}

// footWidth is what the keys of the footer have.
func (m *model) footWidth() int {
	w := m.frame.Width
	if text := m.attached(); text != "" && len(m.overlays) == 0 {
		w -= len(text) + 2
	}
	return max(w, 0)
}

// lost reports whether the second row is the banner.
func (m *model) lost() bool {
	f := &m.frame
	return !f.Stale.IsZero() || f.Link != nil && f.Link.Lost
}

// drawCard draws what there is room for in a terminal too small for a screen.
func (m *model) drawCard(a canvas.Area) {
	f := &m.frame
	if m.connecting() {
		m.drawConnecting(a)
		return
	}
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
	if y != 1 || m.lost() || m.area == (canvas.Rect{}) {
		return -1
	}
	return m.tabs.At(x, &m.frame)
}

// status is the word at the right of the second row.
func (m *model) status() string {
	f := &m.frame
	switch {
	case m.connecting():
		return "CONNECTING"
	case !f.Stale.IsZero():
		return "STALE " + format.Age(f.Now.Sub(f.Stale))
	case f.Playback != nil:
		return m.playing()
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
