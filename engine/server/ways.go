package server

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"adit/engine"
	"adit/engine/wire"
)

// A target is where a request goes: parsed once, so that credential, rules and
// tunnel all judge the same value.
type target struct {
	way       engine.Way
	to        destination
	route     uint64 // set when the connection is known
	scheme    string
	authority string // in lower case where a caller chose the destination
	path      string // with query, as the caller sent it; for a CONNECT ""
	upgrade   string // protocol to upgrade to, or ""
	told      *told  // what a trusted proxy says of the request; nil: nothing
}

// record returns the target as it stands in records, before masking.
func (t *target) record() string {
	if t.way == engine.WayConnect {
		return strings.Clone(t.authority)
	}
	if t.path == "*" {
		return t.scheme + "://" + t.authority // no path (RFC 9112 §3.2.4)
	}
	return t.scheme + "://" + t.authority + t.path
}

// serveHTTP tells the ways apart, in the order of product.md: CONNECT, names
// below the domain, absolute-form targets, then the paths of our own.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.caughtHTTP()
	t := target{told: s.believe(r)}
	if r.Method == http.MethodConnect {
		t.way = engine.WayConnect
	} else if label, ok := s.label(r.Host); ok {
		t.way = engine.WayHost
		t.to = destination{kind: toHost, name: label}
	} else if r.URL.IsAbs() {
		t.way = engine.WayProxy
	} else {
		switch r.URL.Path {
		case "/register":
			s.register(w, r)
			return
		case "/status":
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			s.sendElsewhere(w.Header())
			w.Write([]byte("ok"))
			return
		case "/request":
			t.way = engine.WayRequest
		default:
			s.answer(w, r, http.StatusNotFound, engine.ReasonNoRoute,
				"nothing is here: send GET /request with X-PROXY-DESTINATION, use this server as an http proxy, "+
					"ask for an exposed name below its domain, or connect to an exposed tcp port")
			return
		}
	}
	s.serveWay(w, r, &t)
}

// caughtHTTP, deferred, hands a panic to Options.OnPanic and aborts the caller.
func (s *Server) caughtHTTP() {
	if s.o.OnPanic == nil {
		return
	}
	v := recover()
	if v == nil {
		return
	}
	if v != http.ErrAbortHandler {
		s.o.OnPanic(v)
	}
	panic(http.ErrAbortHandler)
}

// label returns the exposed name that an authority stands for: the one label
// directly below the domain.
func (s *Server) label(authority string) (string, bool) {
	if s.domain == "" {
		return "", false
	}
	host := authority
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	host = strings.TrimSuffix(host, ".")
	n := len(host) - len(s.domain)
	if n <= 0 || !strings.EqualFold(host[n:], s.domain) || strings.IndexByte(host[:n], '.') >= 0 {
		return "", false
	}
	return strings.ToLower(host[:n]), true
}

// Exposes reports whether a client exposes the host name below the domain at this
// moment: for who is to get a certificate for it.
func (s *Server) Exposes(host string) bool {
	label, ok := s.label(host)
	if !ok {
		return false
	}
	p := s.dispatch.lookup(destination{kind: toHost, name: label})
	return p != nil && len(p.slots()) > 0
}

// errTarget is why a target is refused: a text for the caller.
type errTarget string

func (e errTarget) Error() string { return string(e) }

// resolve completes t from the request. The error is for the caller.
func (s *Server) resolve(r *http.Request, t *target) error {
	if h, ok := r.Header["Host"]; ok && (len(h) != 1 || !strings.EqualFold(h[0], r.Host)) {
		return errTarget("host and authority of the request disagree")
	}
	if r.Host != "" && !validAuthority(strings.TrimSuffix(r.Host, ":")) {
		return errTarget("the host of the request is malformed")
	}
	switch t.way {
	case engine.WayConnect:
		return t.fromConnect(r)
	case engine.WayRequest:
		if err := t.fromDestination(r); err != nil {
			return err
		}
	default:
		if err := t.fromTarget(r); err != nil {
			return err
		}
	}
	t.upgrade = upgradeOf(r)
	t.to.native = t.upgrade != "" || len(r.Trailer) > 0
	return nil
}

// fromConnect reads the authority-form target of RFC 9110 §9.3.6.
func (t *target) fromConnect(r *http.Request) error {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil || host == "" || r.RequestURI != r.Host || !validPort(port) || !validAuthority(r.Host) {
		return errTarget("connect wants a target of the form host:port")
	}
	t.authority = strings.ToLower(r.Host)
	t.to = destination{kind: toAny, native: true}
	return t.chooseClient(r)
}

