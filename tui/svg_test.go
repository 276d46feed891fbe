package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"adit/tui/canvas"
)

// Cells of a drawing, in its own units. Text of 16.6 units has this advance in
// most monospace fonts; textLength makes it so in the others.
const (
	cellW, cellH = 10, 20
	baseline     = 15
	fontSize     = "16.6"
	fonts        = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
)

// An ink is what a cell is drawn with: colours are "#rrggbb", "" for the page's
// own.
type ink struct {
	fg, bg                 string
	bold, faint, underline bool
	reverse                bool
}

// A glyph is one cell of a screen that was encoded for a terminal.
type glyph struct {
	r   rune
	ink ink
}

// glyphsOf reads what canvas.Encode writes: rows of text with SGR sequences in
// 24-bit colour. Anything else fails the test.
func glyphsOf(t testing.TB, screen string) [][]glyph {
	t.Helper()
	var rows [][]glyph
	var now ink
	for _, line := range strings.Split(screen, "\n") {
		var row []glyph
		for line != "" {
			if rest, ok := strings.CutPrefix(line, "\x1b["); ok {
				parameters, after, ok := strings.Cut(rest, "m")
				if !ok {
					t.Fatalf("an escape sequence without an end: %q", line)
				}
				now.selects(t, parameters)
				line = after
				continue
			}
			r, n := utf8.DecodeRuneInString(line)
			if canvas.Width(line[:n]) != 1 {
				t.Fatalf("%q is not one cell", r)
			}
			g := glyph{r, now}
			if g.ink.reverse {
				t.Fatal("reversed text, which a theme in colour has not")
			}
			row = append(row, g)
			line = line[n:]
		}
		rows = append(rows, row)
	}
	return rows
}

// selects applies the parameters of one SGR sequence.
func (i *ink) selects(t testing.TB, parameters string) {
	t.Helper()
	list := strings.Split(parameters, ";")
	for n := 0; n < len(list); n++ {
		switch list[n] {
		case "", "0":
			*i = ink{}
		case "1":
			i.bold = true
		case "2":
			i.faint = true
		case "4":
			i.underline = true
		case "7":
			i.reverse = true
		case "38", "48":
			if n+4 >= len(list) || list[n+1] != "2" {
				t.Fatalf("not a colour of 24 bits: %q", parameters)
			}
			color := "#"
			for _, part := range list[n+2 : n+5] {
				v, err := strconv.ParseUint(part, 10, 8)
				if err != nil {
					t.Fatalf("%q: %v", parameters, err)
				}
				color += fmt.Sprintf("%02x", v)
			}
			if list[n] == "38" {
				i.fg = color
			} else {
				i.bg = color
			}
			n += 4
		default:
			t.Fatalf("no such SGR parameter here: %q", parameters)
		}
	}
}

// lines are the box drawing characters: how heavy each goes up, right, down and
// left from the middle of the cell, 1 light and 2 heavy.
func lines() map[rune][4]int {
	return map[rune][4]int{
		'─': {0, 1, 0, 1}, '│': {1, 0, 1, 0}, '├': {1, 1, 1, 0}, '┤': {1, 0, 1, 1}, '┬': {0, 1, 1, 1}, '┴': {1, 1, 0, 1},
		'┼': {1, 1, 1, 1}, '└': {1, 1, 0, 0}, '┘': {1, 0, 0, 1}, '┌': {0, 1, 1, 0}, '┐': {0, 0, 1, 1},
		'━': {0, 2, 0, 2}, '┃': {2, 0, 2, 0}, '┏': {0, 2, 2, 0}, '┓': {0, 0, 2, 2}, '┗': {2, 2, 0, 0}, '┛': {2, 0, 0, 2},
	}
}

