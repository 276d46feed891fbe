// Package overview is the first screen: connections, throughput, frames and the
// newest requests at a glance.
package overview

import (
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/connection"
	"adit/tui/connections"
	"adit/tui/pane"
	"adit/tui/requests"
	"adit/tui/split"
)

// The panes, in the order of tab.
const (
	paneTable = iota
	paneThroughput
	paneFrames
	paneTail
	panePreview
	panes
)

// A Screen is the overview.
type Screen struct {
	table   *connections.Table
	tail    *requests.List
	panes   split.Panes
	preview connection.Preview
	reset   connection.Reset
	pen     connection.Pen
	buf     []byte

	shapes   shapes // of the last snapshot
	shapesOf time.Time
}

// shapes are sums over the open connections.
type shapes struct{ in, out engine.FrameShape }

var (
	_ pane.Screen   = (*Screen)(nil)
	_ pane.Filtered = (*Screen)(nil)
)

// New returns the screen.
func New() *Screen {
	return &Screen{
		table:   connections.NewTable("overview", false),
		tail:    requests.NewList(requests.Options{Name: "overview.requests", Title: "Requests (tail)"}),
		panes:   split.Panes{Name: "overview"},
		preview: connection.Preview{Name: "overview.preview"},
	}
}

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context {
	if s.panes.Focus() == paneTail {
		return []keys.Context{keys.Requests, keys.List}
	}
	return []keys.Context{keys.Connections, keys.List}
}

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(*pane.Frame) []string { return nil }

// Status implements [pane.Screen].
func (s *Screen) Status(*pane.Frame) string { return "" }

// Hints implements [pane.Screen].
func (s *Screen) Hints(f *pane.Frame) []keys.Action {
	if s.panes.Focus() == paneTail {
		return []keys.Action{keys.Open, keys.Mark, keys.CopyCurl, keys.Filter, keys.Sort, keys.Follow,
			keys.Pause, keys.PaneNext, keys.Palette, keys.Help}
	}
	if len(f.Snapshot.Connections) == 0 {
		return connections.Hints(f)
	}
	if f.Class < pane.Normal {
		return []keys.Action{keys.Open, keys.Mark, keys.Kill, keys.Filter, keys.Sort, keys.Follow, keys.Pause,
			keys.Drain, keys.Tree, keys.PaneNext, keys.Palette, keys.Help}
	}
	return []keys.Action{keys.Open, keys.Mark, keys.Kill, keys.Drain, keys.Filter, keys.Sort, keys.Tree,
		keys.Follow, keys.Pause, keys.PaneNext, keys.Palette, keys.Help}
}

// Page implements [pane.Listing].
func (s *Screen) Page() *engine.RequestPage { return s.tail.Page() }

// Newest implements [pane.Listing].
func (s *Screen) Newest() engine.RequestID { return s.tail.Newest() }

// Captures implements [pane.Capturable].
func (s *Screen) Captures(a keys.Action, f *pane.Frame) (filter, what string) {
	if a == keys.CapturePath {
		return s.tail.Captures(a)
	}
	return s.table.Captures(a, f)
}

// Forget implements [pane.Marking].
func (s *Screen) Forget(f *pane.Frame, all bool) int {
	return s.table.Forget(f, all) + s.tail.Forget(all)
}

// Marks returns how many connections are marked, which actions on them go by.
func (s *Screen) Marks() int {
	if s.panes.Focus() == paneTail {
		return 0
	}
	return s.table.Marks()
}

// Wants implements [pane.Screen].
func (s *Screen) Wants(f *pane.Frame) []pane.Want { return s.tail.Wants(f) }

// Subject implements [pane.Filtered]: the pane with the focus is filtered.
func (s *Screen) Subject() filter.Subject {
	if s.panes.Focus() == paneTail {
		return filter.Requests
	}
	return filter.Connections
}

// Filter implements [pane.Filtered].
func (s *Screen) Filter() string {
	if s.panes.Focus() == paneTail {
		return s.tail.Filter()
	}
	return s.table.Filter()
}

// SetFilter implements [pane.Filtered].
func (s *Screen) SetFilter(text string) {
	if s.panes.Focus() == paneTail {
		s.tail.SetFilter(text)
		return
	}
	s.table.SetFilter(text)
}

// Matches implements [pane.Filtered].
func (s *Screen) Matches() pane.Matches {
	if s.panes.Focus() != paneTail {
		return s.table.Matches()
	}
	return s.tail.Matches()
}

// Values implements [pane.Filtered].
func (s *Screen) Values(field string) []pane.Value {
	if s.panes.Focus() == paneTail {
		return s.tail.Values(field)
	}
	return s.table.Values(field)
}

