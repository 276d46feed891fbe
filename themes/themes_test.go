package themes_test

import (
	"image/color"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"adit/themes"
)

func TestBuiltInThemeThatIsHardToRead(t *testing.T) {
	for _, theme := range themes.Builtin() {
		for _, text := range theme.Dim() {
			t.Errorf("%s: %s", theme.Name, text)
		}
	}
}

func TestSelectedRowBelow7To1(t *testing.T) {
	for _, theme := range themes.Builtin() {
		fg, bg := theme.Look(themes.SelFg).Color, theme.Look(themes.SelBg).Color
		if fg == nil || bg == nil {
			if !theme.Look(themes.SelBg).Reverse {
				t.Errorf("%s: the selected row is neither coloured nor reversed", theme.Name)
			}
			continue
		}
		if c := themes.Contrast(fg, bg); c < 7 {
			t.Errorf("%s: %.2f:1", theme.Name, c)
		}
	}
}

// A terminal in tmux often has 256 colours: what is read there has the nearest
// ones, on a background that is not painted.
func TestBuiltInThemeThatIsHardToReadIn256Colours(t *testing.T) {
	for _, theme := range themes.Builtin() {
		near := func(r themes.Role) color.Color { return colorprofile.ANSI256.Convert(theme.Look(r).Color) }
		if theme.Nominal == nil {
			continue
		}
		for r := range themes.Roles {
			switch {
			case r.Background():
			case r == themes.SelFg:
				if c := themes.Contrast(near(r), near(themes.SelBg)); c < themes.Floor(r) {
					t.Errorf("%s: the selected row has %.1f:1", theme.Name, c)
				}
			default:
				on, over := themes.Contrast(near(r), theme.Nominal), themes.Contrast(near(r), near(themes.OverlayBg))
				if min(on, over) < themes.Floor(r) {
					t.Errorf("%s: %s has %.1f:1, on an overlay %.1f:1", theme.Name, r, on, over)
				}
			}
		}
	}
}

func TestContrastIsThatOfWCAG(t *testing.T) {
	for _, c := range []struct {
		theme string
		role  themes.Role
		want  float64
	}{
		{"midnight", themes.Fg, 13.4}, {"midnight", themes.Border, 3.4}, {"daylight", themes.Err, 6.8},
		{"nord", themes.Info, 4.6}, {"dracula", themes.OK, 10.4}, {"contrast-dark", themes.Fg, 21},
	} {
		theme, ok := themes.ByName(c.theme)
		if !ok {
			t.Fatal(c.theme)
		}
		if got := themes.Contrast(theme.Look(c.role).Color, theme.Nominal); got < c.want-0.06 || got > c.want+0.06 {
			t.Errorf("%s %s: %.2f, want %.1f", c.theme, c.role, got, c.want)
		}
	}
}

func TestThemeForColourBlindnessHasRedAndGreen(t *testing.T) {
	theme, _ := themes.ByName("cvd")
	ok, err := theme.Look(themes.OK).Color, theme.Look(themes.Err).Color
	_, g, b, _ := ok.RGBA()
	if b < g {
		t.Errorf("ok is not blue: %v", ok)
	}
	if r, g, _, _ := err.RGBA(); g < r/2 {
		t.Errorf("err is red, not orange: %v", err)
	}
}

func TestMonoHasColour(t *testing.T) {
	theme, _ := themes.ByName(themes.Mono)
	plain := theme.On(themes.Fg, false, false).Render("x")
	for r := range themes.Roles {
		for _, selected := range []bool{false, true} {
			for _, overlay := range []bool{false, true} {
				s := theme.On(r, selected, overlay).Render("x")
				if strings.Contains(s, "[3") || strings.Contains(s, ";3") || strings.Contains(s, "48;") {
					t.Errorf("%s: %q", r, s)
				}
				if selected && s == plain {
					t.Errorf("%s: a selected row looks like any other", r)
				}
			}
		}
	}
	if theme.Style(themes.Err).Render("x") == plain {
		t.Error("an error looks like any text")
	}
}

func TestSelectedRowKeepsAColour(t *testing.T) {
	for _, theme := range themes.Builtin() {
		want := theme.On(themes.Fg, true, false).Render("x")
		for r := range themes.Roles {
			if got := theme.On(r, true, true).Render("x"); got != want {
				t.Errorf("%s %s: %q, want %q", theme.Name, r, got, want)
			}
		}
	}
}

