// Package themes has what things look like: 16 semantic roles, the built-in
// themes, the user's own, glyphs, and what a terminal can show.
package themes

import "charm.land/lipgloss/v2"

// A Role is what a colour is for. No other colours exist.
type Role uint8

const (
	Fg Role = iota
	Muted
	Border
	BorderFocus
	Accent
	OK
	Warn
	Err
	Info
	SelBg
	SelFg
	Mark
	GraphIn
	GraphOut
	Title
	OverlayBg
	Roles // how many there are
)

// A Theme gives every role a style. It is never changed.
type Theme struct {
	Name  string
	Light bool // made for a light background
}

// Style returns the style of text in role r. In a theme without colours it uses
// bold, faint, reverse and underline only.
func (t *Theme) Style(r Role) lipgloss.Style { return lipgloss.NewStyle() }

// Glyphs are the characters that are more than text.
type Glyphs struct {
	Name  string // "unicode", "block" (no braille) or "ascii"
	ASCII bool

	Idle, Busy, Draining, Closed, Connecting string // one cell each
	Selected, Marked, Failed                 string // one cell each
	Descending, Ascending, Cut               string // one cell each
	Paused, Following, Lost                  string // one cell each
	In, Out                                  string // arrows, one cell each
	Opened, Folded                           string // of a tree, one cell each
	Enter, ShiftTab, Arrow, Dot, Crumb       string // "↵", "⇧tab", "→", "·", "›"
	Masked                                   string // "••••••••••"
	Normal, Focused                          Frame
	Bars                                     []string // one cell, from least to full; the first is for nearly nothing
	Braille                                  bool     // graphs of 2x4 dots a cell
}

// A Frame is the lines around a pane, one cell each.
type Frame struct {
	TopLeft, Top, TopRight, Left, Right, BottomLeft, Bottom, BottomRight string
}

// ByName returns a built-in theme or one of the user's directory.
func ByName(name string) (*Theme, bool) { return &Theme{Name: name}, true }

// Unicode, Block and ASCII return the three glyph sets.
func Unicode() *Glyphs { return &Glyphs{} }
func Block() *Glyphs   { return &Glyphs{} }
func ASCII() *Glyphs   { return &Glyphs{ASCII: true} }
