package origin

import (
	"bytes"
	"errors"
	"math"
	"strings"

	"golang.org/x/net/http/httpguts"

	"adit/engine/wire"
)

// What a response must not be (RFC 9112). No text quotes the response.
var (
	errNoHTTP        = errors.New("the answer is not HTTP/1")
	errBareLF        = errors.New("line of the head without CR")
	errFieldName     = errors.New("field name is no token")
	errFieldValue    = errors.New("field value with a control character")
	errFolded        = errors.New("folded field line")
	errHeadTooBig    = errors.New("head above 64 KiB")
	errManyFields    = errors.New("more than 256 fields")
	errLength        = errors.New("content-length is no length")
	errSecondLength  = errors.New("second content-length")
	errCoding        = errors.New("transfer-encoding is not chunked")
	errCodingLength  = errors.New("transfer-encoding with content-length")
	errCodingVersion = errors.New("transfer-encoding in HTTP/1.0")
	errFramed1xx     = errors.New("informational response with content")
	errMany1xx       = errors.New("more than 8 informational responses")
	errUnasked101    = errors.New("101 to a request without upgrade")
	errNo101Upgrade  = errors.New("101 without upgrade")
)

// A responseHead is a parsed head and what it says about the framing.
type responseHead struct {
	status  int
	old     bool  // HTTP/1.0
	length  int64 // of content-length; -1: there is none
	chunked bool
	close   bool // Connection: close
	keep    bool // Connection: keep-alive
	upgrade bool // Connection: upgrade and an Upgrade field
}

// persistent reports whether the connection may carry another request (RFC 9112
// §9.3).
func (h *responseHead) persistent() bool { return !h.close && (!h.old || h.keep) }

// The classes of bytes in a head.
const (
	tokenByte = 1 << iota // RFC 9110 §5.6.2
	valueByte             // of a field value: no control character but tab
	plainByte             // visible ASCII
)

var byteClasses = func() (classes [256]uint8) {
	for c := range classes {
		switch {
		case c == '\t', c >= ' ' && c != 0x7f:
			classes[c] |= valueByte
		}
		if c > ' ' && c < 0x7f {
			classes[c] |= plainByte
			if !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, rune(c)) {
				classes[c] |= tokenByte
			}
		}
	}
	return classes
}()

// all reports whether every byte of s is of the class.
func all[T string | []byte](s T, class uint8) bool {
	for i := 0; i < len(s); i++ {
		class &= byteClasses[s[i]]
	}
	return class != 0
}

// isValue reports whether s is a field value (RFC 9110 §5.5, with tabs and
// bytes above ASCII). Eight bytes at a time it finds those below a space, and
// DEL; the first look may be wrong only in calling for the second.
func isValue[T string | []byte](s T) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		del := w ^ 0x7f*ones
		if ((w-' '*ones)&^w|(del-ones)&^del)&high != 0 && !all(s[:8], valueByte) {
			return false
		}
	}
	return all(s, valueByte)
}

