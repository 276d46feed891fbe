// Package inspector shows one exchange: what was asked and answered, where its
// time went, and what happened around it.
package inspector

import (
	"context"
	"errors"
	"time"

	"adit/engine"
	"adit/keys"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/pane"
)

// A part is one of the panes.
type part int

const (
	partRequest part = iota
	partResponse
	partTiming
	partEvents
	parts
)

// A Screen is the inspector of one request.
type Screen struct {
	id     engine.RequestID
	from   pane.Sequence // may be nil
	record engine.Request
	have   bool  // record is of id
	gone   bool  // the log keeps it no longer, or never did
	err    error // the log could not be asked

	asked    time.Time // when it was fetched last
	asOf     time.Time // what the record is true of
	revealed bool      // of this request only

	focus   part
	offset  [parts]int
	lines   [parts]int // of what there is, at the last Draw
	rows    [parts]int // of the pane, at the last Draw
	areas   [parts]canvas.Rect
	tabs    [parts]canvas.Rect
	related []uint64 // positions of events, the newest last
	scanned uint64   // position up to which events were looked at
	phases  []exchange.Phase
	text    []byte
}

const (
	// A record that is over does not change, but the log may drop it.
	checkEvery = time.Second
	liveEvery  = 100 * time.Millisecond

	relatedMost = 50
)

// New returns the inspector of a request; from is the list that it stands in,
// nil if there is none.
func New(id engine.RequestID, from pane.Sequence) *Screen { return &Screen{id: id, from: from} }

var _ pane.Screen = (*Screen)(nil)

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context { return []keys.Context{keys.Request} }

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(*pane.Frame) []string {
	crumb := "req " + s.id.String()
	if s.have {
		_, path := exchange.SplitTarget(s.record.Target)
		crumb += " " + s.record.Method + " " + path
	}
	return []string{crumb}
}

// Status implements [pane.Screen].
func (s *Screen) Status(*pane.Frame) string {
	switch {
	case s.have && exchange.Running(&s.record) && !s.gone:
		return "in flight"
	case s.gone:
		return "not in the log"
	case s.have:
		return "frozen"
	}
	return ""
}

// Hints implements [pane.Screen].
func (s *Screen) Hints(*pane.Frame) []keys.Action {
	hints := []keys.Action{keys.CopyCurl, keys.Copy, keys.Reveal, keys.PaneNext, keys.ItemPrevious, keys.ItemNext, keys.Open, keys.Back}
	if s.have && exchange.Running(&s.record) {
		return append([]keys.Action{keys.Cancel}, hints...)
	}
	return hints
}

// Wants implements [pane.Screen].
func (s *Screen) Wants(f *pane.Frame) []pane.Want {
	var wants []pane.Want
	if s.from != nil {
		wants = s.from.Wants(f)
	}
	every := checkEvery
	switch {
	case f.Paused && s.have, s.gone && s.have:
		return wants
	case !s.have && !s.gone:
		every = liveEvery
	case exchange.Running(&s.record):
		every = liveEvery
	}
	if !s.asked.IsZero() && f.Now.Sub(s.asked) < every {
		return wants
	}
	return append(wants, &fetch{s: s, id: s.id})
}

// A fetch is the record on its way.
type fetch struct {
	s      *Screen
	id     engine.RequestID
	record engine.Request
	err    error
	ran    bool
}

func (w *fetch) Fetch(ctx context.Context, source pane.Source) {
	w.record, w.err = source.Log.Request(ctx, w.id)
	w.ran = true
}

func (w *fetch) Deliver(f *pane.Frame) {
	s := w.s
	if !w.ran || w.id != s.id {
		return
	}
	s.asked, s.err = f.Now, nil
	switch {
	case errors.Is(w.err, engine.ErrNotFound):
		s.gone = true
		return
	case errors.Is(w.err, context.Canceled):
		return
	case w.err != nil:
		s.err = w.err
		return
	}
	if s.have && w.record.Heads == nil {
		// The log drops heads before records; what was seen of them stays.
		w.record.Heads = s.record.Heads
	}
	s.record, s.have, s.asOf = w.record, true, f.Now
	s.relate(f)
}

// show goes on to another request.
func (s *Screen) show(id engine.RequestID) {
	*s = Screen{id: id, from: s.from, focus: s.focus, related: s.related[:0], phases: s.phases, text: s.text}
}

// relate gathers the positions of events that have to do with the exchange,
// looking at each event once.
func (s *Screen) relate(f *pane.Frame) {
	l := f.Events
	if l == nil {
		return
	}
	for p := max(s.scanned, l.First()); p < l.Next(); p++ {
		if s.concerns(&l.At(p).Event) {
			if len(s.related) == relatedMost {
				s.related = append(s.related[:0], s.related[1:]...)
			}
			s.related = append(s.related, p)
		}
	}
	s.scanned = l.Next()
}

