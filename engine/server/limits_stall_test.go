package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A stream is one way to get bytes from and to a client without an end.
type stream struct {
	name string
	open func(t *testing.T, b *bench, port uint16) (io.Reader, io.Writer)
	up   bool // it has a direction from the caller
}

func streams() []stream {
	overHTTP1 := func(send string) func(*testing.T, *bench, uint16) (io.Reader, io.Writer) {
		return func(t *testing.T, b *bench, _ uint16) (io.Reader, io.Writer) {
			c := b.raw(send)
			small(c.Conn)
			resp, err := http.ReadResponse(c.r, &http.Request{Method: send[:strings.IndexByte(send, ' ')]})
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode == 200 && strings.HasPrefix(send, "GET") {
				return resp.Body, nil
			}
			return c.r, c
		}
	}
	overHTTP2 := func(method string) func(*testing.T, *bench, uint16) (io.Reader, io.Writer) {
		return func(t *testing.T, b *bench, _ uint16) (io.Reader, io.Writer) {
			pr, pw := io.Pipe()
			t.Cleanup(func() { pw.Close() })
			req := &http.Request{Method: method, URL: mustURL(b.url("/")), Host: appHost, Header: http.Header{}, Body: pr}
			if method == "CONNECT" {
				req.Host, req.URL = "db.internal:5432", mustURL(b.url(""))
			}
			resp, err := h2c(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return resp.Body, pw
		}
	}
	return []stream{
		{"response", overHTTP1("GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n"), false},
		{"upgrade", overHTTP1("GET /up HTTP/1.1\r\nHost: app.t.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"), true},
		{"connect", overHTTP1("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n"), true},
		{"port", func(t *testing.T, b *bench, port uint16) (io.Reader, io.Writer) {
			conn, err := b.dialPort(port)
			if err != nil {
				t.Fatal(err)
			}
			small(conn)
			return bufio.NewReader(conn), conn
		}, true},
		{"response in http/2", overHTTP2("POST"), false},
		{"connect in http/2", overHTTP2("CONNECT"), true},
	}
}

// small gives a connection little room for what is not read.
func small(c net.Conn) { c.(*net.TCPConn).SetReadBuffer(4 << 10) }

// answerAll accepts whatever was asked for.
func answerAll(in tunnel.Incoming) {
	r := &wire.Response{Status: 200}
	if req := in.Request(); req != nil && req.Path == "/up" {
		r = &wire.Response{Status: 101, Fields: []wire.Field{{Name: "Upgrade", Value: "echo"}}}
	}
	in.WriteResponse(r, false)
}

func (st stream) serve(t *testing.T, h tunnel.Handler, stall time.Duration) (*bench, io.Reader, io.Writer) {
	port := enginetest.FreePort(t)
	o := withPorts(port, port)
	o.Caps.Stall = stall
	b := serve(t, o)
	b.dial(greeting("edge", engine.Expose{Host: "app"}, engine.Expose{TCP: port}), h)
	r, w := st.open(t, b, port)
	return b, r, w
}

// Who takes nothing of what is sent to him is cut, whatever way he came.
func TestCallersThatTakeNothingAreCut(t *testing.T) {
	const stall = 300 * time.Millisecond
	for _, st := range streams() {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			b, _, _ := st.serve(t, func(in tunnel.Incoming) {
				defer close(ended)
				answerAll(in)
				for piece := make([]byte, 64<<10); ; {
					if _, err := in.Write(piece); err != nil {
						return
					}
				}
			}, stall)
			within(t, "cut", ended)
			if e := b.await(engine.KindLimitReached, 1); e.Target != "stall" || e.Peer != "127.0.0.1" {
				t.Errorf("told %+v", e)
			}
			if r := b.finished(1); r.Outcome != engine.OutcomeCallerGone {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// A stream on which nobody owes anybody a byte stands, however long (P21).
func TestPausesAreNoStalls(t *testing.T) {
	// A peer that gets no processor for as long is one that stalls.
	const stall, pause = 500 * time.Millisecond, 750 * time.Millisecond
	for _, st := range streams() {
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			b, r, w := st.serve(t, func(in tunnel.Incoming) {
				answerAll(in)
				for i := range 3 {
					if i > 0 {
						select {
						case <-time.After(pause):
						case <-in.Context().Done():
							return
						}
					}
					fmt.Fprintf(writer{in}, "event %d\n", i)
				}
				for err := error(nil); err == nil; {
					var p []byte
					p, err = in.Next()
					in.Write(p)
				}
				in.CloseWrite(nil)
			}, stall)
			lines := bufio.NewReader(r)
			for i := range 3 {
				if line, err := lines.ReadString('\n'); line != fmt.Sprintf("event %d\n", i) || err != nil {
					t.Fatalf("event %d: %q %v", i, line, err)
				}
			}
			if st.up {
				time.Sleep(pause)
				io.WriteString(w, "late\n")
				if line, err := lines.ReadString('\n'); line != "late\n" || err != nil {
					t.Errorf("%q %v", line, err)
				}
				if c, ok := w.(halfCloser); ok {
					c.CloseWrite()
				}
			} else if w != nil {
				w.(io.Closer).Close()
			}
			if told := b.seen(engine.KindLimitReached); len(told) > 0 {
				t.Errorf("told %+v", told)
			}
		})
	}
}

// Content that does not come holds a stream of HTTP/2 no longer than a connection.
func TestSlowWriterOnHTTP2IsCut(t *testing.T) {
	const stall = 400 * time.Millisecond
	ended := make(chan error, 1)
	b := exposed(t, func(in tunnel.Incoming) {
		if in.Request().Path == "/small" {
			respond(in, 200, "ok")
			return
		}
		_, err := content(in)
		ended <- err
	}, func(o *Options) { o.Caps.Stall = stall })
	pr, pw := io.Pipe()
	defer pw.Close()
	req := mustRequest("POST", b.url("/"))
	req.Body = pr
	c := h2c(t)
	go func() {
		for range 3 { // each in time
			io.WriteString(pw, "abc")
			time.Sleep(stall / 4)
		}
	}()
	begin := time.Now()
	if resp, err := c.Do(req); err == nil {
		t.Errorf("answered with %d", resp.StatusCode)
		resp.Body.Close()
	}
	if took := time.Since(begin); took < stall*5/4 || took > 5*stall+time.Second {
		t.Errorf("cut after %v", took)
	}
	if err := <-ended; err == nil {
		t.Error("the origin took a part for the whole")
	}
	if e := b.await(engine.KindLimitReached, 1); e.Target != "stall" {
		t.Errorf("told %+v", e)
	}
	if resp, body := do(t, c, "GET", b.url("/small"), "", "Host", appHost); resp.StatusCode != 200 || body != "ok" {
		t.Errorf("another stream: %d %q", resp.StatusCode, body)
	}
}

// An origin that takes its time with content keeps no caller waiting that stalls:
// the caller is not to blame.
func TestUploadThatTheOriginHoldsUp(t *testing.T) {
	const stall = 500 * time.Millisecond
	for _, c := range []struct {
		name   string
		client func(testing.TB) *http.Client
	}{{"http/1", caller}, {"http/2", h2c}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := exposed(t, func(in tunnel.Incoming) {
				time.Sleep(2 * stall)
				hello(in)
			}, func(o *Options) { o.Caps.Stall = stall })
			body := repeat("x", 1<<20)
			resp, text := do(t, c.client(t), "POST", b.url("/"), body, "Host", appHost)
			if resp.StatusCode != 200 || len(text) != len("POST / ")+len(body) {
				t.Errorf("%d with %d bytes", resp.StatusCode, len(text))
			}
		})
	}
}

// net/http ends the context of a request when a read of its content fails. Whichever
// of the two the exchange hears of first, the stall is told.
func TestEveryStallIsTold(t *testing.T) {
	const callers = 100
	b := exposed(t, hello, func(o *Options) { o.Caps.Stall = 100 * time.Millisecond })
	var conns []*rawCall
	for range callers {
		conns = append(conns, b.raw("POST / HTTP/1.1\r\nHost: "+appHost+"\r\nContent-Length: 10\r\n\r\n123"))
	}
	for _, c := range conns {
		if p, err := io.ReadAll(c); len(p) > 0 || errTimeout(err) != nil {
			t.Fatalf("%q %v", p, err)
		}
		c.Close()
	}
	b.finished(callers)
	if n := b.s.limits.counts[limitStall].Load(); n != callers {
		t.Errorf("%d of %d stalls are told", n, callers)
	}
}
