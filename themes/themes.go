// Package themes has what things look like: 16 semantic roles, the built-in
// themes, the user's own, glyphs, and what a terminal can show.
package themes

import (
	"image/color"

	"charm.land/lipgloss/v2"
)

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

// String returns the name of the role in files: "border_focus".
func (r Role) String() string {
	if r >= Roles {
		return "unknown"
	}
	return roleNames()[r]
}

func roleNames() [Roles]string {
	return [Roles]string{"fg", "muted", "border", "border_focus", "accent", "ok", "warn", "err", "info",
		"sel_bg", "sel_fg", "mark", "graph_in", "graph_out", "title", "overlay_bg"}
}

// Background reports whether the role colours what is behind text.
func (r Role) Background() bool { return r == SelBg || r == OverlayBg }

// A Look is what one role looks like: a colour, attributes, or both.
type Look struct {
	Color                           color.Color // nil: the terminal's own
	Bold, Faint, Underline, Reverse bool
}

// A Theme gives every role a look. It is never changed.
type Theme struct {
	Name  string
	Light bool   // made for a light background
	Mono  bool   // without any colour
	File  string // where it comes from; "" built in

	// Nominal is the background that the theme is made for, nil if it takes the
	// terminal's palette. Only a theme that paints it sets it.
	Nominal color.Color
	Paints  bool

	looks [Roles]Look
	few   *Theme // what it looks like with 16 colours, if it says so
}

// Look returns what role r looks like.
func (t *Theme) Look(r Role) Look {
	if r >= Roles {
		r = Fg
	}
	return t.looks[r]
}

// Style returns the style of text in role r outside of selected rows and
// overlays. In a theme without colours it uses bold, faint, reverse and
// underline only. Of SelBg and OverlayBg it has the background alone.
func (t *Theme) Style(r Role) lipgloss.Style {
	l := t.Look(r)
	s := t.page()
	if l.Color != nil {
		if r.Background() {
			s = s.Background(l.Color)
		} else {
			s = s.Foreground(l.Color)
		}
	}
	return attributes(s, l)
}

// On returns the complete style of text in role r: in a selected row, where every
// role becomes SelFg on SelBg, on an overlay, or on neither.
func (t *Theme) On(r Role, selected, overlay bool) lipgloss.Style {
	switch {
	case selected:
		s := t.page()
		fg, bg := t.Look(SelFg), t.Look(SelBg)
		if fg.Color != nil {
			s = s.Foreground(fg.Color)
		}
		if bg.Color != nil {
			s = s.Background(bg.Color)
		}
		return attributes(attributes(s, fg), bg)
	case overlay && !r.Background():
		s := t.Style(r)
		bg := t.Look(OverlayBg)
		if bg.Color != nil {
			s = s.Background(bg.Color)
		}
		return attributes(s, bg)
	}
	return t.Style(r)
}

func (t *Theme) page() lipgloss.Style {
	s := lipgloss.NewStyle()
	if t.Paints && t.Nominal != nil {
		s = s.Background(t.Nominal)
	}
	return s
}

func attributes(s lipgloss.Style, l Look) lipgloss.Style {
	if l.Bold {
		s = s.Bold(true)
	}
	if l.Faint {
		s = s.Faint(true)
	}
	if l.Underline {
		s = s.Underline(true)
	}
	if l.Reverse {
		s = s.Reverse(true)
	}
	return s
}
