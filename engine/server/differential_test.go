package server

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A view is what one side saw of a message.
type view struct {
	line    string // method and target, or status
	fields  map[string][]string
	content string
	trailer map[string][]string
	closes  bool
}

// A script is a request as bytes and the origin's answer to it.
type script struct {
	name    string
	send    string // Host is app.t.example
	answer  http.Header
	status  int
	body    string
	trailer http.Header
	differs map[string]string // "request Field", "response Field", "target": why ours is not like ReverseProxy's
}

// The semantics of httputil.ReverseProxy with Rewrite and SetXForwarded: the
// same bytes go through both, and both sides must see the same, but for what
// is listed with its reason.
func TestLikeReverseProxy(t *testing.T) {
	both := newTwins(t)
	forwarding := map[string]string{
		"request Via":       "ReverseProxy adds no Via; RFC 9110 §7.6.3 wants it",
		"request Forwarded": "ReverseProxy knows X-Forwarded-* only",
	}
	for _, s := range []script{
		{name: "plain", send: "GET /a?b=c HTTP/1.1\r\nHost: app.t.example\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n", status: 200, body: "hi"},
		{name: "no user agent", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 200, body: "hi"},
		{name: "encoded path", send: "GET /a%2Fb/%20c//d/../e?x=%zz&y=1+2 HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 200,
			differs: map[string]string{"target": "ReverseProxy removes queries that Go can't parse; an origin may"}},
		{name: "semicolon in query", send: "GET /?a=1;b=2&c=3 HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 200,
			differs: map[string]string{"target": "ReverseProxy removes queries that Go can't parse; an origin may"}},
		{name: "content", send: "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 5\r\n\r\nhello", status: 201, body: "made"},
		{name: "empty content", send: "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 0\r\n\r\n", status: 200},
		{name: "chunked content", send: "PUT / HTTP/1.1\r\nHost: app.t.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", status: 200, body: "x"},
		{name: "chunked and length", send: "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", status: 200},
		{name: "request trailers", send: "POST / HTTP/1.1\r\nHost: app.t.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n1\r\na\r\n0\r\nX-T: v\r\n\r\n", status: 200,
			differs: map[string]string{"request X-T": "ReverseProxy copies trailers before they have come"}},
		{name: "hop-by-hop", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: close, X-A\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n" +
			"Keep-Alive: 1\r\nProxy-Connection: x\r\nTe: trailers, deflate\r\nProxy-Authorization: Basic eA==\r\n\r\n", status: 200},
		{name: "forged forwarding", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: e\r\nX-Forwarded-Proto: e\r\n\r\n", status: 200},
		{name: "forged port", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nX-Forwarded-Port: 1\r\n\r\n", status: 200,
			differs: map[string]string{"request X-Forwarded-Port": "no field of that family is a caller's to set"}},
		{name: "wsp's fields", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nX-Proxy-Destination: http://x/\r\nX-Secret-Key: k\r\n\r\n", status: 200,
			differs: map[string]string{"request X-Proxy-Destination": "ours, not the origin's", "request X-Secret-Key": "ours, not the origin's"}},
		{name: "h2c upgrade", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n", status: 200,
			differs: map[string]string{"request Upgrade": "rules could not see what comes behind h2c", "request Connection": "follows Upgrade"}},
		{name: "cookies and repeated fields", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nCookie: a=1\r\nCookie: b=2\r\nX-R: 1\r\nX-R: \r\nX-R: 2\r\n\r\n", status: 200,
			answer: http.Header{"Set-Cookie": {"a=1", "b=2"}, "X-R": {"", "2"}}},
		{name: "authorization", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nAuthorization: Bearer theirs\r\n\r\n", status: 401, answer: http.Header{"Www-Authenticate": {"Bearer"}}, body: "no"},
		{name: "origin that speaks as a proxy", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 407, answer: http.Header{"Proxy-Authenticate": {"Basic"}}, body: "no"},
		{name: "range", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nRange: bytes=1-2\r\n\r\n", status: 206, body: "bc", answer: http.Header{"Content-Range": {"bytes 1-2/9"}}},
		{name: "redirect is not followed", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 307, answer: http.Header{"Location": {"//169.254.169.254/"}}},
		{name: "unknown method", send: "PURGE /x HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 200, body: "ok"},
		{name: "head", send: "HEAD / HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 200, answer: http.Header{"Content-Length": {"77"}, "Content-Type": {"a/b"}}},
		{name: "204", send: "DELETE / HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 204},
		{name: "304", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nIf-None-Match: \"x\"\r\n\r\n", status: 304, answer: http.Header{"Etag": {`"x"`}}},
		{name: "encoded content stays so", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nAccept-Encoding: gzip\r\n\r\n", status: 200, body: "\x1f\x8b...", answer: http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"text/plain"}}},
		{name: "response trailers", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\nTe: trailers\r\n\r\n", status: 200, body: "x", trailer: http.Header{"X-Sum": {"1"}}},
		{name: "http/1.0", send: "GET / HTTP/1.0\r\nHost: app.t.example\r\n\r\n", status: 200, body: "ten"},
		{name: "absolute form wins over host", send: "GET http://app.t.example/abs HTTP/1.1\r\nHost: evil\r\n\r\n", status: 200},
		{name: "options *", send: "OPTIONS * HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 200},
		{name: "status beyond 599", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 999, body: "denied"},
		{name: "server error", send: "GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n", status: 503, body: "down", answer: http.Header{"Retry-After": {"9"}}},
	} {
		t.Run(s.name, func(t *testing.T) {
			differs := maps.Clone(forwarding)
			maps.Copy(differs, s.differs)
			ours := both.run(t, &s, both.ours)
			theirs := both.run(t, &s, both.theirs)
			compare(t, "request", ours[0], theirs[0], differs)
			compare(t, "response", ours[1], theirs[1], differs)
		})
	}
}

func compare(t *testing.T, what string, ours, theirs view, differs map[string]string) {
	t.Helper()
	if ours.line != theirs.line && (what != "request" || differs["target"] == "") {
		t.Errorf("%s: ours %q, theirs %q", what, ours.line, theirs.line)
	}
	if ours.content != theirs.content {
		t.Errorf("%s content: ours %q, theirs %q", what, ours.content, theirs.content)
	}
	if ours.closes != theirs.closes {
		t.Errorf("%s: the connection closes %v, theirs %v", what, ours.closes, theirs.closes)
	}
	for _, part := range []struct{ ours, theirs map[string][]string }{{ours.fields, theirs.fields}, {ours.trailer, theirs.trailer}} {
		names := slices.Collect(maps.Keys(part.ours))
		names = append(names, slices.Collect(maps.Keys(part.theirs))...)
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if differs[what+" "+name] == "" && !slices.Equal(part.ours[name], part.theirs[name]) {
				t.Errorf("%s %s: ours %q, theirs %q", what, name, part.ours[name], part.theirs[name])
			}
		}
	}
}

// twins are our gateway and a ReverseProxy, before origins that play the same
// script.
type twins struct {
	ours, theirs string // addresses

	mu   sync.Mutex
	play *script
	seen view
}

func newTwins(t *testing.T) *twins {
	w := &twins{}
	b := exposed(t, w.client)
	w.ours = b.addr

	origin := httptest.NewUnstartedServer(http.HandlerFunc(w.origin))
	origin.Config.DisableGeneralOptionsHandler = true
	origin.Start()
	target, _ := url.Parse(origin.URL)
	transport := &http.Transport{DisableCompression: true}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
			r.SetXForwarded()
		},
	})
	proxy.Config.DisableGeneralOptionsHandler = true
	proxy.Start()
	w.theirs = proxy.Listener.Addr().String()
	t.Cleanup(func() {
		proxy.Close()
		transport.CloseIdleConnections()
		origin.Close()
	})
	return w
}

// run plays a script through one of the two.
func (w *twins) run(t *testing.T, s *script, addr string) [2]view {
	t.Helper()
	w.mu.Lock()
	w.play, w.seen = s, view{}
	w.mu.Unlock()
	method, _, _ := strings.Cut(s.send, " ")
	c := (&bench{t: t, addr: addr}).raw(s.send)
	resp, body := c.response(t, method)
	fields := map[string][]string(resp.Header.Clone())
	delete(fields, "Date")
	got := view{line: fmt.Sprint(resp.StatusCode), fields: fields, content: body, trailer: resp.Trailer, closes: resp.Close}
	fields["framing"] = []string{fmt.Sprint(resp.ContentLength, resp.TransferEncoding)}
	w.mu.Lock()
	defer w.mu.Unlock()
	return [2]view{w.seen, got}
}

// client is the origin behind our tunnel.
func (w *twins) client(in tunnel.Incoming) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, s := in.Request(), w.play
	body, _ := content(in)
	w.seen = view{line: r.Method + " " + r.Path, content: string(body), fields: map[string][]string{}, trailer: map[string][]string{}}
	for _, f := range r.Fields {
		name := http.CanonicalHeaderKey(f.Name)
		if name != "Trailer" && name != "Content-Length" { // as net/http hides them
			w.seen.fields[name] = append(w.seen.fields[name], f.Value)
		}
	}
	w.seen.fields["Host"] = []string{r.Authority}
	w.seen.fields["length"] = []string{fmt.Sprint(length(in, r))}
	for _, f := range in.Trailers() {
		name := http.CanonicalHeaderKey(f.Name)
		w.seen.trailer[name] = append(w.seen.trailer[name], f.Value)
	}
	resp := &wire.Response{Status: s.status}
	for name, values := range s.originHead() {
		for _, v := range values {
			resp.Fields = append(resp.Fields, wire.Field{Name: name, Value: v})
		}
	}
	in.WriteResponse(resp, !s.hasContent())
	if s.hasContent() {
		in.Write([]byte(s.body))
		var trailers []wire.Field
		for name, values := range s.trailer {
			trailers = append(trailers, wire.Field{Name: name, Value: values[0]})
		}
		in.CloseWrite(trailers)
	}
}

func length(in tunnel.Incoming, r *wire.Request) int64 {
	if !in.HasContent() {
		return 0
	}
	return wire.ContentLength(r.Fields)
}

// hasContent reports whether the answer has content; HEAD, 204 and 304 have none.
func (s *script) hasContent() bool {
	return s.body != "" || s.trailer != nil
}

// originHead is the answer's head as an origin sends it on the wire.
func (s *script) originHead() http.Header {
	h := s.answer.Clone()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" && s.hasContent() {
		h.Set("Content-Type", "text/x")
	}
	if s.trailer != nil {
		for name := range s.trailer {
			h.Add("Trailer", name)
		}
	} else if h.Get("Content-Length") == "" && s.status != 204 && s.status != 304 {
		h.Set("Content-Length", fmt.Sprint(len(s.body)))
	}
	return h
}

// origin is the origin behind ReverseProxy.
func (w *twins) origin(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.play
	body, _ := io.ReadAll(r.Body)
	fields := map[string][]string(r.Header.Clone())
	delete(fields, "Content-Length")
	fields["Host"] = []string{r.Host}
	fields["length"] = []string{fmt.Sprint(r.ContentLength)}
	w.seen = view{line: r.Method + " " + r.RequestURI, content: string(body), fields: fields, trailer: r.Trailer}
	h := rw.Header()
	h["Date"] = nil
	maps.Copy(h, s.originHead())
	rw.WriteHeader(s.status)
	io.WriteString(rw, s.body)
	for name, values := range s.trailer {
		h[name] = values
	}
}
