package prompt

import (
	"strconv"
	"unicode/utf8"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// area is where the box was drawn, for the mouse.
type area struct {
	canvas.Rect
	text int // column of the first character
}

// headRows is where the box begins: below identity and tabs, where screens with
// a filter show it too.
const (
	headRows = 2
	menuRows = 8
)

// Draw implements [pane.Overlay].
func (p *Prompt) Draw(a canvas.Area, f *pane.Frame) (x, y int, cursor bool) {
	p.tick(f)
	w, h := a.Size()
	if h < headRows+Rows {
		return 0, 0, false
	}
	whole := a.Sub(0, headRows, w, Rows)
	whole.Fill(canvas.Of(themes.Fg))
	in := whole.Box(canvas.Box{Title: "Filter", Right: p.right(f), Foot: p.foot(f), Focused: true, Glyphs: f.Glyphs})
	in.Text(1, 0, "/", canvas.Of(themes.Accent))
	const from = 3
	room := max(in.W()-from-2, 1)
	p.boxAt = area{in.Bounds(), in.Bounds().X + from}

	value := p.input.Value()
	runes := []rune(value)
	at := min(p.input.Position(), len(runes))
	first := at // as far to the left as the box has room
	for used := 0; first > 0; first-- {
		if used += canvas.Width(string(runes[first-1])); used > room {
			break
		}
	}
	p.left = min(max(p.left, first), at)
	x = from
	byteAt := len(string(runes[:p.left]))
	cursorX := from
	for i := p.left; i <= len(runes); i++ {
		if i == at {
			cursorX = x
		}
		if i == len(runes) {
			break
		}
		size := utf8.RuneLen(runes[i])
		style := canvas.Of(themes.Fg)
		if p.fault != nil && byteAt >= p.fault.Column && byteAt < p.fault.Column+max(p.fault.Length, 1) {
			style = canvas.Of(themes.Err) | canvas.Underline
		}
		if x-from >= room+1 {
			break
		}
		x = in.Rune(x, 0, runes[i], style)
		byteAt += size
	}
	if p.fault != nil && p.fault.Column >= len(value) {
		in.Text(x, 0, " ", canvas.Of(themes.Err)|canvas.Underline)
	}
	if p.left > 0 {
		in.Text(from-1, 0, f.Glyphs.Cut, canvas.Of(themes.Muted))
	}
	p.drawMenu(a, f, in.Bounds().X+from)
	return in.Bounds().X + cursorX, in.Bounds().Y, true
}

// right says what the filter selects now.
func (p *Prompt) right(f *pane.Frame) string {
	m := p.screen.Matches()
	return string(m.Append(nil, f))
}

// foot says what is wrong, and in which column, from 1; not while a word is
// being completed, which seldom is a clause yet.
func (p *Prompt) foot(*pane.Frame) string {
	if p.fault == nil || p.pick >= 0 {
		return ""
	}
	return "column " + strconv.Itoa(p.fault.Column+1) + ": " + p.fault.Text
}

// drawMenu draws the ways to complete the word, below the line.
func (p *Prompt) drawMenu(a canvas.Area, f *pane.Frame, x int) {
	if p.pick < 0 {
		return
	}
	w, h := a.Size()
	wide := min(60, w)
	rows := min(len(p.menu), menuRows, h-headRows-Rows-2)
	if rows < 1 {
		return
	}
	x = min(x, w-wide)
	box := a.Sub(x, headRows+Rows-1, wide, rows+2)
	right := strconv.Itoa(p.pick+1) + " of " + strconv.Itoa(len(p.menu))
	in := box.Box(canvas.Box{Right: right, Glyphs: f.Glyphs, Overlay: true})
	top := min(max(p.pick-rows/2, 0), len(p.menu)-rows)
	for y := range rows {
		c := p.menu[top+y]
		line := in.Sub(0, y, in.W(), 1)
		if top+y == p.pick {
			line = line.With(canvas.Selected)
			line.Fill(0)
			line.Text(0, 0, f.Glyphs.Selected, canvas.Of(themes.Accent))
		}
		end := line.Cut(2, 0, in.W()/2, c.title, f.Glyphs.Cut, canvas.Of(themes.Fg))
		if c.count > 0 {
			line.Right(end, 0, in.W()-end-1, format.Count(uint64(c.count)), canvas.Of(themes.Muted))
			continue
		}
		note := max(end+2, 16)
		line.Cut(note, 0, max(in.W()-note-1, 0), c.note, f.Glyphs.Cut, canvas.Of(themes.Muted))
	}
}
