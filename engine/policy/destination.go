package policy

import (
	"net/netip"
	"strconv"
	"strings"
)

// A destination is a host and port that would be dialled.
type destination struct {
	name      string     // lower case, without trailing dot; "" for an address
	address   netip.Addr // without zone or IPv4-mapped form
	isAddress bool
	port      uint16
}

// parseDestination reads HOST:PORT, with IPv6 in brackets.
func parseDestination(s string) (destination, bool) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return destination{}, false
	}
	port, ok := parsePort(s[colon+1:])
	if !ok {
		return destination{}, false
	}
	dest, ok := parseHost(s[:colon])
	dest.port = port
	return dest, ok
}

// isNumeral reports whether it is a name that inet_aton(3) would read as an address:
// 0177.0.0.1, 2130706433, 0x7f.1, and 127.0.0.1 with a dot behind it.
func (d *destination) isNumeral() bool {
	if d.name == "" || !isDigit(d.name[0]) {
		return false
	}
	for label := range strings.SplitSeq(d.name, ".") {
		digits, hex := strings.CutPrefix(label, "0x")
		if hex && strings.Trim(digits, "0123456789abcdef") != "" || !hex && strings.Trim(label, "0123456789") != "" {
			return false
		}
	}
	return strings.Count(d.name, ".") < 4
}

// parseHost reads a name, an IPv4 address or a bracketed IPv6 address without
// zone.
func parseHost(host string) (destination, bool) {
	if inner, found := strings.CutPrefix(host, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		if !found || err != nil || !a.Is6() || a.Zone() != "" {
			return destination{}, false
		}
		return destination{address: a.Unmap(), isAddress: true}, true
	}
	if host != "" && isDigit(host[0]) && isDigit(host[len(host)-1]) {
		if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
			return destination{address: a, isAddress: true}, true
		}
	}
	name, ok := normalName(host)
	return destination{name: name}, ok
}

// maxName is the bound of a domain name in text form (RFC 1035 §2.3.4).
const maxName = 253

// normalName returns a name in lower case and without its trailing dot. It takes
// letters, digits, hyphens and underscores in labels of 1 to 63 bytes.
func normalName(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxName {
		return "", false
	}
	label, upper := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = 0
			continue
		case 'A' <= c && c <= 'Z':
			upper = true
		case 'a' <= c && c <= 'z', isDigit(c), c == '-', c == '_':
		default:
			return "", false
		}
		if label++; label > 63 {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, true
}

// parsePort reads 1 to 65535 in decimal, without sign or leading zero.
func parsePort(s string) (uint16, bool) {
	if s == "" || len(s) > 5 || !isDigit(s[0]) || s[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// spellings are the ways to write one URL that an expression is held against:
// as it came, with scheme, host and port in normal form, and both with the path
// in normal form too (RFC 3986 §6.2.2, §6.2.3). What denies looks at all of them
// and at one with the port spelt out; what allows wants the path to match in
// both forms, since an origin may read either.
type spellings struct {
	given, host         string
	givenPath, hostPath string

	// Pieces of the one with the port spelt out, which is made where it is
	// needed.
	ported       bool // it may differ from the others
	scheme, name string
	port         uint16
	path, normal string // as it came, and in normal form
}

func (s *spellings) any(re *expression) bool {
	return re.MatchString(s.given) ||
		s.host != s.given && re.MatchString(s.host) ||
		s.givenPath != s.given && re.MatchString(s.givenPath) ||
		s.hostPath != s.host && re.MatchString(s.hostPath)
}

func (s *spellings) all(re *expression) bool {
	if re.MatchString(s.given) && (s.givenPath == s.given || re.MatchString(s.givenPath)) {
		return true
	}
	return s.host != s.given && re.MatchString(s.host) && (s.hostPath == s.host || re.MatchString(s.hostPath))
}

// appendPort appends the spelling with the port spelt out.
func (s *spellings) appendPort(b []byte, path string) []byte {
	b = append(append(append(b, s.scheme...), "://"...), s.name...)
	b = strconv.AppendUint(append(b, ':'), uint64(s.port), 10)
	return append(b, path...)
}

// spell sets s to the spellings of a URL; it returns false if its authority does
// not name dest, which was read from host. Without want it only looks at that.
func (s *spellings) spell(url, from string, dest *destination, want bool) bool {
	scheme, rest, found := strings.Cut(url, "://")
	if !found || !isScheme(scheme) {
		return false
	}
	end, plain, ok := survey(rest)
	if !ok {
		return false
	}
	authority, path := rest[:end], rest[end:]
	if path == "" {
		if a, star := strings.CutSuffix(rest, "*"); star { // asterisk-form, RFC 9112 §3.2.4
			authority, path = a, "*"
		}
	}
	host, port := splitAuthority(authority)
	// Most often it is the same text, which was read already.
	if colon := strings.LastIndexByte(from, ':'); colon < 0 || host != from[:colon] {
		named, ok := parseHost(host)
		if !ok || named.isAddress != dest.isAddress || named.name != dest.name || named.address != dest.address {
			return false
		}
	}
	usual := usualPort(scheme)
	at := usual
	if port != "" {
		if at, ok = parsePort(port); !ok {
			return false
		}
	}
	if at != dest.port {
		return false
	}
	if !want {
		return true
	}
	s.given, s.host = url, url
	s.scheme, s.name, s.port, s.path = strings.ToLower(scheme), normalHost(host, dest), dest.port, path
	s.ported = dest.port == usual
	if s.name != host || hasUpper(scheme) || len(host) != len(authority) && s.ported {
		s.host = s.scheme + "://" + s.name
		if !s.ported {
			s.host += ":" + port
		}
		s.host += path
	}
	s.givenPath, s.hostPath, s.normal = s.given, s.host, path
	if plain {
		return true
	}
	if s.normal = normalPath(path); s.normal != path {
		s.givenPath = strings.TrimSuffix(s.given, path) + s.normal
		s.hostPath = strings.TrimSuffix(s.host, path) + s.normal
	}
	return true
}

// survey returns where the authority at the beginning of rest ends, and whether
// what follows is in normal form as far as that can be seen at once. It is not ok
// with control characters or spaces, over which "." in an expression may stumble.
func survey(rest string) (end int, plain, ok bool) {
	end, plain = len(rest), true
	var last byte
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case c <= ' ', c == 0x7f:
			return 0, false, false
		case c == '/', c == '?', c == '#':
			end = min(end, i)
		case c == '%', c == '.' && last == '/':
			plain = false
		}
		last = c
	}
	return end, plain, true
}

