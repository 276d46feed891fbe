package canvas

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"

	"adit/themes"
)

func builtin() map[string]*themes.Theme {
	all := map[string]*themes.Theme{}
	for _, theme := range themes.Builtin() {
		all[theme.Name] = theme
	}
	return all
}

// styles are all combinations that screens use.
func styles() (all []Style) {
	for role := range themes.Roles {
		for attributes := range Style(styleEnd >> 8) {
			all = append(all, Of(role)|attributes<<8)
		}
	}
	return all
}

// alone returns what the renderer makes of one cell in a style.
func alone(theme *themes.Theme, s Style) uv.Style {
	c := sized(1, 1)
	c.Area().Text(0, 0, "x", s)
	return parsed(c, theme, ansi.WcWidth).CellAt(0, 0).Style
}

func TestStyleThatDependsOnItsNeighbours(t *testing.T) {
	for name, theme := range builtin() {
		random := rand.New(rand.NewPCG(1, 2))
		all := styles()
		c := sized(80, 20)
		for i := range c.cells {
			c.cells[i] = cell{[]rune("ab ")[random.IntN(3)], all[random.IntN(len(all))]}
		}
		screen := parsed(c, theme, ansi.WcWidth)
		known := map[Style]uv.Style{}
		for i, want := range c.cells {
			style, ok := known[want.style]
			if !ok {
				style = alone(theme, want.style)
				known[want.style] = style
			}
			got := screen.CellAt(i%80, i/80)
			if got.Content != string(want.r) {
				t.Fatalf("%s: cell %d is %q, want %q", name, i, got.Content, want.r)
			}
			have := got.Style
			if want.r == ' ' { // only what shows on a space
				style, have = onSpace(style), onSpace(have)
			}
			if !have.Equal(&style) {
				t.Fatalf("%s: cell %d (%q) has %+v, want %+v", name, i, want.r, have, style)
			}
		}
	}
}

func onSpace(s uv.Style) uv.Style {
	shown := uv.Style{Bg: s.Bg, Underline: s.Underline, Attrs: s.Attrs & uv.AttrReverse}
	if shown.Attrs != 0 {
		shown.Fg = s.Fg
	}
	return shown
}

func TestSelectionThatIsNotSeen(t *testing.T) {
	for name, theme := range builtin() {
		plain, first := alone(theme, 0), alone(theme, Selected)
		if first.Equal(&plain) {
			t.Errorf("%s: a selected row looks like any other", name)
		}
		for role := range themes.Roles {
			if s := alone(theme, Of(role)|Selected); !s.Equal(&first) {
				t.Errorf("%s: role %d has a colour of its own on a selected row", name, role)
			}
		}
	}
}

func TestThemeChanges(t *testing.T) {
	c := sized(4, 1)
	c.Area().Text(0, 0, "text", Of(themes.Err))
	all := builtin()
	one, two := c.Encode(all["midnight"]), c.Encode(all["daylight"])
	if one == two {
		t.Error("two themes look the same")
	}
	if c.Encode(all["midnight"]) != one {
		t.Error("a theme looks different the second time")
	}
}

func TestSpacesThatChangeTheStyle(t *testing.T) {
	c := sized(9, 1)
	a := c.Area()
	a.Text(0, 0, "ab", Of(themes.Err))
	a.Text(6, 0, "cd", Of(themes.Err))
	if got := c.Encode(theme(t)); strings.Count(got, "\x1b[") != 2 {
		t.Errorf("%q has more than one style and its end", got)
	}
}

// scenery is about what a busy screen has: text in many styles.
func scenery(w, h int) *Canvas {
	c := sized(w, h)
	a := c.Area()
	for y := range h {
		for x := 0; x < w; {
			role := themes.Role((x/7 + y) % int(themes.Roles))
			x = a.Text(x, y, fmt.Sprintf("%6d ", x*y), Of(role))
		}
		if y%10 == 3 {
			a.Sub(0, y, w, 1).Restyle(0, 0, w, func(s Style) Style { return s | Selected })
		}
	}
	return c
}

func TestEncodingThatAllocates(t *testing.T) {
	c, theme := scenery(120, 36), theme(t)
	if n := testing.AllocsPerRun(20, func() { _ = c.Encode(theme) }); n > 1 {
		t.Errorf("%v allocations a frame", n)
	}
	if n := testing.AllocsPerRun(20, func() {
		c.Resize(120, 36)
		c.Area().Text(0, 0, "text of the network 日本 \x1b[31m", Of(themes.Err))
	}); n > 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, size := range [][2]int{{120, 36}, {200, 60}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			c, theme := scenery(size[0], size[1]), theme(b)
			b.ReportAllocs()
			for b.Loop() {
				b.SetBytes(int64(len(c.Encode(theme))))
			}
		})
	}
}

func BenchmarkText(b *testing.B) {
	c := sized(120, 36)
	a := c.Area()
	b.ReportAllocs()
	for b.Loop() {
		for y := range 36 {
			a.Text(0, y, "15:04:11.761 GET    200   900ms    18K kiosk-berlin  c-5f60  /static/app.js ────────────────────────────────", 0)
		}
	}
}
