// Package connections is the screen of all connections, and the table of them
// that the overview shows too.
package connections

import (
	"strconv"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/connection"
	"adit/tui/format"
	"adit/tui/pane"
	"adit/tui/split"
)

// The panes, in the order of tab.
const (
	paneTable = iota
	panePreview
	paneServers
	panes
)

// A Screen is the second of the dashboard: every connection there is.
type Screen struct {
	table   *Table
	panes   split.Panes
	preview connection.Preview
	servers servers
}

var (
	_ pane.Screen   = (*Screen)(nil)
	_ pane.Filtered = (*Screen)(nil)
)

// New returns the screen.
func New() *Screen {
	return &Screen{table: NewTable("connections", true), panes: split.Panes{Name: "connections"},
		preview: connection.Preview{Name: "connections.preview"}}
}

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context {
	return []keys.Context{keys.Connections, keys.List}
}

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(*pane.Frame) []string { return nil }

// Status implements [pane.Screen].
func (s *Screen) Status(*pane.Frame) string { return "" }

// Hints implements [pane.Screen].
func (s *Screen) Hints(f *pane.Frame) []keys.Action { return Hints(f) }

// Hints are the actions on connections that a footer shows.
func Hints(f *pane.Frame) []keys.Action {
	if len(f.Snapshot.Connections) == 0 {
		return []keys.Action{keys.Copy, keys.ScreenEvents, keys.Palette, keys.Help}
	}
	return []keys.Action{keys.Open, keys.Mark, keys.Kill, keys.Drain, keys.Filter, keys.Sort, keys.Tree,
		keys.Columns, keys.PaneNext, keys.Palette, keys.Help}
}

// Wants implements [pane.Screen].
func (s *Screen) Wants(*pane.Frame) []pane.Want { return nil }

// Subject implements [pane.Filtered].
func (s *Screen) Subject() filter.Subject { return filter.Connections }

// Filter implements [pane.Filtered].
func (s *Screen) Filter() string { return s.table.Filter() }

// SetFilter implements [pane.Filtered].
func (s *Screen) SetFilter(text string) { s.table.SetFilter(text) }

// Matches implements [pane.Filtered].
func (s *Screen) Matches() pane.Matches { return s.table.Matches() }

// Values implements [pane.Filtered].
func (s *Screen) Values(field string) []pane.Value { return s.table.Values(field) }

// Marks returns how many rows are marked.
func (s *Screen) Marks() int { return s.table.Marks() }

// Captures implements [pane.Capturable].
func (s *Screen) Captures(a keys.Action, f *pane.Frame) (filter, what string) {
	return s.table.Captures(a, f)
}

// Forget implements [pane.Marking].
func (s *Screen) Forget(f *pane.Frame, all bool) int { return s.table.Forget(f, all) }

// Step implements [pane.ConnectionSequence].
func (s *Screen) Step(id engine.ConnectionID, by int) (engine.ConnectionID, bool) {
	return s.table.Step(id, by)
}

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	s.panes.Begin(panes)
	defer s.panes.Settle()
	w, h := a.Size()
	if s.panes.Zoomed() {
		s.pane(s.panes.Focus(), a, f)
		return
	}
	if f.Snapshot.Role == engine.RoleClient && len(f.Snapshot.Connections) > 0 && h >= 18 {
		top := min(s.servers.height(f), h/3)
		s.pane(paneServers, a.Sub(0, 0, w, top), f)
		a = a.Sub(0, top, w, h-top)
		h -= top
	}
	switch {
	case s.preview.Hidden(f) || len(f.Snapshot.Connections) == 0 || f.Class == pane.Compact:
		s.pane(paneTable, a, f)
	case f.Class == pane.Wide:
		left := w * 130 / 200
		s.pane(paneTable, a.Sub(0, 0, left, h), f)
		s.pane(panePreview, a.Sub(left, 0, w-left, h), f)
	default:
		top := s.panes.Rows(a, f, h-14, 6, 6)
		s.pane(paneTable, a.Sub(0, 0, w, top), f)
		s.pane(panePreview, a.Sub(0, top, w, h-top), f)
	}
}

