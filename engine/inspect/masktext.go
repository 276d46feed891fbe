package inspect

import "bytes"

// maskNamed masks what looks like a secret in any text: lines and pairs as in
// "name: value" and "name=value", elements and attributes as in XML and HTML.
func maskNamed(text []byte) []byte { return maskPairs(maskTags(text)) }

// A splice is data with parts replaced.
type splice struct {
	data   []byte
	out    []byte
	copied int
	done   bool
}

// mask replaces data[from:to]. It is called in order.
func (s *splice) mask(from, to int) {
	if from < s.copied || from >= to {
		return
	}
	s.out = append(append(s.out, s.data[s.copied:from]...), Masked...)
	s.copied, s.done = to, true
}

func (s *splice) result() []byte {
	if !s.done {
		return s.data
	}
	return append(s.out, s.data[s.copied:]...)
}

// maskPairs masks values after names: "token=x", "api-key: x", 'password' => 'x',
// and the same inside of a string of JSON, whose quotes are escaped.
func maskPairs(text []byte) []byte {
	s := splice{data: text}
	for at := 0; at < len(text); {
		if !isWordByte(text[at]) {
			at++
			continue
		}
		from := at
		for at < len(text) && isWordByte(text[at]) {
			at++
		}
		const longest = 128
		value, colon := afterName(text, at)
		if value < 0 || !Secret(string(text[max(from, at-longest):at])) {
			continue
		}
		first, stop := beginsLine(text, from)
		quoted := skipQuote(text, value) > value
		if !first && !quoted && (colon || text[at] != '=' || text[value-1] != '=') {
			continue // prose, or an expression
		}
		if !colon || !first {
			stop = 0
		}
		start, end := valueOf(text, value, stop)
		s.mask(start, end)
		at = max(at, end)
	}
	return s.result()
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.' || c >= 0x80
}

// afterName returns where a value begins after a name that ends at at, -1 if none
// does, and whether a colon stands before it.
func afterName(text []byte, at int) (value int, colon bool) {
	at = skipQuote(text, at)
	at = skipBlank(text, at)
	if at >= len(text) || text[at] != '=' && text[at] != ':' {
		return -1, false
	}
	colon = text[at] == ':'
	if at++; at < len(text) && (text[at] == '>' && !colon || text[at] == '=') {
		at++
	}
	at = skipBlank(text, at)
	if at >= len(text) || text[at] == '\n' || text[at] == '\r' {
		return -1, false
	}
	return at, colon
}

// valueOf returns where the value at at begins and ends: in quotes, else with a
// stop there or at the end of the line, else after one word and what follows a
// scheme of authentication.
func valueOf(text []byte, at int, stop byte) (from, to int) {
	if quoted := skipQuote(text, at); quoted > at {
		mark := text[at:quoted]
		if i := bytes.Index(text[quoted:], mark); i >= 0 {
			return quoted, quoted + i
		}
		return quoted, len(text)
	}
	to = wordEnd(text, at, stop)
	if stop != 0 {
		return at, to
	}
	switch string(bytes.ToLower(text[at:to])) {
	case "bearer", "basic", "digest", "token", "negotiate", "apikey":
		if next := skipBlank(text, to); next > to {
			to = wordEnd(text, next, 0)
		}
	}
	return at, to
}

// wordEnd returns where a value without quotes ends. An escape is not torn apart.
func wordEnd(text []byte, at int, stop byte) int {
	for at < len(text) {
		switch c := text[at]; {
		case c == '\n' || c == '\r' || c == stop:
			return at
		case c == '\\':
			if at+1 == len(text) || bytes.IndexByte([]byte(`nrt"'`), text[at+1]) >= 0 {
				return at
			}
			at++
		case stop != 0:
		case c == ' ' || c == '\t' || bytes.IndexByte([]byte(`&;,<>"')]}`), c) >= 0:
			return at
		}
		at++
	}
	return at
}

// skipQuote returns what stands behind a quote, escaped or not.
func skipQuote(text []byte, at int) int {
	next := at
	for next < len(text) && text[next] == '\\' && next-at < 8 {
		next++
	}
	if next < len(text) && (text[next] == '"' || text[next] == '\'') {
		return next + 1
	}
	return at
}

func skipBlank(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// beginsLine reports whether nothing but blanks stands before at on its line, or a
// quote, which then ends the line.
func beginsLine(text []byte, at int) (begins bool, stop byte) {
	if at > 0 && (text[at-1] == '"' || text[at-1] == '\'') {
		return true, text[at-1]
	}
	for at--; at >= 0 && (text[at] == ' ' || text[at] == '\t'); at-- {
	}
	return at < 0 || text[at] == '\n' || text[at] == '\r', '\n'
}

// maskTags masks the content of elements and the values of attributes.
func maskTags(text []byte) []byte {
	s := splice{data: text}
	for at := 0; at < len(text); {
		i := bytes.IndexByte(text[at:], '<')
		if i < 0 {
			break
		}
		at += i + 1
		from := at
		for at < len(text) && (isWordByte(text[at]) || text[at] == ':') {
			at++
		}
		if at == from {
			continue
		}
		name := text[from:at]
		secret := Secret(string(name))
		at = s.attributes(at, secret)
		if !secret || at >= len(text) || text[at] != '>' || text[at-1] == '/' {
			continue
		}
		at++
		const most = 4 << 10 // that an element may hold: not all is searched for each
		end := bytes.Index(text[at:min(at+most, len(text))], append([]byte("</"), name...))
		if end < 0 {
			if end = bytes.IndexByte(text[at:], '<'); end < 0 {
				end = len(text) - at
			}
		}
		if len(bytes.TrimSpace(text[at:at+end])) > 0 {
			s.mask(at, at+end)
		}
		at += end
	}
	return s.result()
}

// attributes masks those of a tag and returns where it ends. Names may stand in a
// value: <input name="token" value="x">.
func (s *splice) attributes(at int, secret bool) int {
	const most = 64
	type attribute struct {
		from, to      int
		masked, value bool
	}
	var list [most]attribute
	n := 0
	for at < len(s.data) && s.data[at] != '>' && s.data[at] != '<' {
		if !isWordByte(s.data[at]) {
			at++
			continue
		}
		from := at
		for at < len(s.data) && isWordByte(s.data[at]) {
			at++
		}
		name := string(bytes.ToLower(s.data[from:min(at, from+128)]))
		start, colon := afterName(s.data, at)
		if start < 0 || colon {
			continue
		}
		start, end := valueOf(s.data, start, 0)
		at = max(end, at)
		if at < len(s.data) && (s.data[at] == '"' || s.data[at] == '\'') {
			at++
		}
		if n == most {
			continue
		}
		names := name == "name" || name == "key" || name == "id" || name == "property"
		secret = secret || names && Secret(string(s.data[start:end]))
		list[n] = attribute{start, end, !names && Secret(name), name == "value" || name == "content"}
		n++
	}
	for _, a := range list[:n] {
		if a.masked || secret && a.value {
			s.mask(a.from, a.to)
		}
	}
	return at
}