// aroundIt is how long before and after an exchange what happens to its
// connection is shown with it.
const aroundIt = time.Second

func (s *Screen) concerns(e *engine.Event) bool {
	r := &s.record
	if e.Request != nil && e.Request.ID == r.ID || e.Target != "" && e.Target == r.ID.String() {
		return true
	}
	end := r.Arrived.Add(max(r.LastByte, 0))
	if exchange.Running(r) {
		end = s.asOf
	}
	if e.Time.Before(r.Arrived.Add(-aroundIt)) || e.Time.After(end.Add(aroundIt)) {
		return false
	}
	if r.Connection != 0 {
		return e.Connection == r.Connection || e.Target != "" && e.Target == r.Connection.String()
	}
	return r.Client != "" && e.Client == r.Client
}

// Captures implements [pane.Capturable].
func (s *Screen) Captures(a keys.Action, _ *pane.Frame) (filter, what string) {
	if s.have && a == keys.CapturePath {
		return exchange.CaptureFilter(&s.record)
	}
	return "", ""
}

// Do implements [pane.Screen].
func (s *Screen) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	if by, ok := pane.Moves(a, s.rows[s.focus]/2, s.lines[s.focus]); ok {
		s.scroll(s.focus, by)
		return nil, true
	}
	switch a {
	case keys.PaneNext:
		s.focus = (s.focus + 1) % s.shown(f)
	case keys.PanePrevious:
		s.focus = (s.focus + s.shown(f) - 1) % s.shown(f)
	case keys.ItemNext, keys.ItemPrevious:
		return s.step(a == keys.ItemPrevious), true
	case keys.Reveal:
		s.revealed = !s.revealed
	case keys.Open:
		if s.have && s.record.Connection != 0 {
			return pane.OpenConnection{ID: s.record.Connection}, true
		}
	case keys.Cancel:
		if why := s.Off(a, f); why != "" {
			return pane.Say{Text: "cancel: " + why}, true
		}
		return pane.Ask{Action: keys.Cancel, Requests: []engine.RequestID{s.id}}, true
	case keys.Copy:
		if s.have {
			return pane.CopyText{Choices: exchange.Choices(&s.record, s.revealed)}, true
		}
	case keys.CopyCurl:
		if why := s.Off(a, f); why != "" {
			return pane.Say{Text: "curl: " + why}, true
		}
		return pane.CopyText{Choices: []pane.Choice{{Title: "curl", Text: exchange.Curl(&s.record, s.revealed)}}}, true
	default:
		return nil, false
	}
	return nil, true
}

// step goes to the next or previous request of the list that this came from.
func (s *Screen) step(back bool) pane.Effect {
	by, end := 1, "the last one"
	if back {
		by, end = -1, "the first one"
	}
	if s.from == nil {
		return pane.Say{Text: "not opened from a list"}
	}
	id, ok := s.from.Step(s.id, by)
	if !ok {
		return pane.Say{Text: "this is " + end + " here"}
	}
	s.show(id)
	return nil
}

// shown is how many parts have a pane of their own, which the focus goes round.
func (s *Screen) shown(f *pane.Frame) part {
	if f.Class == pane.Compact {
		return parts
	}
	return partEvents
}

func (s *Screen) scroll(p part, by int) {
	s.offset[p] = max(min(s.offset[p]+by, s.lines[p]-s.rows[p]), 0)
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, _ *pane.Frame) string {
	switch a {
	case keys.Cancel:
		if !s.have || !exchange.Running(&s.record) {
			return "not in flight"
		}
	case keys.CopyCurl:
		switch {
		case !s.have:
			return "the record is not here"
		case s.record.Method == "" || s.record.Way == engine.WayTCP:
			return "it carried bytes, not HTTP"
		}
	case keys.Copy, keys.Reveal:
		if !s.have {
			return "the record is not here"
		}
	case keys.Open:
		if !s.have || s.record.Connection == 0 {
			return "it had no connection"
		}
	case keys.ItemNext, keys.ItemPrevious:
		if s.from == nil {
			return "not opened from a list"
		}
	}
	return ""
}

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	for p := range parts {
		switch {
		case s.tabs[p].Contains(m.X, m.Y) && m.Kind == pane.Click:
			s.focus = p
			return nil
		case !s.areas[p].Contains(m.X, m.Y):
		case m.Kind == pane.Wheel:
			s.scroll(p, m.Amount)
			return nil
		case m.Kind == pane.Click:
			if p < s.shown(f) {
				s.focus = p
			}
			return nil
		}
	}
	return nil
}
