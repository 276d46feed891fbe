package wire

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep objects and arrays nest, in what is ignored too.
const maxDepth = 32

// A jsonReader reads RFC 8259 text more strictly than encoding/json: member
// names match exactly, strings are valid Unicode, numbers are integers where
// one is asked for, and nothing follows the value. Strings without escapes are
// substrings of the text.
type jsonReader struct {
	s     string
	i     int
	depth int
}

func newJSONReader(text []byte, limit int) (*jsonReader, *ruleError) {
	if len(text) > limit {
		return nil, tooBig("text message above its limit")
	}
	if !utf8.Valid(text) {
		return nil, framing("text is not UTF-8")
	}
	return &jsonReader{s: string(text)}, nil
}

// peek returns the next byte that is not white space, or 0 at the end.
func (r *jsonReader) peek() byte {
	for r.i < len(r.s) {
		switch c := r.s[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

func (r *jsonReader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.i++
	return true
}

// end checks that nothing follows.
func (r *jsonReader) end() *ruleError {
	r.peek()
	if r.i < len(r.s) {
		return framing("bytes after the json value")
	}
	return nil
}

func (r *jsonReader) open(c byte) *ruleError {
	if !r.take(c) {
		return framing("json value of another type")
	}
	if r.depth++; r.depth > maxDepth {
		return framing("json too deep")
	}
	return nil
}

// object calls member for each member, which reads or skips its value.
func (r *jsonReader) object(member func(name string) *ruleError) *ruleError {
	if err := r.open('{'); err != nil {
		return err
	}
	if r.take('}') {
		r.depth--
		return nil
	}
	for {
		name, err := r.str()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return framing("broken json")
		}
		if err := member(name); err != nil {
			return err
		}
		if r.take(',') {
			continue
		}
		if !r.take('}') {
			return framing("broken json")
		}
		r.depth--
		return nil
	}
}

// array calls element at each element, which reads or skips it.
func (r *jsonReader) array(element func() *ruleError) *ruleError {
	if err := r.open('['); err != nil {
		return err
	}
	if r.take(']') {
		r.depth--
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if r.take(',') {
			continue
		}
		if !r.take(']') {
			return framing("broken json")
		}
		r.depth--
		return nil
	}
}

// str reads a string.
func (r *jsonReader) str() (string, *ruleError) {
	if !r.take('"') {
		return "", framing("json value of another type")
	}
	start := r.i
	for r.i < len(r.s) {
		switch c := r.s[r.i]; {
		case c == '"':
			r.i++
			return r.s[start : r.i-1], nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", framing("control character in a json string")
		}
		r.i++
	}
	return "", framing("broken json")
}

// escaped reads on at the first escape of a string that began at start.
func (r *jsonReader) escaped(start int) (string, *ruleError) {
	var b strings.Builder
	for {
		run := r.i
		for run < len(r.s) && r.s[run] != '"' && r.s[run] != '\\' && r.s[run] >= ' ' {
			run++
		}
		b.WriteString(r.s[start:run])
		r.i = run
		if run == len(r.s) || r.s[run] < ' ' {
			return "", framing("broken json")
		}
		r.i++
		if r.s[run] == '"' {
			return b.String(), nil
		}
		c, err := r.escape()
		if err != nil {
			return "", err
		}
		b.WriteRune(c)
		start = r.i
	}
}

// escape reads what follows a backslash.
func (r *jsonReader) escape() (rune, *ruleError) {
	if r.i == len(r.s) {
		return 0, framing("broken json")
	}
	c := r.s[r.i]
	r.i++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return r.unicode()
	}
	return 0, framing("broken json")
}

// unicode reads the digits of \u, and a second escape for a surrogate pair.
func (r *jsonReader) unicode() (rune, *ruleError) {
	high, ok := r.hex4()
	if !ok {
		return 0, framing("broken json")
	}
	if !utf16.IsSurrogate(high) {
		return high, nil
	}
	if strings.HasPrefix(r.s[r.i:], `\u`) {
		r.i += 2
		if low, ok := r.hex4(); ok {
			if c := utf16.DecodeRune(high, low); c != utf8.RuneError {
				return c, nil
			}
		}
	}
	return 0, framing("lone surrogate in a json string")
}

func (r *jsonReader) hex4() (rune, bool) {
	if len(r.s)-r.i < 4 {
		return 0, false
	}
	var v rune
	for range 4 {
		c := r.s[r.i]
		r.i++
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			v = v<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// integer reads a number without fraction and exponent.
func (r *jsonReader) integer() (int64, *ruleError) {
	c := r.peek()
	if c != '-' && (c < '0' || c > '9') {
		return 0, framing("json value of another type")
	}
	start := r.i
	whole, ok := r.number()
	if !ok {
		return 0, framing("broken json")
	}
	n, err := strconv.ParseInt(r.s[start:r.i], 10, 64)
	if !whole || err != nil {
		return 0, framing("number is not an integer of 64 bits")
	}
	return n, nil
}

// number passes over a number and reports whether it is a whole one.
func (r *jsonReader) number() (whole, ok bool) {
	if r.i < len(r.s) && r.s[r.i] == '-' {
		r.i++
	}
	first := r.i
	if !r.digits() || r.s[first] == '0' && r.i-first > 1 {
		return false, false
	}
	whole = true
	if r.i < len(r.s) && r.s[r.i] == '.' {
		whole = false
		r.i++
		if !r.digits() {
			return false, false
		}
	}
	if r.i < len(r.s) && r.s[r.i]|0x20 == 'e' {
		whole = false
		r.i++
		if r.i < len(r.s) && (r.s[r.i] == '+' || r.s[r.i] == '-') {
			r.i++
		}
		if !r.digits() {
			return false, false
		}
	}
	return whole, true
}

func (r *jsonReader) digits() bool {
	start := r.i
	for r.i < len(r.s) && '0' <= r.s[r.i] && r.s[r.i] <= '9' {
		r.i++
	}
	return r.i > start
}

// null takes a null if that is next.
func (r *jsonReader) null() bool { return r.peek() == 'n' && r.literal("null") }

func (r *jsonReader) literal(word string) bool {
	if !strings.HasPrefix(r.s[r.i:], word) {
		return false
	}
	r.i += len(word)
	return true
}

// skip passes over a value of any type.
func (r *jsonReader) skip() *ruleError {
	switch r.peek() {
	case '{':
		return r.object(func(string) *ruleError { return r.skip() })
	case '[':
		return r.array(r.skip)
	case '"':
		_, err := r.str()
		return err
	case 't':
		if r.literal("true") {
			return nil
		}
	case 'f':
		if r.literal("false") {
			return nil
		}
	case 'n':
		if r.literal("null") {
			return nil
		}
	default:
		if _, ok := r.number(); ok {
			return nil
		}
	}
	return framing("broken json")
}

// appendJSON appends s as a JSON string. Unlike encoding/json it leaves <, > and
// & alone; like it, it replaces what is not UTF-8 by U+FFFD.
func appendJSON(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size != 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			dst = append(dst, `\ufffd`...)
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendMember appends a comma where one is needed, the name and a colon.
func appendMember(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = appendJSON(dst, name)
	return append(dst, ':')
}
