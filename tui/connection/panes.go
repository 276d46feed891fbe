package connection

import (
	"strconv"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// box draws the frame of a pane and returns what is inside, a cell off the sides.
func (s *Screen) box(n int, a canvas.Area, f *pane.Frame, title, right, foot string) canvas.Area {
	focused := s.panes.Put(n, a)
	in := a.Box(canvas.Box{Title: title, Right: right, Foot: foot, Focused: focused, Glyphs: f.Glyphs})
	return in.Sub(1, 0, in.W()-2, in.H())
}

func (s *Screen) pane(n int, a canvas.Area, f *pane.Frame) {
	if w, h := a.Size(); w < 3 || h < 3 {
		return
	}
	x := &s.past.last
	switch n {
	case paneGreeting:
		s.drawGreeting(a, f)
	case paneFrames:
		s.drawFrames(a, f)
	case paneRTT:
		title, right := "RTT (ping"+f.Glyphs.Arrow+"pong)", ""
		if s.past.index >= 0 {
			right = string(pingWords(s.pen.buf[:0], f, x, f.Glyphs.Dot))
		}
		if a.W() < 40 {
			title, right = "RTT ms", ""
		}
		s.pen.RTT(s.box(n, a, f, title, right, ""), f, x, s.past.rtt)
	case paneStreams:
		gone := s.past.index < 0
		count := s.streams.count(x)
		right := Hint(f, keys.Cancel, "cancel", keys.Connection)
		title := "Streams in flight " + strconv.Itoa(count)
		if f.Class == pane.Compact {
			title, right = "Streams "+strconv.Itoa(count), Hint(f, keys.PaneNext, "requests")
		}
		in := s.box(n, a, f, title, right, "")
		s.streams.draw(in, f, &s.pen, x, gone, s.panes.Focus() == n)
	case paneTape:
		s.taping = s.past.index >= 0
		s.tape.draw(s.box(n, a, f, "Frame tape", "newest first", ""), f, &s.pen, s.id)
	case paneRequests:
		s.drawRequests(a, f)
	}
}

// drawRequests draws the list as it draws itself, but where the streams are behind
// it the line above says so.
func (s *Screen) drawRequests(a canvas.Area, f *pane.Frame) {
	if f.Class != pane.Compact || s.panes.Zoomed() {
		s.requests.Draw(a, f, s.panes.Put(paneRequests, a))
		return
	}
	following := ""
	if s.requests.Following() && !f.Paused {
		following = f.Glyphs.Following + " following"
	}
	title := "Requests " + f.Glyphs.Dot + " streams " + strconv.Itoa(s.past.last.InFlight)
	focused := s.panes.Put(paneRequests, a)
	in := a.Box(canvas.Box{Title: title, Right: joined(f, following, Hint(f, keys.PaneNext, "streams")), Focused: focused, Glyphs: f.Glyphs})
	s.requests.DrawRows(in, f, focused)
}

func (s *Screen) drawGreeting(a canvas.Area, f *pane.Frame) {
	x := &s.past.last
	title := "Greeting"
	right := joined(f, Hint(f, keys.Copy, "copy"), Hint(f, keys.RawGreeting, "raw", keys.Connection))
	if s.raw {
		title = "Greeting, raw"
		right = Hint(f, keys.RawGreeting, "words", keys.Connection)
	}
	open, want := poolOf(f, s.past.index, x)
	s.greeting.refused = s.past.refused
	s.greeting.Update(f, x, open, want)
	lines := s.greeting.lines(s.raw, f.Class == pane.Wide)
	in := s.box(paneGreeting, a, f, title, right, more(lines, s.scroll, a.H()-2))
	s.scroll = max(0, min(s.scroll, lines-in.H()))
	s.greeting.Draw(in, f, s.raw, f.Class == pane.Wide, s.scroll)
}

// more says how much of the lines there is to be scrolled to, "" if all is seen.
func more(lines, top, room int) string {
	if lines <= room {
		return ""
	}
	return strconv.Itoa(min(top+room, lines)) + " of " + strconv.Itoa(lines)
}

// poolOf returns how many connections there are to where x leads, and how many
// there are meant to be; 0 unknown.
func poolOf(f *pane.Frame, index int, x *engine.Connection) (open, want int) {
	name := x.Client
	if f.Snapshot.Role == engine.RoleClient {
		name = x.Server
	}
	if i := f.Rows.Index(name); i >= 0 && index >= 0 {
		open = len(f.Rows.Clients[i].Connections)
	}
	for i := range f.Snapshot.Servers {
		if f.Snapshot.Servers[i].URL == x.Server {
			want = f.Snapshot.Servers[i].Wanted
		}
	}
	return open, want
}

func (s *Screen) drawFrames(a canvas.Area, f *pane.Frame) {
	x, muted := &s.past.last, canvas.Of(themes.Muted)
	counts := s.reset.Apply(CountsOf(x))
	var gauge *observe.Gauge
	if s.past.index >= 0 {
		gauge = &s.past.gauge
	}
	right := Hint(f, keys.ResetCounters, "reset", keys.Connection)
	if !counts.Since.IsZero() {
		right = joined(f, "since "+string(format.AppendTimeShort(nil, counts.Since, f.UTC)), right)
	} else if f.Class == pane.Wide {
		right = joined(f, "this connection", right)
	}
	if a.H() < 9 {
		in := s.box(paneFrames, a, f, "Frames", "in  rate  out  rate", "")
		s.pen.OpcodeTable(in, f, &counts, gauge, false)
		return
	}
	in := s.box(paneFrames, a, f, "Frames by opcode", right, "")
	y := s.pen.OpcodeTable(in, f, &counts, gauge, true)
	room := in.H() - y
	if room >= 4 {
		y++
	}
	if gauge != nil && room >= 3 {
		in.Text(0, y, "in", muted)
		s.pen.sparkline(in.Sub(4, y, in.W()-5, 1), f, &gauge.In, themes.GraphIn)
		in.Text(0, y+1, "out", muted)
		s.pen.sparkline(in.Sub(4, y+1, in.W()-5, 1), f, &gauge.Out, themes.GraphOut)
		y += 2
	}
	if in.H()-y >= 6 && counts.ShapeKnown(f) {
		s.pen.histogram(in.Sub(0, y+1, in.W(), 1), f, "in", &counts.ShapeIn, themes.GraphIn)
		s.pen.histogram(in.Sub(0, y+2, in.W(), 1), f, "out", &counts.ShapeOut, themes.GraphOut)
		s.pen.Volume(in.Sub(0, y+4, in.W(), 1), &counts)
		y += 5
	}
	s.pen.shape(in.Sub(0, y, in.W(), 1), f, &counts, s.frameEnds(f))
	s.pen.ending(in.Sub(0, y+1, in.W(), 1), f, &s.past)
	if x.LateRecords > 0 {
		b := append(s.pen.buf[:0], "late records "...)
		b = format.AppendCount(b, x.LateRecords)
		s.pen.buf = append(b, " (their exchange was over)"...)
		in.Bytes(0, y+2, s.pen.buf, canvas.Of(themes.Warn))
	}
}

// frameSeen is how long the newest frame may go unseen between two snapshots.
const frameSeen = 100 * time.Millisecond

// frameEnds is what the line below the frames says besides counts.
type frameEnds struct {
	last     time.Duration // since the newest frame; below 0 unknown
	violated bool          // closed for an offence against the protocol
}

func (s *Screen) frameEnds(f *pane.Frame) frameEnds {
	e := frameEnds{last: -1}
	switch {
	case s.past.index >= 0 && !s.past.gauge.LastFrame.IsZero():
		e.last = max(f.Snapshot.Time.Sub(s.past.gauge.LastFrame), 0)
	case s.past.closed:
		e.violated = Violation(s.past.code)
	}
	return e
}

// Violation reports whether a close code means that the protocol was offended
// against (RFC 6455 §7.4.1).
func Violation(c engine.CloseCode) bool {
	return c == engine.CloseProtocolError || c == engine.CloseWrongType || c == engine.CloseInvalidText
}

// shape draws "fragmented 12 · control 18 · proto err 0 · last frame 12ms ago".
func (p *Pen) shape(a canvas.Area, f *pane.Frame, c *Counts, e frameEnds) {
	style := canvas.Of(themes.Muted)
	b := append(p.buf[:0], "fragmented "...)
	if c.ShapeKnown(f) {
		b = format.AppendCount(b, c.ShapeIn.Fragmented+c.ShapeOut.Fragmented)
	} else {
		b = append(b, "not recorded"...)
	}
	if a.W() >= 62 {
		b = p.dot(b, f)
		b = append(b, "control "...)
		b = format.AppendCount(b, controls(&c.In)+controls(&c.Out))
	}
	b = p.dot(b, f)
	if e.violated {
		b = append(b, "proto err 1"...)
		style = canvas.Of(themes.Err)
	} else {
		b = append(b, "proto err 0"...)
	}
	if e.last >= 0 {
		b = p.dot(b, f)
		b = append(b, "last frame "...)
		if e.last < frameSeen { // no snapshot sees it sooner
			b = append(b, "now"...)
		} else {
			b = format.AppendDuration(b, e.last.Truncate(time.Millisecond))
			b = append(b, " ago"...)
		}
	}
	a.Bytes(0, 0, b, style)
	p.buf = b
}

func controls(f *engine.Frames) uint64 { return f.Close + f.Ping + f.Pong }

func (p *Pen) dot(b []byte, f *pane.Frame) []byte {
	return append(append(append(b, ' '), f.Glyphs.Dot...), ' ')
}

// ending draws how the connection ended, or that it has not, and its pings.
func (p *Pen) ending(a canvas.Area, f *pane.Frame, past *past) {
	b, style := append(p.buf[:0], "close: "...), canvas.Of(themes.Muted)
	switch {
	case past.closed:
		style = canvas.Of(themes.Warn)
		b = strconv.AppendUint(b, uint64(past.code), 10)
		if past.reason != "" {
			b = append(append(b, ' '), past.reason...)
		}
		if past.by != "" {
			b = append(append(append(b, " ("...), past.by...), ')')
		}
	case past.index < 0:
		b = append(b, "not known"...)
	default:
		b = append(b, "none"...)
		if past.last.PingEvery > 0 {
			b = p.dot(append(b, ' '), f)
			b = append(b, "ping "...)
			b = pingWords(b, f, &past.last, f.Glyphs.Dot)
		}
	}
	a.Bytes(0, 0, b, style)
	p.buf = b
}

// Volume draws "bytes      in 11.2G   out 96.0G    avg frame 1.4K / 6.8K".
func (p *Pen) Volume(a canvas.Area, c *Counts) {
	b := append(p.buf[:0], "bytes      in "...)
	b = format.AppendSize(b, c.BytesIn)
	b = append(b, "   out "...)
	b = format.AppendSize(b, c.BytesOut)
	in, out := c.In.Total(), c.Out.Total()
	if in > 0 && out > 0 {
		b = append(b, "   avg frame "...)
		b = format.AppendSize(b, c.BytesIn/in)
		b = append(b, " / "...)
		b = format.AppendSize(b, c.BytesOut/out)
	}
	a.Bytes(0, 0, b, canvas.Of(themes.Muted))
	p.buf = b
}
