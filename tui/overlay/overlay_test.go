package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/columns"
	"adit/tui/copying"
	"adit/tui/help"
	"adit/tui/palette"
	"adit/tui/pane"
	"adit/tui/prompt"
	"adit/tui/themepicker"
)

func frame(t testing.TB, w, h int, g *themes.Glyphs, path string) *pane.Frame {
	t.Helper()
	m, problems, err := keys.Load("", path)
	if err != nil {
		t.Fatal(err)
	}
	theme, _ := themes.ByName(themes.Midnight)
	return &pane.Frame{
		Class: pane.ClassOf(w, h), Width: w, Height: h, Theme: theme, Glyphs: g, Keys: m, Problems: problems,
		Snapshot: &engine.Snapshot{Role: engine.RoleServer, Banned: []string{"lab-rpi4"}},
		Rows:     &pane.Rows{Clients: []pane.Client{{Name: "edge-iad-01"}, {Name: "edge-sin-01"}}},
	}
}

// kinds are the overlays with what is typed before they are drawn.
func kinds() map[string]func(*testing.T, *pane.Frame) pane.Overlay {
	requests := []keys.Context{keys.Requests, keys.List}
	off := func(a keys.Action) string {
		if a == keys.Cancel || a == keys.Kill {
			return "not in a connection"
		}
		return ""
	}
	openPalette := func(f *pane.Frame) pane.Overlay {
		return palette.New(f, palette.Options{Contexts: requests, Off: off, Themes: []string{"nord"},
			Saved: []prompt.Saved{{Name: "killed", Text: "level:>=warn kill", Screen: keys.ScreenEvents}}})
	}
	typed := func(t *testing.T, o pane.Overlay, f *pane.Frame, names ...string) pane.Overlay {
		for _, name := range names {
			if _, open := o.Update(key(name), f); !open {
				t.Fatalf("closed by %q", name)
			}
		}
		return o
	}
	return map[string]func(*testing.T, *pane.Frame) pane.Overlay{
		"help": func(t *testing.T, f *pane.Frame) pane.Overlay { return help.New("Requests", requests...) },
		"help-search": func(t *testing.T, f *pane.Frame) pane.Overlay {
			return typed(t, help.New("Requests", requests...), f, "k", "i", "l")
		},
		"help-conflicts": func(t *testing.T, f *pane.Frame) pane.Overlay {
			f.Problems = []keys.Problem{
				{File: "/home/ops/.config/adit/keys.yaml", Line: 3, Text: "X in connections was conn.drain and is conn.kill now; it has no key there now"},
				{File: "/home/ops/.config/adit/keys.yaml", Line: 9, Text: "ctrl+i can't be bound: terminals send it for tab; it was left out"},
			}
			return typed(t, help.New("Requests", requests...), f, "tab")
		},
		"help-filter": func(t *testing.T, f *pane.Frame) pane.Overlay {
			return typed(t, help.New("Requests", requests...), f, "shift+tab")
		},
		"palette":      func(t *testing.T, f *pane.Frame) pane.Overlay { return openPalette(f) },
		"palette-kil":  func(t *testing.T, f *pane.Frame) pane.Overlay { return typed(t, openPalette(f), f, "k", "i", "l") },
		"palette-none": func(t *testing.T, f *pane.Frame) pane.Overlay { return typed(t, openPalette(f), f, "x", "y", "z", "z") },
		"theme": func(t *testing.T, f *pane.Frame) pane.Overlay {
			return themepicker.New("nord", themes.Builtin())
		},
		"columns": func(t *testing.T, f *pane.Frame) pane.Overlay { return columns.New(chosen(nil)) },
		"copy": func(t *testing.T, f *pane.Frame) pane.Overlay {
			return copying.New(pane.CopyText{Choices: []pane.Choice{{Title: "URL", Text: "https://shop.example.com/api/orders"},
				{Title: "id", Text: "r-98204"}, {Title: "as curl, secrets masked", Text: strings.Repeat("x", 1234)}}})
		},
	}
}

func chosen(apply func([]pane.Column)) pane.ChooseColumns {
	return pane.ChooseColumns{Apply: apply, Columns: []pane.Column{
		{Name: "time", Title: "TIME", Shown: true}, {Name: "method", Title: "METH", Shown: true}, {Name: "host", Title: "HOST"}}}
}