func TestOnlyContrastThemesPaintTheBackground(t *testing.T) {
	for _, theme := range themes.Builtin() {
		if theme.Paints != strings.HasPrefix(theme.Name, "contrast-") {
			t.Errorf("%s: %v", theme.Name, theme.Paints)
		}
		painted := strings.Contains(theme.Style(themes.Fg).Render("x"), ";48;2;")
		if painted != theme.Paints {
			t.Errorf("%s: background %v", theme.Name, painted)
		}
	}
}

func TestGlyphThatIsNotOneCell(t *testing.T) {
	for _, g := range []*themes.Glyphs{themes.Unicode(), themes.Block(), themes.ASCII()} {
		v := reflect.ValueOf(*g)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			for _, s := range texts(v.Field(i)) {
				if s == "" {
					t.Errorf("%s %s: empty", g.Name, name)
				}
				if g.ASCII && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%s %s: %q is not ASCII", g.Name, name, s)
				}
				switch name {
				case "Name", "Masked", "ShiftTab", "Enter", "Arrow", "Ellipsis":
					continue
				}
				if w := ansi.StringWidth(s); w != 1 {
					t.Errorf("%s %s: %q is %d cells", g.Name, name, s, w)
				}
			}
		}
	}
}

func texts(v reflect.Value) []string {
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Slice:
		var all []string
		for i := range v.Len() {
			all = append(all, texts(v.Index(i))...)
		}
		return all
	case reflect.Struct:
		var all []string
		for i := range v.NumField() {
			all = append(all, texts(v.Field(i))...)
		}
		return all
	}
	return nil
}

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
}

func TestGlyphsThatTheTerminalCannotShow(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		want string
	}{
		{"", []string{"LANG=en_US.UTF-8", "TERM=xterm"}, "unicode"},
		{"auto", []string{"LC_ALL=C", "LANG=en_US.UTF-8"}, "ascii"},
		{"", []string{"LC_CTYPE=C.utf8"}, "unicode"},
		{"", []string{"LC_ALL=", "LANG=C.UTF-8"}, "unicode"},
		{"", nil, "ascii"},
		{"", []string{"LANG=en_US.UTF-8", "TERM=linux"}, "ascii"},
		{"", []string{"LANG=en_US.UTF-8", "TERM=dumb"}, "ascii"},
		{"block", nil, "block"},
		{"ascii", []string{"LANG=en_US.UTF-8"}, "ascii"},
	} {
		g, err := themes.GlyphsFor(c.name, env(c.env...))
		if err != nil || g.Name != c.want {
			t.Errorf("%s %v: %v %v, want %s", c.name, c.env, g, err, c.want)
		}
	}
	if _, err := themes.GlyphsFor("nerd", nil); err == nil || !strings.Contains(err.Error(), "unicode, block, ascii") {
		t.Errorf("unknown set: %v", err)
	}
}

func TestNoColorIsIgnored(t *testing.T) {
	full := []string{"TERM=xterm-256color", "COLORTERM=truecolor"}
	for _, c := range []struct {
		name, color, wanted string
		env                 []string
		background          themes.Background
		profile             colorprofile.Profile
		theme               string
	}{
		{"yes is not a boolean of Go", "auto", "", append(full, "NO_COLOR=yes"), themes.Unknown, colorprofile.ASCII, "mono"},
		{"0 is not empty", "", "nord", append(full, "NO_COLOR=0"), themes.Unknown, colorprofile.ASCII, "mono"},
		{"empty is not set", "", "", append(full, "NO_COLOR="), themes.Unknown, colorprofile.TrueColor, "midnight"},
		{"the flag wins over the variable", "always", "", append(full, "NO_COLOR=1"), themes.Light, colorprofile.TrueColor, "daylight"},
		{"never", "never", "nord", full, themes.Dark, colorprofile.ASCII, "mono"},
		{"dumb", "", "", []string{"TERM=dumb"}, themes.Dark, colorprofile.NoTTY, "mono"},
		{"16 colours", "", "", []string{"TERM=xterm-color"}, themes.Light, colorprofile.ANSI, "terminal"},
		{"dark", "", "auto", full, themes.Dark, colorprofile.TrueColor, "midnight"},
		{"light", "", "auto", full, themes.Light, colorprofile.TrueColor, "daylight"},
		{"no answer, but COLORFGBG", "", "", append(full, "COLORFGBG=0;15"), themes.Unknown, colorprofile.TrueColor, "daylight"},
		{"an answer wins over COLORFGBG", "", "", append(full, "COLORFGBG=0;15"), themes.Dark, colorprofile.TrueColor, "midnight"},
		{"COLORFGBG that says nothing", "", "", append(full, "COLORFGBG=0;default"), themes.Unknown, colorprofile.TrueColor, "midnight"},
		{"named", "", "dracula", full, themes.Light, colorprofile.TrueColor, "dracula"},
	} {
		terminal := themes.Terminal{LookupEnv: env(c.env...), Color: c.color, Background: c.background}
		if p := terminal.Profile(); p != c.profile {
			t.Errorf("%s: profile %s, want %s", c.name, p, c.profile)
		}
		if got := terminal.Theme(c.wanted); got != c.theme {
			t.Errorf("%s: theme %s, want %s", c.name, got, c.theme)
		}
	}
}

