// Package help is the page of keys: generated from the keys as they are, with
// what is wrong with the operator's file, and the language of filters.
package help

import (
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
)

// A section is one of the pages.
type section uint8

const (
	sectionKeys section = iota
	sectionConflicts
	sectionFilter
	sections
)

// A Help is the overlay.
type Help struct {
	screen   string
	contexts []keys.Context // innermost first, Everywhere last
	search   overlay.Line
	section  section

	groups []group // of the keys that are shown: all, or what was searched for
	built  bool
	words  wording // that groups were built in

	grammar   []line // once it was shown
	problems  []keys.Problem
	told      []line // what problems say in toldWidth columns
	toldWidth int

	from, rows, tall int // rows scrolled, shown and there, of the last Draw
}

// A wording is what the texts of groups depend on, beside the search.
type wording struct {
	keys            *keys.Map
	ascii, readOnly bool
}

// A group is a heading with its lines.
type group struct {
	title string
	lines []line
}

type line struct{ keys, text, heading string }

// New returns the help of a screen, whose own contexts these are, innermost
// first.
func New(screen string, contexts ...keys.Context) *Help {
	all := make([]keys.Context, 0, len(contexts)+1)
	for _, c := range contexts {
		if c != keys.Everywhere {
			all = append(all, c)
		}
	}
	return &Help{screen: screen, contexts: append(all, keys.Everywhere), search: overlay.NewLine(overlay.MaxSearch, "")}
}

// Update implements [pane.Overlay].
func (h *Help) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelUp:
			h.scroll(-3)
		case tea.MouseWheelDown:
			h.scroll(3)
		}
	case tea.PasteMsg:
		h.typed(msg)
	case tea.KeyPressMsg:
		return nil, h.key(msg)
	}
	return nil, true
}

func (h *Help) key(msg tea.KeyPressMsg) (open bool) {
	switch msg.String() {
	case "?", "f1":
		return false
	case "esc":
		if h.search.Text() == "" {
			return false
		}
		h.search.Clear()
		h.built, h.from = false, 0
	case "tab", "right":
		h.section, h.from = (h.section+1)%sections, 0
	case "shift+tab", "left":
		h.section, h.from = (h.section+sections-1)%sections, 0
	case "up":
		h.scroll(-1)
	case "down", "enter":
		h.scroll(1)
	case "pgup":
		h.scroll(-max(h.rows-1, 1))
	case "pgdown":
		h.scroll(max(h.rows-1, 1))
	case "home":
		h.from = 0
	case "end":
		h.scroll(h.tall)
	case "/":
		// Begins a search where others begin one; here every letter does.
		if h.search.Text() != "" {
			h.typed(msg)
		}
	default:
		h.typed(msg)
	}
	return true
}

func (h *Help) typed(msg tea.Msg) {
	if h.search.Update(msg) {
		h.section, h.built, h.from = sectionKeys, false, 0
	}
}

func (h *Help) scroll(by int) { h.from = max(min(h.from+by, h.tall-h.rows), 0) }

func (h *Help) build(f *pane.Frame) {
	h.built = true
	h.words = wordingOf(f)
	h.groups = h.groups[:0]
	others := make(map[keys.Context][]line)
	for _, title := range keys.Groups() {
		g := group{title: title}
		for _, r := range keys.Rows() {
			if r.Group != title {
				continue
			}
			l, c := h.row(f, r)
			switch {
			case !h.found(l, r):
			case c == keys.Everywhere:
				g.lines = append(g.lines, l)
			default:
				others[c] = append(others[c], l)
			}
		}
		if len(g.lines) > 0 {
			h.groups = append(h.groups, g)
		}
	}
	for _, c := range keys.Contexts() {
		if len(others[c]) > 0 {
			h.groups = append(h.groups, group{title: "ELSEWHERE: " + where(c), lines: others[c]})
		}
	}
}

// where names a context for people.
func where(c keys.Context) string {
	switch c {
	case keys.List:
		return "LISTS"
	case keys.Connection:
		return "ONE CONNECTION"
	case keys.Request:
		return "ONE REQUEST"
	}
	return strings.ToUpper(string(c))
}

func wordingOf(f *pane.Frame) wording { return wording{f.Keys, f.Glyphs.ASCII, f.ReadOnly} }

// row returns the line of a row with its keys here, and Everywhere; or else the
// one with its keys in another context, and that. What it returns without keys is
// not to be shown.
func (h *Help) row(f *pane.Frame, r keys.Row) (line, keys.Context) {
	if l := rowIn(f, r, h.contexts...); l.keys != "" {
		return l, keys.Everywhere
	}
	for _, c := range keys.Contexts() {
		if l := rowIn(f, r, c); l.keys != "" {
			return l, c
		}
	}
	return line{}, keys.Everywhere
}

func rowIn(f *pane.Frame, r keys.Row, contexts ...keys.Context) line {
	var lists [][]string
	for _, a := range r.Actions {
		if f.ReadOnly && keys.Of(a).Mutating {
			continue
		}
		if list := f.Keys.Keys(a, f.Glyphs.ASCII, contexts...); len(list) > 0 {
			lists = append(lists, list)
		}
	}
	if len(lists) == 0 {
		return line{}
	}
	return line{keys: joined(lists, f), text: overlay.Words(r.Title, f)}
}

