package server

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

const domain = "t.example"

// exposed starts a server with one native client that exposes the name app.
func exposed(t testing.TB, h tunnel.Handler, change ...func(*Options)) *bench {
	t.Helper()
	o := Options{Domain: domain, Wait: 50 * time.Millisecond}
	for _, c := range change {
		c(&o)
	}
	b := serve(t, o)
	b.dial(greeting("edge", engine.Expose{Host: "app"}), h)
	return b
}

func (b *bench) url(path string) string { return "http://" + b.addr + path }

const appHost = "app." + domain

func TestEachWayReachesTheClient(t *testing.T) {
	seen := make(chan *wire.Request, 1)
	b := exposed(t, func(in tunnel.Incoming) {
		seen <- in.Request()
		hello(in)
	})
	for _, c := range []struct {
		name, send             string
		route                  uint64
		scheme, authority, url string
		way                    engine.Way
	}{
		{"request", "POST /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://API.internal/x/%2F?a=1&b\r\nContent-Length: 2\r\n\r\nhi",
			0, "http", "api.internal", "/x/%2F?a=1&b", engine.WayRequest},
		{"https destination without a path", "POST /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: https://api.internal:8443\r\nContent-Length: 2\r\n\r\nhi",
			0, "https", "api.internal:8443", "/", engine.WayRequest},
		{"named client", "POST /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Client: edge\r\nX-Proxy-Destination: http://api.internal/x\r\nContent-Length: 2\r\n\r\nhi",
			0, "http", "api.internal", "/x", engine.WayRequest},
		{"forward proxy", "POST http://api.internal/y?q HTTP/1.1\r\nHost: other\r\nContent-Length: 2\r\n\r\nhi",
			0, "http", "api.internal", "/y?q", engine.WayProxy},
		{"forward proxy, no path", "POST http://api.internal?q HTTP/1.1\r\nHost: other\r\nContent-Length: 2\r\n\r\nhi",
			0, "http", "api.internal", "/?q", engine.WayProxy},
		{"host name", "POST //evil/../x HTTP/1.1\r\nHost: APP.T.example:99\r\nContent-Length: 2\r\n\r\nhi",
			1, "http", "APP.T.example:99", "//evil/../x", engine.WayHost},
		{"host name by absolute form", "POST http://app.t.example/z HTTP/1.1\r\nHost: other\r\nContent-Length: 2\r\n\r\nhi",
			1, "http", "app.t.example", "/z", engine.WayHost},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(b.seen(engine.KindRequestFinished))
			resp, body := b.raw(c.send).response(t, "POST")
			if resp.StatusCode != 200 || body != "POST "+c.url+" hi" {
				t.Fatalf("got %d %q", resp.StatusCode, body)
			}
			r := <-seen
			if r.Route != c.route || r.Scheme != c.scheme || r.Authority != c.authority || r.Path != c.url {
				t.Errorf("client saw %+v", r)
			}
			rec := b.finished(n + 1)
			if rec.Way != c.way || rec.Outcome != engine.OutcomeCompleted || rec.Status != 200 ||
				rec.RequestBytes != 2 || rec.ResponseBytes != int64(len(body)) || rec.Client != "edge" ||
				rec.Protocol != engine.ProtocolNative || rec.Connection == 0 {
				t.Errorf("record %+v", rec)
			}
			if rec.Queued < 0 || rec.Sent < rec.Queued || rec.FirstByte < 0 || rec.LastByte < rec.Sent {
				t.Errorf("waterfall %v %v %v %v", rec.Queued, rec.Sent, rec.FirstByte, rec.LastByte)
			}
		})
	}
}