// parseStatusLine reads HTTP-version SP status-code [SP reason-phrase], without
// its CRLF. Like net/http it lets the second space be missing with the reason:
// there are servers that send it so (RFC 9112 §4 wants it).
func (h *responseHead) parseStatusLine(line []byte) error {
	const least = len("HTTP/1.1 200")
	if len(line) < least || string(line[:7]) != "HTTP/1." || line[8] != ' ' ||
		!isDigit(line[7]) || !isDigit(line[9]) || !isDigit(line[10]) || !isDigit(line[11]) ||
		line[9] == '0' || len(line) > least && line[least] != ' ' || !isValue(line[least:]) {
		return errNoHTTP
	}
	h.old = line[7] == '0'
	h.status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parse reads a head up to and with its empty line; every line was seen to end
// with CRLF. Names are made canonical in place. The fields appended are not of
// this connection alone (RFC 9110 §7.6.1), their strings share one copy of the
// head.
func (h *responseHead) parse(head []byte, fields []field) ([]field, error) {
	*h = responseHead{length: -1}
	end := lineEnd(head, 0)
	if err := h.parseStatusLine(head[:end-2]); err != nil {
		return nil, err
	}
	head = head[end : len(head)-2]
	return h.parseFields(head, fields)
}

// lineEnd returns the index after the first LF at or after i, which is there.
func lineEnd(b []byte, i int) int {
	return i + bytes.IndexByte(b[i:], '\n') + 1
}

func (h *responseHead) parseFields(lines []byte, fields []field) ([]field, error) {
	var room [4]string
	named := room[:0] // values of Connection
	upgrade := -1     // index of the field
	codings := 0
	first := len(fields)
	if err := canonicalLines(lines); err != nil {
		return nil, err
	}
	text := string(lines)
	for len(text) > 0 {
		var name, value string
		name, value, text = cutLine(text)
		switch name {
		case "Connection":
			named = append(named, value)
			continue
		case "Content-Length":
			if h.length >= 0 {
				return nil, errSecondLength
			}
			if h.length = parseLength(value); h.length < 0 {
				return nil, errLength
			}
		case "Transfer-Encoding":
			if codings++; codings > 1 || !strings.EqualFold(value, "chunked") {
				return nil, errCoding
			}
			h.chunked = true
			continue
		case "Upgrade":
			upgrade = len(fields)
		case "Te", "Host", "Keep-Alive", "Proxy-Connection":
			continue
		}
		fields = append(fields, field{Name: name, Value: value})
	}
	switch {
	case h.chunked && h.length >= 0:
		return nil, errCodingLength
	case h.chunked && h.old:
		return nil, errCodingVersion
	}
	h.connection(named, upgrade >= 0)
	if upgrade >= 0 && h.status != 101 || h.names(named) {
		fields = h.withoutNamed(fields, first, named)
	}
	return fields, nil
}

// cutLine takes the first field line off checked ones.
func cutLine(text string) (name, value, rest string) {
	end := strings.IndexByte(text, '\n')
	line := text[:end-1]
	colon := strings.IndexByte(line, ':')
	return line[:colon], trimSpace(line[colon+1:]), text[end+1:]
}

// connection takes what the Connection fields say.
func (h *responseHead) connection(named []string, upgrade bool) {
	if len(named) == 0 {
		return
	}
	h.close = httpguts.HeaderValuesContainsToken(named, "close")
	h.keep = httpguts.HeaderValuesContainsToken(named, "keep-alive")
	h.upgrade = upgrade && httpguts.HeaderValuesContainsToken(named, "upgrade")
}

// names reports whether the Connection fields may name more than the usual.
func (h *responseHead) names(named []string) bool {
	for _, v := range named {
		if !strings.EqualFold(v, "close") && !strings.EqualFold(v, "keep-alive") && !strings.EqualFold(v, "upgrade") {
			return true
		}
	}
	return false
}

func (h *responseHead) withoutNamed(fields []field, first int, named []string) []field {
	kept := fields[:first]
	for _, f := range fields[first:] {
		if f.Name == "Upgrade" {
			if h.status != 101 {
				continue
			}
		} else if httpguts.HeaderValuesContainsToken(named, f.Name) {
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

// canonicalLines checks field lines, each of which ends with CRLF, and spells
// their names as net/http does.
func canonicalLines(lines []byte) error {
	for len(lines) > 0 {
		if lines[0] == ' ' || lines[0] == '\t' {
			return errFolded
		}
		upper := true
		i := 0
		for ; byteClasses[lines[i]]&tokenByte != 0; i++ {
			c := lines[i]
			if upper && 'a' <= c && c <= 'z' {
				lines[i] = c - 'a' + 'A'
			} else if !upper && 'A' <= c && c <= 'Z' {
				lines[i] = c - 'A' + 'a'
			}
			upper = c == '-'
		}
		if i == 0 || lines[i] != ':' {
			return errFieldName
		}
		end := lineEnd(lines, i)
		if !isValue(lines[i+1 : end-2]) {
			return errFieldValue
		}
		lines = lines[end:]
	}
	return nil
}

// trimSpace takes optional whitespace off (RFC 9110 §5.6.3).
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// parseLength reads the value of Content-Length, digits only, or returns -1.
func parseLength(s string) int64 {
	if s == "" {
		return -1
	}
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return -1
		}
		n = n*10 + d
	}
	return n
}

// parseTrailers reads a trailer section without its empty line. What must not
// stand in one (RFC 9110 §6.5.1) is left out.
func parseTrailers(lines []byte) ([]field, error) {
	if bytes.Count(lines, []byte{'\n'}) > wire.MaxFields {
		return nil, errManyFields
	}
	if err := canonicalLines(lines); err != nil {
		return nil, err
	}
	var fields []field
	for text := string(lines); text != ""; {
		var f field
		f.Name, f.Value, text = cutLine(text)
		if httpguts.ValidTrailerHeader(f.Name) && wire.Carried(f.Name) {
			fields = append(fields, f)
		}
	}
	return fields, nil
}