// usualPort returns the port that a URL of the scheme means without one, or 0.
func usualPort(scheme string) uint16 {
	switch {
	case strings.EqualFold(scheme, "http"), strings.EqualFold(scheme, "ws"), strings.EqualFold(scheme, "h2c"):
		return 80
	case strings.EqualFold(scheme, "https"), strings.EqualFold(scheme, "wss"):
		return 443
	}
	return 0
}

// splitAuthority cuts a port off; a colon without one is kept out too.
func splitAuthority(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.HasSuffix(authority, "]") {
		return authority, ""
	}
	return authority[:i], authority[i+1:]
}

func normalHost(host string, named *destination) string {
	if !named.isAddress {
		return named.name
	}
	if host[0] != '[' {
		return host
	}
	var buf [48]byte
	text := named.address.AppendTo(buf[:0])
	switch {
	case named.address.Is4(): // an IPv4-mapped form
		return string(text)
	case string(text) == host[1:len(host)-1]:
		return host
	}
	return "[" + string(text) + "]"
}

func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z') && (i == 0 || !isDigit(s[i])) {
			return false
		}
	}
	return s != ""
}

func hasUpper(s string) bool {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return true
		}
	}
	return false
}

// normalPath decodes percent-encoded unreserved characters and removes dot
// segments (RFC 3986 §6.2.2.2, §5.2.4) of a path with its query.
func normalPath(path string) string {
	if !strings.Contains(path, "%") && !strings.Contains(path, "/.") {
		return path
	}
	path = decodeUnreserved(path)
	end := strings.IndexAny(path, "?#")
	if end < 0 {
		end = len(path)
	}
	if !strings.Contains(path[:end], "/.") {
		return path
	}
	var kept []string
	segments := strings.Split(path[:end], "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch segment {
		case ".", "..":
			if segment == ".." && len(kept) > 1 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, segment)
		}
	}
	return strings.Join(kept, "/") + path[end:]
}

func decodeUnreserved(s string) string {
	var b strings.Builder
	start := 0
	for i := 0; i+2 < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 || !isUnreserved(byte(hi<<4|lo)) {
			continue
		}
		b.WriteString(s[start:i])
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
		start = i + 1
	}
	if start == 0 {
		return s
	}
	b.WriteString(s[start:])
	return b.String()
}

func unhex(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

func isUnreserved(c byte) bool {
	lower := c | 0x20
	return 'a' <= lower && lower <= 'z' || isDigit(c) || c == '-' || c == '.' || c == '_' || c == '~'
}
