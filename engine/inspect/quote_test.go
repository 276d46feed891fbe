package inspect_test

import (
	"strings"
	"testing"

	"adit/engine/inspect"
)

// unquote reads one word as a POSIX shell does (2.2.2); ok is false if anything
// would stand outside of it.
func unquote(s string) (word string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return "", false
			}
			b.WriteString(s[i+1 : i+1+end])
			i += end + 1
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case strings.IndexByte(" \t\n|&;<>()$`\"*?[]#~{}!", c) >= 0:
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

func FuzzQuoteIsOneWord(f *testing.F) {
	for _, s := range []string{"", "plain", "it's", "$(rm -rf /)", "a\nb", "`x`", "\x1b[2J", "\\", "'", "''", "-n", "ü", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := inspect.Quote(s)
		word, ok := unquote(quoted)
		if !ok || strings.ContainsAny(quoted, "\r\x1b\x00") {
			t.Fatalf("%q is not one harmless word: %q", s, quoted)
		}
		if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0xfffd }) && word != s {
			t.Errorf("%q became %q", s, word)
		}
	})
}
