package origin

import (
	"net/http"
	"net/textproto"
	"net/url"
	"sort"
	"strings"

	"golang.org/x/net/http/httpguts"

	"adit/engine/wire"
)

type field = wire.Field

// newRequest makes the request of one attempt. What net/http would invent is
// set to absent.
func (t *Transport) newRequest(r *Request, scheme string) *http.Request {
	req := &http.Request{
		Method: r.Method,
		URL:    &url.URL{Scheme: scheme, Host: r.Address},
		Host:   r.Host,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, len(r.Fields)+2),
	}
	setPath(req.URL, r.Host, r.Path)
	var announced []string
	hasContent := r.Content != nil && r.Length != 0 && r.Upgrade == ""
	for _, f := range r.Fields {
		key := textproto.CanonicalMIMEHeaderKey(f.Name)
		switch key {
		case "Host", "Connection", "Upgrade", "Content-Length", "Transfer-Encoding":
			continue
		case "Trailer":
			announced = append(announced, f.Value)
			continue
		case "Expect":
			if !hasContent {
				continue
			}
		case "Idempotency-Key", "X-Idempotency-Key":
			// Under its canonical name it would make net/http send the request
			// again after the origin may have seen it.
			key = strings.ToLower(key)
		}
		req.Header[key] = append(req.Header[key], f.Value)
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil
	}
	if r.Upgrade != "" {
		req.Header["Connection"] = []string{"Upgrade"}
		req.Header["Upgrade"] = []string{r.Upgrade}
	}
	if !hasContent {
		t.setNoContent(req, r)
		return req
	}
	req.ContentLength = r.Length
	if r.Length < 0 {
		// Said outright, or net/http would wait for content before it sends a
		// GET's head.
		req.TransferEncoding = []string{"chunked"}
	}
	if r.Trailers != nil {
		// What is not announced can be added while this map is not nil.
		req.Trailer = make(http.Header)
		for _, names := range announced {
			for name := range strings.SplitSeq(names, ",") {
				if name = textproto.TrimString(name); httpguts.ValidTrailerHeader(name) && httpguts.ValidHeaderFieldName(name) {
					req.Trailer[textproto.CanonicalMIMEHeaderKey(name)] = nil
				}
			}
		}
	}
	req.Body = newContent(t, r, req.Trailer)
	return req
}

// setNoContent keeps net/http from sending a request twice that the origin may
// have seen: it does so on its own with methods that RFC 9110 §9.2.2 calls
// idempotent, over HTTP/1.1, if there is no Body at all.
func (t *Transport) setNoContent(req *http.Request, r *Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
	default:
		return
	}
	if r.Scheme == "h2c" && r.Upgrade == "" || r.Scheme == "https" && t.speaksHTTP2(origin{r.Class, r.Address}) {
		return // HTTP/2 says what was not processed (RFC 9113 §8.7)
	}
	req.Body = nothing{}
	req.ContentLength = -1
	req.TransferEncoding = []string{"identity"} // neither chunks nor a length
}

// setPath has u's request target be path as it stands.
func setPath(u *url.URL, host, path string) {
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
		return
	}
	// net/http takes an opaque "//" for an authority.
	p, query, has := strings.Cut(path, "?")
	if plain, err := url.PathUnescape(p); err == nil {
		u.Path, u.RawPath, u.RawQuery, u.ForceQuery = plain, p, query, has
		if u.RequestURI() == path {
			return
		}
	}
	*u = url.URL{Scheme: u.Scheme, Host: u.Host, Opaque: "//" + host + path} // absolute-form
}

// fieldsOf returns the fields of a response head that are not of this
// connection alone (RFC 9110 §7.6.1), in no order but that of one name. trailer
// has what was announced, which net/http keeps apart.
func fieldsOf(h, trailer http.Header, upgraded bool) []field {
	n := 1
	for _, values := range h {
		n += len(values)
	}
	fields := make([]field, 0, n)
	named := h["Connection"]
	for name, values := range h {
		switch {
		case name == "Te", name == "Upgrade" && !upgraded, !wire.Carried(name):
			continue
		case named != nil && name != "Upgrade" && httpguts.HeaderValuesContainsToken(named, name):
			continue
		}
		for _, v := range values {
			fields = append(fields, field{Name: name, Value: v})
		}
	}
	if len(trailer) > 0 {
		names := make([]string, 0, len(trailer))
		for name := range trailer {
			names = append(names, name)
		}
		sort.Strings(names)
		fields = append(fields, field{Name: "Trailer", Value: strings.Join(names, ", ")})
	}
	return fields
}

// trailersOf returns what may be passed on of a trailer section.
func trailersOf(h http.Header) []field {
	var fields []field
	for name, values := range h {
		if !httpguts.ValidTrailerHeader(name) || !wire.Carried(name) {
			continue
		}
		for _, v := range values {
			fields = append(fields, field{Name: name, Value: v})
		}
	}
	return fields
}
