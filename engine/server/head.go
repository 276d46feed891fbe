package server

import (
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"adit/engine/wire"
)

// hasContent reports whether content follows the request head.
func hasContent(r *http.Request) bool {
	return r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
}

// A requestHead is a wire.Request with room for its fields. It lives in the call,
// which is used again: the tunnel does not keep it.
type requestHead struct {
	wire.Request
	room [28]wire.Field

	fields int // of Fields, those of the caller, which stand first
}

// head makes the head for the tunnel from the caller's, walking its header
// once: hop-by-hop fields (RFC 9110 §7.6.1), ours and forwarding fields that the
// caller invented stay here; what is true is added. native says that the
// connection carries Expect and trailers. The head is made in h and valid until
// that is used again.
func (s *Server) head(h *requestHead, r *http.Request, t *target, native bool) *wire.Request {
	h.Request = wire.Request{
		Route: t.route, Method: r.Method, Scheme: t.scheme, Authority: t.authority, Path: t.path,
	}
	f := h.room[:0]
	named, several := connectionNames(r.Header)
	for name, values := range r.Header {
		if dropped(name) && !t.told.keeps(name) || several && isNamed(named, name) {
			continue
		}
		for _, v := range values {
			f = append(f, wire.Field{Name: name, Value: v})
		}
	}
	h.fields = len(f)
	if hasContent(r) {
		if r.ContentLength > 0 {
			f = append(f, wire.Field{Name: "Content-Length", Value: strconv.FormatInt(r.ContentLength, 10)})
		}
		if native && expectsContinue(r) {
			f = append(f, wire.Field{Name: "Expect", Value: "100-continue"})
		}
	} else if len(r.Header["Content-Length"]) > 0 && t.upgrade == "" {
		f = append(f, wire.Field{Name: "Content-Length", Value: "0"})
	}
	if native && len(r.Trailer) > 0 {
		names := make([]string, 0, len(r.Trailer))
		for name := range r.Trailer {
			names = append(names, name)
		}
		f = append(f, wire.Field{Name: "Trailer", Value: strings.Join(names, ", ")})
	}
	if native && len(r.Header["Te"]) > 0 && httpguts.HeaderValuesContainsToken(r.Header["Te"], "trailers") {
		f = append(f, wire.Field{Name: "Te", Value: "trailers"})
	}
	if t.upgrade != "" {
		f = append(f, wire.Field{Name: "Upgrade", Value: t.upgrade})
	}
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	if t.told != nil {
		f = t.told.appendForwarding(f, r, proto)
		h.Fields = append(f, wire.Field{Name: "Via", Value: s.via(r)})
		return &h.Request
	}
	ip := callerIP(r.RemoteAddr)
	if r.Host != "" {
		f = append(f, wire.Field{Name: "X-Forwarded-Host", Value: r.Host})
	}
	f = append(f,
		wire.Field{Name: "X-Forwarded-For", Value: ip},
		wire.Field{Name: "X-Forwarded-Proto", Value: proto},
		wire.Field{Name: "Forwarded", Value: forwarded(ip, r.Host, proto)},
		wire.Field{Name: "Via", Value: s.via(r)},
	)
	h.Fields = f
	return &h.Request
}

// via returns our element of Via (RFC 9110 §7.6.3).
func (s *Server) via(r *http.Request) string {
	switch {
	case r.ProtoMajor == 2:
		return s.vias[2]
	case r.ProtoMinor == 0:
		return s.vias[0]
	}
	return s.vias[1]
}

// looped reports whether the request has passed here before.
func (s *Server) looped(r *http.Request) bool {
	for _, v := range r.Header["Via"] {
		if strings.Contains(v, s.pseudonym) {
			return true
		}
	}
	return false
}

// dropped reports whether a request field, by its canonical name, never passes
// as it came.
func dropped(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Http2-Settings", "Proxy-Authenticate", "Proxy-Authorization", "Host", "Content-Length", "Expect",
		"Forwarded", "X-Secret-Key":
		return true
	}
	return len(name) > 8 && name[0] == 'X' && (strings.HasPrefix(name, "X-Proxy-") || strings.HasPrefix(name, "X-Forwarded-"))
}

// connectionNames returns what the Connection fields name beside the usual,
// comma-separated and canonical. several is false for nothing.
func connectionNames(h http.Header) (named []string, several bool) {
	for _, v := range h["Connection"] {
		for token := range strings.SplitSeq(v, ",") {
			token = textproto.TrimString(token)
			if token == "" || strings.EqualFold(token, "keep-alive") || strings.EqualFold(token, "close") ||
				strings.EqualFold(token, "upgrade") {
				continue
			}
			named = append(named, textproto.CanonicalMIMEHeaderKey(token))
		}
	}
	return named, len(named) > 0
}

func isNamed(named []string, name string) bool {
	for _, n := range named {
		if n == name {
			return true
		}
	}
	return false
}

func expectsContinue(r *http.Request) bool {
	return r.ProtoAtLeast(1, 1) && httpguts.HeaderValuesContainsToken(r.Header["Expect"], "100-continue")
}

// callerIP returns the address without port and zone.
func callerIP(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	host, _, _ = strings.Cut(host, "%")
	return host
}

// forwarded returns one element of RFC 7239.
func forwarded(ip, host, proto string) string {
	node := ip
	switch {
	case strings.IndexByte(ip, ':') >= 0:
		node = `"[` + ip + `]"`
	case ip == "":
		node = "unknown"
	}
	if host == "" {
		return "for=" + node + ";proto=" + proto
	}
	return "for=" + node + `;host="` + host + `";proto=` + proto
}

// copyHead writes the fields of a response head into h. Fields that belong to
// one connection only do not pass, should a peer have sent them.
func copyHead(h http.Header, fields []wire.Field) {
	room := make([]string, len(fields))
	for i, f := range fields {
		name := http.CanonicalHeaderKey(f.Name)
		switch name {
		case "Connection", "Proxy-Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Upgrade",
			"Proxy-Authenticate", "Proxy-Authorization":
			continue
		}
		if old, ok := h[name]; ok {
			h[name] = append(old, f.Value)
			continue
		}
		room[i] = f.Value
		h[name] = room[i : i+1 : i+1]
	}
}

// announced returns the names in the Trailer field.
func announced(h http.Header) map[string]bool {
	values := h["Trailer"]
	if len(values) == 0 {
		return nil
	}
	names := make(map[string]bool)
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = textproto.TrimString(name); name != "" {
				names[http.CanonicalHeaderKey(name)] = true
			}
		}
	}
	return names
}

// requestTrailers returns the caller's trailers; complete after the EOF of its
// content.
func requestTrailers(t http.Header) []wire.Field {
	var fields []wire.Field
	for name, values := range t {
		if !httpguts.ValidTrailerHeader(name) {
			continue
		}
		for _, v := range values {
			fields = append(fields, wire.Field{Name: name, Value: v})
		}
	}
	return fields
}
