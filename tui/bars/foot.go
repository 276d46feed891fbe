package bars

import (
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// paletteFrom is from how many cells on the last but one of the keys, which is
// the palette, is kept as well.
const paletteFrom = 72

// Foot draws the keys, the most useful first: those that fit, and always the
// last of them, which is help.
func Foot(a canvas.Area, hints []pane.Hint) {
	foot(a.W(), hints, func(i, x int) { hint(a, x, hints[i]) })
}

// FootAt returns the index of the hint at column x of a footer w cells wide, -1
// if there is none.
func FootAt(w, x int, hints []pane.Hint) int {
	at := -1
	foot(w, hints, func(i, from int) {
		if x >= from && x < from+hintWidth(hints[i]) {
			at = i
		}
	})
	return at
}

// foot places the hints that fit into w cells.
func foot(w int, hints []pane.Hint, put func(i, x int)) {
	if len(hints) == 0 {
		return
	}
	kept := len(hints) - 1
	if kept > 0 && w >= paletteFrom {
		kept--
	}
	room := w + 1
	for _, h := range hints[kept:] {
		room -= hintWidth(h) + 2
	}
	x := 1
	for i, h := range hints[:kept] {
		n := hintWidth(h) + 2
		if x+n > room {
			break
		}
		put(i, x)
		x += n
	}
	for i := kept; i < len(hints); i++ {
		put(i, x)
		x += hintWidth(hints[i]) + 2
	}
}

func hintWidth(h pane.Hint) int { return canvas.Width(h.Key) + 1 + canvas.Width(h.Text) }

func hint(a canvas.Area, x int, h pane.Hint) {
	x = a.Text(x, 0, h.Key, canvas.Of(themes.Accent)|canvas.Bold)
	a.Text(x+1, 0, h.Text, canvas.Of(themes.Muted))
}

// A Note is a line that stands where the keys are for a while.
type Note struct {
	Text string
	Bad  bool   // stays until it is acknowledged
	More int    // further ones behind it
	Key  string // that acknowledges it
}

// Draw draws the note. What is cut of it can be read in Events.
func (n *Note) Draw(a canvas.Area, f *pane.Frame) {
	g, style := f.Glyphs, canvas.Of(themes.Info)
	x, room := 1, a.W()-1
	if n.Bad {
		style = canvas.Of(themes.Err)
		x = a.Text(x, 0, g.Failed, style|canvas.Bold) + 1
		var buffer [64]byte
		b := buffer[:0]
		if n.More > 0 {
			b = append(format.AppendCount(append(b, '+'), uint64(n.More)), " more  "...)
		}
		if n.Key != "" {
			b = append(append(b, n.Key...), " acknowledge"...)
		}
		if w := canvas.Width(string(b)); w > 0 && w+20 < a.W() {
			room -= w
			a.Bytes(room, 0, b, canvas.Of(themes.Muted))
			room -= 2
		}
	}
	a.Cut(x, 0, max(room-x, 0), n.Text, g.Cut, style)
}
