package origin

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"adit/engine/wire"
)

// A lean origin costs little beside what is measured: it answers whatever ends
// a head with the same bytes.
func lean(answer string) func(*net.TCPConn, *bufio.Reader) {
	return func(c *net.TCPConn, _ *bufio.Reader) {
		buf, out := make([]byte, 16<<10), []byte(answer)
		for have := 0; ; {
			n, err := c.Read(buf[have:])
			if err != nil {
				return
			}
			if have += n; bytes.HasSuffix(buf[:have], []byte("\r\n\r\n")) {
				have = 0
				c.Write(out)
			}
		}
	}
}

const smallAnswer = "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 18:00:00 GMT\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Server: origin\r\nContent-Length: 12\r\n\r\nhello world\n"

// usualFields are those of a browser behind a gateway.
func usualFields() []wire.Field {
	return []wire.Field{
		{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{Name: "Accept-Encoding", Value: "gzip, deflate, br, zstd"},
		{Name: "Cookie", Value: "session=" + strings.Repeat("0123456789abcdef", 4)},
		{Name: "X-Forwarded-For", Value: "192.0.2.1"},
		{Name: "X-Forwarded-Host", Value: "public.example"},
		{Name: "X-Forwarded-Proto", Value: "https"},
		{Name: "Forwarded", Value: `for=192.0.2.1;host="public.example";proto=https`},
		{Name: "Via", Value: "1.1 adit-0123456789"},
	}
}

type sender func(context.Context, *Transport, *Request) (*Response, error)

func throughHTTP1(ctx context.Context, t *Transport, r *Request) (*Response, error) {
	return t.http1.send(ctx, r)
}

func throughNetHTTP(ctx context.Context, t *Transport, r *Request) (*Response, error) {
	return t.sendNetHTTP(ctx, r)
}

func benchmarkBoth(b *testing.B, s *script, bytes int64, request func() *Request) {
	for _, via := range []struct {
		name string
		send sender
	}{{"http1", throughHTTP1}, {"nethttp", throughNetHTTP}} {
		b.Run(via.name, func(b *testing.B) {
			tr := newTransport(b, Options{HeadTimeout: 2 * time.Minute})
			buf := make([]byte, 32<<10)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.ReportAllocs()
			b.SetBytes(bytes)
			defer cpuPerOp(b)()
			for b.Loop() {
				resp, err := via.send(ctx, tr, request())
				for err == nil {
					_, err = resp.Content.Read(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				resp.Content.Close()
			}
		})
	}
}

func BenchmarkSmallGET(b *testing.B) {
	s := newScript(b, lean(smallAnswer))
	fields := usualFields()
	r := get(s.addr, "/index.html")
	r.Fields = fields
	benchmarkBoth(b, s, 0, func() *Request { return r })
	// What the system takes for the same bytes, and the origin: the floor.
	b.Run("bare", func(b *testing.B) {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		out, _, err := appendHead(nil, r)
		if err != nil {
			b.Fatal(err)
		}
		in := make([]byte, 4<<10)
		defer cpuPerOp(b)()
		for b.Loop() {
			c.Write(out)
			c.Read(in)
		}
	})
}

func BenchmarkSmallChunked(b *testing.B) {
	s := newScript(b, lean("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nhello world\n\r\n0\r\n\r\n"))
	r := get(s.addr, "/")
	benchmarkBoth(b, s, 0, func() *Request { return r })
}

func BenchmarkDownload(b *testing.B) {
	const size = 4 << 20
	s := newScript(b, lean("HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n"+strings.Repeat("x", size)))
	r := get(s.addr, "/")
	benchmarkBoth(b, s, size, func() *Request { return r })
}

func BenchmarkChunkedDownload(b *testing.B) {
	const size = 4 << 20
	chunk := "8000\r\n" + strings.Repeat("x", 32<<10) + "\r\n"
	s := newScript(b, lean("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, size/(32<<10))+"0\r\n\r\n"))
	r := get(s.addr, "/")
	benchmarkBoth(b, s, size, func() *Request { return r })
}
