package events

import (
	"strconv"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
	"adit/tui/prompt"
)

const (
	sideWide   = 70
	timeLong   = 12
	timeShort  = 8
	sourceWide = 19
	// messageMost is how many lines of a message are shown beside the rows.
	messageMost = 6
)

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	s.update(f)
	w, h := a.Size()
	y := 0
	s.box = canvas.Rect{}
	if h >= prompt.Rows+5 {
		box := a.Sub(0, 0, w, prompt.Rows)
		s.box = box.Bounds()
		text := "level:>=" + s.level.String()
		if s.text != "" {
			text += " " + s.text
		}
		prompt.DrawLine(box, f, text, "", s.matches(f))
		y = prompt.Rows
	}
	side := 0
	if f.Class == pane.Wide {
		side = min(sideWide, w/2)
		s.drawEvent(a.Sub(w-side, y, side, h-y), f)
	}
	s.drawRows(a.Sub(0, y, w-side, h-y), f)
}

func (s *Screen) matches(f *pane.Frame) string {
	kept := 0
	if f.Events != nil {
		kept = f.Events.Len()
	}
	b := format.AppendExact(s.buffer[:0], uint64(len(s.index)))
	b = format.AppendExact(append(b, " of "...), uint64(kept))
	s.buffer = b
	return string(b)
}

func (s *Screen) right(f *pane.Frame) string {
	b := s.buffer[:0]
	if s.following && !f.Paused {
		b = append(append(b, f.Glyphs.Following...), " following"...)
	}
	if n := len(s.marks); n > 0 {
		if len(b) > 0 {
			b = append(append(append(b, ' '), f.Glyphs.Dot...), ' ')
		}
		b = append(format.AppendExact(b, uint64(n)), " bookmarked"...)
	}
	s.buffer = b
	return string(b)
}

func (s *Screen) foot(f *pane.Frame) string {
	if f.Events == nil || f.Events.Dropped() == 0 {
		return ""
	}
	s.buffer = append(format.AppendExact(s.buffer[:0], f.Events.Dropped()), " not shown"...)
	return string(s.buffer)
}

func (s *Screen) drawRows(a canvas.Area, f *pane.Frame) {
	in := a.Box(canvas.Box{Title: "Events", Right: s.right(f), Foot: s.foot(f), Focused: true, Glyphs: f.Glyphs})
	w, h := in.Size()
	s.rows = canvas.Rect{X: in.Bounds().X, Y: in.Bounds().Y + 1, W: w, H: max(h-1, 0)}
	muted := canvas.Of(themes.Muted)
	stamp := timeLong
	if f.Class == pane.Compact {
		stamp = timeShort
	}
	level := 2 + stamp + 1
	source := level + 4
	message := source + sourceWide + 1
	in.Text(2, 0, "TIME", muted)
	in.Text(level, 0, "LVL", muted)
	in.Text(source, 0, "SOURCE", muted)
	in.Text(message, 0, "MESSAGE", muted)
	if s.count(f) == 0 {
		s.drawEmpty(in, f)
		return
	}
	at := s.at(f)
	s.above = min(max(s.above, 0), max(s.rows.H-1, 0))
	if s.following {
		s.above = 0
	}
	top := max(at-s.above, 0)
	s.above = at - top
	for y := range s.rows.H {
		row := s.row(f, top+y)
		if row == nil {
			break
		}
		line := in.Sub(0, y+1, w, 1)
		if top+y == at {
			line = line.With(canvas.Selected)
			line.Fill(0)
			line.Text(0, 0, f.Glyphs.Selected, canvas.Of(themes.Accent))
		}
		if row.Marked {
			line.Text(1, 0, f.Glyphs.Marked, canvas.Of(themes.Mark))
		}
		if stamp == timeLong {
			s.buffer = format.AppendTime(s.buffer[:0], row.Event.Time, f.UTC)
		} else {
			s.buffer = format.AppendTimeShort(s.buffer[:0], row.Event.Time, f.UTC)
		}
		line.Bytes(2, 0, s.buffer, muted)
		line.Text(level, 0, pane.LevelWord(row.Level), pane.LevelStyle(row.Level))
		line.Cut(source, 0, sourceWide, row.Source, f.Glyphs.Cut, canvas.Of(themes.Accent))
		if row.Break {
			s.drawBreak(line, message, row.Text, f)
			continue
		}
		text := canvas.Skip(row.Text, s.scroll)
		style := canvas.Of(themes.Fg)
		if row.Dropped > 0 {
			style = canvas.Of(themes.Warn)
		}
		line.Cut(message, 0, max(w-message-1, 0), text, f.Glyphs.Cut, style)
	}
}

// drawBreak draws a line across the row: nothing is known of what happened here.
func (s *Screen) drawBreak(line canvas.Area, from int, text string, f *pane.Frame) {
	w, style := line.W(), canvas.Of(themes.Warn)
	line.Repeat(2, 0, max(w-3, 0), f.Glyphs.Normal.Top, style)
	line.Cut(from, 0, max(w-from-1, 0), " "+text+" ", f.Glyphs.Cut, style)
}

