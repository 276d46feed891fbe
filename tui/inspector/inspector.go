// Package inspector shows one exchange: what was asked and answered, where its
// time went, and what happened around it.
package inspector

import (
	"context"
	"errors"
	"time"

	"adit/engine"
	"adit/engine/inspect"
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
	partMessages // where there are any
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

	asked time.Time // when it was fetched last
	asOf  time.Time // what the record is true of

	focus   part
	offset  [parts]int
	lines   [parts]int // of what there is, at the last Draw
	rows    [parts]int // of the pane, at the last Draw
	areas   [parts]canvas.Rect
	tabs    [parts]canvas.Rect
	drawn   [parts]drawn // what of it can be searched, at the last Draw
	related []uint64     // positions of events, the newest last
	scanned uint64       // position up to which events were looked at
	phases  []exchange.Phase
	text    []byte

	reading reading // the content, as far as it is here
	look    inspect.Look
	zoomed  bool // the focused part alone
	search  string
	found   int // line of the focused part; -1 none

	still  bool   // the cursor of the messages does not follow the newest
	at     uint64 // the message under it: those that went before it are counted
	opened bool   // the one under the cursor is shown
}

const (
	// A record that is over does not change, but the log may drop it.
	checkEvery = time.Second
	liveEvery  = 100 * time.Millisecond
	// Through a link the content of what runs, up to some 200 KiB, comes each time.
	remoteEvery = 300 * time.Millisecond

	relatedMost = 50
)

// New returns the inspector of a request; from is the list that it stands in,
// nil if there is none.
func New(id engine.RequestID, from pane.Sequence) *Screen {
	return &Screen{id: id, from: from, found: -1}
}

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
	case s.have && s.record.InFlight() && !s.gone:
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
	hints := []keys.Action{keys.CopyCurl, keys.Copy, keys.Replay, keys.HAR, keys.SaveContent, keys.Filter, keys.Pretty, keys.Hex, keys.Reveal,
		keys.ItemPrevious, keys.ItemNext, keys.PaneNext, keys.PaneZoom, keys.Open, keys.Back}
	if s.have && s.record.InFlight() {
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
	wanted := s.wanted()
	switch {
	case wanted != s.reading.of && s.have: // it is to be read in another way
		return append(wants, s.fetch(f, wanted))
	case f.Paused && s.have, s.gone && s.have:
		return wants
	case !s.have && !s.gone:
		every = liveEvery
	case s.record.InFlight() && f.Link != nil:
		every = remoteEvery
	case s.record.InFlight():
		every = liveEvery
	}
	if !s.asked.IsZero() && f.Wall().Sub(s.asked) < every {
		return wants
	}
	return append(wants, s.fetch(f, wanted))
}

// A fetch is the record on its way, with its content where that may have changed.
type fetch struct {
	s       *Screen
	id      engine.RequestID
	record  engine.Request
	err     error
	ran     bool
	reading reading
	known   bool // reading is of what is in the log: only how it is read may differ
}

func (s *Screen) fetch(f *pane.Frame, wanted manner) *fetch {
	w := &fetch{s: s, id: s.id, record: s.record, reading: s.reading, known: s.gone || s.have && f.Paused}
	w.reading.wanted = wanted
	return w
}

func (w *fetch) Fetch(ctx context.Context, source pane.Source) {
	if !w.known {
		heads := w.record.Heads
		w.record, w.err = source.Log.Request(ctx, w.id)
		if w.record.Heads == nil {
			w.record.Heads = heads // the log drops heads before records; what was seen of them stays
		}
	}
	if w.err == nil {
		w.reading.read(ctx, source.Log, &w.record, w.known)
	}
	w.ran = true
}

func (w *fetch) Deliver(f *pane.Frame) {
	s := w.s
	if !w.ran || w.id != s.id {
		return
	}
	s.asked, s.err = f.Wall(), nil
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
	s.reading = w.reading
	if w.known {
		return
	}
	s.record, s.have, s.asOf = w.record, true, f.Now
	s.relate(f)
}

