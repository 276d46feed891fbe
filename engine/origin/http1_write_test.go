package origin

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/wire"
)

// No caller's bytes may begin a second request.
func TestRequestIsNotSplit(t *testing.T) {
	tr := newTransport(t, Options{Dial: func(context.Context, Class, string) (net.Conn, error) {
		t.Error("dialled")
		return nil, errors.New("no")
	}})
	for name, change := range map[string]func(r *Request){
		"method":        func(r *Request) { r.Method = "GET /x" },
		"no method":     func(r *Request) { r.Method = "" },
		"path":          func(r *Request) { r.Path = "/a HTTP/1.1\r\nX: y" },
		"path space":    func(r *Request) { r.Path = "/a b" },
		"path NUL":      func(r *Request) { r.Path = "/a\x00" },
		"no path":       func(r *Request) { r.Path = "" },
		"host":          func(r *Request) { r.Host = "a\r\nX: y" },
		"host space":    func(r *Request) { r.Host = "a b" },
		"name":          func(r *Request) { r.Fields = []wire.Field{{Name: "A: b\r\nC", Value: "d"}} },
		"name colon":    func(r *Request) { r.Fields = []wire.Field{{Name: "A:", Value: "d"}} },
		"no name":       func(r *Request) { r.Fields = []wire.Field{{Name: "", Value: "d"}} },
		"value CRLF":    func(r *Request) { r.Fields = []wire.Field{{Name: "A", Value: "b\r\n\r\nGET / HTTP/1.1"}} },
		"value LF":      func(r *Request) { r.Fields = []wire.Field{{Name: "A", Value: "b\nc: d"}} },
		"value NUL":     func(r *Request) { r.Fields = []wire.Field{{Name: "A", Value: "b\x00"}} },
		"upgrade":       func(r *Request) { r.Upgrade = "a\r\nX: y" },
		"skipped name":  func(r *Request) { r.Fields = []wire.Field{{Name: "Host", Value: "b\r\n"}} },
		"skipped later": func(r *Request) { r.Fields = []wire.Field{{Name: "Expect", Value: "\n"}} },
	} {
		r := get("origin.example:80", "/")
		change(r)
		if _, err := tr.Send(t.Context(), r); engine.ReasonOf(err) != engine.ReasonMalformed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Framing is ours alone, whatever fields say.
func TestFramingIsNotTheCallers(t *testing.T) {
	r := post("origin.example:80", strings.NewReader("hello"), 5)
	r.Fields = []wire.Field{
		{Name: "content-length", Value: "9"}, {Name: "Transfer-Encoding", Value: "chunked"}, {Name: "CONNECTION", Value: "close"},
		{Name: "Keep-Alive", Value: "1"}, {Name: "Proxy-Connection", Value: "x"}, {Name: "Upgrade", Value: "h2c"},
		{Name: "host", Value: "other"}, {Name: "Trailer", Value: "X-A"}, {Name: "x-B", Value: "1"},
	}
	for _, tt := range []struct {
		length int64
		want   string
	}{
		{5, "POST / HTTP/1.1\r\nHost: public.example\r\nX-B: 1\r\nContent-Length: 5\r\n\r\n"},
		{-1, "POST / HTTP/1.1\r\nHost: public.example\r\nTrailer: X-A\r\nX-B: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{0, "POST / HTTP/1.1\r\nHost: public.example\r\nX-B: 1\r\nContent-Length: 0\r\n\r\n"},
	} {
		r.Length = tt.length
		r.Trailers = func() []wire.Field { return nil }
		got, _, err := appendHead(nil, r)
		if string(got) != tt.want || err != nil {
			t.Errorf("length %d: %q, %v", tt.length, got, err)
		}
	}
}

// What is written is read by net/http as it was meant, or was refused.
func FuzzRequestHead(f *testing.F) {
	f.Add("GET", "/a?b", "host.example", "X-A", "b", int64(0))
	f.Add("POST", "*", "[::1]:80", "transfer-encoding", "chunked", int64(-1))
	f.Add("PUT", "//x", "h", "Content-Length", "5", int64(7))
	f.Add("A", "/\r\nB: c", "h\r\n", "D e", "f\ng", int64(1))
	f.Fuzz(func(t *testing.T, method, path, host, name, value string, length int64) {
		r := &Request{Method: method, Path: path, Host: host, Fields: []wire.Field{{Name: name, Value: value}}, Length: max(length, -1)}
		if r.Length != 0 {
			r.Content = strings.NewReader("")
		}
		out, _, err := appendHead(nil, r)
		if err != nil {
			return
		}
		if n := strings.Count(string(out), "\n"); n > 5 || !strings.HasSuffix(string(out), "\r\n\r\n") || strings.Count(string(out), "\r\n") != n {
			t.Fatalf("%d lines: %q", n, out)
		}
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(out))))
		if err != nil {
			return // net/http's server is choosy about methods, targets and hosts
		}
		if req.Method != method || req.RequestURI != path || req.ContentLength != r.Length && r.Length >= 0 ||
			r.Length < 0 && !slices.Equal(req.TransferEncoding, []string{"chunked"}) {
			t.Errorf("%q read as %s %s %d %q", out, req.Method, req.RequestURI, req.ContentLength, req.TransferEncoding)
		}
	})
}
