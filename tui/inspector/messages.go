package inspector

import (
	"strconv"

	"adit/engine"
	"adit/engine/inspect"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
)

// follow puts the cursor of the messages where it belongs: on the newest, unless
// the operator moved it.
func (s *Screen) follow() {
	n := uint64(len(s.reading.messages))
	if n == 0 {
		return
	}
	last := s.reading.lost + n - 1
	if !s.still {
		s.at = last
	}
	s.at = min(max(s.at, s.reading.lost), last)
}

// point moves the cursor of the messages; on the newest it follows again.
func (s *Screen) point(by int) {
	n := len(s.reading.messages)
	if n == 0 {
		return
	}
	s.follow()
	at := min(max(int(s.at-s.reading.lost)+by, 0), n-1)
	s.at = s.reading.lost + uint64(at)
	s.still = at < n-1
}

// click puts the cursor on a row of the pane, and opens what is under it already.
func (s *Screen) click(row int) {
	at := s.offset[partMessages] + row - 1
	if s.opened || row < 1 || at < 0 || at >= len(s.reading.messages) {
		return
	}
	n := s.reading.lost + uint64(at)
	if s.still && n == s.at {
		s.opened, s.offset[partMessages] = true, 0
		return
	}
	s.at, s.still = n, at < len(s.reading.messages)-1
}

// back leaves a message that is opened, then a search, then a zoom.
func (s *Screen) back() bool {
	switch {
	case s.opened && s.focus == partMessages:
		s.opened = false
		s.offset[partMessages] = 0
	case s.search != "":
		s.search, s.found = "", -1
	case s.zoomed:
		s.zoomed = false
	default:
		return false
	}
	return true
}

// Columns of the list.
const (
	timeAt      = 1
	directionAt = 14
	kindAt      = 23
	sizeAt      = 30
	sayingAt    = 38
)

// writeMessages draws the list, or the message that is opened.
func (s *Screen) writeMessages(p *pen) {
	s.follow()
	if s.opened {
		s.writeMessage(p)
		return
	}
	muted := canvas.Of(themes.Muted)
	y := 0
	p.a.Text(timeAt, y, "TIME", muted)
	p.a.Text(directionAt, y, "FROM", muted)
	p.a.Text(kindAt, y, "KIND", muted)
	p.a.Right(sizeAt, y, 6, "SIZE", muted)
	if s.reading.lost > 0 {
		s.text = append(strconv.AppendUint(s.text[:0], s.reading.lost, 10), " earlier ones are not kept"...)
		x := p.a.Text(sayingAt, y, "MESSAGE", muted)
		p.a.Cut(x+2, y, max(p.a.W()-x-3, 0), string(s.text), p.f.Glyphs.Cut, canvas.Of(themes.Warn))
	} else {
		p.a.Text(sayingAt, y, "MESSAGE", muted)
	}
	n := len(s.reading.messages)
	rows := max(p.a.H()-1, 1)
	s.rows[partMessages] = rows
	p.lines = n
	at := int(s.at - s.reading.lost)
	if !s.still {
		s.offset[partMessages] = max(n-rows, 0)
	}
	from := max(min(s.offset[partMessages], at, n-rows), at-rows+1, 0)
	s.offset[partMessages] = from
	for i := from; i < n && i-from < rows; i++ {
		s.messageRow(p, i-from+1, &s.reading.messages[i])
		if i == at {
			p.a.Select(i - from + 1)
			p.a.Text(0, i-from+1, p.f.Glyphs.Selected, canvas.Of(themes.SelFg)|canvas.Selected)
		}
	}
	s.drawn[partMessages].width = max(p.a.W()-4, 1)
}

func (s *Screen) messageRow(p *pen, y int, m *message) {
	a, f := p.a, p.f
	fg, muted := canvas.Of(themes.Fg), canvas.Of(themes.Muted)
	s.text = format.AppendTime(s.text[:0], m.note.Time, f.UTC)
	a.Bytes(timeAt, y, s.text, muted)
	from, glyph, style := "origin", f.Glyphs.Out, canvas.Of(themes.GraphOut)
	if m.note.FromCaller {
		from, glyph, style = "caller", f.Glyphs.In, canvas.Of(themes.GraphIn)
	}
	x := a.Text(directionAt, y, glyph, style)
	a.Text(x+1, y, from, style)
	kind := fg
	switch m.note.Kind {
	case engine.MessagePing, engine.MessagePong:
		kind = muted
	case engine.MessageClose:
		kind = canvas.Of(themes.Warn)
	}
	a.Cut(kindAt, y, sizeAt-kindAt-1, m.note.Kind.String(), f.Glyphs.Cut, kind)
	s.text = format.AppendSize(s.text[:0], uint64(max(m.note.Size, 0)))
	a.RightBytes(sizeAt, y, 6, s.text, fg)
	style = fg
	if m.note.Problem != "" {
		style = canvas.Of(themes.Warn)
	}
	a.Cut(sayingAt, y, max(a.W()-sayingAt-1, 0), m.text, f.Glyphs.Cut, style)
}

// writeMessage draws one message by itself.
func (s *Screen) writeMessage(p *pen) {
	m := s.reading.message(s.at)
	if m == nil {
		p.text(1, "It is not kept any more.", canvas.Of(themes.Muted))
		return
	}
	b := append(s.text[:0], "message "...)
	b = strconv.AppendUint(b, s.at+1, 10)
	b = append(b, " from the "...)
	if m.note.FromCaller {
		b = append(b, "caller  "...)
	} else {
		b = append(b, "origin  "...)
	}
	b = format.AppendTime(b, m.note.Time, p.f.UTC)
	b = format.AppendSize(append(b, "  "...), uint64(max(m.note.Size, 0)))
	v := s.reading.one
	if v != nil {
		b = append(append(b, "  "...), v.Title...)
	}
	s.text = b
	p.a.Bytes(1, p.line(), b, canvas.Of(themes.Muted))
	p.blank()
	p.mark(v)
	if v == nil || s.reading.of.message != s.at {
		return
	}
	for _, note := range v.Notes {
		p.text(3, note, canvas.Of(themes.Warn))
	}
	p.rows(v.rows, v.Kind == inspect.KindJSON && !s.reading.of.look.Hex)
}

// messagesTitle counts them.
func (s *Screen) messagesTitle() string {
	n := uint64(len(s.reading.messages)) + s.reading.lost
	s.text = append(strconv.AppendUint(append(s.text[:0], "Messages ("...), n, 10), ')')
	title := string(s.text)
	if s.record.InFlight() && !s.still {
		title += " following"
	}
	return title
}
