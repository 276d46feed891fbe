package inspector

import (
	"strconv"
	"strings"

	"adit/engine"
	"adit/engine/inspect"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
)

// writeContent draws what there is of the content of one direction.
func (s *Screen) writeContent(p *pen, direction int) {
	r := &s.record
	n, name := r.RequestBytes, "Content"
	if direction == 1 {
		n = r.ResponseBytes
	}
	if exchange.Raw(r) {
		name = "Bytes"
	}
	v := s.reading.views[direction]
	b := append(append(s.text[:0], name...), "  "...)
	b = format.AppendSize(b, uint64(max(n, 0)))
	if v != nil && v.Kind != inspect.KindNone {
		b = append(append(b, ' '), v.Title...)
	}
	if r.InFlight() {
		b = append(b, " so far"...)
	}
	s.text = b
	p.a.Bytes(1, p.line(), b, canvas.Of(themes.Fg))
	p.mark(v)
	if v == nil || v.Kind == inspect.KindNone {
		if n > 0 {
			if why := s.absent(p.f); why != "" {
				for _, line := range canvas.Wrap(why, max(p.a.W()-4, 10)) {
					p.text(3, line, canvas.Of(themes.Muted))
				}
			}
		}
		return
	}
	for _, note := range v.Notes {
		p.text(3, note, canvas.Of(themes.Warn))
	}
	p.rows(v.rows, v.Kind == inspect.KindJSON && !s.reading.of.look.Hex)
}

// absent says why there is no content where some passed.
func (s *Screen) absent(f *pane.Frame) string {
	r := &s.record
	switch {
	case s.reading.err != nil:
		return "It can't be read: " + s.reading.err.Error()
	case !s.reading.asked:
		return ""
	case s.talks():
		return "What was said is in Messages."
	case s.reading.content != nil && r.InFlight():
		return "None of it is here yet."
	case f.Snapshot == nil:
		return "Its content is not kept."
	case f.Snapshot.Capture.Mode == engine.CaptureContent:
		c := &f.Snapshot.Capture
		if c.Sampling > 1 {
			return "Its content is not kept: there are too many, that of 1 in " + strconv.Itoa(c.Sampling) + " is."
		}
		return "Its content is not kept: it went to make room for newer content, or came before content was captured."
	}
	why := "Content is not captured."
	if f.Keys != nil && !f.ReadOnly && f.Playback == nil {
		if names := f.Keys.Keys(keys.CapturePath, f.Glyphs.ASCII, keys.Request, keys.Everywhere); len(names) > 0 {
			why += " Press " + names[0] + " to capture this path's from now on."
		}
	}
	return why
}

// A drawn is what was drawn of a part: what a search goes through.
type drawn struct {
	width  int // for the lines of content; 0 unknown
	head   string
	headAt int // line of its first field
	rows   []string
	rowsAt int
}

// mark says that the lines of v follow, after its notes.
func (p *pen) mark(v *shown) {
	d := &p.s.drawn[p.part]
	d.width = max(p.a.W()-4, 1)
	d.rows = nil
	if v != nil {
		d.rows, d.rowsAt = v.rows, p.lines+len(v.Notes)
	}
}

// rows draws the lines that can be seen.
func (p *pen) rows(rows []string, json bool) {
	first := p.lines
	for i := max(p.skip-first, 0); i < len(rows); i++ {
		y := first + i - p.skip
		if y >= p.a.H() {
			break
		}
		p.row(y, rows[i], json)
		if first+i == p.s.found && p.part == p.s.focus {
			p.a.Text(1, y, p.f.Glyphs.Selected, canvas.Of(themes.Warn)|canvas.Bold)
		}
	}
	p.lines += len(rows)
}

// row draws one line of content: the name of a member of JSON in its own colour,
// and what is searched underlined.
func (p *pen) row(y int, line string, json bool) {
	room := max(p.a.W()-4, 0)
	style := canvas.Of(themes.Fg)
	if json {
		if n := memberName(line); n > 0 {
			x := p.a.Cut(3, y, room, line[:n], p.f.Glyphs.Cut, canvas.Of(themes.Info))
			p.a.Cut(x, y, max(p.a.W()-1-x, 0), line[n:], p.f.Glyphs.Cut, style)
			p.underline(y, line)
			return
		}
	}
	p.a.Cut(3, y, room, line, p.f.Glyphs.Cut, style)
	p.underline(y, line)
}

