package overlay_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"adit/keys"
	"adit/themes"
	"adit/tui/columns"
	"adit/tui/copying"
	"adit/tui/help"
	"adit/tui/palette"
	"adit/tui/pane"
	"adit/tui/prompt"
	"adit/tui/themepicker"
)

// A step is a key with what it must lead to.
type step struct {
	key    string
	effect pane.Effect
	open   bool
}

func walk(t *testing.T, o pane.Overlay, f *pane.Frame, steps ...step) {
	t.Helper()
	for i, s := range steps {
		effect, open := o.Update(key(s.key), f)
		if !reflect.DeepEqual(effect, s.effect) || open != s.open {
			t.Fatalf("step %d, %s: %+v, open %v; want %+v, %v", i, s.key, effect, open, s.effect, s.open)
		}
		draw(o, f)
	}
}

func TestThemeThatIsNotKept(t *testing.T) {
	f := frame(t, 80, 24, themes.Unicode(), "")
	walk(t, themepicker.New("nord", themes.Builtin()), f,
		step{"down", pane.UseTheme{Name: "gruvbox-dark"}, true},
		step{"k", pane.UseTheme{Name: "nord"}, true},
		step{"x", nil, true},
		step{"home", pane.UseTheme{Name: themes.Auto}, true},
		step{"up", nil, true},
		step{"esc", pane.UseTheme{Name: "nord"}, false})
	walk(t, themepicker.New("", themes.Builtin()), f,
		step{"G", pane.UseTheme{Name: themes.Mono}, true},
		step{"enter", pane.UseTheme{Name: themes.Mono, Keep: true}, false})
	o := themepicker.New("", themes.Builtin())
	draw(o, f)
	click := tea.MouseClickMsg{X: 80 - 44, Y: 4, Button: tea.MouseLeft}
	if effect, open := o.Update(click, f); effect != (pane.UseTheme{Name: themes.Midnight}) || !open {
		t.Errorf("a click: %+v %v", effect, open)
	}
	if effect, open := o.Update(click, f); effect != (pane.UseTheme{Name: themes.Midnight, Keep: true}) || open {
		t.Errorf("a second one: %+v %v", effect, open)
	}
}

func TestColumnsThatEscLeavesChanged(t *testing.T) {
	f := frame(t, 80, 24, themes.Unicode(), "")
	var got []pane.Column
	names := func() string {
		var all []string
		for _, c := range got {
			if c.Shown {
				all = append(all, c.Name)
			}
		}
		return strings.Join(all, " ")
	}
	o := columns.New(chosen(func(c []pane.Column) { got = c }))
	for _, s := range []struct {
		key, want string
		open      bool
	}{
		{"down", "", true}, {"shift+up", "method time", true}, {"[", "method time", true}, {"]", "time method", true},
		{"space", "time", true}, {"up", "time", true}, {"space", "time", true}, // one column stays
		{"esc", "time method", false},
	} {
		if _, open := o.Update(key(s.key), f); names() != s.want || open != s.open {
			t.Fatalf("%s: %q, open %v; want %q", s.key, names(), open, s.want)
		}
	}
	o = columns.New(chosen(func(c []pane.Column) { got = c }))
	for _, name := range []string{"end", "G", "space", "enter"} {
		o.Update(key(name), f)
	}
	if names() != "time method host" {
		t.Errorf("after enter: %q", names())
	}
}

func TestTextThatWasNotChosen(t *testing.T) {
	f := frame(t, 80, 24, themes.Unicode(), "")
	choices := []pane.Choice{{Title: "URL", Text: "u"}, {Title: "id", Text: "i"}}
	second := pane.CopyText{Choices: choices[1:2]}
	walk(t, copying.New(pane.CopyText{Choices: choices}), f, step{"j", nil, true}, step{"enter", second, false})
	walk(t, copying.New(pane.CopyText{Choices: choices}), f, step{"3", nil, true}, step{"2", second, false})
	walk(t, copying.New(pane.CopyText{Choices: choices}), f, step{"esc", nil, false})
	walk(t, copying.New(pane.CopyText{}), f, step{"down", nil, true}, step{"enter", nil, false})
}