func TestTargetsThatNoReaderMayMisunderstand(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) { t.Errorf("reached the client: %+v", in.Request()); hello(in) })
	for name, send := range map[string]string{
		"user information":             "GET http://a:b@evil/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"backslash host":               "GET http://good\\@evil/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"empty host":                   "GET http:///x HTTP/1.1\r\nHost: app.t.example\r\n\r\n",
		"opaque":                       "GET http:evil HTTP/1.1\r\nHost: x\r\n\r\n",
		"other scheme":                 "GET ftp://evil/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"fragment":                     "GET http://evil/#x HTTP/1.1\r\nHost: x\r\n\r\n",
		"port out of range":            "GET http://evil:99999/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"percent in host":              "GET http://ev%69l/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"no destination":               "GET /request HTTP/1.1\r\nHost: x\r\n\r\n",
		"two destinations":             "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://a/\r\nX-Proxy-Destination: http://b/\r\n\r\n",
		"two clients":                  "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://a/\r\nX-Proxy-Client: a\r\nX-Proxy-Client: b\r\n\r\n",
		"relative destination":         "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: /etc/passwd\r\n\r\n",
		"file destination":             "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: file:///etc/passwd\r\n\r\n",
		"destination with credentials": "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://u:secret@a/\r\n\r\n",
		"two hosts":                    "GET / HTTP/1.1\r\nHost: app.t.example\r\nHost: evil\r\n\r\n",
		"connect without port":         "CONNECT evil HTTP/1.1\r\nHost: evil\r\n\r\n",
		"connect to a path":            "CONNECT /request HTTP/1.1\r\nHost: x\r\n\r\n",
		"connect with user":            "CONNECT a@evil:80 HTTP/1.1\r\nHost: x\r\n\r\n",
		"space before colon":           "GET / HTTP/1.1\r\nHost : app.t.example\r\n\r\n",
		"folded field":                 "GET / HTTP/1.1\r\nHost: app.t.example\r\nX: a\r\n b\r\n\r\n\r\n",
		"two lengths":                  "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"signed length":                "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: +2\r\n\r\nab",
		"chunked twice":                "POST / HTTP/1.1\r\nHost: app.t.example\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		"obscured transfer coding":     "POST / HTTP/1.1\r\nHost: app.t.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "folded field" {
				t.Skip("net/http unfolds it into one line, as RFC 9112 §5.2 allows")
			}
			resp, body := b.raw(send).response(t, "GET")
			if resp.StatusCode != 400 && resp.StatusCode != 501 {
				t.Errorf("got %d %q", resp.StatusCode, body)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("credential in %q", body)
			}
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Request != nil && strings.Contains(e.Request.Target+e.Request.Reason, "secret") {
			t.Errorf("credential in %+v", e.Request)
		}
	}
}

func TestUnknownNamesAndPaths(t *testing.T) {
	b := exposed(t, hello)
	c := caller(t)
	for _, k := range []struct {
		host, path string
		status     int
		text       string
	}{
		{"x", "/status", 200, "ok"},
		{"x", "/", 404, "X-PROXY-DESTINATION"},
		{appHost, "/status", 200, "GET /status"},
		{"nobody." + domain, "/", 404, "no such name"},
		{"a.app." + domain, "/", 404, "X-PROXY-DESTINATION"},
		{domain, "/", 404, "X-PROXY-DESTINATION"},
	} {
		resp, body := do(t, c, "GET", b.url(k.path), "", "Host", k.host)
		if resp.StatusCode != k.status || !strings.Contains(body, k.text) {
			t.Errorf("%s%s: got %d %q", k.host, k.path, resp.StatusCode, body)
		}
	}
}

