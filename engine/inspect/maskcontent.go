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

// MaskText returns text of a kind with what says by its name that it is secret
// masked: members of JSON, pairs of a form, parts of a multipart, and in any text
// parameters and user information of URLs.
func MaskText(kind Kind, text []byte) []byte {
	start := skipSpace(text, 0)
	switch {
	case kind == KindMultipart:
		return maskMultipart(text)
	case kind == KindForm && (start == len(text) || text[start] != '{' && text[start] != '['): // what curl -d says of JSON
		text = MaskForm(text)
	default:
		text = MaskJSON(text)
	}
	if kind == KindText || kind == KindXML || kind == KindEvents {
		text = maskNamed(text)
	}
	return maskLoose(text)
}

// maskLoose masks what can stand anywhere in text: name=value after what begins
// or joins parameters, and user information of URLs. JSON stays JSON.
func maskLoose(text []byte) []byte {
	var b []byte
	copied := 0
	mask := func(from, to int) {
		b = append(append(b, text[copied:from]...), Masked...)
		copied = to
	}
	for at := 0; at < len(text); at++ {
		i := bytes.IndexAny(text[at:], "=:")
		if i < 0 {
			break
		}
		if at += i; text[at] == ':' {
			from, to, end := userinfoAfter(text, at+1)
			if from < to {
				mask(from, to)
			}
			at = max(at, end-1)
			continue
		}
		name := parameterBefore(text, at)
		if len(name) == 0 || !secretParameter(name) {
			continue
		}
		if to := parameterEnd(text, at+1); to > at+1 {
			mask(at+1, to)
			at = to - 1
		}
	}
	if copied == 0 {
		return text
	}
	return append(b, text[copied:]...)
}

// parameterBefore returns the name of the parameter whose '=' stands at end; nil
// if it is none.
func parameterBefore(text []byte, end int) []byte {
	const most = 128
	from := end
	for from > 0 && end-from < most && isNameByte(text[from-1]) {
		from--
	}
	name := text[from:end]
	switch {
	case from == 0, bytes.IndexByte([]byte("?&;#"), text[from-1]) >= 0:
		return name
	case text[from-1] == '\\' && bytes.HasPrefix(name, []byte("u0026")): // '&', as some write JSON
		return name[len("u0026"):]
	}
	return nil
}

func isNameByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0x80 || bytes.IndexByte([]byte("-_.~%[]$+:"), c) >= 0
}

// parameterEnd returns where the value of a parameter ends that begins at from.
func parameterEnd(text []byte, from int) int {
	for i := from; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && text[i+1] == '/':
			i++
		case c <= ' ', bytes.IndexByte([]byte("\"'<>&#;\\`"), c) >= 0:
			return i
		}
	}
	return len(text)
}

// userinfoAfter returns where the user information stands in the authority after
// the ':' of a URL before at, if there is any, and where the authority ends.
func userinfoAfter(text []byte, at int) (from, to, end int) {
	switch {
	case bytes.HasPrefix(text[at:], []byte("//")):
		from = at + len("//")
	case bytes.HasPrefix(text[at:], []byte(`\/\/`)): // as some write JSON
		from = at + len(`\/\/`)
	default:
		return at, at, at
	}
	to, end = from, from
	for ; end < len(text) && text[end] > ' ' && bytes.IndexByte([]byte("\"'<>/?#\\`"), text[end]) < 0; end++ {
		if text[end] == '@' {
			to = end
		}
	}
	return from, to, end
}

// maskMultipart masks the parts whose names say that they are secret, and in the
// others, where they are text, what their types have. The boundary is that of the
// first line.
func maskMultipart(data []byte) []byte {
	line, _, _ := bytes.Cut(data, []byte{'\n'})
	boundary := bytes.TrimRight(line, " \t\r")
	if len(boundary) < 3 || !bytes.HasPrefix(boundary, []byte("--")) {
		return data
	}
	var b []byte
	for rest := data; ; {
		// What begins here is a boundary, a head, an empty line and a content.
		next := bytes.Index(rest[len(boundary):], append([]byte{'\n'}, boundary...))
		part, more := rest, next >= 0
		if more {
			part = rest[:len(boundary)+next+1]
		}
		b = append(b, maskPart(part)...)
		if !more {
			break
		}
		rest = rest[len(part):]
	}
	if bytes.Equal(b, data) {
		return data
	}
	return b
}

func maskPart(part []byte) []byte {
	at := bytes.Index(part, []byte("\r\n\r\n")) + len("\r\n\r\n")
	if at < len("\r\n\r\n") {
		if at = bytes.Index(part, []byte("\n\n")) + len("\n\n"); at < len("\n\n") {
			return part
		}
	}
	head, content := part[:at], part[at:]
	end := len(content)
	for end > 0 && (content[end-1] == '\n' || content[end-1] == '\r') && len(content)-end < 2 {
		end--
	}
	lines := string(head)
	_, disposition := MediaType(Get(lines, "content-disposition"))
	shown := content[:end]
	if name := disposition["name"]; len(shown) > 0 && (secretParameter([]byte(name)) || Secret(name)) {
		shown = []byte(Masked)
	} else if media, _ := MediaType(Get(lines, "content-type")); looksLikeText(shown) {
		if kind := KindOf(media, shown); kind != KindMultipart && kind != KindBinary && kind != KindImage {
			shown = MaskText(kind, shown)
		}
	}
	return append(append(bytes.Clone(head), shown...), content[end:]...)
}

// MaskJSON returns JSON, or the beginning of it, with the values of members
// masked whose names say that they are secret, whatever they are: a string, a
// number, an object. What is no JSON comes back as it is, as far as nothing in
// it looks like such a member.
func MaskJSON(data []byte) []byte { return maskJSON(data, 0) }

// maxNested is how deep JSON in strings of JSON is looked into.
const maxNested = 3

// maskNested masks JSON that is written as a string of JSON; nil where there is
// nothing to mask.
func maskNested(quoted []byte, depth int) []byte {
	if depth == maxNested || !bytes.Contains(quoted, []byte(`\"`)) {
		return nil
	}
	whole := len(quoted) > 1 && quoted[len(quoted)-1] == '"'
	var s string
	if !whole || json.Unmarshal(quoted, &s) != nil {
		// Cut: as far as it goes.
		cut := bytes.TrimRight(quoted, `\`)
		if whole = json.Unmarshal(append(bytes.Clone(cut), '"'), &s) == nil; !whole {
			return nil
		}
		whole = false
	}
	if start := skipSpace([]byte(s), 0); start == len(s) || s[start] != '{' && s[start] != '[' {
		return nil
	}
	shown := maskJSON([]byte(s), depth+1)
	if string(shown) == s {
		return nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(string(shown)) != nil {
		return nil
	}
	again := bytes.TrimRight(out.Bytes(), "\n")
	if !whole {
		again = again[:len(again)-1]
	}
	return again
}

func maskJSON(data []byte, depth int) []byte {
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
			if inner := maskNested(data[at:end], depth); inner != nil {
				b = append(append(b, data[copied:at]...), inner...)
				copied = end
			}
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
