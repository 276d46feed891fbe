// Package comparison shows the answer to a replay beside that to the original
// request: status, header fields and content, line by line.
package comparison

import (
	"context"
	"errors"
	"strconv"
	"time"

	"adit/engine"
	"adit/engine/inspect"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
)

// A Screen is one original and one replay of it.
type Screen struct {
	original, replay engine.RequestID

	a, b   side
	rows   []inspect.Row // nil until both answers are here
	differ int
	part   bool // of the content not everything is kept
	of     inspect.Look

	asked  time.Time
	asOf   time.Time
	look   inspect.Look
	offset int
	height int // rows of the pane, at the last Draw
	area   canvas.Rect
	text   []byte
}

// A side is what is known of one of the two.
type side struct {
	x    inspect.Exchange
	have bool
	gone bool
	err  error
}

// over reports whether its answer is all there.
func (s *side) over() bool { return s.have && !s.x.Request.InFlight() }

const (
	liveEvery = 100 * time.Millisecond
	// waitFor is how long a replay that is not in the log is waited for: its
	// record may be on its way.
	waitFor = 5 * time.Second
)

// New returns the comparison of an original and a replay, which may still run.
func New(original, replay engine.RequestID) *Screen {
	return &Screen{original: original, replay: replay}
}

var _ pane.Screen = (*Screen)(nil)

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context { return []keys.Context{keys.Request} }

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(*pane.Frame) []string {
	return []string{"replay " + s.replay.String() + " of " + s.original.String()}
}

// Status implements [pane.Screen].
func (s *Screen) Status(*pane.Frame) string {
	switch {
	case s.rows != nil && s.differ == 0 && s.part:
		return "no difference in what is kept"
	case s.rows != nil && s.differ == 0:
		return "the same"
	case s.rows != nil:
		return format.Plural(s.differ, "difference")
	case s.b.have:
		return "in flight"
	}
	return ""
}

// Hints implements [pane.Screen].
func (s *Screen) Hints(*pane.Frame) []keys.Action {
	return []keys.Action{keys.MatchNext, keys.MatchPrevious, keys.Open, keys.Replay, keys.Reveal, keys.Cancel, keys.Back}
}

// Wants implements [pane.Screen].
func (s *Screen) Wants(f *pane.Frame) []pane.Want {
	switch {
	case s.rows != nil && s.of == s.look, s.b.gone && s.asked.Sub(s.asOf) > waitFor, s.a.gone && s.b.over():
		return nil
	case s.rows == nil && !s.asked.IsZero() && f.Now.Sub(s.asked) < liveEvery:
		return nil
	}
	return []pane.Want{&fetch{s: s, a: s.a, b: s.b, look: s.look}}
}

// A fetch is both sides on their way, and what they differ in once both are here.
type fetch struct {
	s    *Screen
	a, b side
	look inspect.Look
	c    *inspect.Comparison
	ran  bool
}

func (w *fetch) Fetch(ctx context.Context, source pane.Source) {
	w.ran = true
	w.a.ask(ctx, source.Log, w.s.original)
	w.b.ask(ctx, source.Log, w.s.replay)
	if w.a.have && w.b.over() {
		w.c = inspect.Compare(&w.a.x, &w.b.x, w.look)
	}
}

// ask asks the log unless all is known already.
func (s *side) ask(ctx context.Context, log engine.RequestLog, id engine.RequestID) {
	if s.over() {
		return
	}
	x, err := inspect.Fetch(ctx, log, id)
	s.gone, s.err = false, nil
	switch {
	case errors.Is(err, engine.ErrNotFound):
		s.gone = true
	case err != nil:
		s.err = err
	default:
		s.x, s.have = x, true
	}
}

func (w *fetch) Deliver(f *pane.Frame) {
	s := w.s
	if !w.ran {
		return
	}
	s.asked, s.a, s.b = f.Now, w.a, w.b
	if s.asOf.IsZero() || !s.b.gone {
		s.asOf = f.Now
	}
	if w.c != nil {
		s.rows, s.differ, s.part, s.of = w.c.Rows, w.c.Differences, w.c.Partial, w.look
	}
}

