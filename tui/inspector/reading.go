package inspector

import (
	"context"
	"errors"
	"unicode/utf8"

	"adit/engine"
	"adit/engine/inspect"
	"adit/tui/canvas"
)

// A manner is how content is to be read: what it depends on beside the content.
type manner struct {
	look    inspect.Look
	width   [3]int // of the lines of request, response and one message; 0 not drawn yet
	opened  bool   // one message is shown
	message uint64
}

// wanted is how the screen shows content now.
func (s *Screen) wanted() manner {
	m := manner{look: s.look, width: s.reading.wanted.width}
	for i, p := range [...]part{partRequest, partResponse, partMessages} {
		if w := s.drawn[p].width; w > 0 {
			m.width[i] = w
		}
	}
	if s.opened && s.talks() {
		m.opened, m.message = true, s.at
	}
	return m
}

// A reading is the content of an exchange as it is shown. It is made off the
// dashboard's goroutine; nobody changes what it points to.
type reading struct {
	wanted, of manner // how it is to be read, and how it was

	content  *engine.Content // nil: nothing is kept
	err      error           // why nobody knows
	asked    bool            // the log was asked
	settled  bool            // when the exchange was over
	bytes    [2]int64        // that had passed when the log was asked
	views    [2]*shown       // of request and response; nil without content
	messages []message
	lost     uint64 // messages before the first of these
	one      *shown // the message that is opened
}

// A shown is a view, its lines broken to a width.
type shown struct {
	*inspect.View
	rows []string
}

// A message is a line of the list.
type message struct {
	note inspect.Note
	text string
}

// lineMost bounds the text of a message in the list, in bytes.
const lineMost = 600

// read asks the log for the content where that may have changed, and reads it
// anew where it has, or is wanted in another way.
func (g *reading) read(ctx context.Context, log engine.RequestLog, r *engine.Request, known bool) {
	over := !r.InFlight()
	bytes := [2]int64{r.RequestBytes, r.ResponseBytes}
	fresh := false
	if !known && (!g.asked || !g.settled && (over || bytes != g.bytes || g.err != nil) && (over || g.moves())) {
		content := new(engine.Content)
		switch err := log.Content(ctx, r.ID, content); {
		case errors.Is(err, engine.ErrNotFound):
			// What was seen of it stays.
			g.err = nil
			fresh = !g.asked
		case err != nil:
			g.err = err
			return
		default:
			g.content, g.err, fresh = content, nil, true
		}
		g.asked, g.settled, g.bytes = true, over, bytes
	}
	if !fresh && g.of == g.wanted {
		return
	}
	if fresh || g.of.look != g.wanted.look || g.of.width != g.wanted.width {
		g.lay(r, fresh)
	}
	g.open()
	g.of = g.wanted
}

// moves reports whether more can be kept than is here.
func (g *reading) moves() bool {
	if g.content == nil || len(g.content.Messages) > 0 || g.content.MessagesLost > 0 {
		return true
	}
	return len(g.content.Request.Data) < engine.MaxContent || len(g.content.Response.Data) < engine.MaxContent
}

// lay makes the views of the content.
func (g *reading) lay(r *engine.Request, fresh bool) {
	g.views, g.messages, g.lost = [2]*shown{}, nil, 0
	if g.content == nil {
		return
	}
	heads := r.Heads
	if heads == nil {
		heads = &engine.Heads{}
	}
	g.views[0] = broken(inspect.Read(heads.Request, &g.content.Request, g.lookAt(0)), g.wanted.width[0])
	g.views[1] = broken(inspect.Read(heads.Response, &g.content.Response, g.lookAt(1)), g.wanted.width[1])
	g.lost = g.content.MessagesLost
	if len(g.content.Messages) == 0 {
		return
	}
	notes := inspect.Messages(heads.Response, g.content)
	g.messages = make([]message, len(notes))
	for i := range notes {
		text := notes[i].Text(lineMost, g.wanted.look.Secrets)
		if notes[i].Problem != "" {
			text += " (" + notes[i].Problem + ")"
		}
		g.messages[i] = message{notes[i], text}
	}
}

// open makes the view of the message that is shown by itself.
func (g *reading) open() {
	g.one = nil
	if m := g.message(g.wanted.message); g.wanted.opened && m != nil {
		g.one = broken(m.note.View(g.lookAt(2)), g.wanted.width[2])
	}
}

// lookAt is how one of the three is read, which are as wide as they are.
func (g *reading) lookAt(i int) inspect.Look {
	look := g.wanted.look
	look.Columns = g.wanted.width[i]
	return look
}

// message returns the n-th of all messages, nil if it is not here.
func (g *reading) message(n uint64) *message {
	if n < g.lost || n-g.lost >= uint64(len(g.messages)) {
		return nil
	}
	return &g.messages[n-g.lost]
}

// broken breaks the lines of a view at w columns; 0 leaves them as they are.
func broken(v *inspect.View, w int) *shown {
	t := &shown{View: v, rows: make([]string, 0, len(v.Lines))}
	for _, line := range v.Lines {
		for len(t.rows) < 2*inspect.MaxLines {
			n := fits(line, w)
			t.rows = append(t.rows, line[:n])
			if line = line[n:]; line == "" {
				break
			}
		}
	}
	return t
}

// fits returns how many bytes of s go into w columns, at least one character.
func fits(s string, w int) int {
	if w <= 0 || len(s) <= w && isASCII(s) {
		return len(s)
	}
	columns := 0
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		columns += canvas.Width(s[i : i+n])
		if columns > w && i > 0 {
			return i
		}
		i += n
	}
	return len(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// exchange is what is here of it.
func (s *Screen) exchange() *inspect.Exchange {
	return &inspect.Exchange{Request: s.record, Content: s.reading.content}
}
