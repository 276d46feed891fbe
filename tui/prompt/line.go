// Package prompt is the line that a filter is typed into, and how it looks where
// it is only shown.
package prompt

import (
	"adit/themes"
	"adit/tui/canvas"
	"adit/tui/pane"
)

// Rows is the height of the box of a filter.
const Rows = 3

// DrawLine draws the box of a filter that nobody edits: its text, or hint while
// there is none, and what it selects at the right.
func DrawLine(a canvas.Area, f *pane.Frame, text, hint, right string) {
	in := a.Box(canvas.Box{Title: "Filter", Right: right, Glyphs: f.Glyphs})
	style := canvas.Of(themes.Fg)
	if text == "" {
		text, style = hint, canvas.Of(themes.Muted)
	}
	in.Text(1, 0, "/", canvas.Of(themes.Accent))
	in.Cut(3, 0, max(in.W()-4, 0), text, f.Glyphs.Cut, style)
}
