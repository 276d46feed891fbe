// Package prompt is the line that a filter is typed into, and how it looks where
// it is only shown.
package prompt

import (
	"strings"

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

// Quote returns a value as the language of filters takes it literally.
func Quote(value string) string {
	plain := value != ""
	for i := range len(value) {
		c := value[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.", c) >= 0) {
			plain = false
			break
		}
	}
	if plain {
		return value
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range value {
		if r == '"' || r == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
