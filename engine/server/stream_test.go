package server

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

func TestEarlyResponseEndsExchange(t *testing.T) {
	stopped := make(chan error, 1)
	b := exposed(t, func(in tunnel.Incoming) {
		respond(in, 413, "too much")
		_, err := content(in)
		stopped <- err
	})
	// The content never ends: only an answer that does not wait for it arrives.
	c := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 1000000000\r\n\r\n" + repeat("x", 200<<10))
	resp, body := c.response(t, "POST")
	if resp.StatusCode != 413 || body != "too much" || !resp.Close {
		t.Errorf("got %d %q, close %v", resp.StatusCode, body, resp.Close)
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeCompleted || rec.Status != 413 {
		t.Errorf("record %+v", rec)
	}
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Error("the client was not told that the exchange is over")
	}
	// What is left of the content must not be read as a request.
	io.WriteString(c, "GET /smuggled HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
	if rest, _ := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("the connection went on: %q", rest)
	}
}

func TestEarlyChunkedResponseIsNotSmuggled(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		if in.Request().Path != "/" {
			t.Errorf("smuggled: %s", in.Request().Path)
		}
		respond(in, 200, "early")
	})
	c := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	if resp, body := c.response(t, "POST"); body != "early" || !resp.Close {
		t.Errorf("got %q, close %v", body, resp.Close)
	}
	io.WriteString(c, "2a\r\nGET /smuggled HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
	if rest, _ := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("the connection went on: %q", rest)
	}
}

func TestFullDuplexEcho(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		for {
			p, err := in.Next()
			if err != nil {
				break
			}
			in.Write(p)
		}
		in.CloseWrite(nil)
	})
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", b.url("/"), pr)
	req.Host = appHost
	resp, err := caller(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for range 20 {
		io.WriteString(pw, "ping\n")
		if line, err := r.ReadString('\n'); line != "ping\n" {
			t.Fatalf("got %q, %v", line, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}

func TestEventsAreNotBuffered(t *testing.T) {
	next := make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Type", Value: "text/event-stream"}}}, false)
		for range 10 {
			<-next
			if _, err := in.Write([]byte("data: x\n\n")); err != nil {
				return
			}
		}
		in.CloseWrite(nil)
	})
	req, _ := http.NewRequest("GET", b.url("/"), nil)
	req.Host = appHost
	resp, err := caller(t).Do(req) // the head comes before any content
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for range 10 {
		next <- struct{}{}
		if line, err := r.ReadString('\n'); line != "data: x\n" {
			t.Fatalf("%q %v", line, err)
		}
		r.ReadString('\n')
	}
}

func TestTrailersBothWays(t *testing.T) {
	got := make(chan []wire.Field, 1)
	b := exposed(t, func(in tunnel.Incoming) {
		content(in)
		got <- in.Trailers()
		in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Trailer", Value: "X-Announced"}}}, false)
		in.Write([]byte("small"))
		in.CloseWrite([]wire.Field{{Name: "X-Announced", Value: "a"}, {Name: "X-Silent", Value: "b"}})
	})
	resp, body := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nTe: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"+
		"2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n").response(t, "POST")
	if lines := fieldsOf(<-got); !slices.Equal(lines, []string{"x-sum: 7"}) {
		t.Errorf("request trailers %v", lines)
	}
	if body != "small" || resp.Trailer.Get("X-Announced") != "a" || resp.Trailer.Get("X-Silent") != "b" {
		t.Errorf("%q, trailers %v", body, resp.Trailer)
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteInformational(103, []wire.Field{{Name: "Link", Value: "</a.css>; rel=preload"}})
		respond(in, 200, "done")
	})
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, h.Get("Link"))
		return nil
	}}
	req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", b.url("/"), nil)
	req.Host = appHost
	resp, err := caller(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if len(hints) != 1 || hints[0] != "</a.css>; rel=preload" || resp.Header.Get("Link") != "" {
		t.Errorf("hints %q, final head %v", hints, resp.Header)
	}
	// HTTP/1.0 has no 1xx (RFC 9110 §15.2).
	c := b.raw("GET / HTTP/1.0\r\nHost: app.t.example\r\n\r\n")
	if line, _ := c.r.ReadString('\n'); !strings.Contains(line, " 200 ") {
		t.Errorf("http/1.0 got %q first", line)
	}
}

