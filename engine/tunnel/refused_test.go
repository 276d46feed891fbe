package tunnel

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/frame"
)

// An operator who reads the client's log must learn from it what the server has
// against the client, and a stranger's answer must not get a credential into it.
func TestRefusedHandshakeSaysWhy(t *testing.T) {
	long := strings.Repeat("x", maxSaid+1)
	for _, tt := range []struct {
		name         string
		status       int
		kind, body   string
		want, absent string
	}{
		{"our text", 401, "text/plain; charset=utf-8", "credential expired: ask for a new one\n", "401 Unauthorized: credential expired: ask for a new one", "\n"},
		{"no text", 401, "text/plain", "", "401 Unauthorized: it wants a credential of this client", ""},
		{"a page", 401, "text/html", "<b>no</b>", "401 Unauthorized: it wants a credential", "<b>"},
		{"another service", 404, "text/html", "<b>no</b>", "404 Not Found: no registry is at this path", "<b>"},
		{"tls, of net/http", 400, "", "Client sent an HTTP request to an HTTPS server.\n", "is it wss:// and not ws://?", ""},
		{"tls, of nginx", 400, "text/html", "<center>The plain HTTP request was sent to HTTPS port</center>", "is it wss:// and not ws://?", "center"},
		{"our credential", 403, "text/plain", "X-Secret-Key: hunter2", "403 Forbidden", "hunter2"},
		{"part of it", 403, "text/plain", "you sent hunter3 as bearer", "403 Forbidden", "hunter3"},
		{"lines", 503, "text/plain", "one\ntwo", "503 Service Unavailable", "two"},
		{"escapes", 503, "text/plain", "\x1b[2J", "503 Service Unavailable", "\x1b"},
		{"no UTF-8", 503, "text/plain", "a\xff", "503 Service Unavailable", "\xff"},
		{"a long text", 503, "text/plain", long, "503 Service Unavailable", "xxx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{tt.kind}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer s.Close()
			_, err := Dial(context.Background(), DialOptions{ID: 1, URL: "ws" + strings.TrimPrefix(s.URL, "http"), Counters: new(frame.Counters),
				Greeting: &engine.Greeting{ID: "edge", PoolSize: 1},
				Header:   http.Header{"X-Secret-Key": {"hunter2"}, "Authorization": {"Bearer hunter3"}}})
			var d *DialError
			if !errors.As(err, &d) || d.Status != tt.status || !strings.Contains(err.Error(), tt.want) ||
				tt.absent != "" && strings.Contains(err.Error(), tt.absent) {
				t.Errorf("%v, want %q without %q", err, tt.want, tt.absent)
			}
		})
	}
}
