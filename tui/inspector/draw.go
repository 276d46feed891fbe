package inspector

import (
	"strconv"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
)

const headRows = 3

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	clear(s.areas[:])
	clear(s.tabs[:])
	w, h := a.Size()
	s.drawSummary(a.Sub(0, 0, w, headRows), f)
	if !s.have {
		s.drawMissing(a.Sub(0, headRows, w, h-headRows), f)
		return
	}
	s.phases = exchange.Phases(&s.record, s.asOf, s.phases[:0])
	if s.focus == partMessages && !s.talks() {
		s.focus = partResponse
	}
	body := a.Sub(0, headRows, w, h-headRows)
	w, h = body.Size()
	switch {
	case f.Class < pane.Normal:
		s.drawTabs(body, f)
	case s.zoomed:
		s.drawPart(s.focus, body, f)
	case f.Class == pane.Wide:
		s.drawWide(body, f)
	default:
		if s.focus == partEvents {
			s.focus = partResponse
		}
		timing := s.timingRows(h)
		if s.talks() {
			timing = min(timing, len(s.phases)+4)
			// What has the focus is read: it has the room.
			heads := max(h/4, 6)
			if s.focus <= partResponse {
				heads = max((h-timing)*3/5, 6)
			}
			s.drawPart(partRequest, body.Sub(0, 0, w/2, heads), f)
			s.drawPart(partResponse, body.Sub(w/2, 0, w-w/2, heads), f)
			s.drawPart(partMessages, body.Sub(0, heads, w, h-heads-timing), f)
			s.drawPart(partTiming, body.Sub(0, h-timing, w, timing), f)
			return
		}
		s.drawPart(partRequest, body.Sub(0, 0, w/2, h-timing), f)
		s.drawPart(partResponse, body.Sub(w/2, 0, w-w/2, h-timing), f)
		s.drawPart(partTiming, body.Sub(0, h-timing, w, timing), f)
	}
}

// timingRows is how high the waterfall is in h rows.
func (s *Screen) timingRows(h int) int {
	timing := len(s.phases) + 8
	if s.gone {
		timing++
	}
	return min(max(timing, 11), h/2)
}

// drawWide draws all panes beside each other.
func (s *Screen) drawWide(a canvas.Area, f *pane.Frame) {
	w, h := a.Size()
	third := w / 3
	if s.focus == partEvents {
		s.focus = partResponse
	}
	if s.talks() {
		timing := s.timingRows(h)
		s.drawPart(partRequest, a.Sub(0, 0, third, h/2), f)
		s.drawPart(partResponse, a.Sub(0, h/2, third, h-h/2), f)
		s.drawPart(partMessages, a.Sub(third, 0, w-third, h-timing), f)
		s.drawPart(partTiming, a.Sub(third, h-timing, w-third, timing), f)
		return
	}
	s.drawPart(partRequest, a.Sub(0, 0, third, h), f)
	s.drawPart(partResponse, a.Sub(third, 0, third, h), f)
	s.drawPart(partTiming, a.Sub(2*third, 0, w-2*third, h), f)
}

func names() [parts]string {
	return [...]string{"Request", "Response", "Messages", "Timing", "Events"}
}

// drawPart draws one pane with its frame.
func (s *Screen) drawPart(p part, a canvas.Area, f *pane.Frame) {
	box := canvas.Box{Title: names()[p], Focused: s.focus == p, Glyphs: f.Glyphs}
	if p == partMessages {
		box.Title = s.messagesTitle()
	}
	if s.focus == p && p <= partMessages {
		box.Right = s.keysOf(f)
	}
	in := a.Box(box)
	s.areas[p] = a.Bounds()
	s.drawInside(p, in, f)
	if s.lines[p] > s.rows[p] {
		// Drawn again, now that it is known how much there is.
		b := strconv.AppendInt(s.text[:0], int64(min(s.offset[p]+s.rows[p], s.lines[p])), 10)
		b = strconv.AppendInt(append(b, '/'), int64(s.lines[p]), 10)
		s.text = b
		a.RightBytes(0, a.H()-1, a.W()-3, b, canvas.Of(themes.Muted))
	}
}