// Known since the start, nobody there now: 503 after the wait, not 404.
func TestNameOfClientThatLeft(t *testing.T) {
	b := serve(t, Options{Domain: domain, Wait: 20 * time.Millisecond})
	s := b.dial(greeting("edge", engine.Expose{Host: "app"}), hello)
	s.Close(engine.CloseNormal, "")
	b.await(engine.KindConnectionClosed, 1)
	resp, body := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" ||
		resp.Header.Get("Proxy-Status") != "adit; error=destination_unavailable" {
		t.Errorf("got %d %q %v", resp.StatusCode, body, resp.Header)
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeRefused || rec.Status != 503 || rec.Connection != 0 {
		t.Errorf("record %+v", rec)
	}
}

func TestHopByHopFieldsStayHere(t *testing.T) {
	got := make(chan []wire.Field, 1)
	b := exposed(t, func(in tunnel.Incoming) { got <- in.Request().Fields; hello(in) })
	b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\n"+
		"Connection: keep-alive, X-Named\r\nConnection: x-other ,, Upgrade-Insecure\r\n"+
		"X-Named: 1\r\nX-Other: 2\r\nUpgrade-Insecure: 3\r\nKeep-Alive: 300\r\nProxy-Connection: x\r\n"+
		"Proxy-Authenticate: x\r\nProxy-Authorization: Basic eDp5\r\nTe: gzip, trailers\r\n"+
		"Upgrade: h2c\r\nHttp2-Settings: AAAA\r\nX-Proxy-Destination: http://a/\r\nX-Proxy-Anything: x\r\n"+
		"X-Secret-Key: k\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n"+
		"Forwarded: for=6.6.6.6\r\nVia: 1.0 before\r\nX-Kept: a\r\nX-Kept: b\r\nAuthorization: Bearer mine\r\n\r\n").response(t, "GET")
	want := []string{
		"authorization: Bearer mine",
		`forwarded: for=127.0.0.1;host="app.t.example";proto=http`,
		"te: trailers",
		"via: 1.0 before",
		"via: 1.1 " + b.s.pseudonym,
		"x-forwarded-for: 127.0.0.1",
		"x-forwarded-host: app.t.example",
		"x-forwarded-proto: http",
		"x-kept: a",
		"x-kept: b",
	}
	if lines := fieldsOf(<-got); !slices.Equal(lines, want) {
		t.Errorf("the origin got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestLoopIsBroken(t *testing.T) {
	b := exposed(t, hello)
	resp, _ := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost, "Via", "1.1 x, 1.1 "+b.s.pseudonym)
	if resp.StatusCode != http.StatusLoopDetected {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestMethodsAndStatusesWithoutContent(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		switch in.Request().Path {
		case "/head":
			in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Length", Value: "1234"}}}, true)
		case "/204":
			in.WriteResponse(&wire.Response{Status: 204}, true)
		case "/304":
			in.WriteResponse(&wire.Response{Status: 304, Fields: []wire.Field{{Name: "Content-Length", Value: "99"}, {Name: "Etag", Value: `"x"`}}}, true)
		case "*":
			in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Length", Value: "4"}}}, false)
			io.WriteString(in, "star")
			in.CloseWrite(nil)
		}
	})
	c := b.raw("")
	for _, k := range []struct{ send, method, length, body string }{
		{"HEAD /head HTTP/1.1\r\nHost: app.t.example\r\n\r\n", "HEAD", "1234", ""},
		{"GET /204 HTTP/1.1\r\nHost: app.t.example\r\n\r\n", "GET", "", ""},
		{"GET /304 HTTP/1.1\r\nHost: app.t.example\r\n\r\n", "GET", "", ""}, // net/http leaves it out
		{"OPTIONS * HTTP/1.1\r\nHost: app.t.example\r\n\r\n", "OPTIONS", "4", "star"},
	} {
		io.WriteString(c, k.send)
		resp, body := c.response(t, k.method)
		if resp.Header.Get("Content-Length") != k.length || body != k.body {
			t.Errorf("%q: %v %q", k.send, resp.Header, body)
		}
		if _, ok := resp.Header["Content-Type"]; ok {
			t.Errorf("%q: a content type was made up: %v", k.send, resp.Header)
		}
	}
}

func TestFailuresBecomeStatuses(t *testing.T) {
	code := make(chan wire.ResetCode, 1)
	b := exposed(t, func(in tunnel.Incoming) { in.Reset(<-code, "why") })
	compat := exposed(t, func(in tunnel.Incoming) { in.Reset(<-code, "why") }, func(o *Options) { o.CompatStatus = true })
	for _, k := range []struct {
		code    wire.ResetCode
		status  int
		wsp     int
		outcome engine.Outcome
	}{
		{wire.ResetCancelled, 502, 527, engine.OutcomeOriginFailed},
		{wire.ResetOriginFailed, 502, 527, engine.OutcomeOriginFailed},
		{wire.ResetTimedOut, 504, 527, engine.OutcomeTimedOut},
		{wire.ResetInternal, 502, 527, engine.OutcomeTunnelFailed},
		{wire.ResetDenied, 403, 527, engine.OutcomeRefused},
		{wire.ResetMalformed, 502, 527, engine.OutcomeTunnelFailed},
		{99, 502, 527, engine.OutcomeTunnelFailed},
	} {
		n := len(b.seen(engine.KindRequestFinished))
		code <- k.code
		resp, body := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost)
		if resp.StatusCode != k.status || !strings.HasPrefix(resp.Header.Get("Proxy-Status"), "adit; error=") ||
			strings.Count(body, "\n") != 1 || strings.ToLower(body) != body && k.status != 500 {
			t.Errorf("reset %d: got %d %v %q", k.code, resp.StatusCode, resp.Header, body)
		}
		if rec := b.finished(n + 1); rec.Outcome != k.outcome || rec.Status != k.status {
			t.Errorf("reset %d: record %+v", k.code, rec)
		}
		code <- k.code
		if resp, _ := do(t, caller(t), "GET", compat.url("/"), "", "Host", appHost); resp.StatusCode != k.wsp {
			t.Errorf("reset %d: with compat status %d", k.code, resp.StatusCode)
		}
	}
}

