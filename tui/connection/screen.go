// Package connection is what was opened of one connection: its greeting, frames,
// round-trip times, what runs on it and what ran. Its panes are drawn elsewhere
// as well, where a connection is only looked at.
package connection

import (
	"strconv"

	"adit/engine"
	"adit/engine/filter"
	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
	"adit/tui/requests"
	"adit/tui/split"
)

// The panes, in the order of tab.
const (
	paneGreeting = iota
	paneFrames
	paneRTT
	paneRequests
	paneStreams
	paneTape
	panes
)

// A Screen is the detail of one connection. It stays readable when the
// connection is gone.
type Screen struct {
	id   engine.ConnectionID
	from pane.ConnectionSequence

	past     past
	greeting Greeting
	reset    Reset
	raw      bool
	scroll   int // lines of the greeting above the pane

	panes    split.Panes
	streams  streams
	tape     tape
	requests *requests.List
	pen      Pen
	crumbs   [2]string

	lower  int  // in Compact: the pane of the two that share a place
	taping bool // the tape was drawn in the last frame
}

var (
	_ pane.Screen   = (*Screen)(nil)
	_ pane.Filtered = (*Screen)(nil)
)

// New returns the detail of a connection. from is the list that it was opened
// from; nil: next and previous go by id.
func New(id engine.ConnectionID, from pane.ConnectionSequence) *Screen {
	s := &Screen{id: id, from: from, panes: split.Panes{Name: "connection"}, lower: paneRequests}
	s.panes.SetFocus(paneRequests)
	s.requests = requests.NewList(requests.Options{
		Name: "connection.requests", Title: "Requests on this connection", Scope: scope(id),
	})
	return s
}

// scope is the filter for the records of one connection.
func scope(id engine.ConnectionID) string { return "conn:=" + id.String() }

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context {
	if s.panes.Focus() == paneRequests {
		return []keys.Context{keys.Connection, keys.Requests, keys.List}
	}
	return []keys.Context{keys.Connection, keys.List}
}

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(f *pane.Frame) []string {
	s.past.look(f, s.id)
	x := &s.past.last
	s.crumbs[0] = x.Client
	if f.Snapshot.Role == engine.RoleClient {
		s.crumbs[0] = x.Server
	}
	b := append(s.pen.buf[:0], s.id.String()...)
	b = append(b, "  "...)
	b = s.appendState(b, f)
	s.crumbs[1] = string(b)
	s.pen.buf = b
	if s.crumbs[0] == "" {
		return s.crumbs[1:]
	}
	return s.crumbs[:]
}

// appendState appends the state in words: "▶ busy  age 3m28s", "× closed 1001 going
// away, 12s ago".
func (s *Screen) appendState(b []byte, f *pane.Frame) []byte {
	x := &s.past.last
	switch {
	case s.past.index >= 0:
		glyph, word := State(x.State, f.Glyphs)
		b = append(append(append(b, glyph...), ' '), word...)
		b = append(b, "  age "...)
		return format.AppendAge(b, f.Snapshot.Time.Sub(x.Opened))
	case s.past.closed:
		b = append(append(b, f.Glyphs.Closed...), " closed "...)
		b = strconv.AppendUint(b, uint64(s.past.code), 10)
		if s.past.reason != "" {
			b = append(append(b, ' '), s.past.reason...)
		}
		b = append(b, ", "...)
		b = format.AppendAge(b, max(f.Now.Sub(s.past.at), 0))
		return append(b, " ago"...)
	case s.past.known:
		return append(append(b, f.Glyphs.Closed...), " gone"...)
	}
	return append(b, "not known here"...)
}

// Status implements [pane.Screen].
func (s *Screen) Status(*pane.Frame) string {
	if s.past.index < 0 && s.past.known {
		return "frozen"
	}
	return ""
}

// Hints implements [pane.Screen].
func (s *Screen) Hints(f *pane.Frame) []keys.Action {
	if s.past.index < 0 {
		return []keys.Action{keys.Copy, keys.RawGreeting, keys.Open, keys.ItemPrevious, keys.ItemNext, keys.Back, keys.Help}
	}
	if f.Class < pane.Normal {
		return []keys.Action{keys.Kill, keys.Drain, keys.Open, keys.ItemPrevious, keys.ItemNext, keys.Copy, keys.Back,
			keys.Cancel, keys.RawGreeting, keys.PaneNext, keys.ResetCounters, keys.Help}
	}
	return []keys.Action{keys.Kill, keys.Drain, keys.Cancel, keys.Copy, keys.RawGreeting, keys.Open,
		keys.ItemPrevious, keys.ItemNext, keys.ResetCounters, keys.PaneNext, keys.Back, keys.Help}
}