// keysOf says which keys change how content is shown.
func (s *Screen) keysOf(f *pane.Frame) string {
	if f.Keys == nil {
		return ""
	}
	pretty, hex := f.Keys.Keys(keys.Pretty, f.Glyphs.ASCII, keys.Request), f.Keys.Keys(keys.Hex, f.Glyphs.ASCII, keys.Request)
	if len(pretty) == 0 || len(hex) == 0 {
		return ""
	}
	switch {
	case s.look.Hex:
		return hex[0] + " text"
	case s.look.Plain:
		return pretty[0] + " pretty " + f.Glyphs.Dot + " " + hex[0] + " hex"
	}
	return pretty[0] + " as it came " + f.Glyphs.Dot + " " + hex[0] + " hex"
}

// drawTabs draws one pane at a time, with the others' names in its frame.
func (s *Screen) drawTabs(a canvas.Area, f *pane.Frame) {
	in := a.Box(canvas.Box{Focused: true, Glyphs: f.Glyphs})
	x := 2
	open, shut := "┤", "├"
	if f.Glyphs.ASCII {
		open, shut = "[", "]"
	}
	for p, name := range names() {
		if !s.stands(part(p), f) {
			continue
		}
		from := x
		if part(p) == s.focus {
			x = a.Text(x, 0, open, canvas.Of(themes.BorderFocus))
			x = a.Text(x, 0, name, canvas.Of(themes.Title)|canvas.Bold)
			x = a.Text(x, 0, shut, canvas.Of(themes.BorderFocus))
		} else {
			x = a.Text(x, 0, " ", canvas.Of(themes.Muted))
			x = a.Text(x, 0, name, canvas.Of(themes.Muted))
			x = a.Text(x, 0, " ", canvas.Of(themes.Muted))
		}
		s.tabs[p] = canvas.Rect{X: a.Bounds().X + from, Y: a.Bounds().Y, W: x - from, H: 1}
		x++
	}
	s.areas[s.focus] = in.Bounds()
	s.drawInside(s.focus, in, f)
}

func (s *Screen) drawInside(p part, a canvas.Area, f *pane.Frame) {
	s.rows[p] = a.H()
	p2 := pen{s: s, a: a, f: f, part: p, skip: s.offset[p]}
	switch p {
	case partRequest:
		s.writeRequest(&p2)
	case partResponse:
		s.writeResponse(&p2)
		if !s.stands(partEvents, f) {
			p2.blank()
			s.writeEvents(&p2)
		}
	case partMessages:
		s.writeMessages(&p2)
	case partTiming:
		s.writeTiming(&p2)
	case partEvents:
		s.writeEvents(&p2)
	}
	s.lines[p] = p2.lines
	if most := max(p2.lines-s.rows[p], 0); s.offset[p] > most {
		s.offset[p] = most
	}
}

// A pen writes lines into a pane that is scrolled: those above are skipped.
type pen struct {
	s     *Screen
	a     canvas.Area
	f     *pane.Frame
	part  part
	skip  int
	lines int // so far, skipped ones too
}

// line returns where the next line is to be drawn; y is outside of the pane if
// it is not seen.
func (p *pen) line() (y int) {
	y = p.lines - p.skip
	p.lines++
	return y
}

func (p *pen) blank() { p.lines++ }

func (p *pen) text(x int, s string, style canvas.Style) {
	p.a.Cut(x, p.line(), max(p.a.W()-x-1, 0), s, p.f.Glyphs.Cut, style)
}

// fact draws "name value".
func (p *pen) fact(name, value string) {
	const indent, width = 3, 15
	y := p.line()
	p.a.Cut(indent, y, width, name, p.f.Glyphs.Cut, canvas.Of(themes.Muted))
	x := indent + width + 1
	p.a.Cut(x, y, max(p.a.W()-x-1, 0), value, p.f.Glyphs.Cut, canvas.Of(themes.Fg))
}

