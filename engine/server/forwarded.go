package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"adit/engine/wire"
)

// A told is what a proxy whose word is taken says of a request (RFC 7239 and the
// X-Forwarded fields that came before it). Of everybody else these fields are
// dropped unread.
type told struct {
	peer  string // the proxy itself, without port
	chain string // X-Forwarded-For as it came, or what Forwarded says of the same
	all   string // Forwarded likewise
	proto string // with which the caller came: http or https
	host  string // for which it asked; "" where nobody says
}

// believe reads what a trusted proxy says of a request, and puts the caller that it
// names in the place of its own address. It returns nil, and changes nothing, for
// who is not trusted.
//
// The caller is the address furthest to the right that no trusted proxy has: what
// stands left of it may be anybody's invention, and is kept for the origin only.
// Where both fields are there, X-Forwarded-For counts: most proxies add to that one
// and let a Forwarded pass that a caller made up. A Forwarded that says otherwise is
// not kept.
func (s *Server) believe(r *http.Request) *told {
	trusted := s.live().TrustedProxies
	if len(trusted) == 0 {
		return nil
	}
	peer, err := netip.ParseAddr(callerIP(r.RemoteAddr))
	if err != nil || !among(trusted, peer) {
		return nil
	}
	t := &told{peer: peer.Unmap().String(), proto: "http"}
	if r.TLS != nil {
		t.proto = "https"
	}
	elements, all := readForwarded(r.Header["Forwarded"])
	nodes := slices.Collect(commaSeparated(r.Header["X-Forwarded-For"]))
	t.chain = strings.Join(nodes, ", ")
	switch {
	case len(nodes) > 0:
		if len(elements) > 0 && sameNode(elements[len(elements)-1].node, nodes[len(nodes)-1]) {
			t.all = all
		} else {
			t.all, elements = asForwarded(nodes), nil
		}
	case len(elements) > 0:
		t.all = all
		known := make([]string, len(elements))
		for i, e := range elements {
			known[i] = "unknown"
			if a, ok := parseNode(e.node); ok {
				known[i] = a.Addr().String()
			}
			nodes = append(nodes, e.node)
		}
		t.chain = strings.Join(known, ", ")
	}

	at := len(nodes) // of the caller among nodes; behind them: the proxy itself asks
	for i := len(nodes) - 1; i >= 0; i-- {
		a, ok := parseNode(nodes[i])
		if !ok {
			break
		}
		at, r.RemoteAddr = i, a.Addr().String()
		if a.Port() != 0 {
			r.RemoteAddr = a.String()
		}
		if !among(trusted, a.Addr()) {
			break
		}
	}
	// From the right: on the left a caller may have put in as many as he likes.
	if i := len(elements) - (len(nodes) - at); at < len(nodes) && i >= 0 && sameNode(elements[i].node, nodes[at]) {
		if p := strings.ToLower(elements[i].proto); p == "http" || p == "https" {
			t.proto = p
		}
		if validAuthority(elements[i].host) {
			t.host = elements[i].host
		}
	}
	if p := strings.ToLower(last(r.Header["X-Forwarded-Proto"])); p == "http" || p == "https" {
		t.proto = p
	}
	if h := last(r.Header["X-Forwarded-Host"]); validAuthority(h) {
		t.host = h
	}
	return t
}

// keeps reports whether a forwarding field passes as it came.
func (t *told) keeps(name string) bool {
	if t == nil {
		return false
	}
	switch name {
	case "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host":
		return false
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// appendForwarding adds the forwarding fields: what was told, and behind it what is
// true of this hop.
func (t *told) appendForwarding(f []wire.Field, r *http.Request, hop string) []wire.Field {
	host := t.host
	if host == "" {
		host = r.Host
	}
	chain, all := t.peer, forwarded(t.peer, r.Host, hop)
	if t.chain != "" {
		chain = t.chain + ", " + chain
	}
	if t.all != "" {
		all = t.all + ", " + all
	}
	if host != "" {
		f = append(f, wire.Field{Name: "X-Forwarded-Host", Value: host})
	}
	return append(f,
		wire.Field{Name: "X-Forwarded-For", Value: chain},
		wire.Field{Name: "X-Forwarded-Proto", Value: t.proto},
		wire.Field{Name: "Forwarded", Value: all})
}

func among(prefixes []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// commaSeparated yields the elements of a list, empty ones left out.
func commaSeparated(values []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range values {
			for e := range strings.SplitSeq(v, ",") {
				if e = strings.TrimSpace(e); e != "" && !yield(e) {
					return
				}
			}
		}
	}
}

// last returns the element that the proxy nearest to us has written.
func last(values []string) (e string) {
	for e = range commaSeparated(values) {
	}
	return e
}

// parseNode reads an address with or without port, with or without brackets. A name
// that hides who it is (unknown, _x) is none.
func parseNode(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()), true
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		s = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(s)
	return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), err == nil
}

func sameNode(a, b string) bool {
	x, okX := parseNode(a)
	y, okY := parseNode(b)
	return okX && okY && x.Addr() == y.Addr()
}

// asForwarded writes addresses in RFC 7239's form.
func asForwarded(nodes []string) string {
	var b strings.Builder
	for i, n := range nodes {
		if i > 0 {
			b.WriteString(", ")
		}
		a, ok := parseNode(n)
		switch {
		case !ok:
			b.WriteString("for=unknown")
		case a.Addr().Is6():
			b.WriteString(`for="[` + a.Addr().String() + `]"`)
		default:
			b.WriteString("for=" + a.Addr().String())
		}
	}
	return b.String()
}

// A forwardedElement is what one proxy has added to Forwarded.
type forwardedElement struct{ node, proto, host string }

// readForwarded reads the fields (RFC 7239 §4) and returns them as one. Of a
// malformed one nothing is returned: its readers would differ.
func readForwarded(values []string) (elements []forwardedElement, all string) {
	all = strings.Join(values, ", ")
	var e forwardedElement
	rest, some := all, false
	for {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" || rest[0] == ',' || rest[0] == ';' {
			end := rest == "" || rest[0] == ','
			if end && some {
				elements = append(elements, e)
				e, some = forwardedElement{}, false
			}
			if rest == "" {
				return elements, all
			}
			rest = rest[1:]
			continue
		}
		name, value, after, ok := pair(rest)
		if !ok {
			return nil, ""
		}
		rest, some = after, true
		switch strings.ToLower(name) {
		case "for":
			e.node = value
		case "proto":
			e.proto = value
		case "host":
			e.host = value
		}
	}
}

// pair reads name=value, whose value may be a quoted string, and what follows it.
func pair(s string) (name, value, rest string, ok bool) {
	name, s, ok = strings.Cut(s, "=")
	if !ok || name == "" || strings.ContainsAny(name, " \t,;\"") {
		return "", "", "", false
	}
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ",; \t")
		if end < 0 {
			end = len(s)
		}
		value, s = s[:end], s[end:]
		if value == "" || strings.Contains(value, `"`) {
			return "", "", "", false
		}
	} else {
		var b strings.Builder
		i := 1
		for ; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' {
				if i++; i == len(s) {
					return "", "", "", false
				}
			}
			b.WriteByte(s[i])
		}
		if i >= len(s) {
			return "", "", "", false
		}
		value, s = b.String(), s[i+1:]
	}
	s = strings.TrimLeft(s, " \t")
	if s != "" && s[0] != ',' && s[0] != ';' {
		return "", "", "", false
	}
	return name, value, s, true
}
