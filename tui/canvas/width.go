package canvas

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
	"github.com/mattn/go-runewidth"
)

// Width returns the cells that s takes when it is drawn. Characters that are
// not drawn as themselves (control characters, marks that combine, whatever
// joins with a neighbour, changes direction or has no sure width, bytes that are
// not UTF-8) take one cell each, for their stand-in.
func Width(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if b := s[i]; b >= ' ' && b < 0x7f {
			n++
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		_, w := glyph(r)
		n += w
		i += size
	}
	return n
}

// Stand-ins, one cell wide each.
const (
	standIn      = '\uFFFD'
	spaceStandIn = '\u2423' // for spaces that are not U+0020
	controls     = '\u2400' // the picture of U+0000; the next 31 follow
	deleted      = '\u2421'
)

// glyph returns what is drawn for r, and how many cells that takes: 1 or 2.
func glyph(r rune) (rune, int) {
	switch {
	case r >= ' ' && r < 0x7f:
		return r, 1
	case r < ' ':
		return controls + max(r, 0), 1
	case r == 0x7f:
		return deleted, 1
	case r >= 0x2500 && r <= 0x25fc, r >= 0x2800 && r <= 0x28ff: // lines, blocks, shapes; braille
		return r, 1
	case r > 0xa0 && r < 0x300 && r != 0xad, r >= 0x2010 && r <= 0x2027:
		return r, 1
	case unicode.Is(unicode.Zs, r):
		return spaceStandIn, 1
	case !unicode.IsPrint(r) || unicode.IsMark(r) || joins(r):
		return standIn, 1
	}
	condition := runewidth.Condition{StrictEmojiNeutral: true} // as x/ansi has it
	w := displaywidth.Rune(r)
	if (w != 1 && w != 2) || w != condition.RuneWidth(r) {
		return standIn, 1
	}
	return r, w
}

// joins reports whether r, printable and no mark, may form one cluster with what
// stands beside it (UAX #29), or shows nothing. A test looks for more of them.
func joins(r rune) bool {
	switch {
	case r >= 0x1100 && r <= 0x11ff, r >= 0xa960 && r <= 0xa97f, r >= 0xd7b0 && r <= 0xd7ff: // jamo
	case r == 0x115f, r == 0x3164, r == 0xffa0: // fillers
	case r == 0x0e33, r == 0x0eb3: // vowels that attach
	case r == 0xff9e, r == 0xff9f: // half-width voicing
	case r >= 0x1f1e6 && r <= 0x1f1ff: // regional indicators
	case r >= 0x1f3fb && r <= 0x1f3ff: // emoji modifiers
	case r == 0x0d4e, r == 0x111c2, r == 0x111c3, r == 0x113d1, r == 0x1193f, r == 0x11941,
		r >= 0x11a84 && r <= 0x11a89, r == 0x11a3a, r == 0x11d46, r == 0x11f02: // letters before another
	default:
		return false
	}
	return true
}

// Wrap breaks s into lines of at most w cells, at spaces where it can. A width
// below 8 is taken for 8.
func Wrap(s string, w int) []string {
	w = max(w, 8)
	var lines []string
	for Width(s) > w {
		space, end, x := -1, 0, 0
		for i, r := range s {
			_, n := glyph(r)
			if x+n > w {
				if r == ' ' {
					space = i
				}
				break
			}
			if r == ' ' && i > 0 {
				space = i
			}
			x += n
			_, size := utf8.DecodeRuneInString(s[i:])
			end = i + size
		}
		if space > 0 {
			end = space
		}
		lines = append(lines, s[:end])
		s = strings.TrimPrefix(s[end:], " ")
	}
	return append(lines, s)
}

// Skip returns s without its first n characters.
func Skip(s string, n int) string {
	for i := range s {
		if n <= 0 {
			return s[i:]
		}
		n--
	}
	return ""
}

// AppendVisible appends s as it is drawn, with its stand-ins: for what does not
// go over a canvas, as the title of the window.
func AppendVisible(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		r, _ = glyph(r)
		b = utf8.AppendRune(b, r)
		i += n
	}
	return b
}
