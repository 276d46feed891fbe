// Package events is the screen of what happened: everything the engine told but
// single requests.
package events

import (
	"slices"
	"strings"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/observe"
	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// A Screen is the screen of events, the newest first.
type Screen struct {
	text    string
	filter  *filter.Filter
	level   observe.Level // and above
	context filter.Context
	looking *pane.Row // that the filter is asked about

	// index holds the positions of the rows that are selected, the oldest first:
	// each row is looked at once, not once a frame.
	index   []uint64
	scanned uint64
	marks   map[uint64]struct{} // positions of bookmarks

	following bool
	cursor    uint64 // position
	above     int    // rows on the screen above the cursor
	scroll    int
	rows      canvas.Rect
	box       canvas.Rect // of the filter
	buffer    []byte
}

// marksMost bounds the bookmarks.
const marksMost = 1000

// New returns the screen, following the newest.
func New() *Screen {
	s := &Screen{following: true, marks: map[uint64]struct{}{}}
	s.filter, _ = filter.Parse(filter.Events, "")
	s.context.Marked = func(uint64) bool { return s.looking.Marked }
	return s
}

var (
	_ pane.Screen   = (*Screen)(nil)
	_ pane.Filtered = (*Screen)(nil)
)

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context { return []keys.Context{keys.Events} }

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(*pane.Frame) []string { return nil }

// Status implements [pane.Screen].
func (s *Screen) Status(*pane.Frame) string { return "" }

// Wants implements [pane.Screen]: events come by themselves.
func (s *Screen) Wants(*pane.Frame) []pane.Want { return nil }

// Hints implements [pane.Screen].
func (s *Screen) Hints(*pane.Frame) []keys.Action {
	return []keys.Action{keys.Open, keys.Filter, keys.Level, keys.Follow, keys.Pause, keys.Write, keys.Copy, keys.MatchNext, keys.Bookmark}
}

// Subject implements [pane.Filtered], as do those below.
func (s *Screen) Subject() filter.Subject { return filter.Events }

// Filter returns the filter as it was set, without the level.
func (s *Screen) Filter() string { return s.text }

// SetFilter narrows the rows. A text that does not parse changes nothing.
func (s *Screen) SetFilter(text string) {
	f, err := filter.Parse(filter.Events, text)
	if err != nil || text == s.text {
		return
	}
	s.text, s.filter = text, f
	s.again()
}

// Matches says how many rows are selected of how many, at the last Draw. Nothing
// is searched for, so that it takes no time.
func (s *Screen) Matches() pane.Matches {
	return pane.Matches{Matched: len(s.index), Of: int(s.scanned)}
}

// Values returns nothing: what there is of events is better looked for by words,
// and the few values of level and kind belong to the language.
func (s *Screen) Values(string) []pane.Value { return nil }

// again looks at all rows anew.
func (s *Screen) again() { s.index, s.scanned = s.index[:0], 0 }

// update looks at the rows that came since, and forgets those that are gone.
func (s *Screen) update(f *pane.Frame) {
	l := f.Events
	if l == nil {
		return
	}
	if first := l.First(); len(s.index) > 0 && s.index[0] < first {
		gone, _ := slices.BinarySearch(s.index, first)
		s.index = append(s.index[:0], s.index[gone:]...)
		for p := range s.marks {
			if p < first {
				delete(s.marks, p)
			}
		}
	}
	s.context.Now = f.Now
	for p := max(s.scanned, l.First()); p < l.Next(); p++ {
		if s.selects(l.At(p)) {
			s.index = append(s.index, p)
		}
	}
	s.scanned = l.Next()
}

// selects reports whether a row is shown. One that stands for lost events always
// is: nobody knows whether the filter would have selected them.
func (s *Screen) selects(row *pane.Row) bool {
	s.looking = row
	return row.Stands() || row.Level >= s.level && s.filter.Event(&row.Event, &s.context)
}

// count returns how many rows are shown: while paused, those of then.
func (s *Screen) count(f *pane.Frame) int {
	if !f.Paused {
		return len(s.index)
	}
	n, _ := slices.BinarySearch(s.index, f.EventsUntil)
	return n
}

// at returns the row that the cursor is in, the newest being 0; -1 if there is
// none.
func (s *Screen) at(f *pane.Frame) int {
	n := s.count(f)
	if n == 0 {
		return -1
	}
	if s.following {
		return 0
	}
	i, found := slices.BinarySearch(s.index[:n], s.cursor)
	if !found && i > 0 {
		i--
	}
	return n - 1 - i
}

// row returns the i-th row, the newest being 0; nil if there is none.
func (s *Screen) row(f *pane.Frame, i int) *pane.Row {
	n := s.count(f)
	if i < 0 || i >= n || f.Events == nil {
		return nil
	}
	return f.Events.At(s.index[n-1-i])
}

// position returns the position of the i-th row, which exists.
func (s *Screen) position(f *pane.Frame, i int) uint64 { return s.index[s.count(f)-1-i] }

func (s *Screen) height() int { return max(s.rows.H, 1) }

// put puts the cursor on the i-th row, scrolling as little as that needs.
func (s *Screen) put(f *pane.Frame, i int) {
	n := s.count(f)
	if n == 0 {
		return
	}
	at := s.at(f)
	top := max(at-s.above, 0)
	if s.following {
		top = 0
	}
	i = min(max(i, 0), n-1)
	s.following = false
	s.cursor = s.position(f, i)
	top = min(max(top, i-s.height()+1), i)
	s.above = i - top
}

// Do implements [pane.Screen].
func (s *Screen) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	s.update(f)
	if by, ok := pane.Moves(a, s.height()/2, s.count(f)); ok {
		if !s.following || by > 0 { // it stands at the newest already
			s.put(f, s.at(f)+by)
		}
		return nil, true
	}
	switch a {
	case keys.MoveLeft:
		s.scroll = max(s.scroll-8, 0)
	case keys.MoveRight:
		s.scroll = min(s.scroll+8, engine.MaxText)
	case keys.Follow:
		s.following, s.above = true, 0
	case keys.Filter:
		return pane.EditFilter{}, true
	case keys.Level:
		s.level = (s.level + 1) % (observe.LevelError + 1)
		s.again()
	case keys.Bookmark, keys.Mark:
		return s.bookmark(f), true
	case keys.MatchNext, keys.MatchPrevious:
		return s.match(f, a == keys.MatchPrevious), true
	case keys.Open:
		return s.open(f), true
	case keys.Copy:
		return s.copyRow(f), true
	case keys.Write:
		return s.write(f), true
	case keys.Back:
		return nil, s.back()
	default:
		return nil, false
	}
	return nil, true
}

