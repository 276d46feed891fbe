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
// not allocate when there is nothing to change: what is to be kept is then
// target itself, which must not be part of something larger.
//
// Names are matched percent-decoded. Inside a value, what follows ';', '#' or
// '?' counts as another parameter, since some origins read it as one.
func Target(target string) string {
	query := strings.IndexByte(target, '?')
	if fragment := strings.IndexByte(target, '#'); fragment >= 0 && (query < 0 || fragment < query) {
		query = fragment
	}
	from, to := 0, 0
	if strings.IndexByte(target, '@') >= 0 {
		from, to = userinfo(target)
	}
	if query < 0 && from == to {
		return engine.Bound(target)
	}

	c := cutter{source: target}
	if from < to {
		c.replace(from, to, "")
		query = max(query, to-1)
	}
	if query >= 0 {
		c.maskQuery(query + 1)
	}
	return c.finish()
}

// Method returns what a record may hold of a method, at most engine.MaxText
// bytes. Parsers cut a method out of the head that it came in, so a record that
// held it as it is would hold the whole head for as long as it is kept.
func Method(method string) string {
	switch method {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "HEAD":
		return "HEAD"
	case "PATCH":
		return "PATCH"
	case "DELETE":
		return "DELETE"
	case "OPTIONS":
		return "OPTIONS"
	case "CONNECT":
		return "CONNECT"
	}
	return strings.Clone(engine.Bound(method))
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
	authority, rest := target[from:], ""
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority, rest = authority[:i], authority[i:]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 && !hasPort(authority) {
		// A password with a raw '/', '?' or '#' in it makes no valid target, but
		// what is recorded of an invalid one must not show it.
		if i := strings.LastIndexByte(rest, '@'); i >= 0 {
			at = len(authority) + i
		}
	}
	return from, from + at + 1
}

// hasPort reports whether an authority's port is absent, empty or a number.
func hasPort(authority string) bool {
	port := authority[strings.LastIndexByte(authority, ':')+1:]
	if len(port) == len(authority) || strings.HasSuffix(authority, "]") {
		return true
	}
	return strings.Trim(port, "0123456789") == ""
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

// A cutter copies source with pieces replaced, as far as it can be seen. Its
// buffer is an array so that it stays on the stack.
type cutter struct {
	source string
	copied int // bytes of source that stand in buffer, or were replaced
	cut    bool
	length int // of what is in buffer; MaxText + 1 says that there was more
	buffer [engine.MaxText + 1]byte
}

// visible reports whether what stands at an offset of source, not copied yet,
// can be in the result.
func (c *cutter) visible(at int) bool { return c.length+at-c.copied < engine.MaxText }

// replace puts with in the place of source[from:to]. It is called in order.
func (c *cutter) replace(from, to int, with string) {
	c.append(c.source[c.copied:from])
	c.append(with)
	c.copied, c.cut = to, true
}

func (c *cutter) append(s string) { c.length += copy(c.buffer[c.length:], s) }

func (c *cutter) finish() string {
	if !c.cut {
		return engine.Bound(c.source)
	}
	c.append(c.source[c.copied:])
	end := c.length
	if end > engine.MaxText {
		end = engine.MaxText
		for end > engine.MaxText-4 && c.buffer[end]&0xC0 == 0x80 {
			end--
		}
	}
	return string(c.buffer[:end])
}

// maskQuery replaces the values of secret parameters from at on.
func (c *cutter) maskQuery(at int) {
	for at < len(c.source) && c.visible(at) {
		end := len(c.source)
		if i := strings.IndexByte(c.source[at:], '&'); i >= 0 {
			end = at + i
		}
		// A value that begins beyond MaxText bytes can't be seen.
		if value := secretValue(c.source[at:min(end, at+engine.MaxText)]); value >= 0 {
			if from := at + value; from < end && c.source[from:end] != mask {
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
		end := at
		for end < len(pair) && pair[end] != ';' && pair[end] != '#' && pair[end] != '?' {
			end++
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
		switch first := name[at] | 0x20; first {
		case '%': // any letter
			for _, word := range secretWords {
				if hasWord(name[at:], word) {
					return true
				}
			}
		case 't', 'k', 's', 'p', 'c':
			for _, word := range secretWords {
				if word[0] == first && hasWord(name[at:], word) {
					return true
				}
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
