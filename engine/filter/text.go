package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A matcher is a text Value, ready to be met. It allocates nothing.
type matcher struct {
	Value
	ascii bool // Text has no byte above 0x7F
}

func newMatcher(v Value) matcher {
	m := matcher{Value: v, ascii: true}
	if v.Fold && v.Match != Pattern {
		m.Text = foldText(v.Text)
	}
	for i := range len(m.Text) {
		m.ascii = m.ascii && m.Text[i] < utf8.RuneSelf
	}
	return m
}

// foldText returns s as fold leaves each of its characters.
func foldText(s string) string {
	return strings.Map(fold, s)
}

func (m *matcher) matches(s string) bool {
	switch m.Match {
	case Substring:
		if !m.Fold {
			return strings.Contains(s, m.Text)
		}
		return containsFold(s, m.Text, m.ascii)
	case Exact:
		if !m.Fold {
			return s == m.Text
		}
		n, ok := prefixFold(s, m.Text)
		return ok && n == len(s)
	case Glob:
		return glob(s, m.Text, m.Fold)
	case Pattern:
		return m.pattern.MatchString(s)
	}
	return fuzzy(s, m.Text, m.Fold)
}

// hasUpper reports whether s has an upper-case letter, which makes a search
// regard case.
func hasUpper(s string) bool {
	for _, r := range s {
		if unicode.IsUpper(r) {
			return true
		}
	}
	return false
}

func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	return unicode.ToLower(r)
}

// prefixFold reports whether s begins with folded, which is of folded
// characters, and how long that prefix of s is.
func prefixFold(s, folded string) (int, bool) {
	i := 0
	for _, want := range folded {
		if i >= len(s) {
			return 0, false
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if fold(r) != want {
			return 0, false
		}
		i += size
	}
	return i, true
}

func containsFold(s, folded string, ascii bool) bool {
	if folded == "" {
		return true
	}
	if ascii {
		return containsASCII(s, folded)
	}
	for i := range s {
		if _, ok := prefixFold(s[i:], folded); ok {
			return true
		}
	}
	return false
}

// containsASCII is containsFold for a text of plain bytes. The two letters
// beyond ASCII that fold to one of it (the Kelvin sign, the dotted I) don't
// count.
func containsASCII(s, folded string) bool {
	first := folded[0]
	for i := 0; i+len(folded) <= len(s); i++ {
		if lower(s[i]) != first {
			continue
		}
		n := 1
		for n < len(folded) && lower(s[i+n]) == folded[n] {
			n++
		}
		if n == len(folded) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// glob reports whether pattern matches the whole of s, in time proportional to
// the product of their lengths at worst: only the last * is ever tried again.
func glob(s, pattern string, folded bool) bool {
	i, p := 0, 0
	star, resume := -1, 0
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if folded {
			r = fold(r)
		}
		if p < len(pattern) {
			want, width := utf8.DecodeRuneInString(pattern[p:])
			if want == '*' {
				star, resume = p, i
				p += width
				continue
			}
			if want == '?' || want == r {
				p += width
				i += size
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, size = utf8.DecodeRuneInString(s[resume:])
		resume += size
		i, p = resume, star+1
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// fuzzy reports whether s has every character of want, in order.
func fuzzy(s, want string, folded bool) bool {
	for _, r := range s {
		if want == "" {
			break
		}
		if folded {
			r = fold(r)
		}
		if first, size := utf8.DecodeRuneInString(want); first == r {
			want = want[size:]
		}
	}
	return want == ""
}
