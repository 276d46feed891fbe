package connection

import (
	"strconv"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// A Preview shows the connection under the cursor of a list in one pane.
type Preview struct {
	past     past
	greeting Greeting
	pen      Pen
	title    string
	of       engine.ConnectionID
}

// Draw draws the i-th connection of the snapshot; -1: there is none.
func (v *Preview) Draw(a canvas.Area, f *pane.Frame, i int, focused bool) {
	box := canvas.Box{Title: "Selected", Focused: focused, Glyphs: f.Glyphs}
	if i < 0 || i >= len(f.Snapshot.Connections) {
		in := a.Box(box)
		in.Cut(1, 0, in.W()-1, "no connection", f.Glyphs.Cut, canvas.Of(themes.Muted))
		return
	}
	id := f.Snapshot.Connections[i].ID
	v.past.look(f, id)
	x := &v.past.last
	if v.of != id || v.title == "" {
		v.of = id
		v.title = "Selected: " + id.String()
		if x.Client != "" {
			v.title = "Selected: " + x.Client + " / " + id.String()
		}
	}
	box.Title, box.Right = v.title, Hint(f, keys.Open, "open")
	in := a.Box(box)
	in = in.Sub(1, 0, in.W()-1, in.H())
	open, want := poolOf(f, i, x)
	v.greeting.Update(f, x, open, want)
	words := v.greeting.lines(false, false)
	rest := in.H() - words
	if rest < 8 {
		v.greeting.Draw(in.Sub(0, 0, in.W(), in.H()-2), f, false, false, 0)
	} else {
		v.greeting.Draw(in.Sub(0, 0, in.W(), words), f, false, false, 0)
		graph := min(rest-4, 9)
		y := words
		if raw := v.greeting.raw; len(raw) > 0 && x.Greeting != nil && !v.greeting.masked && rest > 8 {
			in.Text(0, y, "raw", canvas.Of(themes.Muted))
			in.Cut(nameWidth, y, in.W()-nameWidth, x.Greeting.Raw, f.Glyphs.Cut, canvas.Of(themes.Fg))
			y++
			graph = min(graph, in.H()-y-4)
		}
		in.Text(0, y+1, "RTT", canvas.Of(themes.Muted))
		v.pen.RTT(in.Sub(0, y+2, in.W(), graph), f, x, v.past.rtt)
	}
	y := in.H() - 1
	if rest > 14 {
		y = min(y, words+14)
	}
	b := append(v.pen.buf[:0], "in flight "...)
	b = strconv.AppendInt(b, int64(x.InFlight), 10)
	b = append(b, "   failed "...)
	b = strconv.AppendUint(b, x.Failed, 10)
	b = append(b, '/')
	b = strconv.AppendUint(b, x.Exchanges, 10)
	for _, a := range [...]keys.Action{keys.Kill, keys.Drain} {
		if h := Hint(f, a, keys.Of(a).Short, keys.Connections); h != "" {
			b = append(append(b, "   "...), h...)
		}
	}
	v.pen.buf = b
	in.Bytes(0, y, b, canvas.Of(themes.Muted))
}
