package connection

import (
	"strings"

	"adit/engine"
	"adit/keys"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
)

// Captures implements [pane.Capturable].
func (s *Screen) Captures(a keys.Action, f *pane.Frame) (filter, what string) {
	if a == keys.CapturePath {
		return s.requests.Captures(a)
	}
	if f.Snapshot.Role != engine.RoleServer {
		return "", ""
	}
	return exchange.CaptureClient(s.past.last.Client)
}

// Do implements [pane.Screen].
func (s *Screen) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	s.past.look(f, s.id)
	if s.panes.Do(a, f) {
		return nil, true
	}
	switch a {
	case keys.Kill, keys.Drain, keys.Ban:
		if why := s.Off(a, f); why != "" {
			return pane.Say{Text: s.id.String() + ": " + why}, true
		}
		ask := pane.Ask{Action: a, Connections: []engine.ConnectionID{s.id}}
		if a == keys.Ban {
			ask = pane.Ask{Action: a, Clients: []string{s.past.last.Client}}
		}
		return ask, true
	case keys.RawGreeting:
		s.raw, s.scroll = !s.raw, 0
		return nil, true
	case keys.ResetCounters:
		if !s.reset.Undo() {
			s.reset.To(CountsOf(&s.past.last), f.Now)
		}
		return nil, true
	case keys.Filter:
		s.panes.SetFocus(paneRequests)
		return pane.EditFilter{}, true
	case keys.ItemNext:
		return s.step(f, 1), true
	case keys.ItemPrevious:
		return s.step(f, -1), true
	case keys.Copy:
		if s.panes.Focus() != paneRequests {
			return s.copyMenu(f), true
		}
	case keys.Cancel:
		if s.panes.Focus() != paneRequests {
			return s.cancel(f), true
		}
	case keys.Open:
		if s.panes.Focus() == paneStreams {
			if id := s.stream(); id != 0 {
				return pane.OpenRequest{ID: id}, true
			}
			return nil, true
		}
	case keys.Back:
		if s.panes.Unzoom() {
			return nil, true
		}
	}
	switch s.panes.Focus() {
	case paneRequests:
		return s.requests.Do(a, f)
	case paneGreeting:
		return nil, scrolled(a, &s.scroll, 4)
	case paneTape:
		return nil, scrolled(a, &s.tape.top, 8)
	case paneStreams:
		by, ok := pane.Moves(a, s.streams.rows/2, len(s.streams.page.Requests))
		if ok {
			s.streams.move(by)
		}
		return nil, ok
	}
	return nil, false
}

// scrolled moves a position as the keys of movement say; who draws it keeps it
// within its bounds.
func scrolled(a keys.Action, at *int, page int) bool {
	const most = 1 << 20 // no pane has so many lines
	by, ok := pane.Moves(a, page, most)
	*at = min(max(*at+by, 0), most)
	return ok
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, f *pane.Frame) string {
	switch a {
	case keys.Kill, keys.Drain:
		switch {
		case s.past.closed:
			return "already closed " + format.Age(max(f.Now.Sub(s.past.at), 0)) + " ago"
		case s.past.index < 0:
			return "not connected any more"
		case a == keys.Drain && s.past.last.State >= engine.StateDraining:
			return "already " + s.past.last.State.String()
		}
		return ""
	case keys.Ban:
		switch {
		case f.Snapshot.Role == engine.RoleClient:
			return "only a server bans clients"
		case s.past.last.Client == "":
			return "it has not said who it is"
		}
		return ""
	case keys.Cancel:
		if s.panes.Focus() != paneRequests && s.stream() == 0 {
			return "nothing is in flight"
		}
	case keys.RawGreeting, keys.ResetCounters, keys.ItemNext, keys.ItemPrevious, keys.Copy:
		return ""
	}
	if s.panes.Focus() == paneRequests {
		return s.requests.Off(a, f)
	}
	return ""
}

// stream returns the request in flight under the cursor, 0 if there is none.
func (s *Screen) stream() engine.RequestID {
	all := s.streams.current(s.id)
	if s.past.index < 0 || s.streams.cursor >= len(all) {
		return 0
	}
	return all[s.streams.cursor].ID
}

func (s *Screen) cancel(f *pane.Frame) pane.Effect {
	id := s.stream()
	if id == 0 {
		return pane.Say{Text: "nothing is in flight on " + s.id.String()}
	}
	return pane.Ask{Action: keys.Cancel, Requests: []engine.RequestID{id}}
}

// step goes to another connection of the list that this one was opened from.
func (s *Screen) step(f *pane.Frame, by int) pane.Effect {
	id, ok := engine.ConnectionID(0), false
	if s.from != nil {
		id, ok = s.from.Step(s.id, by)
	} else {
		id, ok = stepByID(f.Snapshot, s.id, by)
	}
	if !ok {
		if by > 0 {
			return pane.Say{Text: "this is the last connection"}
		}
		return pane.Say{Text: "this is the first connection"}
	}
	s.show(id)
	return nil
}

// stepByID is the order where no list gives one. A connection that is gone has
// neighbours too.
func stepByID(s *engine.Snapshot, id engine.ConnectionID, by int) (engine.ConnectionID, bool) {
	at := 0
	for at < len(s.Connections) && s.Connections[at].ID < id {
		at++
	}
	if by > 0 && (at == len(s.Connections) || s.Connections[at].ID != id) {
		at--
	}
	at += by
	if at < 0 || at >= len(s.Connections) {
		return 0, false
	}
	return s.Connections[at].ID, true
}

// show shows another connection in place of this one.
func (s *Screen) show(id engine.ConnectionID) {
	s.id, s.scroll, s.reset = id, 0, Reset{}
	s.streams.cursor, s.streams.top, s.streams.chosen = 0, 0, 0
	s.tape.top = 0
	s.requests.SetScope(scope(id))
}

func (s *Screen) copyMenu(f *pane.Frame) pane.Effect {
	x := &s.past.last
	var words strings.Builder
	for _, line := range s.greeting.fields {
		words.WriteString(line.name)
		words.WriteString(": ")
		words.WriteString(line.value)
		words.WriteByte('\n')
	}
	choices := []pane.Choice{{Title: "connection id", Text: s.id.String()}}
	add := func(title, text string) {
		if text != "" {
			choices = append(choices, pane.Choice{Title: title, Text: text})
		}
	}
	add("client id", x.Client)
	add("peer address", x.Peer)
	add("greeting in words", words.String())
	add("greeting, raw", strings.Join(s.greeting.raw, "\n"))
	return pane.CopyText{Choices: choices}
}

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	if s.panes.Mouse(m, f) {
		return nil
	}
	switch s.panes.At(m.X, m.Y) {
	case paneRequests:
		effect, _ := s.requests.Mouse(m, f)
		return effect
	case paneStreams:
		switch {
		case m.Kind == pane.Wheel:
			s.streams.move(m.Amount)
		case m.Kind == pane.Click:
			s.streams.click(m.X, m.Y)
		case m.Kind == pane.DoubleClick && s.streams.click(m.X, m.Y):
			if id := s.stream(); id != 0 {
				return pane.OpenRequest{ID: id}
			}
		}
	case paneGreeting:
		if m.Kind == pane.Wheel {
			s.scroll = max(s.scroll+m.Amount, 0)
		}
	case paneTape:
		if m.Kind == pane.Wheel {
			s.tape.top = max(s.tape.top+m.Amount, 0)
		}
	}
	return nil
}
