package bars

import (
	"strconv"

	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// Tabs are the second row: the screens, where one is below the screen that is
// shown, and how fresh the data is.
type Tabs struct {
	Names  []string // of the screens
	Shown  int      // index in Names
	Crumbs []string
	Status string // "LIVE"
}

// shortName is how many letters of a name are left where there is no room.
const shortName = 4

func (t *Tabs) name(i int, class pane.Class) string {
	name := t.Names[i]
	if class < pane.Normal && i != t.Shown {
		return name[:min(len(name), shortName)]
	}
	return name
}

// Draw draws the row.
func (t *Tabs) Draw(a canvas.Area, f *pane.Frame) {
	g, w := f.Glyphs, a.W()
	room := w - 1
	if n := canvas.Width(t.Status); n > 0 && n < w-2 {
		room -= n
		a.Text(room, 0, t.Status, statusStyle(t.Status))
		room-- // between it and what is left of it
	}
	x := 1
	a = a.Sub(0, 0, max(room, 0), 1)
	for i := range t.Names {
		open, end, style := " ", " ", canvas.Of(themes.Muted)
		if i == t.Shown {
			open, end, style = "[", "]", canvas.Of(themes.Accent)|canvas.Bold
		}
		var number [4]byte
		x = a.Text(x, 0, open, style)
		x = a.Bytes(x, 0, strconv.AppendInt(number[:0], int64(i+1), 10), style)
		x = a.Text(x+1, 0, t.name(i, f.Class), style)
		x = a.Text(x, 0, end, style)
	}
	for _, crumb := range t.Crumbs {
		if x+4 > room {
			return
		}
		x = a.Text(x+1, 0, g.Crumb, canvas.Of(themes.Muted))
		x = a.Cut(x+1, 0, room-x-1, crumb, g.Cut, canvas.Of(themes.Fg))
	}
}

// At returns the index of the tab at column x of the row, -1 if there is none.
func (t *Tabs) At(x int, f *pane.Frame) int {
	from := 1
	for i := range t.Names {
		to := from + 2 + len(strconv.Itoa(i+1)) + 1 + canvas.Width(t.name(i, f.Class))
		if x >= from && x < to {
			return i
		}
		from = to
	}
	return -1
}

func statusStyle(status string) canvas.Style {
	if status == "LIVE" {
		return canvas.Of(themes.OK)
	}
	return canvas.Of(themes.Warn) | canvas.Bold
}