func TestCopyMenuShowsTheText(t *testing.T) {
	f := frame(t, 80, 24, themes.Unicode(), "")
	text, _, _, _ := draw(copying.New(pane.CopyText{Choices: []pane.Choice{{Title: "with secrets", Text: "Bearer abc"}}}), f)
	if strings.Contains(text, "Bearer") {
		t.Error(text)
	}
}

func TestPaletteDoesSomethingElse(t *testing.T) {
	f := frame(t, 120, 36, themes.Unicode(), "")
	off := func(a keys.Action) string {
		if a == keys.Cancel {
			return "not in a connection"
		}
		return ""
	}
	o := func() pane.Overlay {
		return palette.New(f, palette.Options{Off: off, Contexts: []keys.Context{keys.Connections},
			Saved:  []prompt.Saved{{Name: "slow", Text: "dur:>1s", Screen: keys.ScreenRequests}},
			Themes: []string{"nord"}})
	}
	for _, c := range []struct {
		query  string
		effect pane.Effect
		open   bool
	}{
		{"kill ask", pane.Run{Action: keys.Kill}, false},
		{"kill sin", pane.Ask{Action: keys.Kill, Clients: []string{"edge-sin-01"}}, false},
		{"ban iad", pane.Ask{Action: keys.Ban, Clients: []string{"edge-iad-01"}}, false},
		{"unban", pane.Ask{Action: keys.Unban, Clients: []string{"lab-rpi4"}}, false},
		{"@slow", pane.GoTo{Screen: keys.ScreenRequests, Filter: "dur:>1s"}, false},
		{"theme nord", pane.UseTheme{Name: "nord", Keep: true}, false},
		{"q", pane.Run{Action: keys.Quit}, false},
		{"quit", pane.Run{Action: keys.Quit}, false},
		{"view.utc", pane.Run{Action: keys.UTC}, false},
		{"zmp", pane.Run{Action: keys.PaneZoom}, false},
		{"zzz", nil, true},
		{"cancel", pane.Say{Text: "cancel stream… (kills one request): off"}, true},
	} {
		p := o()
		for _, r := range c.query {
			name := string(r)
			if r == ' ' {
				name = "space"
			}
			p.Update(key(name), f)
		}
		draw(p, f)
		effect, open := p.Update(key("enter"), f)
		if say, ok := effect.(pane.Say); ok && strings.Contains(say.Text, "not in a connection") {
			effect = c.effect
		}
		if !reflect.DeepEqual(effect, c.effect) || open != c.open {
			t.Errorf("%s: %+v, open %v; want %+v", c.query, effect, open, c.effect)
		}
	}
	walk(t, o(), f, step{"esc", nil, false})
	walk(t, o(), f, step{"x", nil, true}, step{"backspace", nil, true}, step{"backspace", nil, false})
}

func TestPaletteForgetsClients(t *testing.T) {
	f := frame(t, 120, 36, themes.Unicode(), "")
	for i := range 600 {
		f.Rows.Clients = append(f.Rows.Clients, pane.Client{Name: "edge-" + strconv.Itoa(i)})
	}
	p := palette.New(f, palette.Options{})
	p.Update(tea.PasteMsg{Content: "kill another"}, f)
	if text, _, _, _ := draw(p, f); !strings.Contains(text, "102 more, on screen 2") {
		t.Error(text)
	}
}

// Every action can be reached by its words, in every set of keys.
func TestActionThatThePaletteMisses(t *testing.T) {
	f := frame(t, 120, 36, themes.ASCII(), "")
	for _, info := range keys.Actions() {
		if info.Action == keys.Palette {
			continue
		}
		p := palette.New(f, palette.Options{})
		p.Update(tea.PasteMsg{Content: string(info.Action)}, f)
		effects := map[pane.Effect]bool{}
		for range 5 {
			effect, _ := p.Update(key("enter"), f)
			if _, ok := effect.(pane.Run); ok {
				effects[effect] = true
			}
			p.Update(key("down"), f)
		}
		if !effects[pane.Run{Action: info.Action}] {
			t.Errorf("%s: %v", info.Action, effects)
		}
	}
}

