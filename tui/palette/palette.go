// Package palette is the list of everything that can be done: every action, its
// key, and why it is off; and what has no key at all, like one client to kill.
package palette

import (
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/overlay"
	"adit/tui/pane"
	"adit/tui/prompt"
)

// maxClients bounds for how many clients there are entries of their own.
const maxClients = 500

// Options are what a palette knows of the screen that it is opened over.
type Options struct {
	Contexts []keys.Context           // of the screen, innermost first
	Off      func(keys.Action) string // why an action is not possible now, "" if it is
	Marks    int                      // rows that are marked: kill, drain and ban are done to them
	Saved    []prompt.Saved
	Themes   []string // names
}

// An entry is a line of the palette.
type entry struct {
	title  string
	key    string
	note   string
	action keys.Action // "" for an entry of its own
	effect pane.Effect
	more   bool // shown only for what was typed: there are many of these

	lower string // what is searched in, in lower case
	off   string // why it is off, as of the last search
	score int
}

// A Palette is the overlay.
type Palette struct {
	off  func(keys.Action) string
	line overlay.Line
	list overlay.List

	all   []entry
	shown []int // indices into all, the best first
}

// New returns a palette of what can be done in f now.
func New(f *pane.Frame, o Options) *Palette {
	p := &Palette{off: o.Off, line: overlay.NewLine(overlay.MaxSearch, "")}
	if p.off == nil {
		p.off = func(keys.Action) string { return "" }
	}
	p.actions(f, o.Contexts, o.Marks)
	p.clients(f)
	for _, s := range o.Saved {
		p.add(entry{title: "filter @" + s.Name, note: s.Text, effect: pane.GoTo{Screen: s.Screen, Filter: s.Text}})
	}
	for _, name := range o.Themes {
		p.add(entry{title: "theme " + name, note: "theme", effect: pane.UseTheme{Name: name, Keep: true}, more: true})
	}
	p.search()
	return p
}

func (p *Palette) add(e entry) {
	e.lower = strings.ToLower(e.title)
	p.all = append(p.all, e)
}

func (p *Palette) actions(f *pane.Frame, contexts []keys.Context, marks int) {
	contexts = append(slices.Clone(contexts), keys.Everywhere)
	var moves []entry // the last: who reads a list of them has found out
	for _, info := range keys.Actions() {
		if info.Action == keys.Palette || info.Mutating && f.ReadOnly && f.Playback == nil {
			continue
		}
		e := entry{title: overlay.Words(info.Title, f), note: string(info.Action), action: info.Action, effect: pane.Run{Action: info.Action}}
		list := f.Keys.Keys(info.Action, f.Glyphs.ASCII, contexts...)
		if len(list) == 0 {
			// The key of where it means something, to learn it.
			list = f.Keys.Keys(info.Action, f.Glyphs.ASCII, info.Contexts...)
		}
		if len(list) > 0 {
			e.key = list[0]
		}
		switch info.Action {
		case keys.Kill, keys.Drain, keys.Ban:
			if marks > 0 {
				e.note = strconv.Itoa(marks) + " marked"
			}
		}
		if info.Group == keys.GroupMove {
			moves = append(moves, e)
			continue
		}
		p.add(e)
	}
	for _, e := range moves {
		p.add(e)
	}
}

// clients adds what can be done to one client, at a server.
func (p *Palette) clients(f *pane.Frame) {
	if f.ReadOnly || f.Snapshot == nil || f.Snapshot.Role != engine.RoleServer {
		return
	}
	cut := overlay.Words("…", f)
	ask := func(verb string, a keys.Action, name string) {
		p.add(entry{title: verb + " client " + name + cut, note: overlay.Words(keys.Of(a).Title, f),
			effect: pane.Ask{Action: a, Clients: []string{name}}, more: true})
	}
	if f.Rows != nil {
		for i := range min(len(f.Rows.Clients), maxClients) {
			name := f.Rows.Clients[i].Name
			ask("kill", keys.Kill, name)
			ask("drain", keys.Drain, name)
			ask("ban", keys.Ban, name)
		}
		if n := len(f.Rows.Clients) - maxClients; n > 0 {
			p.add(entry{title: "kill, drain or ban another client" + cut, note: strconv.Itoa(n) + " more, on screen 2",
				effect: pane.GoTo{Screen: keys.ScreenConnections}, more: true})
		}
	}
	for i := range min(len(f.Snapshot.Banned), maxClients) {
		name := f.Snapshot.Banned[i]
		p.add(entry{title: "unban client " + name + cut, note: "banned", effect: pane.Ask{Action: keys.Unban, Clients: []string{name}}})
	}
}