// Do implements [pane.Screen].
func (s *Screen) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	if by, ok := pane.Moves(a, s.height/2, len(s.rows)); ok {
		s.scroll(by)
		return nil, true
	}
	switch a {
	case keys.Reveal:
		s.look.Secrets = !s.look.Secrets
	case keys.MatchNext, keys.MatchPrevious:
		return s.next(a == keys.MatchPrevious), true
	case keys.Open:
		return pane.OpenRequest{ID: s.replay}, true
	case keys.Replay:
		return exchange.Replay(f, []engine.RequestID{s.replay}, 0), true
	case keys.Cancel:
		if why := s.Off(a, f); why != "" {
			return pane.Say{Text: "cancel: " + why}, true
		}
		return pane.Ask{Action: keys.Cancel, Requests: []engine.RequestID{s.replay}}, true
	case keys.Copy:
		return pane.CopyText{Choices: []pane.Choice{{Title: "id of the replay", Text: s.replay.String()}, {Title: "id of the original", Text: s.original.String()}}}, true
	default:
		return nil, false
	}
	return nil, true
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, _ *pane.Frame) string {
	switch a {
	case keys.Cancel:
		if !s.b.have || s.b.over() {
			return "not in flight"
		}
	case keys.Reveal, keys.Copy, keys.Open, keys.Replay:
	case keys.MatchNext, keys.MatchPrevious:
		if s.differ == 0 {
			return "no differences"
		}
	default:
		if keys.Of(a).In(keys.Request) && !keys.Of(a).In(keys.Everywhere) {
			return "open the replay first"
		}
	}
	return ""
}

func (s *Screen) scroll(by int) { s.offset = max(min(s.offset+by, len(s.rows)-s.height), 0) }

// next goes to the next line, downwards, that differs.
func (s *Screen) next(back bool) pane.Effect {
	step := 1
	if back {
		step = -1
	}
	for at := s.offset + step; at >= 0 && at < len(s.rows); at += step {
		if s.rows[at].Change > inspect.Noise && (at == 0 || s.rows[at-1].Change <= inspect.Noise) {
			s.offset = at
			return nil
		}
	}
	return pane.Say{Text: "no more differences"}
}

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, _ *pane.Frame) pane.Effect {
	if m.Kind == pane.Wheel && s.area.Contains(m.X, m.Y) {
		s.scroll(m.Amount)
	}
	return nil
}

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	w, h := a.Size()
	const headRows = 4
	s.drawHeads(a.Sub(0, 0, w, headRows), f)
	title := "Original " + s.original.String()
	in := a.Sub(0, headRows, w, h-headRows).Box(canvas.Box{Title: title, Right: "Replay " + s.replay.String(), Focused: true, Glyphs: f.Glyphs})
	s.area, s.height = in.Bounds(), in.H()
	if s.rows == nil {
		s.drawWaiting(in, f)
		return
	}
	s.offset = max(min(s.offset, len(s.rows)-s.height), 0)
	for y := 0; y < in.H() && s.offset+y < len(s.rows); y++ {
		s.drawRow(in, y, &s.rows[s.offset+y], f)
	}
	if len(s.rows) > s.height {
		b := strconv.AppendInt(s.text[:0], int64(min(s.offset+s.height, len(s.rows))), 10)
		b = strconv.AppendInt(append(b, '/'), int64(len(s.rows)), 10)
		s.text = b
		a.RightBytes(0, a.H()-1, a.W()-3, b, canvas.Of(themes.Muted))
	}
}

// drawHeads says what both are, a line each.
func (s *Screen) drawHeads(a canvas.Area, f *pane.Frame) {
	title := s.replay.String()
	if s.a.have {
		title = s.a.x.Request.Method + " " + s.a.x.Request.Target
	}
	in := a.Box(canvas.Box{Title: title, Right: s.Status(f), Glyphs: f.Glyphs})
	s.drawHead(in, 0, "original", &s.a, f)
	s.drawHead(in, 1, "replay", &s.b, f)
}

