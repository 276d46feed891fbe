package inspect

import (
	"bytes"
	"encoding/json"

	"adit/engine/observe"
)

// MaskForm returns a form (application/x-www-form-urlencoded) or a query with
// the values masked whose names say that they are secret.
func MaskForm(data []byte) []byte {
	b := make([]byte, 0, len(data))
	for len(data) > 0 {
		pair, rest, more := bytes.Cut(data, []byte{'&'})
		data = rest
		name, value, ok := bytes.Cut(pair, []byte{'='})
		b = append(b, name...)
		if ok {
			b = append(b, '=')
			if len(value) > 0 && secretParameter(name) {
				b = append(b, Masked...)
			} else {
				b = append(b, value...)
			}
		}
		if more {
			b = append(b, '&')
		}
	}
	return b
}

// secretParameter reports whether a parameter of that name, percent-encoded, is
// masked: by the words of a query and by those of fields.
func secretParameter(name []byte) bool {
	const most = 256
	if len(name) > most {
		return true
	}
	probe := "/?" + string(name) + "=v"
	return observe.Target(probe) != probe || Secret(unescaped(name))
}

// MaskJSON returns JSON, or the beginning of it, with the values of members
// masked whose names say that they are secret, whatever they are: a string, a
// number, an object. What is no JSON comes back as it is, as far as nothing in
// it looks like such a member.
func MaskJSON(data []byte) []byte {
	var b []byte
	copied := 0
	for at := 0; at < len(data); {
		if data[at] != '"' {
			at++
			continue
		}
		end := stringEnd(data, at)
		colon := skipSpace(data, end)
		if colon >= len(data) || data[colon] != ':' || !secretMember(data[at:end]) {
			at = end
			continue
		}
		from := skipSpace(data, colon+1)
		to := valueEnd(data, from)
		if to > from {
			b = append(append(b, data[copied:from]...), `"`+Masked+`"`...)
			copied = to
		}
		at = max(to, end)
	}
	if copied == 0 {
		return data
	}
	return append(b, data[copied:]...)
}

// secretMember reports whether a name, in quotes as it stands in JSON, says
// secret.
func secretMember(quoted []byte) bool {
	const most = 256
	if len(quoted) > most {
		return true // nobody knows
	}
	if bytes.IndexByte(quoted, '\\') >= 0 {
		return Secret(unquoteJSON(quoted))
	}
	return Secret(string(quoted))
}

// stringEnd returns where the string that begins at from ends, after its quote;
// the end of the data if it is cut.
func stringEnd(data []byte, from int) int {
	for i := from + 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// valueEnd returns where the JSON value that begins at from ends: an object or
// an array with all that is in it.
func valueEnd(data []byte, from int) int {
	depth := 0
	for i := from; i < len(data); {
		switch data[i] {
		case '"':
			i = stringEnd(data, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(data)
}

func skipSpace(data []byte, at int) int {
	for at < len(data) && isSpace(data[at]) {
		at++
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// unescaped undoes percent-encoding as far as it is valid, and '+'.
func unescaped(s []byte) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '%' && i+2 < len(s) && hexValue(s[i+1]) >= 0 && hexValue(s[i+2]) >= 0:
			b = append(b, byte(hexValue(s[i+1])<<4|hexValue(s[i+2])))
			i += 2
		case s[i] == '+':
			b = append(b, ' ')
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// unquoteJSON returns what a JSON string stands for, as far as it is valid.
func unquoteJSON(quoted []byte) string {
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return string(quoted)
	}
	return s
}