func (s *Screen) drawEmpty(in canvas.Area, f *pane.Frame) {
	say := func(y int, text string, style canvas.Style) {
		in.Cut(2, y, max(in.W()-3, 0), text, f.Glyphs.Cut, style)
	}
	if f.Events == nil || f.Events.Len() == 0 {
		say(2, "Nothing has happened yet.", canvas.Of(themes.Fg))
		return
	}
	s.buffer = append(format.AppendExact(append(s.buffer[:0], "0 of "...), uint64(f.Events.Len())), " match"...)
	say(2, string(s.buffer), canvas.Of(themes.Fg))
	say(3, "level:>="+s.level.String()+" "+s.text, canvas.Of(themes.Muted))
	say(4, "esc clears the filter, then the level", canvas.Of(themes.Muted))
}

// drawEvent draws all of the event under the cursor.
func (s *Screen) drawEvent(a canvas.Area, f *pane.Frame) {
	in := a.Box(canvas.Box{Title: "Event", Glyphs: f.Glyphs})
	row := s.selected(f)
	if row == nil {
		return
	}
	w, _ := in.Size()
	y := 0
	fact := func(x int, name, value string, style canvas.Style) {
		if value == "" {
			return
		}
		in.Text(x, y, name, canvas.Of(themes.Muted))
		in.Cut(11+x-1, y, max(w-11-x, 0), value, f.Glyphs.Cut, style)
		y++
	}
	plain := canvas.Of(themes.Fg)
	fact(1, "level", row.Level.String(), pane.LevelStyle(row.Level))
	if !row.Event.Time.IsZero() {
		t := row.Event.Time.Local()
		if f.UTC {
			t = t.UTC()
		}
		fact(1, "time", t.Format("2006-01-02T15:04:05.000Z07:00"), plain)
	}
	fact(1, "source", row.Source, plain)
	in.Text(1, y, "message", canvas.Of(themes.Muted))
	lines := canvas.Wrap(row.Text, w-12)
	for _, line := range lines[:min(len(lines), messageMost)] {
		in.Text(11, y, line, plain)
		y++
	}
	y++
	e := &row.Event
	if row.Dropped > 0 {
		return
	}
	in.Text(1, y, "fields", canvas.Of(themes.Muted))
	y++
	fact(3, "kind", e.Kind.String(), plain)
	fact(3, "seq", strconv.FormatUint(e.Seq, 10), plain)
	fact(3, "client", e.Client, plain)
	fact(3, "conn", e.Connection.String(), plain)
	fact(3, "peer", e.Peer, plain)
	if e.Protocol != 0 {
		fact(3, "protocol", e.Protocol.String(), plain)
	}
	if e.Code != 0 {
		fact(3, "code", strconv.Itoa(int(e.Code)), plain)
	}
	if e.Duration > 0 {
		fact(3, "duration", format.Duration(e.Duration), plain)
	}
	fact(3, "reason", e.Reason, plain)
	fact(3, "server", e.Server, plain)
	fact(3, "listen", e.Listen, plain)
	fact(3, "action", string(e.Action), plain)
	fact(3, "operator", e.Operator, plain)
	fact(3, "target", e.Target, plain)
	if t := e.Closed; t != nil {
		fact(3, "in", format.Size(t.BytesIn)+"  "+format.Count(t.FramesIn.Total())+" frames", plain)
		fact(3, "out", format.Size(t.BytesOut)+"  "+format.Count(t.FramesOut.Total())+" frames", plain)
	}
	y++
	s.drawActions(in, y, f, e)
}

// drawActions says what can be done with an event, by which key.
func (s *Screen) drawActions(in canvas.Area, y int, f *pane.Frame, e *engine.Event) {
	if f.Keys == nil {
		return
	}
	in.Text(1, y, "actions", canvas.Of(themes.Muted))
	y++
	line := func(a keys.Action, text string) {
		names := f.Keys.Keys(a, f.Glyphs.ASCII, keys.Events, keys.Everywhere)
		if text == "" || len(names) == 0 {
			return
		}
		x := in.Text(3, y, names[0], canvas.Of(themes.Accent))
		in.Cut(max(x+2, 6), y, max(in.W()-x-3, 0), text, f.Glyphs.Cut, canvas.Of(themes.Fg))
		y++
	}
	line(keys.Open, goes(subject(e)))
	line(keys.Bookmark, "bookmark")
	line(keys.Copy, "copy as JSON")
}

// goes says where an effect goes, "" if nowhere.
func goes(effect pane.Effect) string {
	switch e := effect.(type) {
	case pane.OpenRequest:
		return "open request " + e.ID.String()
	case pane.OpenConnection:
		return "go to connection " + e.ID.String()
	case pane.GoTo:
		return "show connections of " + e.Filter
	}
	return ""
}