// key returns the message of a key by the name that Bubble Tea has for it.
func key(name string) tea.KeyPressMsg {
	codes := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd,
		"backspace": tea.KeyBackspace, "f1": tea.KeyF1}
	var k tea.Key
	for {
		rest, ok := strings.CutPrefix(name, "shift+")
		if ok {
			k.Mod |= tea.ModShift
		} else if rest, ok = strings.CutPrefix(name, "ctrl+"); ok {
			k.Mod |= tea.ModCtrl
		} else {
			break
		}
		name = rest
	}
	switch code, ok := codes[name]; {
	case ok:
		k.Code = code
	case name == "space":
		k.Code, k.Text = tea.KeySpace, " "
	default:
		k.Code = []rune(name)[0]
		if k.Mod == 0 {
			k.Text = name
		}
	}
	return tea.KeyPressMsg(k)
}

func newCanvas(f *pane.Frame) *canvas.Canvas {
	c := canvas.New()
	c.SetASCII(f.Glyphs.ASCII)
	c.Resize(f.Width, f.Height)
	return c
}

func draw(o pane.Overlay, f *pane.Frame) (text string, x, y int, cursor bool) {
	c := newCanvas(f)
	x, y, cursor = o.Draw(c.Area(), f)
	return c.Plain(), x, y, cursor
}

func TestOverlayLooksDifferent(t *testing.T) {
	for name, open := range kinds() {
		for _, size := range [][2]int{{200, 60}, {120, 36}, {80, 24}, {60, 15}} {
			for _, g := range []*themes.Glyphs{themes.Unicode(), themes.ASCII()} {
				f := frame(t, size[0], size[1], g, "")
				got, _, _, _ := draw(open(t, f), f)
				file := filepath.Join("testdata", fmt.Sprintf("%s-%dx%d-%s.golden", name, size[0], size[1], g.Name))
				if os.Getenv("UPDATE_GOLDEN") != "" {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s:\n%s\nwant\n%s", file, got, want)
				}
			}
		}
	}
}

// Whatever the terminal's size, rows 0 and 1 and the footer stay free where they
// are drawn, and the cursor is on the screen.
func TestOverlayCoversWhatIsNotItsOwn(t *testing.T) {
	for name, open := range kinds() {
		for w := 1; w <= 130; w += 3 {
			for _, h := range []int{1, 2, 3, 5, 9, 12, 15, 24, 40} {
				for _, g := range []*themes.Glyphs{themes.Unicode(), themes.ASCII()} {
					f := frame(t, w, h, g, "")
					o := open(t, f)
					text, x, y, cursor := draw(o, f)
					rows := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
					if last := rows[len(rows)-1]; strings.TrimSpace(last) != "" {
						t.Errorf("%s %dx%d: in the footer: %q", name, w, h, last)
					}
					if h >= 15 && strings.TrimSpace(rows[0]+rows[1]) != "" {
						t.Errorf("%s %dx%d: in the head: %q", name, w, h, rows[:2])
					}
					if cursor && (x < 0 || y < 0 || x >= w || y >= h) {
						t.Errorf("%s %dx%d: cursor at %d, %d", name, w, h, x, y)
					}
					if g.ASCII && strings.ContainsFunc(text, func(r rune) bool { return r > '~' || r == '?' && name == "theme" }) {
						t.Errorf("%s %dx%d: not ASCII:\n%s", name, w, h, text)
					}
					if len(o.Hints(f)) == 0 {
						t.Errorf("%s: nothing in the footer", name)
					}
				}
			}
		}
	}
}

// Whatever is pressed, nothing panics and the cursor of a list stays in it.
func TestKeyThatPanics(t *testing.T) {
	names := []string{"up", "down", "pgup", "pgdown", "home", "end", "tab", "shift+tab", "left", "right", "space", "shift+down",
		"shift+up", "j", "k", "G", "g", "[", "]", "backspace", "ctrl+u", "ctrl+k", "ctrl+v", "é", "界", "/", "1", "9", "enter"}
	for _, open := range kinds() {
		f := frame(t, 60, 15, themes.Unicode(), "")
		o := open(t, f)
		for i := range 400 {
			if _, still := o.Update(key(names[i*7%len(names)]), f); !still {
				o = open(t, f)
			}
			if i%5 == 0 {
				o.Update(tea.PasteMsg{Content: strings.Repeat("界\x1b[2J\n", 3000)}, f)
				o.Update(tea.MouseWheelMsg{Button: tea.MouseWheelDown}, f)
			}
			draw(o, f)
			if _, still := o.Update(tea.MouseClickMsg{X: i % 60, Y: i % 15, Button: tea.MouseLeft}, f); !still {
				o = open(t, f)
			}
		}
	}
}
