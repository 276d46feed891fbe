package wire

import (
	"math"
	"strings"
)

// A fieldClass says what is special about a field name.
type fieldClass uint8

const (
	fieldPlain fieldClass = iota
	fieldNotCarried
	fieldTE
	fieldUpgrade
	fieldContentLength
)

// classify sorts by length first: most names meet no comparison at all.
func classify(name string) fieldClass {
	switch len(name) {
	case 2:
		if foldEqual(name, "te") {
			return fieldTE
		}
	case 4:
		if foldEqual(name, "host") {
			return fieldNotCarried
		}
	case 7:
		if foldEqual(name, "upgrade") {
			return fieldUpgrade
		}
	case 10:
		if foldEqual(name, "connection") || foldEqual(name, "keep-alive") {
			return fieldNotCarried
		}
	case 14:
		if foldEqual(name, "content-length") {
			return fieldContentLength
		}
	case 16:
		if foldEqual(name, "proxy-connection") {
			return fieldNotCarried
		}
	case 17:
		if foldEqual(name, "transfer-encoding") {
			return fieldNotCarried
		}
	}
	return fieldPlain
}

// Carried reports whether a field of that name may stand in a head on the wire:
// it is false for host and for connection-specific fields (RFC 9110 §7.6.1)
// other than te and upgrade, whose values decide. Case does not matter. What a
// connection field names is the sender's to remove.
func Carried(name string) bool { return classify(name) != fieldNotCarried }

// ContentLength returns the value of the first content-length field, or -1
// without one or if it is not a valid length.
func ContentLength(fields []Field) int64 {
	for i := range fields {
		if len(fields[i].Name) == len("content-length") && foldEqual(fields[i].Name, "content-length") {
			n, ok := parseLength(fields[i].Value)
			if !ok {
				return -1
			}
			return n
		}
	}
	return -1
}

// Get returns the first value of a field, or "". Case of name does not matter.
func Get(fields []Field, name string) string {
	for i := range fields {
		if len(fields[i].Name) == len(name) && equalFold(fields[i].Name, name) {
			return fields[i].Value
		}
	}
	return ""
}

// checkFields applies the rules for the fields of a head and reports whether
// there is an upgrade field.
func checkFields(fields []Field) (upgrade bool, err *ruleError) {
	length := false
	for i := range fields {
		f := &fields[i]
		if !isToken(f.Name) {
			return false, invalid("field name is no token")
		}
		if !isFieldValue(f.Value) {
			return false, invalid("field value with a control character")
		}
		switch classify(f.Name) {
		case fieldNotCarried:
			return false, invalid("field is not carried")
		case fieldTE:
			if len(f.Value) != len("trailers") || !foldEqual(f.Value, "trailers") {
				return false, invalid("te is not trailers")
			}
		case fieldUpgrade:
			upgrade = true
		case fieldContentLength:
			if length {
				return false, invalid("second content-length")
			}
			if _, ok := parseLength(f.Value); !ok {
				return false, invalid("content-length is no length")
			}
			length = true
		}
	}
	return upgrade, nil
}

func checkTrailers(fields []Field) *ruleError {
	for i := range fields {
		f := &fields[i]
		if !isToken(f.Name) {
			return invalid("field name is no token")
		}
		if !isFieldValue(f.Value) {
			return invalid("field value with a control character")
		}
		if classify(f.Name) != fieldPlain || !isTrailer(f.Name) {
			return invalid("field is not for trailers")
		}
	}
	return nil
}

