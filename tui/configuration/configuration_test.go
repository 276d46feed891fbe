package configuration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

func terminal() Terminal {
	env := map[string]string{"TERM": "xterm-256color", "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}
	return Terminal{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Set:       "vim+arrows", KeysFile: "/home/ops/.config/adit/keys.yaml", FPS: 30, Profile: "TrueColor",
	}
}

func frame(w, h int, glyphs *themes.Glyphs) *pane.Frame {
	theme, _ := themes.ByName("midnight")
	return &pane.Frame{
		Width: w, Height: h, Class: pane.ClassOf(w, h), Theme: theme, Glyphs: glyphs,
		Settings: []engine.Setting{
			{Name: "listen", Value: "127.0.0.1:8080", Source: "default", Help: "address of the public listener"},
			{Name: "name", Value: "edge-1", Source: "flag", Help: "name of this server (default: the host name)"},
			{Name: "secret", Value: "set", Source: "file", Help: "credential of clients"},
			{Name: "caller-token", Value: "not set", Source: "default", Help: "credential of callers: bearer token or basic password"},
			{Name: "domain", Value: "tunnels.example.com", Source: "environment", Help: "serve exposed names directly below this domain"},
			{Name: "tcp-ports", Value: "", Source: "default", Help: "ports that clients may expose (default: none)"},
			{Name: "compat-status", Value: "false", Source: "default", Help: "answer with wsp's status codes 526 and 527"},
			{Name: "whitelist", Value: "3 rules", Source: "file", Help: "what requests must match"},
		},
		Problems: []keys.Problem{{File: "/home/ops/.config/adit/keys.yaml", Line: 7, Text: "x means conn.drain here and conn.kill already: conn.drain has no key"}},
		Commands: []string{"curl http://fast.localhost:43211/hello", "nc 127.0.0.1 40000"},
	}
}

func drawn(s *Screen, f *pane.Frame) string {
	c := canvas.New()
	c.Resize(f.Width, f.Height)
	s.Draw(c.Area(), f)
	return c.Plain()
}

func TestScreenAsPictured(t *testing.T) {
	for _, size := range [][2]int{{120, 33}, {80, 21}, {200, 57}, {60, 12}} {
		for _, g := range []*themes.Glyphs{themes.Unicode(), themes.ASCII()} {
			name := fmt.Sprintf("%dx%d-%s.txt", size[0], size[1], g.Name)
			t.Run(name, func(t *testing.T) {
				f := frame(size[0], size[1], g)
				got := drawn(New(terminal()), f)
				path := filepath.Join("testdata", name)
				if os.Getenv("UPDATE_GOLDEN") != "" {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("differs from %s; UPDATE_GOLDEN=1 takes it:\n%s", path, got)
				}
			})
		}
	}
}

// A setting below the edge must be reachable, and the row that was there before
// too.
func TestCursorReachesEveryRow(t *testing.T) {
	f := frame(60, 8, themes.ASCII())
	s := New(terminal())
	drawn(s, f)
	seen := map[string]bool{}
	for range 60 {
		for _, row := range strings.Split(drawn(s, f), "\n") {
			if strings.Contains(row, ">") {
				seen[strings.Trim(row, "#> ")] = true
			}
		}
		s.Do(keys.MoveDown, f)
	}
	for _, want := range []string{"listen", "whitelist", "conflict", "theme", "TERM", "nc 127.0.0.1"} {
		found := false
		for row := range seen {
			found = found || strings.Contains(row, want) || want == "conflict" && strings.Contains(row, "conn.drain")
		}
		if !found {
			t.Errorf("the cursor never was on %s", want)
		}
	}
	s.Do(keys.MoveFirst, f)
	if got := drawn(s, f); !strings.Contains(got, ">curl http://fast") && !strings.Contains(got, "> curl http://fast") {
		t.Errorf("the first row is not selected:\n%s", got)
	}
}

// README.md sends whoever sees the demo for the first time, in 80 columns, to the
// lines to try: below as many settings as a run has nobody finds them.
func TestLinesToTryAreSeenAtOnce(t *testing.T) {
	for _, size := range [][2]int{{80, 21}, {120, 33}} {
		f := frame(size[0], size[1], themes.Unicode())
		for range 19 {
			f.Settings = append(f.Settings, f.Settings[0])
		}
		s := New(terminal())
		if got := drawn(s, f); !strings.Contains(got, f.Commands[0]) {
			t.Errorf("at %v:\n%s", size, got)
		}
		s.Do(keys.MoveFirst, f)
		for range 20 {
			if s.lists[0].selected().name == "name" {
				break
			}
			s.Do(keys.MoveDown, f)
		}
		if got := drawn(s, f); !strings.Contains(got, "name of this server") {
			t.Errorf("at %v nothing says what the setting is for:\n%s", size, got)
		}
	}
}

func TestEnterLeadsToWhatTheRowIsAbout(t *testing.T) {
	f := frame(120, 33, themes.Unicode())
	s := New(terminal())
	drawn(s, f)
	s.Do(keys.PaneNext, f)
	for s.lists[1].selected().name != "theme" {
		before := s.lists[1].cursor
		s.Do(keys.MoveDown, f)
		if s.lists[1].cursor == before {
			t.Fatal("there is no row for the theme")
		}
	}
	if effect, ok := s.Do(keys.Open, f); !ok || effect != (pane.Run{Action: keys.Theme}) {
		t.Errorf("enter on the theme does %v", effect)
	}
	s.Do(keys.MoveFirst, f)
	if effect, ok := s.Do(keys.Open, f); !ok || effect != (pane.Run{Action: keys.Help}) {
		t.Errorf("enter on the keys does %v", effect)
	}
}

func TestMouseSelectsWhatItPointsAt(t *testing.T) {
	f := frame(120, 33, themes.Unicode())
	s := New(terminal())
	drawn(s, f)
	s.Mouse(pane.Mouse{X: 5, Y: 3, Kind: pane.Click}, f)
	if got := s.lists[0].selected().name; got != "secret" {
		t.Errorf("selected %q", got)
	}
	s.Mouse(pane.Mouse{X: 100, Y: 2, Kind: pane.Click}, f)
	if s.focus != 1 || s.lists[1].selected().name != "set" {
		t.Errorf("focus %d on %q", s.focus, s.lists[1].selected().name)
	}
	s.Mouse(pane.Mouse{X: 5, Y: 30, Kind: pane.Click}, f) // below the last row
	if s.lists[0].cursor >= len(f.Settings) {
		t.Errorf("cursor at %d", s.lists[0].cursor)
	}
}

func TestNoSizePanics(t *testing.T) {
	for w := 1; w < 30; w++ {
		for h := 1; h < 12; h++ {
			f := frame(w, h, themes.Unicode())
			s := New(terminal())
			drawn(s, f)
			s.Do(keys.MoveLast, f)
			drawn(s, f)
			f.Settings, f.Problems, f.Commands = nil, nil, nil
			drawn(s, f)
			s.Do(keys.Copy, f)
		}
	}
}
