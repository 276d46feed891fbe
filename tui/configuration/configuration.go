// Package configuration is screen 5: the settings in effect and where each comes
// from, the keys' problems, the look, and what is known of the terminal.
package configuration

import (
	"strconv"
	"strings"

	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// A Terminal is what is known of the terminal that does not change.
type Terminal struct {
	LookupEnv func(string) (string, bool)
	Set       string // name of the set of keys
	KeysFile  string // "" none
	FPS       int
	Inline    bool
	NoSync    bool
	Profile   string // what colours it shows: "TrueColor", "ANSI256", "ANSI", "Ascii"
}

// A Screen is the screen.
type Screen struct {
	terminal Terminal
	lists    [2]list // settings; the rest
	focus    int     // of lists
	areas    [2]canvas.Rect
	two      bool // both lists were drawn
	above    int  // rows of the first list before its settings
}

var _ pane.Screen = (*Screen)(nil)

// New returns the screen.
func New(t Terminal) *Screen { return &Screen{terminal: t} }

// A line is one row of a list.
type line struct {
	kind               kind
	name, value, extra string
	does               keys.Action // what enter does
}

type kind uint8

const (
	blank kind = iota
	heading
	fact    // name and value
	setting // with its source
	warning // a problem: name is where, value what
	command // value is a line for a shell
)

// lines fill the lists anew.
func (s *Screen) lines(f *pane.Frame) {
	left, right := s.lists[0].lines[:0], s.lists[1].lines[:0]
	if len(f.Commands) > 0 && f.Class < pane.Normal {
		// In the one list they would be below all settings, where nobody looks.
		left = append(appendCommands(left, f), line{}, line{kind: heading, name: "Settings"})
	}
	s.above = len(left)
	for i := range f.Settings {
		x := &f.Settings[i]
		left = append(left, line{kind: setting, name: x.Name, value: x.Value, extra: x.Source})
	}
	if len(f.Settings) == 0 {
		left = append(left, line{kind: fact, value: "no settings are known here"})
	}
	s.lists[0].lines = left

	right = appendRun(right, f)
	right = append(right, line{kind: heading, name: "Keys"},
		line{kind: fact, name: "set", value: s.terminal.Set, does: keys.Help})
	if s.terminal.KeysFile != "" {
		right = append(right, line{kind: fact, name: "file", value: s.terminal.KeysFile, does: keys.Help})
	}
	if len(f.Problems) == 0 {
		right = append(right, line{kind: fact, name: "conflicts", value: "none", does: keys.Help})
	}
	for i := range f.Problems {
		p := &f.Problems[i]
		where := "default"
		if p.File != "" {
			where = "line " + strconv.Itoa(p.Line)
		}
		right = append(right, line{kind: warning, name: where, value: p.Text, does: keys.Help})
	}
	right = append(right, line{}, line{kind: heading, name: "Look"},
		line{kind: fact, name: "theme", value: themeOf(f), does: keys.Theme},
		line{kind: fact, name: "glyphs", value: f.Glyphs.Name},
		line{}, line{kind: heading, name: "Terminal"},
		line{kind: fact, name: "size", value: strconv.Itoa(f.Width) + " x " + strconv.Itoa(f.Height) + ", " + f.Class.String()},
		line{kind: fact, name: "TERM", value: s.env("TERM")},
		line{kind: fact, name: "colours", value: s.terminal.Profile},
		line{kind: fact, name: "frames", value: "at most " + strconv.Itoa(s.terminal.FPS) + " a second"},
		line{kind: fact, name: "updates", value: choose(s.terminal.NoSync, "not synchronised", "synchronised (mode 2026)")},
		line{kind: fact, name: "screen", value: choose(s.terminal.Inline, "inline", "alternate")},
		line{kind: fact, name: "SSH", value: choose(s.env("SSH_CONNECTION") != "not set", "yes", "no")})
	if len(f.Commands) > 0 && f.Class >= pane.Normal {
		right = appendCommands(append(right, line{}), f)
	}
	s.lists[1].lines = right
}

// appendCommands appends the lines for a shell under their heading.
func appendCommands(to []line, f *pane.Frame) []line {
	to = append(to, line{kind: heading, name: "Try"})
	for _, c := range f.Commands {
		to = append(to, line{kind: command, value: c, does: keys.Copy})
	}
	return to
}

func themeOf(f *pane.Frame) string {
	if f.Theme == nil {
		return "none"
	}
	return f.Theme.Name
}

func choose(c bool, yes, no string) string {
	if c {
		return yes
	}
	return no
}

func (s *Screen) env(name string) string {
	if s.terminal.LookupEnv != nil {
		if v, _ := s.terminal.LookupEnv(name); v != "" {
			return v
		}
	}
	return "not set"
}

// Contexts implements [pane.Screen].
func (s *Screen) Contexts(*pane.Frame) []keys.Context {
	return []keys.Context{keys.Config, keys.List}
}

// Crumbs implements [pane.Screen].
func (s *Screen) Crumbs(*pane.Frame) []string { return nil }

// Status implements [pane.Screen].
func (s *Screen) Status(*pane.Frame) string { return "" }

// Hints implements [pane.Screen].
func (s *Screen) Hints(*pane.Frame) []keys.Action {
	return []keys.Action{keys.Open, keys.Copy, keys.Theme, keys.PaneNext}
}

// Wants implements [pane.Screen]: settings do not change.
func (s *Screen) Wants(*pane.Frame) []pane.Want { return nil }

// Draw implements [pane.Screen].
func (s *Screen) Draw(a canvas.Area, f *pane.Frame) {
	s.lines(f)
	w, h := a.Size()
	s.two = f.Class >= pane.Normal
	if !s.two {
		// One below the other in one list: the focus goes through both.
		s.lists[0].lines = append(s.lists[0].lines, line{})
		s.lists[0].lines = append(s.lists[0].lines, s.lists[1].lines...)
		s.focus = 0
		s.areas[0], s.areas[1] = a.Bounds(), canvas.Rect{}
		s.lists[0].draw(a.Box(s.box(f, 0, "Settings")), f, true)
		return
	}
	split := w * 3 / 5
	left, right := a.Sub(0, 0, split, h), a.Sub(split, 0, w-split, h)
	s.areas[0], s.areas[1] = left.Bounds(), right.Bounds()
	s.lists[0].draw(left.Box(s.box(f, 0, "Settings")), f, s.focus == 0)
	s.lists[1].draw(right.Box(s.box(f, 1, "Keys, look, terminal")), f, s.focus == 1)
}

func (s *Screen) box(f *pane.Frame, i int, title string) canvas.Box {
	b := canvas.Box{Title: title, Focused: s.focus == i || !s.two, Glyphs: f.Glyphs}
	if i == 0 {
		b.Right = "value " + f.Glyphs.Dot + " source"
		b.Foot = s.help(f)
	}
	return b
}

// help is what the selected setting is for.
func (s *Screen) help(f *pane.Frame) string {
	if at := s.lists[0].cursor - s.above; at >= 0 && at < len(f.Settings) {
		x := &f.Settings[at]
		if kindOf(x.Source) == x.Source {
			return x.Help
		}
		return x.Source + ": " + x.Help
	}
	return ""
}

// Do implements [pane.Screen].
func (s *Screen) Do(a keys.Action, f *pane.Frame) (pane.Effect, bool) {
	if len(s.lists[0].lines) == 0 {
		s.lines(f)
	}
	l := &s.lists[s.focus]
	if by, ok := pane.Moves(a, l.height/2, len(l.lines)); ok {
		l.move(by)
		return nil, true
	}
	switch a {
	case keys.PaneNext, keys.PanePrevious:
		if !s.two {
			return nil, false
		}
		s.focus = 1 - s.focus
	case keys.Open:
		if x := l.selected(); x.does != "" {
			return pane.Run{Action: x.does}, true
		}
		return pane.Run{Action: keys.Help}, true
	case keys.Copy:
		return s.copied(l.selected(), f)
	default:
		return nil, false
	}
	return nil, true
}

func (s *Screen) copied(x line, f *pane.Frame) (pane.Effect, bool) {
	if x.value == "" {
		return pane.Say{Text: "nothing to copy in this row"}, true
	}
	choices := []pane.Choice{{Title: "value", Text: x.value}}
	if x.kind == setting {
		all := ""
		for i := range f.Settings {
			all += f.Settings[i].Name + ": " + f.Settings[i].Value + " # " + f.Settings[i].Source + "\n"
		}
		choices = []pane.Choice{
			{Title: "setting", Text: x.name + ": " + x.value},
			{Title: "value", Text: x.value},
			{Title: "all settings", Text: all},
		}
	}
	return pane.CopyText{Choices: choices}, true
}

// Off implements [pane.Screen].
func (s *Screen) Off(a keys.Action, _ *pane.Frame) string {
	switch a {
	case keys.MoveDown, keys.MoveUp, keys.MovePageDown, keys.MovePageUp, keys.MoveFirst, keys.MoveLast, keys.Open, keys.Copy:
		return ""
	case keys.PaneNext, keys.PanePrevious:
		if s.two {
			return ""
		}
		return "there is one pane at this size"
	}
	return "not on this screen"
}

// Mouse implements [pane.Screen].
func (s *Screen) Mouse(m pane.Mouse, f *pane.Frame) pane.Effect {
	for i := range s.areas {
		if !s.areas[i].Contains(m.X, m.Y) {
			continue
		}
		switch m.Kind {
		case pane.Wheel:
			s.lists[i].move(m.Amount)
		case pane.Click, pane.DoubleClick:
			s.focus = i
			s.lists[i].moveTo(m.Y - s.areas[i].Y - 1)
			if m.Kind == pane.DoubleClick {
				effect, _ := s.Do(keys.Open, f)
				return effect
			}
		}
	}
	return nil
}

// sourceStyle: what somebody set stands out, by the word and by its colour.
// kindOf shortens where a setting comes from, which the help of its row says in
// full: to the name of a file with the line, or to what kind of place it is.
func kindOf(source string) string {
	switch {
	case strings.HasPrefix(source, "--"):
		return "flag"
	case strings.HasPrefix(source, "ADIT_"):
		return "environment"
	}
	return source[strings.LastIndexByte(source, '/')+1:]
}

func sourceStyle(source string) canvas.Style {
	if source == "default" {
		return canvas.Of(themes.Muted)
	}
	return canvas.Of(themes.Accent)
}