func TestThemeInATerminalWithFewColours(t *testing.T) {
	nord, _ := themes.ByName("nord")
	if got := nord.For(colorprofile.TrueColor); got != nord {
		t.Error("changed for a terminal that can show it")
	}
	if got := nord.For(colorprofile.ASCII); !got.Mono || got.Name != "nord" {
		t.Errorf("without colours: %+v", got)
	}
	if s := nord.For(colorprofile.ANSI).Style(themes.OK).Render("x"); s != "\x1b[32mx\x1b[m" {
		t.Errorf("with 16: %q", s)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestThemeOfTheUser(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "mine.yaml", `base: nord
background: "#000000"
err: "#ff0000"
warn: bright-yellow
bordr: "#ffffff"
ok: greenish
muted: "#222222"
ansi16:
  err: magenta
`)
	write(t, dir, "broken.yaml", "fg: [\n")
	write(t, dir, "notes.txt", "no theme")
	set, problems := themes.Load(dir)
	mine, ok := set.ByName("mine")
	if !ok {
		t.Fatal("not loaded")
	}
	nord, _ := themes.ByName("nord")
	if mine.Look(themes.Info) != nord.Look(themes.Info) {
		t.Error("what the file does not say is not of its base")
	}
	if s := mine.Style(themes.Err).Render("x"); !strings.Contains(s, "38;2;255;0;0") {
		t.Errorf("err: %q", s)
	}
	if s := mine.For(colorprofile.ANSI).Style(themes.Err).Render("x"); s != "\x1b[35mx\x1b[m" {
		t.Errorf("err with 16 colours: %q", s)
	}
	var got []string
	for _, p := range problems {
		got = append(got, strings.TrimPrefix(p.String(), dir+string(filepath.Separator)))
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{
		"broken.yaml:", `mine.yaml:5: unknown role "bordr", the nearest is border`,
		`mine.yaml:6: ok: no colour "greenish"`, "mine.yaml: warning: muted on the background has a contrast of 1.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "warn on") {
		t.Errorf("a colour of the terminal's palette was measured:\n%s", text)
	}
	if _, ok := set.ByName("notes"); ok {
		t.Error("a file that is no theme became one")
	}
}

func TestReloadMissesAChange(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", `fg: "#ffffff"`)
	set, _ := themes.Load(dir)
	if next, _, changed := set.Reload(); changed || next != set {
		t.Error("reloaded without a change")
	}
	write(t, dir, "a.yaml", `fg: "#eeeeee"`)
	if err := os.Chtimes(filepath.Join(dir, "a.yaml"), time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	next, problems, changed := set.Reload()
	if !changed || len(problems) > 0 {
		t.Fatalf("changed %v, problems %v", changed, problems)
	}
	a, _ := next.ByName("a")
	if s := a.Style(themes.Fg).Render("x"); !strings.Contains(s, "38;2;238;238;238") {
		t.Errorf("%q", s)
	}
	write(t, dir, "a.yaml", "fg: [")
	broken, problems, changed := next.Reload()
	if !changed || len(problems) == 0 {
		t.Fatalf("a file that broke: changed %v, problems %v", changed, problems)
	}
	if kept, ok := broken.ByName("a"); !ok || kept != a {
		t.Error("a file that broke lost the theme that it was")
	}
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	gone, _, changed := broken.Reload()
	if _, ok := gone.ByName("a"); !changed || ok {
		t.Error("a file that is gone is still a theme")
	}
}

func FuzzThemeFile(f *testing.F) {
	f.Add("base: nord\nerr: \"#ff0000\"\nansi16: {err: bright-red}\n")
	f.Add("light: true\npaint: yes\nfg: 300\nbg: default\n")
	f.Add("base: [x]\nmuted: {a: b}\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		write(t, dir, "x.yaml", text)
		set, problems := themes.Load(dir)
		for _, p := range problems {
			if strings.ContainsFunc(p.Text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("a character that a terminal obeys: %q", p.Text)
			}
		}
		for _, theme := range set.Themes() {
			for r := range themes.Roles {
				theme.On(r, true, true)
				theme.For(colorprofile.ANSI).Style(r)
			}
		}
	})
}
