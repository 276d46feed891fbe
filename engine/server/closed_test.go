package server

import (
	"net/http"
	"sync/atomic"
	"testing"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// Whatever the form of a request, nothing of it reaches a client before its caller
// was admitted: each way in asks, over either version of HTTP, and none is taken for
// another one that does not.
func TestNoFormOfARequestPassesUnasked(t *testing.T) {
	var served atomic.Int32
	b := serve(t, Options{Domain: domain, Live: Live{Callers: &policy.Callers{Secrets: policy.NewSecrets("the-secret")}}})
	b.dial(greeting("edge", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
		served.Add(1)
		hello(in)
	})
	const socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for _, send := range []string{
		"GET / HTTP/1.1\r\nHost: app." + domain,
		"GET / HTTP/1.0\r\nHost: app." + domain,
		"GET / HTTP/1.1\r\nHost: APP." + domain + ".:8080",
		"GET /register HTTP/1.1\r\nHost: app." + domain + "\r\n" + socket[:len(socket)-2],
		"GET /status HTTP/1.1\r\nHost: app." + domain,
		"OPTIONS * HTTP/1.1\r\nHost: app." + domain,
		"GET http://app." + domain + "/ HTTP/1.1\r\nHost: other.example",
		"GET http://api.example/status HTTP/1.1\r\nHost: localhost",
		"GET http://api.example/register HTTP/1.1\r\nHost: localhost\r\n" + socket[:len(socket)-2],
		"GET HTTP://api.example HTTP/1.1\r\nHost: api.example",
		"OPTIONS http://api.example HTTP/1.1\r\nHost: api.example",
		"CONNECT db.example:5432 HTTP/1.1\r\nHost: db.example:5432",
		"CONNECT app." + domain + ":80 HTTP/1.1\r\nHost: app." + domain + ":80",
		"CONNECT [::1]:80 HTTP/1.0\r\nHost: [::1]:80",
		"GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.example/",
		"GET /%72equest HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.example/",
		"GET /request?x=1 HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.example/\r\n" + socket[:len(socket)-2],
		"POST /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.example/\r\nContent-Length: 0",
	} {
		for _, credential := range []string{
			"", "\r\nAuthorization: Bearer", "\r\nAuthorization: Bearer ", "\r\nProxy-Authorization: Basic Og==", "\r\nProxy-Authorization: Bearer the-secret2",
			"\r\nX-Secret-Key: the-secret", "\r\nAuthorization: Negotiate the-secret", "\r\nProxy-Authorization: Basic dGhlLXNlY3JldDo=",
			"\r\nProxy-Authorization: Bearer wrong\r\nAuthorization: Bearer the-secret",
		} {
			resp, _ := b.raw(send+credential+"\r\n\r\n").response(t, "GET")
			if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusProxyAuthRequired {
				t.Errorf("%q: status %d", send+credential, resp.StatusCode)
			}
		}
	}
	second := h2c(t)
	for _, k := range []struct{ method, path, host string }{
		{"GET", "/", "app." + domain}, {"GET", "/request", "x"}, {"CONNECT", "", "db.example:5432"}, {"CONNECT", "", "app." + domain + ":80"},
	} {
		r, err := http.NewRequest(k.method, b.url(k.path), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = k.host
		r.Header.Set("X-Proxy-Destination", "http://api.example/")
		resp, err := second.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusProxyAuthRequired {
			t.Errorf("%s %s of %s over %s: status %d", k.method, k.path, k.host, resp.Proto, resp.StatusCode)
		}
	}
	if n := served.Load(); n != 0 {
		t.Errorf("%d requests without a credential reached the client", n)
	}
	if resp, _ := b.raw("GET / HTTP/1.1\r\nHost: app."+domain+"\r\nAuthorization: Bearer the-secret\r\n\r\n").response(t, "GET"); resp.StatusCode != 200 || served.Load() != 1 {
		t.Errorf("with it: status %d", resp.StatusCode)
	}
}
