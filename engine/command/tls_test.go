package command

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestRedirectToElsewhere: who asks for a host is sent to that host, whatever the
// target looks like.
func TestRedirectToElsewhere(t *testing.T) {
	for _, c := range []struct{ method, host, target, port, want string }{
		{"GET", "app.example", "/x?y=z", "443", "https://app.example/x?y=z"},
		{"GET", "app.example:80", "/", "8443", "https://app.example:8443/"},
		{"POST", "App.Example", "/", "443", "https://App.Example/"},
		{"GET", "192.0.2.1", "/", "443", "https://192.0.2.1/"},
		{"GET", "[2001:db8::1]:80", "/", "8443", "https://[2001:db8::1]:8443/"},
		{"GET", "[2001:db8::1]", "/", "443", "https://[2001:db8::1]/"},
		{"GET", "app.example", "//evil.example/x", "443", "https://app.example//evil.example/x"},
		{"GET", "app.example", "/%2f%2fevil.example", "443", "https://app.example/%2f%2fevil.example"},
		{"GET", "app.example", "http://evil.example/x", "443", ""},
		{"GET", "app.example", "evil.example/x", "443", ""},
		{"OPTIONS", "app.example", "*", "443", ""},
		{"CONNECT", "app.example:443", "app.example:443", "443", ""},
		{"GET", "", "/", "443", ""},
		{"GET", "evil.example/", "/", "443", ""},
		{"GET", "evil.example#", "/", "443", ""},
		{"GET", "user@evil.example", "/", "443", ""},
		{"GET", "app.example\\evil", "/", "443", ""},
		{"GET", "[::1%25eth0]", "/", "443", ""},
		{"GET", "a..b", "/", "443", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.Host, r.RequestURI = c.method, c.host, c.target
		if u, err := r.URL.Parse(c.target); err == nil {
			r.URL = u
			if c.target[0] == '/' {
				r.URL, _ = r.URL.Parse("http://x" + c.target)
				r.URL.Scheme, r.URL.Host = "", ""
			}
		}
		w := httptest.NewRecorder()
		toHTTPS(c.port).ServeHTTP(w, r)
		got := w.Header().Get("Location")
		if got != c.want || c.want != "" && w.Code != http.StatusPermanentRedirect || c.want == "" && w.Code != http.StatusBadRequest {
			t.Errorf("%s %s of %s: %d to %q, want %q", c.method, c.target, c.host, w.Code, got, c.want)
		}
	}
}

// TestManyConnectionsInClear: the listener beside TLS has a bound of its own.
func TestManyConnectionsInClear(t *testing.T) {
	base, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	ln := &fewListener{Listener: base, places: make(chan struct{}, 1)}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", base.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	second := dial()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := ln.Accept()
		accepted <- c
	}()
	second.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := second.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("one too many is kept")
	}
	first.Close()
	first.Close()
	dial()
	if c := <-accepted; c == nil {
		t.Error("a place that became free is not given")
	} else {
		c.Close()
	}
}