// back clears one thing: it reports false where nothing is left to clear.
func (s *Screen) back() bool {
	switch {
	case s.text != "":
		s.SetFilter("")
	case s.level != observe.LevelDebug:
		s.level = observe.LevelDebug
		s.again()
	default:
		return false
	}
	return true
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, f *pane.Frame) string {
	switch a {
	case keys.Open, keys.Copy, keys.Bookmark, keys.Write, keys.MatchNext, keys.MatchPrevious:
		if s.count(f) == 0 {
			return "no event here"
		}
	}
	return ""
}

// bookmark marks the row, or no longer.
func (s *Screen) bookmark(f *pane.Frame) pane.Effect {
	i := s.at(f)
	row := s.row(f, i)
	if row == nil {
		return nil
	}
	p := s.position(f, i)
	if !row.Marked && len(s.marks) == marksMost {
		return pane.Say{Text: "there are 1000 bookmarks already: take some back"}
	}
	s.put(f, i)
	if row.Marked = !row.Marked; row.Marked {
		s.marks[p] = struct{}{}
	} else {
		delete(s.marks, p)
	}
	if strings.Contains(s.text, "is:") {
		s.again()
	}
	return nil
}

// match goes to the next bookmark downwards or, without bookmarks, to the next
// warning or error.
func (s *Screen) match(f *pane.Frame, back bool) pane.Effect {
	by, what := 1, "warning or error"
	if back {
		by = -1
	}
	if len(s.marks) > 0 {
		what = "bookmark"
	}
	for i := s.at(f) + by; ; i += by {
		row := s.row(f, i)
		if row == nil {
			return pane.Say{Text: "no further " + what}
		}
		if row.Marked || len(s.marks) == 0 && row.Level >= observe.LevelWarn {
			s.put(f, i)
			return nil
		}
	}
}

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	switch {
	case s.box.Contains(m.X, m.Y) && m.Kind == pane.Click:
		return pane.EditFilter{}
	case !s.rows.Contains(m.X, m.Y):
		return nil
	}
	s.update(f)
	at := s.at(f)
	top := max(at-s.above, 0)
	switch m.Kind {
	case pane.Wheel:
		most := max(s.count(f)-s.height(), 0)
		next := min(max(top+m.Amount, 0), most)
		if next == top || at < 0 {
			return nil
		}
		s.following = false
		i := min(max(at, next), next+s.height()-1, s.count(f)-1)
		s.cursor, s.above = s.position(f, i), i-next
	case pane.Click, pane.DoubleClick:
		i := top + m.Y - s.rows.Y
		if s.row(f, i) == nil {
			return nil
		}
		s.put(f, i)
		if m.Kind == pane.DoubleClick {
			return s.open(f)
		}
	}
	return nil
}