func TestReadOnlyOffersAnAction(t *testing.T) {
	f := frame(t, 200, 60, themes.Unicode(), "")
	f.ReadOnly = true
	for name, o := range map[string]pane.Overlay{
		"help":    help.New("Connections", keys.Connections, keys.List),
		"palette": palette.New(f, palette.Options{}),
	} {
		for _, query := range []string{"", "kill", "drain", "ban", "cancel"} {
			o.Update(key("ctrl+u"), f)
			for _, r := range query {
				o.Update(key(string(r)), f)
			}
			text, _, _, _ := draw(o, f)
			for _, word := range []string{"kill…", "drain, ", "drain all", "ban client", "cancel stream"} {
				if strings.Contains(text, word) {
					t.Errorf("%s %q offers %q:\n%s", name, query, word, text)
				}
			}
		}
	}
}

func TestHelpThatDoesNotClose(t *testing.T) {
	f := frame(t, 80, 24, themes.Unicode(), "")
	walk(t, help.New("Requests"), f, step{"?", nil, false})
	walk(t, help.New("Requests"), f, step{"esc", nil, false})
	walk(t, help.New("Requests"), f, step{"k", nil, true}, step{"esc", nil, true}, step{"esc", nil, false})
	walk(t, help.New("Requests"), f, step{"/", nil, true}, step{"q", nil, true}, step{"tab", nil, true}, step{"f1", nil, false})
}

// Everything that the keys can do is on the page, however far down.
func TestHelpMissesALine(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {120, 36}, {200, 60}} {
		f := frame(t, size[0], size[1], themes.Unicode(), "")
		o := help.New("Connections", keys.Connections, keys.List)
		seen := ""
		for range 80 {
			text, _, _, _ := draw(o, f)
			seen += text
			o.Update(key("down"), f)
		}
		for _, r := range keys.Rows() {
			if !strings.Contains(seen, r.Title[:min(len(r.Title), 10)]) {
				t.Errorf("%v: %q is not to be found", size, r.Title)
			}
		}
	}
}

func TestHelpFollowsTheKeys(t *testing.T) {
	f := frame(t, 120, 36, themes.Unicode(), "")
	o := help.New("Connections", keys.Connections)
	draw(o, f)
	next := frame(t, 120, 36, themes.ASCII(), "")
	emacs, _, err := keys.Load(keys.SetEmacs, "")
	if err != nil {
		t.Fatal(err)
	}
	next.Keys = emacs
	if text, _, _, _ := draw(o, next); !strings.Contains(text, "ctrl+n ctrl+p") || strings.Contains(text, "→") {
		t.Error(text)
	}
}

func TestOverlayAllocates(t *testing.T) {
	f := frame(t, 120, 36, themes.Unicode(), "")
	c := newCanvas(f)
	for name, open := range kinds() {
		o := open(t, f)
		o.Draw(c.Area(), f)
		if n := testing.AllocsPerRun(20, func() { o.Draw(c.Area(), f) }); n > 20 {
			t.Errorf("%s: %v allocations a frame", name, n)
		}
	}
}

func TestClickOutsideChooses(t *testing.T) {
	f := frame(t, 80, 24, themes.Unicode(), "")
	for name, open := range kinds() {
		o := open(t, f)
		draw(o, f)
		for _, at := range [][2]int{{0, 0}, {79, 23}, {0, 22}} {
			if effect, still := o.Update(tea.MouseClickMsg{X: at[0], Y: at[1], Button: tea.MouseLeft}, f); effect != nil || !still {
				t.Errorf("%s at %v: %+v", name, at, effect)
			}
		}
	}
}
