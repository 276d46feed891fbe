package themes

import (
	"fmt"
	"image/color"
	"math"

	"charm.land/lipgloss/v2"
)

// Contrast returns the contrast ratio of two colours by WCAG 2.1, from 1 to 21.
func Contrast(a, b color.Color) float64 {
	x, y := luminance(a), luminance(b)
	if x < y {
		x, y = y, x
	}
	return (x + 0.05) / (y + 0.05)
}

// luminance is the relative luminance of WCAG 2.1, from 0 to 1.
func luminance(c color.Color) float64 {
	linear := func(v uint32) float64 {
		f := float64(v) / 0xffff
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	r, g, b, _ := c.RGBA()
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

// Floor is the least contrast that text in a role must have; 0 for a background.
func Floor(r Role) float64 {
	switch r {
	case SelBg, OverlayBg:
		return 0
	case Fg, SelFg, Title:
		return 7
	case Border, BorderFocus, GraphIn, GraphOut:
		return 3
	}
	return 4.5
}

// Dim returns what of a theme is hard to read, one line each: roles below their
// floor on the background that the theme is made for, on the overlay, or in the
// selected row. Colours of the terminal's own palette are not known.
func (t *Theme) Dim() []string {
	var all []string
	check := func(r Role, on string, bg color.Color) {
		fg := t.looks[r].Color
		if fg == nil || bg == nil || palette16(fg) || palette16(bg) {
			return
		}
		if got, want := Contrast(fg, bg), Floor(r); got < want {
			all = append(all, fmt.Sprintf("%s on the %s has a contrast of %.1f:1, want %.1f:1", r, on, got, want))
		}
	}
	for r := range Roles {
		switch {
		case r.Background():
		case r == SelFg:
			check(r, "selected row", t.looks[SelBg].Color)
		default:
			check(r, "background", t.Nominal)
			check(r, "overlay", t.looks[OverlayBg].Color)
		}
	}
	return all
}

// palette16 reports whether c is what the terminal's palette makes of it.
func palette16(c color.Color) bool {
	for i := range 16 {
		if c == lipgloss.Color(fmt.Sprint(i)) {
			return true
		}
	}
	return false
}