func (s *Screen) drawHead(in canvas.Area, y int, name string, side *side, f *pane.Frame) {
	in.Text(1, y, name, canvas.Of(themes.Muted))
	x := 11
	muted := canvas.Of(themes.Muted)
	r := &side.x.Request
	switch {
	case side.gone:
		in.Cut(x, y, max(in.W()-x-1, 0), "not in the log", f.Glyphs.Cut, canvas.Of(themes.Warn))
		return
	case side.err != nil:
		in.Cut(x, y, max(in.W()-x-1, 0), side.err.Error(), f.Glyphs.Cut, canvas.Of(themes.Err))
		return
	case !side.have:
		in.Text(x, y, "on its way", muted)
		return
	case r.InFlight():
		x = in.Text(x, y, "in flight", canvas.Of(themes.Info))
	case r.Status == 0:
		x = in.Cut(x, y, max(in.W()-x-1, 0), exchange.Outcome(r), f.Glyphs.Cut, canvas.Of(themes.Err))
	default:
		s.text = append(strconv.AppendInt(s.text[:0], int64(r.Status), 10), ' ')
		s.text = append(s.text, exchange.StatusText(r.Status)...)
		x = in.Bytes(x, y, s.text, exchange.StatusStyle(r.Status)|canvas.Bold)
	}
	b := s.text[:0]
	sep := func() { b = append(append(append(b, ' '), f.Glyphs.Dot...), ' ') }
	if d, known := exchange.Duration(r, s.asked); known {
		sep()
		b = format.AppendDuration(b, d)
	}
	sep()
	b = append(b, f.Glyphs.Out...)
	b = format.AppendSize(b, uint64(max(r.ResponseBytes, 0)))
	if r.Client != "" {
		sep()
		b = append(append(b, "client "...), r.Client...)
	}
	sep()
	b = append(b, r.ID.String()...)
	sep()
	b = format.AppendTime(b, r.Arrived, f.UTC)
	if r.Reason != "" {
		sep()
		b = append(b, r.Reason...)
	}
	s.text = b
	in.Cut(x, y, max(in.W()-x-1, 0), string(b), f.Glyphs.Cut, muted)
}

// drawWaiting says what is waited for.
func (s *Screen) drawWaiting(in canvas.Area, f *pane.Frame) {
	text := "Waiting for the answer to the replay" + f.Glyphs.Ellipsis
	switch {
	case s.b.gone && s.asked.Sub(s.asOf) > waitFor:
		text = "The replay is not in the log: it was not recorded, or has left it again."
	case s.a.gone:
		text = "The original is not in the log any more: there is nothing to compare with."
	}
	in.Cut(3, 1, max(in.W()-4, 0), text, f.Glyphs.Cut, canvas.Of(themes.Muted))
}

// sign says in one character how two lines differ.
func sign(c inspect.Change, left bool) (string, canvas.Style) {
	switch {
	case c == inspect.Noise:
		return "~", canvas.Of(themes.Muted)
	case c == inspect.Changed:
		return "!", canvas.Of(themes.Warn)
	case c == inspect.Removed && left:
		return "-", canvas.Of(themes.Err)
	case c == inspect.Added && !left:
		return "+", canvas.Of(themes.OK)
	}
	return " ", canvas.Of(themes.Fg)
}

func (s *Screen) drawRow(in canvas.Area, y int, r *inspect.Row, f *pane.Frame) {
	half := in.W() / 2
	if r.Title {
		in.Cut(1, y, in.W()-2, r.Left, f.Glyphs.Cut, canvas.Of(themes.Title)|canvas.Bold)
		return
	}
	for i, line := range [...]string{r.Left, r.Right} {
		mark, style := sign(r.Change, i == 0)
		x := i * half
		in.Text(x+1, y, mark, style)
		room := half - 4
		if i == 1 {
			room = in.W() - half - 4
		}
		in.Cut(x+3, y, max(room, 0), line, f.Glyphs.Cut, style)
	}
}