// search finds the entries for what was typed, the best first and what is off
// last.
func (p *Palette) search() {
	query := strings.Fields(strings.ToLower(p.line.Text()))
	p.shown = p.shown[:0]
	for i := range p.all {
		e := &p.all[i]
		if e.more && len(query) == 0 {
			continue
		}
		score, ok := match(e, query)
		if !ok {
			continue
		}
		e.score = score
		e.off = p.why(e)
		if e.off != "" {
			e.score += scoreOff
		}
		p.shown = append(p.shown, i)
	}
	slices.SortStableFunc(p.shown, func(a, b int) int { return p.all[a].score - p.all[b].score })
	p.list.Cursor = 0
}

// why says why an entry is off, "" if it is not.
func (p *Palette) why(e *entry) string {
	if e.action == "" {
		return "" // the dashboard and its dialogs answer for these
	}
	return p.off(e.action)
}

// Update implements [pane.Overlay].
func (p *Palette) Update(msg tea.Msg, f *pane.Frame) (pane.Effect, bool) {
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		p.list.Wheel(msg, len(p.shown))
	case tea.MouseClickMsg:
		if i, ok := p.list.Hit(msg.X, msg.Y, len(p.shown)); ok && msg.Button == tea.MouseLeft {
			return p.choose(i)
		}
	case tea.PasteMsg:
		p.typed(msg)
	case tea.KeyPressMsg:
		switch msg.String() {
		case "esc":
			return nil, false
		case "enter":
			return p.choose(p.list.Cursor)
		case "tab":
			p.list.Move(1, len(p.shown))
		case "shift+tab":
			p.list.Move(-1, len(p.shown))
		case "backspace":
			if p.line.Text() == "" {
				return nil, false
			}
			p.typed(msg)
		default:
			if !p.list.Key(msg, len(p.shown), f, true) {
				p.typed(msg)
			}
		}
	}
	return nil, true
}

func (p *Palette) typed(msg tea.Msg) {
	if p.line.Update(msg) {
		p.search()
	}
}

// choose does what an entry is for; one that is off says why.
func (p *Palette) choose(i int) (pane.Effect, bool) {
	if i < 0 || i >= len(p.shown) {
		return nil, true
	}
	e := &p.all[p.shown[i]]
	if e.off = p.why(e); e.off != "" {
		return pane.Say{Text: e.title + ": " + e.off}, true
	}
	return e.effect, false
}

// Widths of the palette, frame included, and of the columns in it.
const (
	width    = 84
	keyWidth = 9
	mostRows = 16
)

// Draw implements [pane.Overlay].
func (p *Palette) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	w := min(width, a.W()-2)
	if f.Class == pane.Wide {
		w = 100
	}
	in := overlay.Top(a, w, max(min(len(p.shown), mostRows), 1)+3).Box(canvas.Box{
		Title: ":", Right: strconv.Itoa(len(p.shown)) + " of " + strconv.Itoa(len(p.all)), Foot: "every action, its key, and why it is off",
		Focused: true, Overlay: true, Glyphs: f.Glyphs,
	})
	if in.H() == 0 || in.W() < 4 {
		return 0, 0, false
	}
	in.Text(1, 0, ":", canvas.Of(themes.Accent))
	at := p.line.Draw(in, 3, 0, in.W()-4, canvas.Of(themes.Fg)|canvas.Bold)
	list := in.Sub(0, 1, in.W(), in.H()-1)
	if len(p.shown) == 0 {
		list.Cut(2, 0, list.W()-3, "nothing is called that", f.Glyphs.Cut, canvas.Of(themes.Muted))
	}
	from, to := p.list.Window(list, len(p.shown))
	for i := from; i < to; i++ {
		p.row(list, i-from, &p.all[p.shown[i]], f)
		if i == p.list.Cursor {
			overlay.Row(list, i-from, f)
		}
	}
	return in.Bounds().X + at, in.Bounds().Y, true
}

func (p *Palette) row(a canvas.Area, y int, e *entry, f *pane.Frame) {
	style := canvas.Of(themes.Fg)
	if e.off != "" {
		style = canvas.Of(themes.Muted)
	}
	note := a.W() * 6 / 10 // where the last column begins
	key := note - keyWidth - 1
	a.Cut(2, y, key-3, e.title, f.Glyphs.Cut, style)
	a.Cut(key, y, keyWidth, e.key, f.Glyphs.Cut, canvas.Of(themes.Accent))
	text := e.note
	if e.off != "" {
		text = "off: " + e.off
	}
	a.Cut(note, y, a.W()-note-1, text, f.Glyphs.Cut, canvas.Of(themes.Muted))
}

// Hints implements [pane.Overlay].
func (p *Palette) Hints(f *pane.Frame) []pane.Hint {
	return []pane.Hint{{Key: f.Glyphs.In + f.Glyphs.Out, Text: "choose"}, {Key: f.Glyphs.Enter, Text: "do it"}, {Key: "esc", Text: "close"}}
}
