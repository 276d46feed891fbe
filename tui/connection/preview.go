package connection

import (
	"strconv"

	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/format"
	"adit/tui/pane"
)

// A Preview shows the connection under the cursor of a list in one pane, which
// can be hidden.
type Preview struct {
	// Name is under which the memory has whether it is hidden.
	Name string

	hidden   bool
	recalled bool
	past     past
	greeting Greeting
	pen      Pen
	title    string
	of       engine.ConnectionID
	raw      bool // the greeting is shown as it came
}

// Hidden reports whether the operator does not want to see it.
func (v *Preview) Hidden(f *pane.Frame) bool {
	if !v.recalled && f.Memory != nil {
		v.recalled, v.hidden = true, f.Memory.Get(v.Name) == "off"
	}
	return v.hidden
}

// Do does what a key asks of the pane; drawn says whether it is on the screen.
func (v *Preview) Do(a keys.Action, f *pane.Frame, drawn bool) (effect pane.Effect, handled bool) {
	switch a {
	case keys.PanePreview:
		word := "off"
		if v.Hidden(f) {
			word = "on"
		}
		v.hidden = !v.hidden
		if f.Memory != nil {
			f.Memory.Set(v.Name, word)
		}
	case keys.RawGreeting:
		if !drawn {
			return pane.Say{Text: "open the connection to see its greeting raw"}, true
		}
		v.raw = !v.raw
	default:
		return nil, false
	}
	return nil, true
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
	in = in.Sub(1, 0, in.W()-2, in.H())
	open, want := poolOf(f, i, x)
	v.greeting.Update(f, x, open, want)
	words := v.greeting.lines(v.raw, false)
	rest := in.H() - words
	switch {
	case in.W() >= 100: // side by side
		left := in.W() * 58 / 120
		v.greeting.Draw(in.Sub(0, 0, left, in.H()-1), f, v.raw, false, 0)
		v.pen.RTT(in.Sub(left+2, 0, in.W()-left-2, in.H()-1), f, x, v.past.rtt)
	case rest < 8:
		v.greeting.Draw(in.Sub(0, 0, in.W(), in.H()-2), f, v.raw, false, 0)
	default:
		v.drawBelow(in, f, x, words)
	}
	y := in.H() - 1
	if rest > 14 {
		y = min(y, words+14)
	}
	b := append(v.pen.buf[:0], "in flight "...)
	b = strconv.AppendInt(b, int64(x.InFlight), 10)
	if f.Snapshot.Role == engine.RoleServer {
		b = append(b, "   queue "...)
		b = strconv.AppendInt(b, int64(f.Snapshot.Waiting), 10)
	}
	b = append(b, "   failed "...)
	b = format.AppendShort(b, x.Failed)
	b = append(b, " of "...)
	b = format.AppendShort(b, x.Exchanges)
	for _, a := range [...]keys.Action{keys.Kill, keys.Drain} {
		if h := Hint(f, a, keys.Of(a).Short, keys.Connections); h != "" {
			b = append(append(b, "   "...), h...)
		}
	}
	v.pen.buf = b
	in.Bytes(0, y, b, canvas.Of(themes.Muted))
}

// drawBelow draws the words, the message as it came in one line, and the times.
func (v *Preview) drawBelow(in canvas.Area, f *pane.Frame, x *engine.Connection, words int) {
	v.greeting.Draw(in.Sub(0, 0, in.W(), words), f, v.raw, false, 0)
	y := words
	if !v.raw && x.Greeting != nil && x.Greeting.Raw != "" && !v.greeting.masked && in.H()-y > 8 {
		in.Text(0, y, "raw", canvas.Of(themes.Muted))
		in.Cut(nameWidth, y, in.W()-nameWidth, x.Greeting.Raw, f.Glyphs.Cut, canvas.Of(themes.Fg))
		y++
	}
	in.Text(0, y+1, "RTT", canvas.Of(themes.Muted))
	v.pen.RTT(in.Sub(0, y+2, in.W(), min(9, in.H()-y-4)), f, x, v.past.rtt)
}