func TestExpectContinue(t *testing.T) {
	release := make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		if wire.Get(in.Request().Fields, "expect") != "100-continue" {
			t.Error("expect did not reach the client")
		}
		if in.Request().Path == "/no" {
			respond(in, 417, "no")
			return
		}
		if in.Request().Path == "/yes" {
			<-release
			in.WriteInformational(100, nil)
		}
		body, _ := content(in)
		respond(in, 200, string(body))
	})
	head := " HTTP/1.1\r\nHost: app.t.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"

	t.Run("no content before the origin's 100", func(t *testing.T) {
		c := b.raw("POST /yes" + head)
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if line, err := c.r.ReadString('\n'); err == nil {
			t.Fatalf("got %q before the origin said so", line)
		}
		c.SetReadDeadline(time.Now().Add(patience))
		close(release)
		if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("got %q", line)
		}
		c.r.ReadString('\n')
		io.WriteString(c, "body")
		if _, body := c.response(t, "POST"); body != "body" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("a second without one", func(t *testing.T) {
		c := b.raw("POST /silent" + head)
		begin := time.Now()
		if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" || time.Since(begin) < continueWait/2 {
			t.Fatalf("got %q after %v", line, time.Since(begin))
		}
		c.r.ReadString('\n')
		io.WriteString(c, "body")
		if _, body := c.response(t, "POST"); body != "body" {
			t.Errorf("got %q", body)
		}
	})
	t.Run("a final response instead", func(t *testing.T) {
		c := b.raw("POST /no" + head)
		resp, body := c.response(t, "POST")
		if resp.StatusCode != 417 || body != "no" || !resp.Close {
			t.Errorf("got %d %q, close %v", resp.StatusCode, body, resp.Close)
		}
	})
}

func TestCallerThatLeavesResetsExchange(t *testing.T) {
	for _, path := range []string{"/waiting", "/content"} {
		t.Run(path, func(t *testing.T) {
			began := make(chan struct{})
			ended := make(chan struct{})
			b := exposed(t, func(in tunnel.Incoming) {
				if path == "/content" {
					in.WriteResponse(&wire.Response{Status: 200}, false)
					in.Write([]byte("x"))
				}
				close(began)
				<-in.Context().Done()
				close(ended)
			})
			c := b.raw("GET " + path + " HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
			within(t, "handler", began)
			c.Close()
			within(t, "cancellation", ended)
			rec := b.finished(1)
			if rec.Outcome != engine.OutcomeCallerGone || path == "/waiting" && rec.Status != engine.StatusCallerGone {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

func TestCallerThatLeavesWhileSending(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		close(began)
		_, err := content(in)
		if err == nil {
			t.Error("a part of the content was taken for the whole")
		}
		close(ended)
	})
	c := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 100\r\n\r\npart")
	within(t, "handler", began)
	c.Close()
	within(t, "reset", ended)
	if rec := b.finished(1); rec.Outcome != engine.OutcomeCallerGone {
		t.Errorf("record %+v", rec)
	}
}

// headThen asks for a name, waits for the response head, runs then and returns
// how reading the content ended.
func (b *bench) headThen(then func()) (string, error) {
	b.t.Helper()
	req, _ := http.NewRequest("GET", b.url("/"), nil)
	req.Host = appHost
	resp, err := caller(b.t).Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	then()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestTruncatedContentAbortsCaller(t *testing.T) {
	for name, fields := range map[string][]wire.Field{
		"chunked": nil, "length": {{Name: "Content-Length", Value: "100"}},
	} {
		t.Run(name, func(t *testing.T) {
			die := make(chan struct{})
			b := exposed(t, func(in tunnel.Incoming) {
				in.WriteResponse(&wire.Response{Status: 200, Fields: fields}, false)
				in.Write([]byte("part"))
				<-die
				in.Reset(wire.ResetOriginFailed, "origin died")
			})
			if body, err := b.headThen(func() { close(die) }); err == nil {
				t.Errorf("%q was taken for the whole", body)
			}
			if rec := b.finished(1); rec.Outcome != engine.OutcomeTruncated || rec.Status != 200 {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

func TestAnnouncedTrailerThatNeverComes(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{
			{Name: "Trailer", Value: "X-A, X-B"}, {Name: "X-A", Value: "of the head"}}}, false)
		in.Write([]byte("x"))
		in.CloseWrite(nil)
	})
	resp, body := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost)
	if body != "x" || resp.Header.Get("X-A") != "of the head" || len(resp.Trailer["X-A"]) != 0 {
		t.Errorf("%q, head %v, trailers %v", body, resp.Header, resp.Trailer)
	}
}