func (s *Screen) pane(n int, a canvas.Area, f *pane.Frame) {
	focused := s.panes.Put(n, a)
	switch n {
	case paneTable:
		s.table.Draw(a, f, focused)
	case panePreview:
		s.preview.Draw(a, f, s.table.Selected(f), focused)
	case paneServers:
		s.servers.draw(a, f, focused)
	}
}

// Do implements [pane.Screen].
func (s *Screen) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	if s.panes.Do(a, f) {
		return nil, true
	}
	if effect, handled := s.preview.Do(a, f, s.panes.Shown(panePreview)); handled {
		return effect, true
	}
	switch a {
	case keys.Back:
		if s.panes.Unzoom() {
			return nil, true
		}
	case keys.ItemNext:
		return s.table.Do(keys.MoveDown, f)
	case keys.ItemPrevious:
		return s.table.Do(keys.MoveUp, f)
	}
	if s.panes.Focus() == paneServers && s.servers.do(a) {
		return nil, true
	}
	return s.table.Do(a, f)
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, f *pane.Frame) string { return s.table.Off(a, f) }

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	if s.panes.Mouse(m, f) {
		return nil
	}
	switch s.panes.At(m.X, m.Y) {
	case paneTable:
		return s.table.Mouse(m, f)
	case panePreview:
		if m.Kind == pane.DoubleClick {
			if i := s.table.Selected(f); i >= 0 {
				return pane.OpenConnection{ID: f.Snapshot.Connections[i].ID, From: s.table}
			}
		}
	case paneServers:
		if m.Kind == pane.Wheel {
			s.servers.top = max(s.servers.top+m.Amount, 0)
		}
	}
	return nil
}

// servers is the pane of a client that says where it is connected to and what it
// forwards.
type servers struct {
	top   int // lines above the pane
	lines []string
	bad   []bool // by line: something is wrong
}

// height is what the pane needs to show everything.
func (s *servers) height(f *pane.Frame) int {
	s.fill(f)
	return len(s.lines) + 2
}

// fill makes the lines. A client has a handful of servers and routes.
func (s *servers) fill(f *pane.Frame) {
	s.lines, s.bad = s.lines[:0], s.bad[:0]
	add := func(bad bool, line string) { s.lines, s.bad = append(s.lines, line), append(s.bad, bad) }
	for i := range f.Snapshot.Servers {
		x := &f.Snapshot.Servers[i]
		line := x.URL
		if x.Name != "" {
			line += "  (" + x.Name + ")"
		}
		if x.Through != "" {
			line += "  through " + x.Through
		}
		line += "  pool " + strconv.Itoa(x.Connected) + "/" + strconv.Itoa(x.Wanted)
		if x.LastError != "" && x.Connected < x.Wanted {
			line += "  last error: " + x.LastError
		}
		if wait := x.RetryAt.Sub(f.Now); !x.RetryAt.IsZero() && wait > 0 {
			line += "  next try in " + format.Age(wait+time.Second-1)
		}
		add(x.Connected < x.Wanted, line)
	}
	for _, line := range exposeLines(f.Snapshot.Expose) {
		add(false, "forwards "+line)
	}
}

func (s *servers) draw(a canvas.Area, f *pane.Frame, focused bool) {
	s.fill(f)
	in := a.Box(canvas.Box{Title: "Servers and what is forwarded", Focused: focused, Glyphs: f.Glyphs})
	s.top = max(0, min(s.top, len(s.lines)-in.H()))
	for y := range min(in.H(), len(s.lines)-s.top) {
		style := canvas.Of(themes.Fg)
		if s.bad[s.top+y] {
			style = canvas.Of(themes.Warn)
		}
		in.Cut(1, y, in.W()-1, s.lines[s.top+y], f.Glyphs.Cut, style)
	}
}

func (s *servers) do(a keys.Action) bool {
	by, ok := pane.Moves(a, 4, len(s.lines))
	s.top = max(s.top+by, 0) // draw keeps it within the lines
	return ok
}
