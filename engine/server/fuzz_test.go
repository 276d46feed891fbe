package server

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"adit/engine"
)

// Whatever a caller sends, the destination that rules judge is the one that is
// forwarded, and no other parser reads another host from it.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n",
		"GET http://a@b/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://a?b/c@d HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT [::ffff:a9fe:a9fe]:80 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://h:1/p?q#f\r\n\r\n",
		"OPTIONS http://h HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET //evil/%2e%2e HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		f.Add(seed)
	}
	s, err := New(Options{Domain: domain})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, send string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(send)))
		if err != nil {
			return
		}
		for _, way := range []engine.Way{engine.WayRequest, engine.WayProxy, engine.WayConnect, engine.WayHost} {
			tgt := target{way: way}
			if way == engine.WayProxy && !r.URL.IsAbs() || way == engine.WayConnect && r.Method != "CONNECT" ||
				way != engine.WayConnect && r.Method == "CONNECT" {
				continue
			}
			if s.resolve(r, &tgt) != nil {
				continue
			}
			if !validAuthority(tgt.authority) || strings.ContainsAny(tgt.authority, "@/\\?# ") {
				t.Errorf("%v: authority %q", way, tgt.authority)
			}
			if way == engine.WayConnect {
				continue
			}
			if tgt.path != "*" && !strings.HasPrefix(tgt.path, "/") || strings.Contains(tgt.path, "#") {
				t.Errorf("%v: path %q", way, tgt.path)
			}
			if tgt.path == "*" {
				continue
			}
			if u, err := url.Parse(tgt.record()); err == nil && (u.Host != tgt.authority || u.User != nil || u.Scheme != tgt.scheme) {
				t.Errorf("%v: %q reads as host %q", way, tgt.record(), u.Host)
			}
		}
	})
}