// shapes are other glyphs that fonts lack or draw as pictures: filled paths from
// the top left of the cell.
func shapes() map[rune]string {
	return map[rune]string{
		'●': "m1.5 10a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z", '▶': "m1.5 5.5l7.5 4.5l-7.5 4.5z", '▸': "m2.5 6.5l5.5 3.5l-5.5 3.5z",
		'▾': "m1 7.5h8l-4 6z", '▼': "m.5 6h9l-4.5 8z", '▲': "m.5 14h9l-4.5-8z", '▌': "m0 0h5v20h-5z", '▏': "m0 0h1.5v20h-1.5z",
		'▐': "m5 0h5v20h-5z", '‖': "m2 5h2v10h-2zm4 0h2v10h-2z", '⏸': "m1.5 5h2.5v10h-2.5zm4.5 0h2.5v10h-2.5z",
	}
}

// corners are the round ones.
func corners() map[rune]string {
	return map[rune]string{'╭': "m5 20.5v-5.5q0-5 5-5", '╮': "m0 10q5 0 5 5v5.5", '╰': "m5-.5v5.5q0 5 5 5", '╯': "m0 10q5 0 5-5v-5.5"}
}

// strokes are what one colour draws in a row, as data of paths.
type strokes struct {
	light, heavy, dots, filled strings.Builder
	// The horizontal lines that go on, light, heavy and the four of dots: where
	// they began and have come to.
	from, to [6]int
}

// along has a horizontal line go from x0 to x1.
func (s *strokes) along(line, x0, x1 int) {
	if s.to[line] != x0 {
		s.flush(line)
		s.from[line] = x0
	}
	s.to[line] = x1
}

func (s *strokes) flush(line int) {
	from, to := s.from[line], s.to[line]
	s.from[line], s.to[line] = 0, 0
	switch {
	case to == from:
	case line < 2:
		fmt.Fprintf(s.of(line), "M%d 10h%d", from, to-from)
	default:
		// The class of dots makes dashes of 3 units every 5 of it.
		fmt.Fprintf(&s.dots, "M%d %sh%d", from+1, [...]string{"2.5", "7.5", "12.5", "17.5"}[line-2], to-from-2)
	}
}

func (s *strokes) of(heavy int) *strings.Builder {
	if heavy == 1 {
		return &s.heavy
	}
	return &s.light
}

// A drawing makes an SVG that looks the same wherever it is shown: a page that
// embeds one gives it no font and runs none of its scripts. So lines, blocks and
// dots are paths, which join whatever the height of the font's lines, and every
// run of text has its column and its length. It is what the frames of a film have in common: the rows, each once,
// and the classes of the colours.
type drawing struct {
	fg, bg  string
	classes []string // colours, in the order in which they were met
	rows    map[string]int
	defs    strings.Builder
}

func (d *drawing) class(color string) string {
	n := slices.Index(d.classes, color)
	if n < 0 {
		n = len(d.classes)
		d.classes = append(d.classes, color)
	}
	return string(rune('a' + n)) // capitals are other classes
}

// frame returns the elements that draw a screen.
func (d *drawing) frame(rows [][]glyph) string {
	var out strings.Builder
	for y, row := range rows {
		content := d.row(row)
		if content == "" {
			continue
		}
		n, met := d.rows[content]
		if !met {
			n = len(d.rows)
			d.rows[content] = n
			fmt.Fprintf(&d.defs, "<g id=\"r%d\">%s</g>\n", n, content)
		}
		fmt.Fprintf(&out, "<use href=\"#r%d\" y=\"%d\"/>", n, y*cellH)
	}
	return out.String()
}

