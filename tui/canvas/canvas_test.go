package canvas

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/clipperhouse/uax29/v2/graphemes"

	"adit/themes"
)

func sized(w, h int) *Canvas {
	c := New()
	c.Resize(w, h)
	return c
}

func TestTextDrawnAsSomethingElse(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"GET /a", "GET /a"},
		{"a\x1b[2Jb\x07\x00\x7f", "a␛[2Jb␇␀␡"},
		{"a\nb\r\tc", "a␊b␍␉c"},
		{"\u0085\u009b1m", "��1m"},
		{"x\u202ey\u2066z\u200f", "x�y�z�"},
		{"e\u0301", "e�"},
		{"a\u200bb\u00adc\ufeff", "a�b�c�"},
		{"👩\u200d👩", "👩�👩"},
		{"☺\ufe0f", "☺�"},
		{"🇩🇪", "��"},
		{"👍🏽", "👍�"},
		{"\ue000\U0010ffff", "��"},
		{"\xff\xc3\x28", "��("},
		{"\xed\xa0\x80", "���"},
		{"日本 é ü", "日本 é ü"},
		{"한국", "한국"},
		{"\u1112\u1161", "��"},
		{"a\u00a0b\u3000c", "a␣b␣c"},
		{"────⣿█▌", "────⣿█▌"},
	} {
		c := sized(20, 1)
		end := c.Area().Text(0, 0, test.text, 0)
		got := strings.TrimRight(strings.TrimSuffix(c.Plain(), "\n"), " ")
		if got != test.want {
			t.Errorf("%q drawn as %q, want %q", test.text, got, test.want)
		}
		if w := Width(test.text); w != end || w != ansi.StringWidth(test.want) {
			t.Errorf("%q: Width %d, drawn %d, renderer %d", test.text, w, end, ansi.StringWidth(test.want))
		}
	}
}

// Whatever character is drawn keeps to itself beside any other and is as wide
// for every way of measuring.
func TestCharacterThatJoinsOrHasTwoWidths(t *testing.T) {
	neighbours := []string{"a", "가", "각", "👩", "日", "क", "☺", "é", "1", "ก", "‥"}
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		drawn, w := glyph(r)
		if drawn != r {
			continue
		}
		s := string(r)
		if a, b := ansi.WcWidth.StringWidth(s), ansi.GraphemeWidth.StringWidth(s); a != w || b != w {
			t.Fatalf("%U is %d wide here, %d and %d for the renderer", r, w, a, b)
		}
		for _, n := range append(neighbours, s) {
			text := n + s + n + s
			g, count := graphemes.FromString(text), 0
			for g.Next() {
				count++
			}
			if count != 4 {
				t.Errorf("%U joins with %q", r, n)
				break
			}
		}
	}
}

// A glyph of a theme that is drawn as a stand-in would be lost on every screen.
func TestGlyphsDrawnAsThemselves(t *testing.T) {
	var check func(v reflect.Value)
	check = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				check(v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				check(v.Index(i))
			}
		case reflect.String:
			for _, r := range v.String() {
				if drawn, w := glyph(r); drawn != r || w != 1 {
					t.Errorf("%q (%U) is drawn as %q, %d wide", r, r, drawn, w)
				}
			}
		}
	}
	for _, g := range []*themes.Glyphs{themes.Unicode(), themes.Block(), themes.ASCII()} {
		check(reflect.ValueOf(*g))
	}
}