// fromDestination reads wsp's fields.
func (t *target) fromDestination(r *http.Request) error {
	values := r.Header["X-Proxy-Destination"]
	switch {
	case len(values) == 0:
		return errTarget("x-proxy-destination is missing: put the absolute url of the destination in it, such as http://api.internal/x")
	case len(values) > 1:
		return errTarget("x-proxy-destination stands there more than once")
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Opaque != "" || u.Host == "" {
		return errTarget("x-proxy-destination is not an absolute url such as http://api.internal/x")
	}
	if u.User != nil {
		return errTarget("x-proxy-destination has user information: send it in the authorization field")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		path += "?" + u.RawQuery
	}
	if err := t.set(u.Scheme, u.Host, path); err != nil {
		return err
	}
	t.authority = strings.ToLower(t.authority)
	return t.chooseClient(r)
}

// fromTarget reads an origin-form or absolute-form target (RFC 9112 §3.2),
// byte by byte as it came.
func (t *target) fromTarget(r *http.Request) error {
	scheme, authority, path := "http", r.Host, r.RequestURI
	if r.TLS != nil {
		scheme = "https"
	}
	if t.told != nil {
		scheme = t.told.proto
	}
	if r.URL.IsAbs() {
		if r.URL.Opaque != "" || r.URL.Host == "" || r.URL.User != nil {
			return errTarget("the request target is not an absolute url with a host and without user information")
		}
		scheme, authority = r.URL.Scheme, r.URL.Host
		path = ""
		if i := strings.Index(r.RequestURI, "://"); i >= 0 {
			rest := r.RequestURI[i+3:]
			if j := strings.IndexAny(rest, "/?"); j >= 0 {
				path = rest[j:]
			}
		}
		switch {
		case path == "" && r.Method == http.MethodOptions:
			path = "*"
		case path == "" || path[0] == '?':
			path = "/" + path
		}
	}
	if strings.IndexByte(path, '#') >= 0 {
		return errTarget("the request target has a fragment")
	}
	if err := t.set(scheme, authority, path); err != nil {
		return err
	}
	if t.way == engine.WayProxy {
		t.authority = strings.ToLower(t.authority)
		return t.chooseClient(r)
	}
	return nil
}

func (t *target) set(scheme, authority, path string) error {
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" {
		return errTarget("the scheme of the destination is neither http nor https")
	}
	authority = strings.TrimSuffix(authority, ":")
	if !validAuthority(authority) {
		return errTarget("the host of the request is malformed")
	}
	if path != "*" && (path == "" || path[0] != '/') {
		return errTarget("the path of the request is malformed")
	}
	t.scheme, t.authority, t.path = scheme, authority, path
	return nil
}

// chooseClient reads the field that names a client.
func (t *target) chooseClient(r *http.Request) error {
	switch values := r.Header["X-Proxy-Client"]; {
	case len(values) > 1:
		return errTarget("x-proxy-client stands there more than once")
	case len(values) == 1 && values[0] != "":
		if len(values[0]) > 128 {
			return errTarget("x-proxy-client is too long")
		}
		t.to.kind, t.to.name = toClient, values[0]
	}
	return nil
}

// validAuthority accepts host or host:port (RFC 3986 §3.2) without user
// information, which no later reader could take for something else.
func validAuthority(a string) bool {
	if a == "" || len(a) > 300 {
		return false
	}
	host := a
	if a[0] == '[' {
		end := strings.IndexByte(a, ']')
		if end < 0 || net.ParseIP(a[1:end]) == nil || !strings.Contains(a[1:end], ":") {
			return false
		}
		if rest := a[end+1:]; rest != "" && (rest[0] != ':' || !validPort(rest[1:])) {
			return false
		}
		return true
	}
	if i := strings.IndexByte(a, ':'); i >= 0 {
		if !validPort(a[i+1:]) {
			return false
		}
		host = a[:i]
	}
	if host == "" {
		return false
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}

func validPort(p string) bool {
	n, err := strconv.ParseUint(p, 10, 16)
	return err == nil && n > 0 && p[0] != '+'
}

// upgradeOf returns the protocol that a request asks to upgrade to. One behind
// which a caller's requests would pass unseen by rules is none.
func upgradeOf(r *http.Request) string {
	up := r.Header["Upgrade"]
	if len(up) != 1 || up[0] == "" || r.ProtoMajor != 1 || r.ProtoMinor == 0 || r.ContentLength != 0 {
		return ""
	}
	if !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") {
		return ""
	}
	if !wire.MaySwitch(up[0]) {
		return ""
	}
	return up[0]
}

func hasPort(authority string) bool {
	return strings.LastIndexByte(authority, ':') > strings.LastIndexByte(authority, ']')
}
