package origin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"adit/engine/wire"
)

func newTransport(t testing.TB, o Options) *Transport {
	t.Helper()
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, _ Class, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		}
	}
	tr := New(o)
	t.Cleanup(tr.Close)
	return tr
}

// serve starts an HTTP origin and returns its host:port.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func get(addr, path string, fields ...wire.Field) *Request {
	return &Request{Scheme: "http", Address: addr, Method: "GET", Host: "public.example", Path: path, Fields: fields}
}

// exchange sends r, reads the content to its end and closes it.
func exchange(t testing.TB, tr *Transport, r *Request) (*Response, string) {
	t.Helper()
	return exchangeBy(t, (*Transport).Send, tr, r)
}

func exchangeBy(t testing.TB, send sendFunc, tr *Transport, r *Request) (*Response, string) {
	t.Helper()
	resp, err := send(tr, t.Context(), r)
	if err != nil {
		r.Join()
		t.Fatalf("Send: %v", err)
	}
	content, err := io.ReadAll(resp.Content)
	if err != nil {
		t.Errorf("content: %v", err)
	}
	if err := resp.Content.Close(); err != nil {
		t.Errorf("close content: %v", err)
	}
	return resp, string(content)
}

func TestNothingIsInvented(t *testing.T) {
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "public.example" {
			t.Errorf("Host = %q", r.Host)
		}
		for name := range r.Header {
			if name != "X-Token" {
				t.Errorf("invented %s: %q", name, r.Header[name])
			}
		}
		io.WriteString(w, r.RequestURI)
	})
	tr := newTransport(t, Options{})
	for _, path := range []string{"/", "/a?b=c", "//double//x?", "//a|b//c", "/%2f?%2F", "/a;b|c"} {
		_, got := exchange(t, tr, get(addr, path, wire.Field{Name: "x-token", Value: "1"}))
		if got != path && !strings.HasSuffix(got, path) {
			t.Errorf("path %q arrived as %q", path, got)
		}
	}
}

func post(addr string, content io.Reader, length int64) *Request {
	return &Request{Scheme: "http", Address: addr, Method: "POST", Host: "public.example", Path: "/",
		Content: content, Length: length}
}