func TestOversizeHeadIsRefused(t *testing.T) {
	b := exposed(t, hello)
	many := strings.Repeat("X-A: 1\r\n", 300)
	if resp, _ := b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\n"+many+"\r\n").response(t, "GET"); resp.StatusCode != 431 {
		t.Errorf("300 fields: got %d", resp.StatusCode)
	}
	huge := "X-A: " + repeat("a", 70<<10) + "\r\n"
	if resp, _ := b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\n"+huge+"\r\n").response(t, "GET"); resp.StatusCode != 431 {
		t.Errorf("70 KiB: got %d", resp.StatusCode)
	}
}

func TestRefusedExchangeIsTriedOnceElsewhere(t *testing.T) {
	b := serve(t, Options{Domain: domain, Wait: 20 * time.Millisecond})
	refuse := func(in tunnel.Incoming) { in.Reset(wire.ResetRefused, "busy") }
	b.dial(greeting("a", engine.Expose{Host: "app"}), refuse)
	if resp, _ := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost); resp.StatusCode != 503 {
		t.Errorf("one client: got %d", resp.StatusCode)
	}
	b.dial(greeting("b", engine.Expose{Host: "app"}), hello)
	for range 6 {
		if resp, body := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost); resp.StatusCode != 200 {
			t.Errorf("two clients: got %d %q", resp.StatusCode, body)
		}
	}
}

// Content that was read can't be sent twice (rule R2).
func TestRefusedUploadIsNotSentTwice(t *testing.T) {
	b := serve(t, Options{Domain: domain, Wait: 20 * time.Millisecond})
	hits := make(chan string, 10)
	for _, id := range []string{"a", "b"} {
		b.dial(greeting(id, engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
			content(in)
			hits <- id
			in.Reset(wire.ResetRefused, "busy")
		})
	}
	resp, _ := do(t, caller(t), "POST", b.url("/"), "content", "Host", appHost)
	if resp.StatusCode != 503 || len(hits) != 1 {
		t.Errorf("got %d after %d tries", resp.StatusCode, len(hits))
	}
}

