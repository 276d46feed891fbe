package canvas

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"charm.land/lipgloss/v2"

	"adit/themes"
)

// Encode returns the canvas as one string for the terminal: rows joined by
// newlines, with as few style changes as possible. Colours are as the theme has
// them; Bubble Tea fits them to the terminal.
func (c *Canvas) Encode(t *themes.Theme) string {
	if c.sgr.theme != t {
		c.sgr = palette{theme: t}
	}
	out := c.out[:0]
	current := &attributes{known: true, blank: true}
	plain := current
	last := styleEnd // no style at all
	for y := range c.h {
		if y > 0 {
			out = append(out, '\n')
		}
		for _, cell := range c.cells[y*c.w : (y+1)*c.w] {
			if cell.r == 0 {
				continue
			}
			if cell.style != last {
				next := c.sgr.of(cell.style)
				// A space shows nothing of most styles.
				if cell.r != ' ' || !next.blank || !current.blank {
					out = current.change(out, next)
					current, last = next, cell.style
				}
			}
			if cell.r < utf8.RuneSelf {
				out = append(out, byte(cell.r))
			} else {
				out = utf8.AppendRune(out, cell.r)
			}
		}
	}
	out = current.change(out, plain)
	c.out = out
	return string(out)
}

// A palette has the control sequences of the styles that were met, for one
// theme.
type palette struct {
	theme *themes.Theme
	known [int(themes.Roles) << styleBits]attributes
}

const styleBits = 6 // attributes of a Style

func (p *palette) of(s Style) *attributes {
	role := s & roleMask
	if role >= Style(themes.Roles) {
		role = Style(themes.Fg)
	}
	a := &p.known[int(role)<<styleBits|int(s>>8)&(1<<styleBits-1)]
	if !a.known {
		*a = attributesOf(p.theme, themes.Role(role), s)
	}
	return a
}

// attributes are the parameters of a control sequence that selects a style when
// none is selected (ECMA-48 §8.3.117, SGR).
type attributes struct {
	known      bool
	foreground bool // nothing but a colour of the text
	blank      bool // a space looks the same without it
	parameters string
}

func (a *attributes) change(out []byte, to *attributes) []byte {
	switch {
	case a == to || a.parameters == to.parameters:
		return out
	case to.parameters == "":
		return append(out, "\x1b[m"...)
	case a.parameters == "" || a.foreground && to.foreground:
		out = append(out, "\x1b["...)
	default:
		out = append(out, "\x1b[0;"...)
	}
	out = append(out, to.parameters...)
	return append(out, 'm')
}

func attributesOf(t *themes.Theme, role themes.Role, s Style) attributes {
	// Colours would fall short of contrast on the selection: there is one for all.
	style := t.On(role, s&Selected != 0, s&Overlay != 0)
	if s&Bold != 0 {
		style = style.Bold(true)
	}
	if s&Faint != 0 {
		style = style.Faint(true)
	}
	if s&Underline != 0 {
		style = style.Underline(true)
	}
	if s&Reverse != 0 {
		style = style.Reverse(!style.GetReverse())
	}
	a := attributes{known: true, parameters: parameters(style)}
	shape := style.GetUnderline() || style.GetReverse() || style.GetStrikethrough() || !none(style.GetBackground())
	a.blank = !shape
	a.foreground = !shape && !style.GetBold() && !style.GetFaint() && !style.GetItalic() && !style.GetBlink() &&
		!none(style.GetForeground())
	return a
}

func none(c color.Color) bool {
	_, no := c.(lipgloss.NoColor)
	return c == nil || no
}

// parameters returns what Lip Gloss writes to select a style, without the frame
// of the control sequence.
func parameters(s lipgloss.Style) string {
	before, _, _ := strings.Cut(s.Render("x"), "x")
	before = strings.TrimPrefix(before, "\x1b[")
	before = strings.TrimSuffix(before, "m")
	return strings.ReplaceAll(before, "m\x1b[", ";")
}