// keyWidth is how many cells the keys of a row may take.
const keyWidth = 15

// joined writes the keys of actions that belong together as people say them, the
// first key of each, then the second: "j k ↓ ↑"; "1…5" for a row of digits.
func joined(lists [][]string, f *pane.Frame) string {
	if len(lists) > 2 {
		digits := true
		for i, l := range lists {
			digits = digits && l[0] == strconv.Itoa(i+1)
		}
		if digits {
			return lists[0][0] + overlay.Words("…", f) + lists[len(lists)-1][0]
		}
	}
	text := ""
	for i := 0; ; i++ {
		any := false
		for _, l := range lists {
			if i >= len(l) {
				continue
			}
			any = true
			next := l[i]
			if text != "" {
				next = " " + next
			}
			// The first key of each is there, whatever room it takes.
			if i > 0 && canvas.Width(text)+canvas.Width(next) > keyWidth {
				return text
			}
			text += next
		}
		if !any {
			return text
		}
	}
}

// found reports whether a line has keys and is what was searched for.
func (h *Help) found(l line, r keys.Row) bool {
	if l.keys == "" {
		return false
	}
	query := strings.ToLower(strings.TrimSpace(h.search.Text()))
	if query == "" || strings.Contains(strings.ToLower(l.text), query) {
		return true
	}
	for key := range strings.FieldsSeq(l.keys) {
		if strings.HasPrefix(strings.ToLower(key), query) {
			return true
		}
	}
	for _, a := range r.Actions {
		if strings.Contains(string(a), query) || strings.Contains(strings.ToLower(keys.Of(a).Title), query) {
			return true
		}
	}
	return false
}

// Hints implements [pane.Overlay].
func (h *Help) Hints(*pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: "?", Text: "close"}, {Key: "/", Text: "search keys"}, {Key: "tab", Text: "section"}}
}

// title says what the page shows.
func (h *Help) title(f *pane.Frame) string {
	dash := " — "
	if f.Glyphs.ASCII {
		dash = " - "
	}
	switch h.section {
	case sectionConflicts:
		return "Help" + dash + "conflicts (" + strconv.Itoa(len(f.Problems)) + ")"
	case sectionFilter:
		return "Help" + dash + "filter language"
	}
	return "Help" + dash + "keys for: " + h.screen
}

// Draw implements [pane.Overlay].
func (h *Help) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	if !h.built || h.words != wordingOf(f) {
		h.build(f)
	}
	w, tall := h.width(f.Class, a.W())
	foot := "generated from the active keymap " + f.Glyphs.Dot + " ? or esc closes"
	if a.W() < 70 {
		foot = "? or esc closes"
	}
	outer := overlay.Top(a, w, tall)
	in := outer.Box(canvas.Box{Title: h.title(f), Foot: foot, Focused: true, Overlay: true, Glyphs: f.Glyphs})
	x, y, cursor = h.drawSearch(outer.With(canvas.Overlay), f)
	body := in.Sub(2, 1, in.W()-4, in.H()-1)
	if in.H() < 8 {
		body = in.Sub(1, 0, in.W()-2, in.H())
	}
	switch h.section {
	case sectionConflicts:
		h.lines(body, f, h.conflicts(body.W(), f))
	case sectionFilter:
		if h.grammar == nil {
			h.grammar = grammar()
		}
		h.lines(body, f, h.grammar)
	default:
		if in.H() >= 12 {
			example := "filter: status:>=500 method:POST path:/api dur:>200ms client:foo -host:x  (a OR b)  /regex/"
			if body.W() < len(example) {
				example = "filter: status:>=500 method:POST dur:>200ms  -client:x"
			}
			in.Cut(2, in.H()-1, in.W()-4, example, f.Glyphs.Cut, canvas.Of(themes.Muted))
			body = in.Sub(2, 1, in.W()-4, in.H()-2)
		}
		h.drawKeys(body, f)
	}
	return x, y, cursor
}

// width returns the columns of the page and its most rows.
func (h *Help) width(c pane.Class, w int) (columns, rows int) {
	switch c {
	case pane.Wide:
		return 150, 34
	case pane.Normal:
		return min(104, w), 40
	}
	return w, 40
}

// drawSearch draws the line of the search into the upper line of the frame.
func (h *Help) drawSearch(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	const label = " type to search: "
	// The cursor and a space follow the text.
	w := len(label) + min(canvas.Width(h.search.Text()), maxSearch) + 2
	at := a.W() - 2 - w
	if at < canvas.Width(h.title(f))+5 || a.H() == 0 {
		return 0, 0, false
	}
	line := a.Sub(at, 0, w, 1)
	line.Fill(canvas.Of(themes.Fg))
	end := line.Text(0, 0, label, canvas.Of(themes.Muted))
	end = h.search.Draw(line, end, 0, w-end-1, canvas.Of(themes.Fg)|canvas.Bold)
	return line.Bounds().X + end, line.Bounds().Y, true
}

// maxSearch is how many cells of the search are shown.
const maxSearch = 24
