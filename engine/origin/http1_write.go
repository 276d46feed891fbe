package origin

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

var (
	errRequestLine  = errors.New("method or target is not valid")
	errRequestField = errors.New("field is not valid")
)

// appendHead appends r's head (RFC 9112 §3) and reports whether it asks for 100
// Continue before content. Nothing is invented but what frames the content.
func appendHead(b []byte, r *Request) (head []byte, expects bool, err error) {
	if r.Method == "" || !all(r.Method, tokenByte) || r.Path == "" || !all(r.Path, plainByte) || !all(r.Host, plainByte) {
		return b, false, errRequestLine
	}
	content := hasContent(r)
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, '\r', '\n')
	for i := range r.Fields {
		f := &r.Fields[i]
		if !all(f.Name, tokenByte) || !isValue(f.Value) || f.Name == "" {
			return b, false, errRequestField
		}
		switch len(f.Name) {
		case 4, 7, 10, 14, 16, 17:
			if ofConnection(f.Name) {
				continue
			}
			if strings.EqualFold(f.Name, "Trailer") {
				if content && r.Length < 0 && r.Trailers != nil {
					b = appendTrailerNames(b, f.Value)
				}
				continue
			}
		case 6:
			if strings.EqualFold(f.Name, "Expect") {
				if !content {
					continue
				}
				expects = expects || httpguts.HeaderValuesContainsToken([]string{f.Value}, "100-continue")
			}
		}
		b = appendField(b, f.Name, f.Value)
	}
	switch {
	case r.Upgrade != "":
		if !isValue(r.Upgrade) {
			return b, false, errRequestField
		}
		b = append(b, "Connection: Upgrade\r\nUpgrade: "...)
		b = append(b, r.Upgrade...)
		b = append(b, '\r', '\n')
	case content && r.Length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case content:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.Length, 10)
		b = append(b, '\r', '\n')
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...) // RFC 9110 §8.6
	}
	return append(b, '\r', '\n'), expects, nil
}

func hasContent(r *Request) bool { return r.Content != nil && r.Length != 0 && r.Upgrade == "" }

// ofConnection reports whether a field is written by the transport alone.
func ofConnection(name string) bool {
	return strings.EqualFold(name, "Host") || strings.EqualFold(name, "Upgrade") ||
		strings.EqualFold(name, "Connection") || strings.EqualFold(name, "Keep-Alive") || strings.EqualFold(name, "Proxy-Connection") ||
		strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding")
}

// appendField appends a field line, its name spelled as net/http does: there
// are origins that look for nothing else.
func appendField(b []byte, name, value string) []byte {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		} else if !upper && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		upper = c == '-'
		b = append(b, c)
	}
	b = append(b, ':', ' ')
	b = append(b, value...)
	return append(b, '\r', '\n')
}

// appendTrailerNames appends a Trailer field with those of the announced names
// that may stand in a trailer section.
func appendTrailerNames(b []byte, names string) []byte {
	var kept []string
	for name := range strings.SplitSeq(names, ",") {
		name = trimSpace(name)
		if httpguts.ValidTrailerHeader(name) && httpguts.ValidHeaderFieldName(name) {
			kept = append(kept, http.CanonicalHeaderKey(name))
		}
	}
	if kept == nil {
		return b
	}
	return appendField(b, "Trailer", strings.Join(kept, ", "))
}
