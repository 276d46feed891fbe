package requests

import (
	"strconv"

	"adit/engine"
	"adit/engine/filter"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/exchange"
	"adit/tui/format"
	"adit/tui/pane"
	"adit/tui/prompt"
)

// A Screen is the screen of all requests.
type Screen struct {
	list    *List
	hidden  bool // the preview, where there would be room for it
	zoomed  bool // the list alone
	ratio   int  // cells of the preview; 0: the default
	loaded  bool
	box     canvas.Rect // of the filter
	divider canvas.Rect // between list and preview
	drag    bool
	phases  []exchange.Phase
	text    []byte
}

const (
	previewWide  = 70
	previewLeast = 40
	histogram    = 6 // rows of it
	previewName  = "requests.preview"
)

// New returns the screen, following the newest.
func New() *Screen {
	return &Screen{list: NewList(Options{Name: "requests", Title: "Requests", Full: true})}
}

var (
	_ pane.Screen   = (*Screen)(nil)
	_ pane.Filtered = (*Screen)(nil)
	_ pane.Sequence = (*List)(nil)
)

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context {
	return []keys.Context{keys.Requests, keys.List}
}

// Forget implements [pane.Marking].
func (s *Screen) Forget(_ *pane.Frame, all bool) int { return s.list.Forget(all) }

// Page implements [pane.Listing].
func (s *Screen) Page() *engine.RequestPage { return s.list.Page() }

// Newest implements [pane.Listing].
func (s *Screen) Newest() engine.RequestID { return s.list.Newest() }

// Captures implements [pane.Capturable].
func (s *Screen) Captures(a keys.Action, _ *pane.Frame) (filter, what string) {
	return s.list.Captures(a)
}

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(*pane.Frame) []string { return nil }

// Status implements [pane.Screen].
func (s *Screen) Status(f *pane.Frame) string {
	if n := s.list.sampled.oneIn; n > 0 && s.list.following && !f.Paused {
		return "SAMPLED 1 in " + strconv.Itoa(n)
	}
	return ""
}

// Hints implements [pane.Screen].
func (s *Screen) Hints(*pane.Frame) []keys.Action {
	return []keys.Action{keys.Open, keys.Mark, keys.Filter, keys.Replay, keys.Follow, keys.Pause, keys.CopyCurl, keys.HAR, keys.SaveContent, keys.Sort, keys.Columns, keys.MatchNext, keys.Back}
}

// Wants implements [pane.Screen].
func (s *Screen) Wants(f *pane.Frame) []pane.Want { return s.list.Wants(f) }

// Subject implements [pane.Filtered], as do those below.
func (s *Screen) Subject() filter.Subject { return filter.Requests }

// Filter returns the operator's filter.
func (s *Screen) Filter() string { return s.list.Filter() }

// SetFilter narrows the rows; what was is kept for undo.
func (s *Screen) SetFilter(text string) { s.list.SetFilter(text) }

// Matches says how much the filter selects.
func (s *Screen) Matches() pane.Matches { return s.list.Matches() }

// Values returns the values of a field that are on the page.
func (s *Screen) Values(field string) []pane.Value { return s.list.Values(field) }

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	s.load(f)
	w, h := a.Size()
	y := 0
	s.box = canvas.Rect{}
	if h >= prompt.Rows+5 {
		box := a.Sub(0, 0, w, prompt.Rows)
		s.box = box.Bounds()
		prompt.DrawLine(box, f, s.list.Filter(), "everything (status:>=500  path:/api  dur:>200ms)", s.matches(f))
		y = prompt.Rows
	}
	wide := f.Class == pane.Wide && !s.zoomed
	if wide && h > y+histogram+10 {
		s.drawHistogram(a.Sub(0, y, w, histogram), f)
		y += histogram
	}
	s.divider = canvas.Rect{}
	if !wide || s.hidden {
		s.list.Draw(a.Sub(0, y, w, h-y), f, true)
		return
	}
	side := min(max(s.ratio, previewLeast), w/2)
	s.list.Draw(a.Sub(0, y, w-side, h-y), f, true)
	s.drawPreview(a.Sub(w-side, y, side, h-y), f)
	s.divider = canvas.Rect{X: a.Bounds().X + w - side - 1, Y: a.Bounds().Y + y, W: 2, H: h - y}
}

// matches says how much is selected of how much, and what that took.
func (s *Screen) matches(f *pane.Frame) string {
	if s.list.Page() == nil {
		return ""
	}
	m := s.list.Matches()
	if s.list.Filter() == "" {
		m.Took = 0
	}
	s.text = m.Append(s.text[:0], f)
	return string(s.text)
}