// Wants implements [pane.Screen].
func (s *Screen) Wants(f *pane.Frame) []pane.Want {
	s.requests.SetScope(scope(s.id))
	wants := s.requests.Wants(f)
	if !f.Paused && (s.past.index >= 0 || !s.past.known) {
		wants = append(wants, s.streams.want(s.id))
		if s.taping {
			wants = append(wants, s.tape.want(s.id))
		}
	}
	return wants
}

// Subject implements [pane.Filtered]: the requests of the connection are filtered.
func (s *Screen) Subject() filter.Subject { return filter.Requests }

// Filter implements [pane.Filtered].
func (s *Screen) Filter() string { return s.requests.Filter() }

// SetFilter implements [pane.Filtered].
func (s *Screen) SetFilter(text string) { s.requests.SetFilter(text) }

// Matches implements [pane.Filtered].
func (s *Screen) Matches() pane.Matches {
	return s.requests.Matches()
}

// Values implements [pane.Filtered].
func (s *Screen) Values(field string) []pane.Value { return s.requests.Values(field) }

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	s.past.look(f, s.id)
	s.panes.Begin(panes)
	s.taping = false
	if s.panes.Zoomed() {
		s.pane(s.panes.Focus(), a, f)
		s.panes.Settle()
		return
	}
	switch f.Class {
	case pane.Wide:
		s.drawWide(a, f)
	case pane.Normal:
		s.drawNormal(a, f)
	default:
		s.drawCompact(a, f)
	}
	s.panes.Settle()
}

// drawNormal: two, two, and the requests over the whole width, as 120x36.
func (s *Screen) drawNormal(a canvas.Area, f *pane.Frame) {
	w, h := a.Size()
	top := s.panes.Rows(a, f, 13, 8, 12)
	middle := min(9, max(5, (h-top)*9/20))
	left := w * 58 / 120
	s.pane(paneGreeting, a.Sub(0, 0, left, top), f)
	s.pane(paneFrames, a.Sub(left, 0, w-left, top), f)
	left = w * 66 / 120
	s.pane(paneRTT, a.Sub(0, top, left, middle), f)
	s.pane(paneStreams, a.Sub(left, top, w-left, middle), f)
	s.pane(paneRequests, a.Sub(0, top+middle, w, h-top-middle), f)
}

// drawWide: three, two with the tape, and the requests, as 200x60.
func (s *Screen) drawWide(a canvas.Area, f *pane.Frame) {
	w, h := a.Size()
	top := s.panes.Rows(a, f, h*22/57, 14, 20)
	middle := max(6, (h-top)*16/35)
	left, mid := w*66/200, w*70/200
	s.pane(paneGreeting, a.Sub(0, 0, left, top), f)
	s.pane(paneFrames, a.Sub(left, 0, mid, top), f)
	s.pane(paneRTT, a.Sub(left+mid, 0, w-left-mid, top), f)
	s.pane(paneStreams, a.Sub(0, top, w/2, middle), f)
	s.pane(paneTape, a.Sub(w/2, top, w-w/2, middle), f)
	s.pane(paneRequests, a.Sub(0, top+middle, w, h-top-middle), f)
}

// drawCompact: the greeting, two narrow ones, and requests and streams in one
// place, as 80x24.
func (s *Screen) drawCompact(a canvas.Area, f *pane.Frame) {
	w, h := a.Size()
	if focus := s.panes.Focus(); focus == paneRequests || focus == paneStreams {
		s.lower = focus
	}
	middle := 8
	if h < 20 { // short: what has the focus of the upper ones, and the lower one
		middle = 0
	}
	top := s.panes.Rows(a, f, 6, 3, middle+5)
	if middle == 0 && (s.panes.Focus() == paneFrames || s.panes.Focus() == paneRTT) {
		s.pane(s.panes.Focus(), a.Sub(0, 0, w, top), f)
	} else {
		s.pane(paneGreeting, a.Sub(0, 0, w, top), f)
	}
	if middle > 0 {
		left := w - max(28, w*28/80)
		s.pane(paneFrames, a.Sub(0, top, left, middle), f)
		s.pane(paneRTT, a.Sub(left, top, w-left, middle), f)
	}
	s.pane(s.lower, a.Sub(0, top+middle, w, h-top-middle), f)
	for _, n := range [...]int{paneGreeting, paneFrames, paneRTT, paneRequests, paneStreams} {
		if n != s.lower {
			s.panes.Behind(n)
		}
	}
}