// head draws the fields of a head.
func (p *pen) head(head string, revealed bool) {
	n := exchange.Fields(head)
	d := &p.s.drawn[p.part]
	d.head, d.headAt = head, p.lines
	y := p.lines - p.skip
	from := max(-y, 0)
	top := max(y, 0)
	exchange.DrawHead(p.a.Sub(0, top, p.a.W(), max(p.a.H()-top, 0)), p.f, head, from, revealed)
	p.lines += n
}

func (s *Screen) counted(title string, n int) string {
	return title + " (" + strconv.Itoa(n) + ")"
}

func (s *Screen) writeRequest(p *pen) {
	r := &s.record
	plain, muted := canvas.Of(themes.Fg), canvas.Of(themes.Muted)
	switch {
	case r.Heads != nil:
		p.text(1, s.counted("Headers", exchange.Fields(r.Heads.Request)), plain)
		p.head(r.Heads.Request, s.look.Secrets)
		if r.Heads.Cut {
			p.text(3, "fields that were too long are left out", canvas.Of(themes.Warn))
		}
	default:
		p.text(1, exchange.NoHeads(r), muted)
	}
	p.blank()
	s.writeContent(p, 0)
	p.blank()
	p.text(1, "Exchange", plain)
	p.fact("target", r.Target)
	if r.Caller != "" {
		p.fact("caller", r.Caller)
	}
	if r.Credential != "" {
		p.fact("credential", r.Credential)
	}
	if r.Way != 0 {
		p.fact("way", r.Way.String())
	}
	if r.Protocol != 0 {
		p.fact("protocol", r.Protocol.String())
	}
	if r.Client != "" {
		p.fact("client", r.Client)
	}
	if r.Connection != 0 {
		p.fact("connection", r.Connection.String())
	}
	p.fact("id", r.ID.String())
}

func (s *Screen) writeResponse(p *pen) {
	r := &s.record
	plain, muted := canvas.Of(themes.Fg), canvas.Of(themes.Muted)
	if r.Heads != nil && r.Heads.Response != "" {
		p.text(1, s.counted("Headers", exchange.Fields(r.Heads.Response)), plain)
		p.head(r.Heads.Response, s.look.Secrets)
	} else if r.Heads == nil {
		p.text(1, exchange.NoHeads(r), muted)
	} else {
		p.text(1, "no answer of the origin", muted)
	}
	p.blank()
	s.writeContent(p, 1)
}

func (s *Screen) writeTiming(p *pen) {
	r := &s.record
	y := p.lines - p.skip
	p.lines += exchange.DrawTiming(p.a.Sub(0, y, p.a.W(), max(p.a.H()-y, 0)), p.f, s.phases)
	p.blank()
	style := canvas.Of(themes.Fg)
	if exchange.Failed(r) {
		style = canvas.Of(themes.Err)
	}
	p.text(1, "outcome  "+exchange.Outcome(r), style)
	if r.Reason != "" {
		p.text(1, "reason   "+r.Reason, canvas.Of(themes.Warn))
	}
	if longest, share := exchange.Longest(s.phases); share > 0 {
		b := format.AppendShare(append(s.text[:0], "where its time went  "...), share)
		b = append(append(b, "% "...), longest.Name...)
		s.text = b
		p.text(1, string(b), canvas.Of(themes.Fg))
	}
	if s.gone {
		p.text(1, "It is not in the log any more: this is what was seen of it.", canvas.Of(themes.Warn))
	}
}

func (s *Screen) writeEvents(p *pen) {
	p.text(1, "Related events", canvas.Of(themes.Fg))
	l := p.f.Events
	n := 0
	for _, position := range s.related {
		if l == nil {
			break
		}
		row := l.At(position)
		if row == nil {
			continue
		}
		n++
		y := p.line()
		s.text = format.AppendTime(s.text[:0], row.Event.Time, p.f.UTC)
		x := p.a.Bytes(3, y, s.text, canvas.Of(themes.Muted))
		x = p.a.Text(x+1, y, pane.LevelWord(row.Level), pane.LevelStyle(row.Level))
		p.a.Cut(x+1, y, max(p.a.W()-x-2, 0), row.Text, p.f.Glyphs.Cut, canvas.Of(themes.Fg))
	}
	if n == 0 {
		p.text(3, "none", canvas.Of(themes.Muted))
	}
}