func (s *Screen) drawPreview(a canvas.Area, f *pane.Frame) {
	in := a.Box(canvas.Box{Title: "Preview", Right: s.keysOf(f), Glyphs: f.Glyphs})
	r := s.list.Detail()
	w, h := in.Size()
	muted := canvas.Of(themes.Muted)
	row := s.list.Selected()
	switch {
	case row == nil:
		return
	case r == nil:
		r = row
	}
	x := in.Cut(1, 0, w-18, requestLine(r), f.Glyphs.Cut, canvas.Of(themes.Fg)|canvas.Bold)
	x = in.Text(x+1, 0, f.Glyphs.Arrow, muted)
	s.text = s.list.appendStatus(s.text[:0], r, f)
	x = in.Bytes(x+1, 0, s.text, statusStyle(r))
	if d, known := s.list.duration(r); known {
		s.text = format.AppendDuration(s.text[:0], d)
		in.Bytes(x+2, 0, s.text, canvas.Of(themes.Fg))
	}
	x = in.Cut(1, 1, w-2, "client "+orDash(r.Client)+"   conn "+orDash(r.Connection.String()), f.Glyphs.Cut, canvas.Of(themes.Fg))
	in.Cut(x+3, 1, max(w-x-4, 0), r.ID.String(), f.Glyphs.Cut, muted)
	y := 2
	if outcome := exchange.Outcome(r); outcome != "" {
		in.Cut(1, y, w-2, outcome, f.Glyphs.Cut, muted)
		y++
	}
	if r.Reason != "" {
		in.Cut(1, y, w-2, r.Reason, f.Glyphs.Cut, canvas.Of(themes.Warn))
		y++
	}
	y = s.drawHeads(in, y+1, f, r)
	in.Text(1, y, "TIMING", muted)
	s.phases = exchange.Phases(r, s.list.asOf, s.phases[:0])
	exchange.DrawTiming(in.Sub(2, y+1, w-2, h-y-1), f, s.phases)
}

// drawHeads draws both heads and returns the line after them.
func (s *Screen) drawHeads(in canvas.Area, y int, f *pane.Frame, r *engine.Request) int {
	w, h := in.Size()
	muted := canvas.Of(themes.Muted)
	if r.Heads == nil {
		if s.list.Detail() != nil {
			in.Cut(1, y, w-2, exchange.NoHeads(r), f.Glyphs.Cut, muted)
			return y + 2
		}
		return y
	}
	const below = 10 // lines that the timing takes
	each := max((h-y-below-4)/2, 1)
	for i, head := range [...]string{r.Heads.Request, r.Heads.Response} {
		title := [...]string{"REQUEST HEADERS (", "RESPONSE HEADERS ("}[i]
		n := exchange.Fields(head)
		s.text = append(strconv.AppendInt(append(s.text[:0], title...), int64(n), 10), ')')
		x := in.Bytes(1, y, s.text, muted)
		room := each
		if i == 1 {
			room = max(h-y-below-2, 1)
		}
		if n > room {
			in.Cut(x+2, y, max(w-x-3, 0), "more in the inspector", f.Glyphs.Cut, muted)
		}
		y += 1 + exchange.DrawHead(in.Sub(0, y+1, w, room), f, head, 0, s.list.Revealed()) + 1
	}
	return y
}

func requestLine(r *engine.Request) string {
	if r.Method == "" {
		return orDash(r.Target)
	}
	return r.Method + " " + r.Target
}

// keysOf says which keys change the preview.
func (s *Screen) keysOf(f *pane.Frame) string {
	if f.Keys == nil {
		return ""
	}
	key := func(a keys.Action) string {
		if names := f.Keys.Keys(a, f.Glyphs.ASCII, keys.Requests, keys.List, keys.Everywhere); len(names) > 0 {
			return names[0]
		}
		return ""
	}
	grow, shrink, hide := key(keys.PaneGrow), key(keys.PaneShrink), key(keys.PanePreview)
	if grow == "" || shrink == "" || hide == "" {
		return ""
	}
	return grow + " " + shrink + " width " + f.Glyphs.Dot + " " + hide + " hide"
}

// load reads once how wide the preview was.
func (s *Screen) load(f *pane.Frame) {
	if s.loaded {
		return
	}
	s.loaded, s.ratio = true, previewWide
	if f.Memory != nil {
		if n, err := strconv.Atoi(f.Memory.Get(previewName)); err == nil {
			s.ratio, s.hidden = min(max(n, previewLeast), 400), n == 0
		}
	}
}

func (s *Screen) keep(f *pane.Frame) {
	if f.Memory == nil {
		return
	}
	if s.hidden {
		f.Memory.Set(previewName, "0")
		return
	}
	f.Memory.Set(previewName, strconv.Itoa(s.ratio))
}

// Do implements [pane.Screen].
func (s *Screen) Do(a keys.Action, f *pane.Frame) (effect pane.Effect, handled bool) {
	switch a {
	case keys.Filter:
		return pane.EditFilter{}, true
	case keys.PanePreview:
		s.hidden = !s.hidden
		s.keep(f)
	case keys.PaneGrow, keys.PaneShrink:
		step := 4
		if a == keys.PaneShrink {
			step = -4
		}
		s.ratio = min(max(s.ratio+step, previewLeast), max(f.Width/2, previewLeast))
		s.keep(f)
	case keys.PaneZoom:
		s.zoomed = !s.zoomed
	default:
		return s.list.Do(a, f)
	}
	return nil, true
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, f *pane.Frame) string {
	switch a {
	case keys.PanePreview, keys.PaneGrow, keys.PaneShrink:
		if f.Class != pane.Wide {
			return "no room for a preview here"
		}
	}
	return s.list.Off(a, f)
}

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	switch {
	case m.Kind == pane.Release:
		s.drag = false
		return nil
	case m.Kind == pane.Click && s.divider.Contains(m.X, m.Y):
		s.drag = true
		return nil
	case m.Kind == pane.Drag:
		if s.drag {
			s.ratio = min(max(f.Width-m.X, previewLeast), max(f.Width/2, previewLeast))
			s.keep(f)
		}
		return nil
	case m.Kind == pane.Click && s.box.Contains(m.X, m.Y):
		return pane.EditFilter{}
	}
	effect, _ := s.list.Mouse(m, f)
	return effect
}
