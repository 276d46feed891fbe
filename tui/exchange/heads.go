package exchange

import (
	"strings"

	"adit/engine"
	"adit/engine/inspect"
	keymap "adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// Fields returns how many lines a head has.
func Fields(head string) int {
	n := strings.Count(head, "\n")
	if head != "" && !strings.HasSuffix(head, "\n") {
		n++
	}
	return n
}

// DrawHead draws the lines of a head from the given one on, each as "name
// value" and at most one line of the screen, values of secret fields masked
// unless revealed. It returns the number of lines drawn.
func DrawHead(a canvas.Area, f *pane.Frame, head string, from int, revealed bool) int {
	const indent, name = 3, 15
	w, h := a.Size()
	y := 0
	for head != "" && y < h {
		line, rest, _ := strings.Cut(head, "\n")
		head = rest
		if from > 0 {
			from--
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			key, value = "", line
		}
		value = strings.TrimLeft(value, " \t")
		x := a.Cut(indent, y, max(w-indent-1, 0), key, f.Glyphs.Cut, canvas.Of(themes.Muted))
		x = max(x, indent+name) + 1
		if ok && inspect.Secret(key) && !revealed {
			x = a.Cut(x, y, max(w-x-1, 0), f.Glyphs.Masked, f.Glyphs.Cut, canvas.Of(themes.Warn))
			if f.Keys != nil && w-x > len("   (V reveal)") {
				if names := f.Keys.Keys(keymap.Reveal, f.Glyphs.ASCII, keymap.Request, keymap.Requests); len(names) > 0 {
					x = a.Text(x+3, y, "(", canvas.Of(themes.Muted))
					x = a.Text(x, y, names[0], canvas.Of(themes.Muted))
					a.Text(x, y, " reveal)", canvas.Of(themes.Muted))
				}
			}
		} else {
			a.Cut(x, y, max(w-x-1, 0), inspect.Value(key, value, revealed), f.Glyphs.Cut, canvas.Of(themes.Fg))
		}
		y++
	}
	return y
}

// NoHeads says why a record has no header fields.
func NoHeads(r *engine.Request) string {
	switch {
	case r.InFlight():
		if r.Status == 0 && r.Way != engine.WayTCP {
			return "Header fields come with the answer."
		}
		return "Header fields are not here yet."
	case Raw(r):
		return "Bytes, not HTTP: there are no header fields."
	case r.Connection == 0 && r.HasFailed():
		return "It never went through the tunnel: no header fields were kept."
	}
	return "Its header fields are not kept any more."
}