// Step implements [pane.ConnectionSequence].
func (s *Screen) Step(id engine.ConnectionID, by int) (engine.ConnectionID, bool) {
	return s.table.Step(id, by)
}

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	s.panes.Begin(panes)
	defer s.panes.Settle()
	w, h := a.Size()
	switch {
	case s.panes.Zoomed():
		s.pane(s.panes.Focus(), a, f)
	case len(f.Snapshot.Connections) == 0 && f.Snapshot.Totals.Requests == 0 && f.Class == pane.Compact:
		s.pane(paneTable, a, f)
	case f.Class == pane.Wide:
		s.drawWide(a, f)
	case f.Class == pane.Normal:
		top := s.panes.Rows(a, f, h*15/33, 6, 16)
		middle := min(10, h-top-5)
		left := w * 66 / 120
		s.pane(paneTable, a.Sub(0, 0, w, top), f)
		s.pane(paneThroughput, a.Sub(0, top, left, middle), f)
		s.pane(paneFrames, a.Sub(left, top, w-left, middle), f)
		s.pane(paneTail, a.Sub(0, top+middle, w, h-top-middle), f)
	default:
		s.drawCompact(a, f)
	}
}

// drawWide: connections and requests at the left, what is selected at the right,
// as 200x60.
func (s *Screen) drawWide(a canvas.Area, f *pane.Frame) {
	w, h := a.Size()
	top := s.panes.Rows(a, f, h*30/57, 12, 10)
	left := w * 130 / 200
	s.pane(paneTable, a.Sub(0, 0, left, top), f)
	s.pane(paneTail, a.Sub(0, top, left, h-top), f)
	frames := min(14, h/3)
	graph := min(16, h/3)
	if s.preview.Hidden(f) {
		graph = h - frames
	}
	s.pane(paneThroughput, a.Sub(left, 0, w-left, graph), f)
	s.pane(paneFrames, a.Sub(left, graph, w-left, frames), f)
	if !s.preview.Hidden(f) {
		s.pane(panePreview, a.Sub(left, graph+frames, w-left, h-graph-frames), f)
	}
}

// drawCompact: a strip in place of graphs, as 80x24.
func (s *Screen) drawCompact(a canvas.Area, f *pane.Frame) {
	w, h := a.Size()
	strip := 4
	if h < 16 {
		strip = 0
	}
	top := s.panes.Rows(a, f, max((h-strip)*10/17, 5), 4, strip+4)
	s.pane(paneTable, a.Sub(0, 0, w, top), f)
	if strip > 0 {
		s.pane(paneThroughput, a.Sub(0, top, w, strip), f)
	}
	s.pane(paneTail, a.Sub(0, top+strip, w, h-top-strip), f)
}

func (s *Screen) pane(n int, a canvas.Area, f *pane.Frame) {
	if w, h := a.Size(); w < 3 || h < 3 {
		return
	}
	focused := s.panes.Put(n, a)
	switch n {
	case paneTable:
		s.table.Draw(a, f, focused)
	case paneThroughput:
		if f.Class == pane.Compact && a.H() < 8 {
			s.drawStrip(a, f, focused)
		} else {
			s.drawThroughput(a, f, focused)
		}
	case paneFrames:
		s.drawFrames(a, f, focused)
	case paneTail:
		s.tail.Draw(a, f, focused)
	case panePreview:
		s.preview.Draw(a, f, s.table.Selected(f), focused)
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
	case keys.ResetCounters:
		if !s.reset.Undo() {
			s.reset.To(s.counts(f), f.Snapshot.Time)
		}
		return nil, true
	case keys.Back:
		if s.panes.Unzoom() {
			return nil, true
		}
	}
	if s.panes.Focus() == paneTail || a == keys.Follow {
		if a == keys.Filter {
			return pane.EditFilter{}, true
		}
		return s.tail.Do(a, f)
	}
	switch a {
	case keys.ItemNext:
		a = keys.MoveDown
	case keys.ItemPrevious:
		a = keys.MoveUp
	}
	return s.table.Do(a, f)
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, f *pane.Frame) string {
	if s.panes.Focus() == paneTail {
		return s.tail.Off(a, f)
	}
	return s.table.Off(a, f)
}

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	if s.panes.Mouse(m, f) {
		return nil
	}
	switch s.panes.At(m.X, m.Y) {
	case paneTable:
		return s.table.Mouse(m, f)
	case paneTail:
		effect, _ := s.tail.Mouse(m, f)
		return effect
	case panePreview:
		if m.Kind == pane.DoubleClick {
			if i := s.table.Selected(f); i >= 0 {
				return pane.OpenConnection{ID: f.Snapshot.Connections[i].ID, From: s.table}
			}
		}
	}
	return nil
}
