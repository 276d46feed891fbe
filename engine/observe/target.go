package observe

import (
	"strings"

	"adit/engine"
)

// mask stands for a value that must not be recorded.
const mask = "***"

// secretWords make a query parameter secret when its name contains one.
var secretWords = [...]string{"token", "key", "secret", "password", "signature", "code"}

// Target returns what a record may hold of a request target: user information
// removed, query values masked whose names contain (in any case) token, key,
// secret, password, signature or code, at most engine.MaxText bytes. It does
// not allocate when there is nothing to change.
//
// Names are matched percent-decoded. Inside a value, what follows ';', '#' or
// '?' counts as another parameter, since some origins read it as one.
func Target(target string) string {
	c := cutter{source: target}
	if from, to := userinfo(target); from < to {
		c.replace(from, to, "")
	}
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		c.maskQuery(i + 1)
	}
	return c.finish()
}

// userinfo returns where the user information of an absolute-form or
// authority-form target stands, its '@' included; nothing if from == to.
func userinfo(target string) (from, to int) {
	if target == "" || target[0] == '/' {
		return 0, 0
	}
	if i := strings.Index(target, "://"); i > 0 && isScheme(target[:i]) {
		from = i + len("://")
	}
	authority := target[from:]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	return from, from + strings.LastIndexByte(authority, '@') + 1
}

// isScheme reports whether s could be a scheme (RFC 3986 §3.1).
func isScheme(s string) bool {
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= s[i] && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		default:
			return false
		}
	}
	return true
}

// A cutter copies source with pieces replaced, up to MaxText bytes, and
// allocates only if there are any.
type cutter struct {
	source string
	copied int // bytes of source that out stands for
	out    []byte
	buffer [engine.MaxText + 1]byte
}

// full reports whether nothing that follows can be seen.
func (c *cutter) full() bool { return len(c.out) > engine.MaxText }

// replace puts with in the place of source[from:to]. It is called in order.
func (c *cutter) replace(from, to int, with string) {
	if c.out == nil {
		c.out = c.buffer[:0]
	}
	c.append(c.source[c.copied:from])
	c.append(with)
	c.copied = to
}

func (c *cutter) append(s string) {
	c.out = append(c.out, s[:min(len(s), cap(c.out)-len(c.out))]...)
}

func (c *cutter) finish() string {
	if c.out == nil {
		return engine.Bound(c.source)
	}
	c.append(c.source[c.copied:])
	end := len(c.out)
	if c.full() {
		end = engine.MaxText
		for end > engine.MaxText-4 && c.out[end]&0xC0 == 0x80 {
			end--
		}
	}
	return string(c.out[:end])
}

// maskQuery replaces the values of secret parameters from at on.
func (c *cutter) maskQuery(at int) {
	for at < len(c.source) && !c.full() && (c.out != nil || at <= engine.MaxText) {
		end := len(c.source)
		if i := strings.IndexByte(c.source[at:], '&'); i >= 0 {
			end = at + i
		}
		if value := secretValue(c.source[at:end]); value >= 0 {
			if from := at + value; c.source[from:end] != mask && from < end {
				c.replace(from, end, mask)
			}
		}
		at = end + 1
	}
}

// secretValue returns where a secret value begins in a pair, or -1. It reaches
// to the end of the pair even where a separator stands in it: not every origin
// separates there.
func secretValue(pair string) int {
	for at := 0; ; {
		end := len(pair)
		if i := strings.IndexAny(pair[at:], ";#?"); i >= 0 {
			end = at + i
		}
		if i := strings.IndexByte(pair[at:end], '='); i >= 0 && isSecret(pair[at:at+i]) {
			return at + i + 1
		}
		if at = end + 1; at >= len(pair) {
			return -1
		}
	}
}

// isSecret reports whether a parameter of that name is secret.
func isSecret(name string) bool {
	for at := range len(name) {
		for _, word := range secretWords {
			if hasWord(name[at:], word) {
				return true
			}
		}
	}
	return false
}

// hasWord reports whether s begins with word when percent-decoded and in lower
// case.
func hasWord(s, word string) bool {
	for i := range len(word) {
		if s == "" {
			return false
		}
		c := s[0]
		if c == '%' && len(s) >= 3 && isHex(s[1]) && isHex(s[2]) {
			c = unhex(s[1])<<4 | unhex(s[2])
			s = s[2:]
		}
		if lower(c) != word[i] {
			return false
		}
		s = s[1:]
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lower(c) && lower(c) <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}