func TestClientThatDiesMidRequest(t *testing.T) {
	b := serve(t, Options{Domain: domain, Wait: 20 * time.Millisecond})
	began := make(chan struct{}, 2)
	handle := func(in tunnel.Incoming) {
		if in.Request().Method == "GET" {
			in.WriteResponse(&wire.Response{Status: 200}, false)
			in.Write([]byte("part"))
		}
		began <- struct{}{}
		<-in.Context().Done()
	}
	s := b.dial(greeting("edge", engine.Expose{Host: "app"}), handle)
	if body, err := b.headThen(func() { s.Close(engine.CloseInternal, "died") }); err == nil {
		t.Errorf("got %q as if it were the whole", body)
	}
	<-began

	b.await(engine.KindConnectionClosed, 1)
	s = b.dial(greeting("edge", engine.Expose{Host: "app"}), handle)
	go func() {
		<-began
		s.Close(engine.CloseInternal, "died")
	}()
	if resp, _ := do(t, caller(t), "DELETE", b.url("/"), "", "Host", appHost); resp.StatusCode != 502 {
		t.Errorf("got %v", resp.Status)
	}
}

func TestCredentialOfCallers(t *testing.T) {
	got := make(chan []wire.Field, 1)
	b := exposed(t, func(in tunnel.Incoming) { got <- in.Request().Fields; hello(in) }, withCallerToken("s3cret"))
	c := caller(t)
	destination := []string{"X-Proxy-Destination", "http://api.internal/"}
	for _, k := range []struct {
		name, path, host string
		header           []string
		status           int
	}{
		{"none", "/request", "x", destination, 401},
		{"wrong", "/request", "x", append([]string{"Authorization", "Bearer no"}, destination...), 401},
		{"twice", "/request", "x", append([]string{"Authorization", "Bearer s3cret", "Authorization", "Bearer s3cret"}, destination...), 400},
		{"right", "/request", "x", append([]string{"Authorization", "Bearer s3cret"}, destination...), 200},
		{"host", "/", appHost, nil, 401},
		{"host, right, the origin's own passes", "/", appHost, []string{"Proxy-Authorization", "Bearer s3cret", "Authorization", "Bearer theirs"}, 200},
	} {
		resp, _ := do(t, c, "GET", b.url(k.path), "", append([]string{"Host", k.host}, k.header...)...)
		if resp.StatusCode != k.status {
			t.Errorf("%s: got %d", k.name, resp.StatusCode)
		}
		if k.status == 401 && resp.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%s: no challenge", k.name)
		}
		if k.status == 200 {
			for _, line := range fieldsOf(<-got) {
				if strings.Contains(line, "s3cret") {
					t.Errorf("%s: our credential reached the origin: %s", k.name, line)
				}
			}
		}
	}
	for _, send := range []string{
		"GET http://api.internal/ HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT api.internal:80 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		resp, _ := b.raw(send).response(t, "GET")
		if resp.StatusCode != 407 || resp.Header.Get("Proxy-Authenticate") == "" {
			t.Errorf("%q: got %d %v", send, resp.StatusCode, resp.Header)
		}
	}
	b.await(engine.KindAdmissionRefused, 5)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Request != nil && strings.Contains(e.Request.Target+e.Request.Reason+e.Reason, "s3cret") {
			t.Errorf("credential in %+v", e)
		}
	}
}

func TestUnreadContentOfRefusedRequestIsNoRequest(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) { t.Error("reached the client") }, withCallerToken("x"))
	inner := "GET / HTTP/1.1\r\nHost: app.t.example\r\nAuthorization: Bearer x\r\n\r\n"
	c := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 1000\r\n\r\n")
	resp, _ := c.response(t, "POST")
	if resp.StatusCode != 401 || !resp.Close {
		t.Errorf("got %d, close %v: the answer must not wait for content", resp.StatusCode, resp.Close)
	}
	io.WriteString(c, inner)
	if rest, _ := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("the connection went on: %q", rest)
	}
}

func TestTrailersThatCannotPassEndTheRequest(t *testing.T) {
	b := exposed(t, hello)
	many := strings.Repeat("X-A: 1\r\n", 300)
	resp, body := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n1\r\na\r\n0\r\n"+
		many+"\r\n").response(t, "POST")
	if resp.StatusCode != 431 {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}
