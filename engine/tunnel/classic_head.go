package tunnel

import (
	"errors"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"adit/engine"
	"adit/engine/wire"
)

// statusNotPerformed is how a wsp client says that it did not perform a
// request; the content of the answer says why.
const statusNotPerformed = 527

// errLengths is an answer or a request that contradicts itself.
var errLengths = errors.New("ContentLength and the content-length field differ")

// classicRequest converts a request head. It is *engine.Error with
// ReasonUnsupported where wsp has no words for it.
func classicRequest(r *wire.Request, end bool) (*wire.ClassicRequest, error) {
	unsupported := func(what string) error {
		return engine.Fail("send request", engine.ReasonUnsupported, errors.New("wsp carries no "+what))
	}
	switch {
	case r.Route != 0:
		return nil, unsupported("routes")
	case r.Method == "CONNECT":
		return nil, unsupported("CONNECT")
	case wire.Get(r.Fields, "upgrade") != "":
		return nil, unsupported("upgrades")
	case wire.Get(r.Fields, "trailer") != "":
		return nil, unsupported("trailers")
	}
	c := &wire.ClassicRequest{
		Method:        r.Method,
		URL:           r.Scheme + "://" + r.Authority + r.Path,
		Header:        classicHeader(r.Fields),
		ContentLength: wire.ContentLength(r.Fields),
	}
	if r.Path == "*" {
		// RFC 9112 §3.2.4: to a proxy, OPTIONS * is a URL without a path.
		c.URL = r.Scheme + "://" + r.Authority
	}
	if end {
		c.ContentLength = 0
	}
	return c, nil
}

// nativeRequest converts a request head that came in JSON.
func nativeRequest(c *wire.ClassicRequest) (*wire.Request, error) {
	r := &wire.Request{Method: c.Method}
	var rest string
	r.Scheme, rest, _ = strings.Cut(c.URL, "://")
	rest, _, _ = strings.Cut(rest, "#")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		r.Authority, r.Path = rest[:i], rest[i:]
	} else {
		r.Authority = rest
	}
	switch {
	case r.Path == "" && r.Method == "OPTIONS":
		r.Path = "*"
	case !strings.HasPrefix(r.Path, "/"):
		r.Path = "/" + r.Path
	}
	r.Fields = nativeFields(c.Header)
	length := wire.ContentLength(r.Fields)
	switch {
	case length >= 0 && length != c.ContentLength:
		return nil, errLengths
	case length < 0 && c.ContentLength > 0:
		r.Fields = append(r.Fields, lengthField(c.ContentLength))
	}
	return r, wire.CheckRequest(r)
}

// classicResponse converts a response head; end says that no content follows.
func classicResponse(r *wire.Response, end, noContent bool) *wire.ClassicResponse {
	c := &wire.ClassicResponse{
		StatusCode:    r.Status,
		Header:        classicHeader(r.Fields),
		ContentLength: wire.ContentLength(r.Fields),
	}
	if end && !noContent {
		c.ContentLength = 0
	}
	return c
}

// nativeResponse converts a response head that came in JSON and returns how
// much content belongs to it; -1 unknown. To a HEAD, and with 204 and 304, there
// is none, whatever the head says, and what it says need not agree.
func nativeResponse(c *wire.ClassicResponse, head bool) (*wire.Response, int64, error) {
	r := &wire.Response{Status: c.StatusCode, Fields: nativeFields(c.Header)}
	length := wire.ContentLength(r.Fields)
	if noContent(c.StatusCode, head) {
		if c.StatusCode == 204 {
			r.Fields = slices.DeleteFunc(r.Fields, func(f wire.Field) bool { return strings.EqualFold(f.Name, "content-length") })
		}
		return r, 0, wire.CheckResponse(r)
	}
	switch {
	case length >= 0 && length != c.ContentLength:
		return nil, 0, errLengths
	case length < 0 && c.ContentLength >= 0:
		r.Fields = append(r.Fields, lengthField(c.ContentLength))
	}
	return r, c.ContentLength, wire.CheckResponse(r)
}

// noContent reports whether a response has none by its nature (RFC 9110 §6.4.1).
func noContent(status int, head bool) bool {
	return head || status == 204 || status == 304
}

func lengthField(n int64) wire.Field {
	return wire.Field{Name: "Content-Length", Value: strconv.FormatInt(n, 10)}
}

// classicHeader returns the fields as the map that real programs look names up
// in: in canonical case.
func classicHeader(fields []wire.Field) map[string][]string {
	header := make(map[string][]string, len(fields))
	values := make([]string, len(fields))
	for i := range fields {
		if !classicCarried(fields[i].Name) {
			continue
		}
		name := textproto.CanonicalMIMEHeaderKey(fields[i].Name)
		if have, ok := header[name]; ok {
			header[name] = append(have, fields[i].Value)
			continue
		}
		values[i] = fields[i].Value
		header[name] = values[i : i+1 : i+1]
	}
	return header
}

// nativeFields returns the fields of a head from a real program, which sends
// hop-by-hop fields on, without them and what Connection names, in order of name.
func nativeFields(header map[string][]string) []wire.Field {
	names := make([]string, 0, len(header))
	count := 0
	var named []string
	for name, values := range header {
		if strings.EqualFold(name, "connection") {
			for _, value := range values {
				named = append(named, strings.Split(value, ",")...)
			}
		}
		if classicCarried(name) {
			names = append(names, name)
			count += len(values)
		}
	}
	slices.Sort(names)
	// One more: a content-length may be added.
	fields := make([]wire.Field, 0, count+1)
	for _, name := range names {
		if slices.ContainsFunc(named, func(n string) bool { return strings.EqualFold(strings.TrimSpace(n), name) }) {
			continue
		}
		for _, value := range header[name] {
			fields = append(fields, wire.Field{Name: name, Value: value})
		}
	}
	return fields
}

// classicCarried reports whether a field may go through a wsp connection.
// Beside hop-by-hop fields what wsp can't keep stays behind (trailers, Expect:
// there is no 100), and what is between a caller and a server only.
func classicCarried(name string) bool {
	if !wire.Carried(name) {
		return false
	}
	switch len(name) {
	case len("te"):
		return !strings.EqualFold(name, "te")
	case len("expect"):
		return !strings.EqualFold(name, "expect")
	case len("upgrade"): // trailer has the same length
		return !strings.EqualFold(name, "upgrade") && !strings.EqualFold(name, "trailer")
	case len("x-secret-key"):
		if strings.EqualFold(name, "x-secret-key") {
			return false
		}
	case len("proxy-authorization"):
		if strings.EqualFold(name, "proxy-authorization") {
			return false
		}
	}
	const proxy = "x-proxy-"
	return len(name) < len(proxy) || !strings.EqualFold(name[:len(proxy)], proxy)
}

// classicReason makes the text of a 527 fit for a log: one line, bounded, and
// without the queries of the URLs that real clients quote, which may hold
// secrets.
func classicReason(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	before, after, found := strings.Cut(line, "?")
	clean := before
	for found {
		if end := strings.IndexAny(after, "\" "); end >= 0 {
			before, after, found = strings.Cut(after[end:], "?")
			clean += before
			continue
		}
		break
	}
	return engine.Bound(strings.ToValidUTF8(clean, "\uFFFD"))
}