// selected returns the row under the cursor, nil if there is none.
func (s *Screen) selected(f *pane.Frame) *pane.Row { return s.row(f, s.at(f)) }

// open goes to what the event is about.
func (s *Screen) open(f *pane.Frame) pane.Effect {
	row := s.selected(f)
	if row == nil {
		return nil
	}
	if effect := subject(&row.Event); effect != nil {
		return effect
	}
	return pane.Say{Text: "this event is about the whole engine: there is nothing to go to"}
}

// subject returns what to show for an event, nil if it is about nothing else.
func subject(e *engine.Event) pane.Effect {
	if e.Request != nil {
		return pane.OpenRequest{ID: e.Request.ID}
	}
	if id, err := engine.ParseRequestID(e.Target); err == nil {
		return pane.OpenRequest{ID: id}
	}
	if e.Connection != 0 {
		return pane.OpenConnection{ID: e.Connection}
	}
	if id, err := engine.ParseConnectionID(e.Target); err == nil {
		return pane.OpenConnection{ID: id}
	}
	client := e.Client
	if client == "" && e.Kind == engine.KindOperatorAction {
		client = e.Target
	}
	if client == "" || e.Kind == engine.KindOperatorAction && e.Action == engine.ActionDrain {
		return nil
	}
	return pane.GoTo{Screen: keys.ScreenConnections, Filter: "client:=" + filter.Quote(client)}
}

// copyRow offers the event under the cursor.
func (s *Screen) copyRow(f *pane.Frame) pane.Effect {
	row := s.selected(f)
	switch {
	case row == nil:
		return pane.Say{Text: "no event here"}
	case row.Stands():
		return pane.CopyText{Choices: []pane.Choice{{Title: "text", Text: row.Text}}}
	}
	return pane.CopyText{Choices: []pane.Choice{
		{Title: "json", Text: string(observe.AppendEvent(nil, &row.Event))},
	}}
}

// write offers the rows that are shown, one JSON object in a line, the oldest
// first. They are copied now: the ring goes on.
func (s *Screen) write(f *pane.Frame) pane.Effect {
	n := s.count(f)
	if n == 0 {
		return pane.Say{Text: "no events to write"}
	}
	events := make([]engine.Event, 0, n)
	for _, p := range s.index[:n] {
		if row := f.Events.At(p); row != nil && !row.Stands() {
			events = append(events, row.Event)
		}
	}
	return pane.WriteFile{Name: "events.jsonl", Content: func() []byte {
		var b []byte
		for i := range events {
			b = append(observe.AppendEvent(b, &events[i]), '\n')
		}
		return b
	}}
}
