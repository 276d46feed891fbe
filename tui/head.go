package tui

import (
	"strconv"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/bars"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// noteWidth is how many cells a note has at least: where there are not so many
// beside what stands at the right, it takes them all.
const noteWidth = 48

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
	w := m.footWidth()
	if text != "" && w < noteWidth {
		w = a.W()
	}
	if beside := m.beside(); w < a.W() {
		a.Right(0, 0, a.W()-1, beside, canvas.Of(themes.Info))
	}
	if a = a.Sub(0, 0, w, 1); text == "" {
		bars.Foot(a, m.footHints())
		return
	}
	note := bars.Note{Text: text, Bad: bad, More: more}
	if k := m.frame.Keys.Keys(keys.Acknowledge, m.frame.Glyphs.ASCII, keys.Everywhere); bad && len(k) > 0 {
		note.Key = k[0]
	}
	note.Draw(a, &m.frame)
}

// beside is what stands at the right of the footer: what is captured, and who else
// is here.
func (m *model) beside() string {
	f := &m.frame
	b := m.scratch[:0]
	if c := &f.Snapshot.Capture; f.Playback == nil && (c.Mode == engine.CaptureContent || len(c.Content) > 0) {
		b = append(append(b, f.Glyphs.Following...), " capturing"...)
		if c.Sampling > 1 {
			b = strconv.AppendInt(append(b, " 1 in "...), int64(c.Sampling), 10)
		}
		if f.Class >= pane.Normal && c.Limit > 0 {
			b = format.AppendSize(append(b, ' '), uint64(max(c.Bytes, 0)))
			b = format.AppendSize(append(b, " of "...), uint64(c.Limit))
		}
	}
	if n := f.Attached; n > 1 || n == 1 && f.Link == nil {
		if len(b) > 0 {
			b = append(b, "  "...)
		}
		b = append(strconv.AppendInt(b, int64(n), 10), " attached"...)
	}
	m.scratch = b
	return string(b)
}

// footWidth is what the keys of the footer have.
func (m *model) footWidth() int {
	w := m.frame.Width
	if text := m.beside(); text != "" && len(m.overlays) == 0 {
		w -= canvas.Width(text) + 2
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
	}
	s := "LIVE"
	if f.Paused {
		s = m.pausedStatus()
	} else if own := m.top().Status(f); own != "" {
		s = own
	}
	if f.Store.Problem != "" {
		return "STORE SUSPENDED " + f.Glyphs.Dot + " " + s
	}
	return s
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