// isTrailer has the rule of httpguts.ValidTrailerHeader (RFC 9110 §6.5.1)
// without the canonical copy of every name.
func isTrailer(name string) bool {
	if len(name) >= 3 && foldEqual(name[:3], "if-") {
		return false
	}
	var refused [3]string
	switch len(name) {
	case 2:
		refused = [3]string{"te"}
	case 4:
		refused = [3]string{"host"}
	case 5:
		refused = [3]string{"range", "realm"}
	case 6:
		refused = [3]string{"expect", "pragma"}
	case 7:
		refused = [3]string{"trailer"}
	case 10:
		refused = [3]string{"connection", "keep-alive"}
	case 12:
		refused = [3]string{"content-type", "max-forwards"}
	case 13:
		refused = [3]string{"authorization", "cache-control", "content-range"}
	case 14:
		refused = [3]string{"content-length"}
	case 16:
		refused = [3]string{"content-encoding", "proxy-connection", "www-authenticate"}
	case 17:
		refused = [3]string{"transfer-encoding"}
	case 18:
		refused = [3]string{"proxy-authenticate"}
	case 19:
		refused = [3]string{"proxy-authorization"}
	}
	for _, r := range refused {
		if r != "" && foldEqual(name, r) {
			return false
		}
	}
	return true
}

// parseLength reads a Content-Length value (RFC 9110 §8.6): digits only.
func parseLength(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// foldEqual compares s with lower, which is of the same length and in lower
// case, without regard to ASCII case.
func foldEqual(s, lower string) bool {
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// equalFold compares two strings of one length without regard to ASCII case.
func equalFold(a, b string) bool {
	for i := range len(a) {
		c, d := a[i], b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if 'A' <= d && d <= 'Z' {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}

// tokenBytes has 1 for the bytes of a token (RFC 9110 §5.6.2).
var tokenBytes = byteSet("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

// hostBytes has 1 for the bytes of a reg-name (RFC 3986 §3.2.2).
var hostBytes = byteSet("!$%&'()*+,-.;=_~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

// literalBytes has 1 for the bytes of an IP-literal with a zone between its
// brackets (RFC 6874).
var literalBytes = byteSet("%-.:_~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

func byteSet(members string) (set [256]uint8) {
	for i := range len(members) {
		set[members[i]] = 1
	}
	return set
}

func allIn(s string, set *[256]uint8) bool {
	for i := range len(s) {
		if set[s[i]] == 0 {
			return false
		}
	}
	return true
}

func isToken(s string) bool { return s != "" && allIn(s, &tokenBytes) }

// isFieldValue has the rule of httpguts.ValidHeaderFieldValue: no control
// characters but tab (RFC 9110 §5.5). It looks at eight bytes at a time.
func isFieldValue(s string) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for len(s) >= 8 {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		del := w ^ 0x7f*ones
		if ((w-0x20*ones)&^w|(del-ones)&^del)&high != 0 && hasControl(s[:8]) {
			return false
		}
		s = s[8:]
	}
	return !hasControl(s)
}

func hasControl(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// isPath reports whether s is an absolute path with an optional query, in
// visible ASCII: origin-form (RFC 9112 §3.2.1).
func isPath(s string) bool {
	if s == "" || s[0] != '/' {
		return false
	}
	return isVisible(s) && strings.IndexByte(s, '#') < 0
}

func isVisible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// splitAuthority checks host[:port] without user information (RFC 9110 §4.2)
// and returns the port's digits. The host is a name, an IPv4 address or a
// bracketed IPv6 address and never empty; a port is 1–65535, never empty.
func splitAuthority(s string) (port string, ok bool) {
	var host, rest string
	if s != "" && s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", false
		}
		host, rest = s[1:end], s[end+1:]
		if strings.IndexByte(host, ':') < 0 || !allIn(host, &literalBytes) {
			return "", false
		}
	} else {
		host = s
		if colon := strings.IndexByte(s, ':'); colon >= 0 {
			host, rest = s[:colon], s[colon:]
		}
		if host == "" || !allIn(host, &hostBytes) {
			return "", false
		}
	}
	if rest == "" {
		return "", true
	}
	if rest[0] != ':' {
		return "", false
	}
	port = rest[1:]
	n, ok := parseLength(port)
	if !ok || len(port) > 5 || n < 1 || n > math.MaxUint16 {
		return "", false
	}
	return port, true
}