// underline draws again what is searched for.
func (p *pen) underline(y int, line string) {
	word := p.s.search
	if word == "" {
		return
	}
	x := 3
	for {
		i := indexFold(line, word)
		if i < 0 {
			return
		}
		x += canvas.Width(line[:i])
		if x+canvas.Width(line[i:i+len(word)]) >= p.a.W() {
			return
		}
		x = p.a.Text(x, y, line[i:i+len(word)], canvas.Of(themes.Warn)|canvas.Bold|canvas.Underline)
		line = line[i+len(word):]
	}
}

// memberName returns where the name of a member that a line of laid out JSON
// begins with ends; 0 if it begins with none.
func memberName(line string) int {
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	if i == len(line) || line[i] != '"' {
		return 0
	}
	for i++; i < len(line) && line[i] != '"'; i++ {
		if line[i] == '\\' {
			i++
		}
	}
	if i+1 < len(line) && line[i+1] == ':' {
		return i + 1
	}
	return 0
}

// indexFold is strings.Index for ASCII without regard to case. It does not
// allocate.
func indexFold(s, word string) int {
	for i := 0; i+len(word) <= len(s); i++ {
		j := 0
		for j < len(word) && lower(s[i+j]) == lower(word[j]) {
			j++
		}
		if j == len(word) {
			return i
		}
	}
	return -1
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// find searches for a text in the part that has the focus, from its top.
func (s *Screen) find(text string) pane.Effect {
	s.search, s.found = text, -1
	if text == "" {
		return nil
	}
	s.found = s.offset[s.focus] - 1
	return s.match(false)
}

// match goes to the next line with what is searched for, round the end.
func (s *Screen) match(back bool) pane.Effect {
	if s.search == "" {
		return pane.Say{Text: "nothing is searched"}
	}
	n := s.lines[s.focus]
	step := 1
	if back {
		step = n - 1
	}
	at := s.found
	if s.focus == partMessages && !s.opened {
		at = int(s.at - min(s.reading.lost, s.at))
	}
	for i := 0; i < n; i++ {
		at = (max(at, -1) + step + n) % n
		if !s.has(at) {
			continue
		}
		s.found = at
		if s.focus == partMessages && !s.opened {
			s.at, s.still = s.reading.lost+uint64(at), true
			return nil
		}
		s.offset[s.focus] = max(min(at-s.rows[s.focus]/3, n-s.rows[s.focus]), 0)
		return nil
	}
	return pane.Say{Text: strconv.Quote(s.search) + " is not in " + names()[s.focus]}
}

// has reports whether a line of the part that has the focus contains what is
// searched for.
func (s *Screen) has(line int) bool {
	if s.focus == partMessages && !s.opened {
		return line < len(s.reading.messages) && indexFold(s.reading.messages[line].text, s.search) >= 0
	}
	d := &s.drawn[s.focus]
	if i := line - d.rowsAt; d.rows != nil && i >= 0 && i < len(d.rows) {
		return indexFold(d.rows[i], s.search) >= 0
	}
	if i := line - d.headAt; d.head != "" && i >= 0 && i < exchange.Fields(d.head) {
		head := d.head
		for ; i > 0; i-- {
			_, head, _ = strings.Cut(head, "\n")
		}
		field, _, _ := strings.Cut(head, "\n")
		if !s.look.Secrets {
			field = inspect.MaskHead(field)
		}
		return indexFold(field, s.search) >= 0
	}
	return false
}

// choices are what can be copied now.
func (s *Screen) choices(f *pane.Frame) []pane.Choice {
	choices := exchange.Choices(s.exchange(), inspect.Options{Secrets: s.look.Secrets, Via: exchange.Via(f)})
	if m := s.reading.message(s.at); m != nil {
		choices = append(choices, pane.Choice{Title: "message", Text: m.note.Text(len(m.note.Body), s.look.Secrets)})
	}
	return choices
}

// write offers the part that has the focus as a file, as it is shown.
func (s *Screen) write() pane.Effect {
	var lines []string
	switch d := &s.drawn[s.focus]; {
	case s.focus == partMessages && !s.opened:
		for i := range s.reading.messages {
			lines = append(lines, s.reading.messages[i].text)
		}
	case len(d.rows) > 0:
		lines = d.rows
		if v := s.reading.views[min(int(s.focus), 1)]; s.focus <= partResponse && v != nil {
			lines = v.Lines
		}
	}
	if len(lines) == 0 {
		return pane.Say{Text: "write: no content in " + names()[s.focus]}
	}
	text := strings.Join(lines, "\n") + "\n"
	return pane.WriteFile{Name: s.id.String() + "-" + strings.ToLower(names()[s.focus]) + ".txt", Content: func() []byte { return []byte(text) }}
}
