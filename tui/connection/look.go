package connection

import (
	"adit/engine"
	"adit/keys"
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// State returns the glyph and the word for a state.
func State(s engine.ConnectionState, g *themes.Glyphs) (glyph, word string) {
	switch s {
	case engine.StateGreeting:
		return g.Connecting, "greet"
	case engine.StateIdle:
		return g.Idle, "idle"
	case engine.StateBusy:
		return g.Busy, "busy"
	case engine.StateDraining:
		return g.Draining, "drain"
	case engine.StateClosing:
		return g.Closed, "close"
	}
	return "?", s.String()
}

// StateRole returns the colour that goes with a state.
func StateRole(s engine.ConnectionState) themes.Role {
	switch s {
	case engine.StateBusy:
		return themes.OK
	case engine.StateDraining, engine.StateClosing:
		return themes.Warn
	case engine.StateGreeting:
		return themes.Info
	}
	return themes.Fg
}

// Hint is what the line of a pane says of an action: its key and a word; "" if
// it has no key there.
func Hint(f *pane.Frame, a keys.Action, text string, contexts ...keys.Context) string {
	if f.Keys == nil || f.ReadOnly && keys.Of(a).Mutating {
		return ""
	}
	names := f.Keys.Keys(a, f.Glyphs.ASCII, append(contexts, keys.List, keys.Everywhere)...)
	if len(names) == 0 {
		return ""
	}
	return names[0] + " " + text
}

// joined joins what is not empty: "y copy · r raw".
func joined(f *pane.Frame, parts ...string) string {
	all := ""
	for _, p := range parts {
		switch {
		case p == "":
		case all == "":
			all = p
		default:
			all += " " + f.Glyphs.Dot + " " + p
		}
	}
	return all
}

// nameWidth is that of the names before the values of a greeting.
const nameWidth = 11

// lines returns how many lines the greeting has.
func (g *Greeting) lines(raw, both bool) int {
	switch {
	case raw:
		return max(len(g.raw), 1)
	case both && len(g.raw) > 0:
		return len(g.fields) + 2 + len(g.raw)
	}
	return len(g.fields)
}

// Draw draws the lines from top on: the words, the message as it came, or both.
func (g *Greeting) Draw(a canvas.Area, f *pane.Frame, raw, both bool, top int) {
	y := -top
	if !raw {
		for _, line := range g.fields {
			if y >= 0 && y < a.H() {
				a.Text(0, y, line.name, canvas.Of(themes.Muted))
				a.Cut(nameWidth, y, a.W()-nameWidth, line.value, f.Glyphs.Cut, canvas.Of(themes.Fg))
			}
			y++
		}
		if !both || len(g.raw) == 0 {
			return
		}
		y++
		if y >= 0 && y < a.H() {
			a.Cut(0, y, a.W(), "raw (first WebSocket text message)", f.Glyphs.Cut, canvas.Of(themes.Muted))
		}
		y++
	}
	if len(g.raw) == 0 {
		a.Cut(0, 0, a.W(), "the message itself was not kept", f.Glyphs.Cut, canvas.Of(themes.Muted))
	}
	for _, line := range g.raw {
		if y >= 0 && y < a.H() {
			a.Cut(0, y, a.W(), line, f.Glyphs.Cut, canvas.Of(themes.Fg))
		}
		y++
	}
}