// drawSummary draws what the exchange was in one line.
func (s *Screen) drawSummary(a canvas.Area, f *pane.Frame) {
	r := &s.record
	title, right := s.id.String(), ""
	if s.have {
		title = r.Target
		if r.Method != "" {
			title = r.Method + " " + r.Target
		}
	}
	if s.from != nil && s.from.Marked(s.id) {
		right = "marked"
	}
	in := a.Box(canvas.Box{Title: title, Right: right, Glyphs: f.Glyphs})
	if !s.have {
		return
	}
	dot := " " + f.Glyphs.Dot + " "
	compact := f.Class == pane.Compact
	muted := canvas.Of(themes.Muted)
	x := 1
	switch {
	case r.InFlight():
		x = in.Text(x, 0, "in flight", canvas.Of(themes.Info))
	case r.Outcome == engine.OutcomeNone:
		x = in.Text(x, 0, "its end was not seen", canvas.Of(themes.Warn))
	case r.Status == 0:
		x = in.Text(x, 0, r.Outcome.String(), canvas.Of(themes.Fg))
	default:
		s.text = strconv.AppendInt(s.text[:0], int64(r.Status), 10)
		if name := exchange.StatusText(r.Status); name != "" && !compact {
			s.text = append(append(s.text, ' '), name...)
		}
		x = in.Bytes(x, 0, s.text, exchange.StatusStyle(r.Status)|canvas.Bold)
	}
	b := s.text[:0]
	if d, known := exchange.Duration(r, s.asOf); known {
		b = format.AppendDuration(append(b, dot...), d)
	}
	b = append(append(b, dot...), f.Glyphs.In...)
	b = format.AppendSize(b, uint64(max(r.RequestBytes, 0)))
	b = append(append(b, ' '), f.Glyphs.Out...)
	b = format.AppendSize(b, uint64(max(r.ResponseBytes, 0)))
	if compact {
		b = append(append(b, dot...), r.Client...)
		b = append(append(b, '/'), r.Connection.String()...)
		b = append(append(b, ' '), r.ID.String()...)
	} else {
		if r.Client != "" {
			b = append(append(append(b, dot...), "client "...), r.Client...)
		}
		if r.Connection != 0 {
			b = append(append(append(b, dot...), "conn "...), r.Connection.String()...)
		}
		b = append(append(b, dot...), r.ID.String()...)
		b = format.AppendTime(append(b, dot...), r.Arrived, f.UTC)
	}
	if r.Upgraded {
		b = append(append(b, dot...), "upgraded"...)
	}
	if r.Replay {
		b = append(append(b, dot...), "replay"...)
	}
	s.text = b
	in.Cut(x, 0, max(in.W()-x-1, 0), string(b), f.Glyphs.Cut, muted)
}

// drawMissing says why there is nothing to show.
func (s *Screen) drawMissing(a canvas.Area, f *pane.Frame) {
	in := a.Box(canvas.Box{Title: "Request", Focused: true, Glyphs: f.Glyphs})
	y := min(2, max(in.H()-3, 0))
	say := func(line int, text string, style canvas.Style) {
		in.Cut(3, y+line, max(in.W()-4, 0), text, f.Glyphs.Cut, style)
	}
	switch {
	case s.gone:
		say(0, s.id.String()+" is not in the log.", canvas.Of(themes.Fg))
		say(1, "The log keeps the newest requests only; it came too long ago, or was not recorded.", canvas.Of(themes.Muted))
	case s.err != nil:
		say(0, "The log of requests can't be read:", canvas.Of(themes.Fg))
		say(1, s.err.Error(), canvas.Of(themes.Err))
		say(2, "It is tried again.", canvas.Of(themes.Muted))
	}
}