// row returns the elements of one row at the top: what is behind, then colour by
// colour the lines and the text.
func (d *drawing) row(row []glyph) string {
	var out strings.Builder
	for x := 0; x < len(row); {
		end := x + 1
		for end < len(row) && row[end].ink.bg == row[x].ink.bg {
			end++
		}
		if bg := row[x].ink.bg; bg != "" && bg != d.bg {
			// A little more than a row: no seams where the picture is scaled.
			fmt.Fprintf(&out, `<path class="%s" d="M%d 0h%dv20.5h-%dz"/>`, d.class(bg), x*cellW, (end-x)*cellW, (end-x)*cellW)
		}
		x = end
	}
	var order []string
	paths, texts := map[string]*strokes{}, map[string]*strings.Builder{}
	for x := 0; x < len(row); {
		g := row[x]
		color := g.ink.fg
		if color == "" {
			color = d.fg
		}
		if g.r == ' ' {
			x++
			continue
		}
		if paths[color] == nil {
			paths[color], texts[color] = new(strokes), new(strings.Builder)
			order = append(order, color)
		}
		if paths[color].draw(x, g.r) {
			x++
			continue
		}
		end := run(row, x)
		text(texts[color], row[x:end], x)
		x = end
	}
	for _, color := range order {
		s := paths[color]
		for line := range s.to {
			s.flush(line)
		}
		fmt.Fprintf(&out, `<g class="%s">`, d.class(color))
		for _, p := range []struct{ class, data string }{{"L", s.light.String()}, {"L H", s.heavy.String()}, {"L O", s.dots.String()}, {"", s.filled.String()}} {
			switch {
			case p.data == "":
			case p.class == "":
				fmt.Fprintf(&out, `<path d="%s"/>`, p.data)
			default:
				fmt.Fprintf(&out, `<path class="%s" d="%s"/>`, p.class, p.data)
			}
		}
		out.WriteString(texts[color].String() + "</g>")
	}
	return out.String()
}

// draw draws a character of lines, blocks or dots and reports whether it is one.
func (s *strokes) draw(x int, r rune) bool {
	left := x * cellW
	if weights, ok := lines()[r]; ok {
		if weights[3] > 0 {
			s.along(weights[3]-1, left, left+cellW/2)
		}
		if weights[1] > 0 {
			s.along(weights[1]-1, left+cellW/2, left+cellW)
		}
		up, down := weights[0], weights[2]
		switch {
		case up > 0 && down > 0:
			fmt.Fprintf(s.of(up-1), "M%d-.5v21", left+cellW/2)
		case up > 0:
			fmt.Fprintf(s.of(up-1), "M%d-.5v%s", left+cellW/2, [...]string{"", "11.2", "11.75"}[up])
		case down > 0:
			fmt.Fprintf(s.of(down-1), "M%d 20.5v-%s", left+cellW/2, [...]string{"", "11.2", "11.75"}[down])
		}
		return true
	}
	if path, ok := corners()[r]; ok {
		fmt.Fprintf(&s.light, "M%d 0%s", left, path)
		return true
	}
	if path, ok := shapes()[r]; ok {
		fmt.Fprintf(&s.filled, "M%d 0%s", left, path)
		return true
	}
	if r >= '▁' && r <= '█' {
		// Eighths of a cell, from below.
		eighths := int(r - '▀')
		fmt.Fprintf(&s.filled, "M%d 20h10v-%sh-10z", left, strconv.FormatFloat(float64(eighths)*2.5, 'f', -1, 64))
		return true
	}
	if r >= 0x2800 && r <= 0x28ff {
		// Dots of one height go on as one dashed line.
		for level, bits := range [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}} {
			for column, bit := range bits {
				if r&bit != 0 {
					s.along(2+level, left+column*5, left+column*5+5)
				}
			}
		}
		return true
	}
	return false
}

// run returns where the text that begins at x ends: at another ink, a second
// space, or what a font may draw in another width.
func run(row []glyph, x int) int {
	if row[x].r > '~' {
		return x + 1
	}
	end := x + 1
	for n := x + 1; n < len(row) && row[n].ink == row[x].ink && row[n].r <= '~'; n++ {
		if row[n].r != ' ' {
			end = n + 1
		} else if row[n-1].r == ' ' {
			break
		}
	}
	return end
}

// text writes a run of text that begins at column x.
func text(out *strings.Builder, run []glyph, x int) {
	class := ""
	if i := run[0].ink; i != (ink{fg: i.fg, bg: i.bg}) {
		for _, c := range []struct {
			on   bool
			name string
		}{{i.bold, "B"}, {i.faint, "F"}, {i.underline, "U"}} {
			if c.on {
				class += " " + c.name
			}
		}
		class = fmt.Sprintf(` class="%s"`, class[1:])
	}
	fmt.Fprintf(out, `<text%s x="%d" y="%d" textLength="%d">`, class, x*cellW, baseline, len(run)*cellW)
	for _, g := range run {
		out.WriteString(escaped(string(g.r)))
	}
	out.WriteString("</text>")
}

func escaped(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