// show goes on to another request.
func (s *Screen) show(id engine.RequestID) {
	look := s.look
	look.Secrets = false
	*s = Screen{id: id, from: s.from, focus: s.focus, related: s.related[:0], phases: s.phases, text: s.text,
		look: look, zoomed: s.zoomed, search: s.search, found: -1}
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
	if r.InFlight() {
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
		if s.focus == partMessages && !s.opened {
			s.point(by)
		} else {
			s.scroll(s.focus, by)
		}
		return nil, true
	}
	switch a {
	case keys.PaneNext, keys.PanePrevious:
		by := part(1)
		if a == keys.PanePrevious {
			by = parts - 1
		}
		for s.focus = (s.focus + by) % parts; !s.stands(s.focus, f); s.focus = (s.focus + by) % parts {
		}
		s.found = -1
	case keys.PaneZoom:
		s.zoomed = !s.zoomed
	case keys.ItemNext, keys.ItemPrevious:
		return s.step(a == keys.ItemPrevious), true
	case keys.Reveal:
		s.look.Secrets = !s.look.Secrets
	case keys.Open:
		if s.focus == partMessages && len(s.reading.messages) > 0 {
			s.opened = true
			s.offset[partMessages] = 0
			return nil, true
		}
		if s.have && s.record.Connection != 0 {
			return pane.OpenConnection{ID: s.record.Connection}, true
		}
	case keys.Back:
		return nil, s.back()
	case keys.Follow:
		if s.focus != partMessages {
			return nil, false
		}
		s.still, s.opened = false, false
	case keys.Pretty:
		s.look.Plain, s.look.Hex = !s.look.Plain || s.look.Hex, false
	case keys.Hex:
		s.look.Hex = !s.look.Hex
	case keys.Filter:
		return pane.AskText{Title: "Search in " + names()[s.focus], Text: s.search, Then: s.find}, true
	case keys.MatchNext, keys.MatchPrevious:
		return s.match(a == keys.MatchPrevious), true
	case keys.Replay:
		return exchange.Replay(f, []engine.RequestID{s.id}, 0), true
	case keys.HAR:
		return exchange.HAR(f, s.id.String()+".har", 1, exchange.Only(s.id)), true
	case keys.SaveContent:
		return exchange.Save(s.exchange()), true
	case keys.Write:
		return s.write(), true
	case keys.Cancel:
		if why := s.Off(a, f); why != "" {
			return pane.Say{Text: "cancel: " + why}, true
		}
		return pane.Ask{Action: keys.Cancel, Requests: []engine.RequestID{s.id}}, true
	case keys.Copy:
		if s.have {
			return pane.CopyText{Choices: s.choices(f)}, true
		}
	case keys.CopyCurl:
		if why := s.Off(a, f); why != "" {
			return pane.Say{Text: "curl: " + why}, true
		}
		line := inspect.Curl(s.exchange(), inspect.Options{Secrets: s.look.Secrets, Via: exchange.Via(f)})
		return pane.CopyText{Choices: []pane.Choice{{Title: "curl", Text: line}}}, true
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

// stands reports whether a part has a pane or a tab of its own now.
func (s *Screen) stands(p part, f *pane.Frame) bool {
	switch p {
	case partMessages:
		return s.talks()
	case partEvents:
		return f.Class == pane.Compact || s.zoomed
	}
	return true
}

// talks reports whether the exchange carries messages.
func (s *Screen) talks() bool {
	return len(s.reading.messages) > 0 || s.reading.lost > 0
}

func (s *Screen) scroll(p part, by int) {
	s.offset[p] = max(min(s.offset[p]+by, s.lines[p]-s.rows[p]), 0)
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, _ *pane.Frame) string {
	switch a {
	case keys.Cancel:
		if !s.have || !s.record.InFlight() {
			return "not in flight"
		}
	case keys.CopyCurl:
		switch {
		case !s.have:
			return "the record is not here"
		case s.record.Method == "" || s.record.Way == engine.WayTCP:
			return "it carried bytes, not HTTP"
		}
	case keys.Copy, keys.Reveal, keys.Replay, keys.HAR, keys.Pretty, keys.Hex, keys.Write, keys.Filter:
		if !s.have {
			return "the record is not here"
		}
	case keys.SaveContent:
		if s.reading.content == nil {
			return "none of its content is kept"
		}
	case keys.MatchNext, keys.MatchPrevious:
		if s.search == "" {
			return "nothing is searched"
		}
	case keys.Open:
		if s.focus == partMessages && s.talks() {
			return ""
		}
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
		case m.Kind == pane.Wheel && p == partMessages && !s.opened:
			s.point(m.Amount)
			return nil
		case m.Kind == pane.Wheel:
			s.scroll(p, m.Amount)
			return nil
		case m.Kind == pane.Click:
			if s.stands(p, f) {
				s.focus = p
			}
			if p == partMessages {
				row := m.Y - s.areas[p].Y
				if f.Class >= pane.Normal {
					row-- // the frame of the pane
				}
				s.click(row)
			}
			return nil
		}
	}
	return nil
}