func TestDrawingOutsideTheArea(t *testing.T) {
	c := sized(10, 3)
	a := c.Area().Sub(2, 1, 5, 1)
	a.Text(-3, 0, "日日日日日日日日", 0)
	a.Text(0, -1, "above", 0)
	a.Text(0, 1, "below", 0)
	a.Sub(3, -1, 9, 9).Fill(Of(themes.Err))
	a.Sub(-9, 0, 4, 1).Text(0, 0, "xxxxxxxxxx", 0)
	want := "          \n   日     \n          \n"
	if got := c.Plain(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHalfOfAWideCharacterLeft(t *testing.T) {
	c := sized(6, 1)
	a := c.Area()
	a.Text(0, 0, "日本語", 0)
	a.Rune(1, 0, 'x', 0)
	a.Rune(2, 0, 'y', 0)
	a.Text(3, 0, "中", 0)
	if got := c.Plain(); got != " xy中 \n" {
		t.Errorf("got %q", got)
	}
}

func TestCutAndRight(t *testing.T) {
	for _, test := range []struct {
		text string
		w    int
		cut  string
		want string
	}{
		{"abcdef", 6, "…", "abcdef"},
		{"abcdef", 5, "…", "abcd…"},
		{"日本語", 5, "…", "日本…"},
		{"日本語", 4, "…", "日…"},
		{"abc", 0, "…", ""},
		{"abc", 1, "…", "…"},
		{"\xff\xff\xff", 2, "~", "�~"},
	} {
		c := sized(12, 1)
		end := c.Area().Cut(0, 0, test.w, test.text, test.cut, 0)
		got := strings.TrimRight(strings.TrimSuffix(c.Plain(), "\n"), " ")
		if got != test.want || end != Width(test.want) {
			t.Errorf("Cut(%q, %d) = %q to %d, want %q", test.text, test.w, got, end, test.want)
		}
	}
	c := sized(8, 2)
	c.Area().Right(1, 0, 5, "12", 0)
	c.Area().Right(1, 1, 5, "1234567", 0)
	if got, want := c.Plain(), "    12  \n …4567  \n"; got != want {
		t.Errorf("Right: got %q, want %q", got, want)
	}
}

func TestASCIIKeepsWidths(t *testing.T) {
	c := sized(12, 1)
	c.SetASCII(true)
	end := c.Area().Text(0, 0, "a日é\x1bz", 0)
	if got := c.Plain(); got != "a????z      \n" || end != Width("a日é\x1bz") {
		t.Errorf("got %q to %d", got, end)
	}
}

func box(w, h int, b Box) string {
	b.Glyphs = &themes.Glyphs{Cut: "…",
		Normal:  themes.Frame{TopLeft: "╭", Top: "─", TopRight: "╮", Left: "│", Right: "│", BottomLeft: "╰", Bottom: "─", BottomRight: "╯"},
		Focused: themes.Frame{TopLeft: "┏", Top: "━", TopRight: "┓", Left: "┃", Right: "┃", BottomLeft: "┗", Bottom: "━", BottomRight: "┛"},
	}
	c := sized(w, h)
	c.Area().Box(b).Fill(Of(themes.Err))
	return c.Plain()
}

func TestBox(t *testing.T) {
	for _, test := range []struct {
		w, h int
		box  Box
		want string
	}{
		{30, 3, Box{Title: "Connections 42", Right: "OUT/S▼", Foot: "2 marked", Focused: true},
			"┏━ Connections 42 ━━ OUT/S▼ ━┓\n┃                            ┃\n┗━━━━━━━━━━━━━━━━━ 2 marked ━┛\n"},
		{23, 2, Box{Title: "Filter", Right: "312 of 9"}, "╭─ Filter ─ 312 of 9 ─╮\n╰─────────────────────╯\n"},
		{22, 2, Box{Title: "Filter", Right: "312 of 98"}, "╭─ Filter ─ 312 of… ─╮\n╰────────────────────╯\n"},
		{16, 2, Box{Title: "A long title of it", Right: "gone"}, "╭─ A long ti… ─╮\n╰──────────────╯\n"},
		{5, 2, Box{Title: "T", Foot: "f"}, "╭───╮\n╰───╯\n"},
		{2, 2, Box{Title: "T"}, "╭╮\n╰╯\n"},
		{1, 1, Box{Title: "T"}, " \n"},
		{0, 0, Box{Title: "T"}, ""},
	} {
		if got := box(test.w, test.h, test.box); got != test.want {
			t.Errorf("%dx%d %+v: got\n%swant\n%s", test.w, test.h, test.box, got, test.want)
		}
	}
}

func theme(t testing.TB) *themes.Theme {
	t.Helper()
	theme, ok := themes.ByName("midnight")
	if !ok {
		t.Fatal("no theme midnight")
	}
	return theme
}

// parsed returns what Bubble Tea's renderer makes of an encoded canvas.
func parsed(c *Canvas, t *themes.Theme, m ansi.Method) uv.ScreenBuffer {
	screen := uv.NewScreenBuffer(max(c.w, 1), max(c.h, 1))
	screen.Method = m
	uv.NewStyledString(c.Encode(t)).Draw(screen, screen.Bounds())
	return screen
}

func FuzzHostileText(f *testing.F) {
	for _, s := range []string{"plain", "a\x1b[2J\x9b31m", "👩\u200d👩\u200d👧", "e\u0301\u0301", "한국\u1161", "\xff\xfe", "क\u094dष", "日本\u202e語", "\x1b]8;;x\x07y", "\u0e33\u0e01"} {
		f.Add(s, s+"x", 7, 2, 9)
	}
	f.Fuzz(func(t *testing.T, s, other string, x, w, cutAt int) {
		const width, height = 24, 4
		c := sized(width, height)
		c.Area().Fill(0)
		a := c.Area().Sub(x%width, 1, w%width, 2)
		a.Text(cutAt%10, 0, s, Of(themes.Err)|Bold)
		a.Cut(0, 1, cutAt%12, other, "…", Of(themes.OK)|Selected)
		a.Right(0, 0, cutAt%12, other, Of(themes.Muted)|Overlay)
		a.Text(cutAt%7-3, 1, s, Of(themes.Accent)|Underline)
		plain := c.Plain()
		rows := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
		if len(rows) != height {
			t.Fatalf("%d rows", len(rows))
		}
		for _, m := range []ansi.Method{ansi.WcWidth, ansi.GraphemeWidth} {
			for y, row := range rows {
				if n := m.StringWidth(row); n != width {
					t.Fatalf("row %d is %d wide: %q", y, n, row)
				}
			}
			screen := parsed(c, theme(t), m)
			for y := range height {
				for x := range width {
					want := c.cells[y*width+x]
					got := screen.CellAt(x, y)
					if want.r == 0 {
						continue
					}
					if got == nil || got.Content != string(want.r) {
						t.Fatalf("(%d,%d) is %v, want %q", x, y, got, want.r)
					}
				}
			}
		}
		clip := a.clip
		for y := range height {
			for x := range width {
				if !clip.Contains(x, y) && c.cells[y*width+x] != (cell{r: ' '}) {
					t.Fatalf("(%d,%d) was drawn on, outside of %v", x, y, clip)
				}
			}
		}
	})
}

func TestLinesThatAreBroken(t *testing.T) {
	for text, want := range map[string][]string{
		"":                      {""},
		"no key there":          {"no key", "there"},
		"12345678 abcdefgh":     {"12345678", "abcdefgh"},
		"123456789":             {"12345678", "9"},
		"長長長長長":                 {"長長長長", "長"},
		"\xff\xff\xff\xff abcd": {"\xff\xff\xff\xff", "abcd"},
	} {
		if got := Wrap(text, 8); !slices.Equal(got, want) {
			t.Errorf("%q is broken into %q, want %q", text, got, want)
		}
	}
}
