package origin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// A script is an origin that speaks bytes: each connection is served by the
// function, and closed when it returns.
type script struct {
	addr  string
	conns atomic.Int64
}

func newScript(t testing.TB, serve func(c *net.TCPConn, r *bufio.Reader)) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			wg.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(t.Context(), func() { c.Close() })
				defer stop()
				serve(c.(*net.TCPConn), bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return s
}

// head reads a request head as it stands.
func head(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

// A sendFunc is Transport.Send, or the half of it that plain HTTP does not take.
type sendFunc func(*Transport, context.Context, *Request) (*Response, error)

// throughBoth runs f with the two ways to an HTTP/1.1 origin: the own one, and
// net/http, which https origins without HTTP/2 are reached through.
func throughBoth(t *testing.T, f func(t *testing.T, send sendFunc)) {
	t.Run("own", func(t *testing.T) { f(t, (*Transport).Send) })
	t.Run("net-http", func(t *testing.T) { f(t, (*Transport).sendNetHTTP) })
}

// answers serves every request on a connection with the same bytes.
func answers(response string) func(*net.TCPConn, *bufio.Reader) {
	return func(c *net.TCPConn, r *bufio.Reader) {
		for {
			if _, err := head(r); err != nil {
				return
			}
			io.WriteString(c, response)
		}
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	throughBoth(t, func(t *testing.T, send sendFunc) {
		for _, tt := range []struct {
			name, response string
			inContent      bool // the head is good
		}{
			{"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false},
			{"empty", "", false},
			{"head cut", "HTTP/1.1 200 OK\r\nContent-", false},
			{"conflicting lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", false},
			{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc", false},
			{"length not a number", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\nabc", false},
			{"head above 64 KiB", "HTTP/1.1 200 OK\r\nX-Big: " + strings.Repeat("a", 80<<10) + "\r\n\r\n", false},
			{"unasked 101", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", false},
			{"content cut", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true},
			{"chunk cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", true},
			{"last chunk missing", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", true},
			{"bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n", true},
		} {
			t.Run(tt.name, func(t *testing.T) {
				s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
					head(r)
					io.WriteString(c, tt.response)
				})
				tr := newTransport(t, Options{})
				r := get(s.addr, "/")
				resp, err := send(tr, t.Context(), r)
				if tt.inContent {
					if err != nil {
						t.Fatalf("Send: %v", err)
					}
					var content []byte
					content, err = io.ReadAll(resp.Content)
					resp.Content.Close()
					t.Logf("content %q, %v", content, err)
				}
				if got := engine.ReasonOf(err); got != engine.ReasonOriginFailed {
					t.Fatalf("reason %v of %v", got, err)
				}
			})
		}
	})
}

// R2: whatever the method, what the origin may have seen is not sent again.
func TestRequestIsSentAtMostOnce(t *testing.T) {
	throughBoth(t, func(t *testing.T, send sendFunc) {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "DELETE", "POST", "PUT"} {
			for _, key := range []bool{false, true} {
				var seen atomic.Int64
				s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
					// A good answer, so that the connection is kept; then the
					// second request is read and the connection closed.
					for {
						h, err := head(r)
						if err != nil {
							return
						}
						if strings.Contains(h, " /second ") {
							seen.Add(1)
							return
						}
						io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
					}
				})
				tr := newTransport(t, Options{})
				first := get(s.addr, "/first")
				exchangeBy(t, send, tr, first)
				second := get(s.addr, "/second")
				second.Method = method
				if key {
					second.Fields = []wire.Field{{Name: "Idempotency-Key", Value: "1"}}
				}
				_, err := send(tr, t.Context(), second)
				if got := engine.ReasonOf(err); got != engine.ReasonOriginFailed {
					t.Errorf("%s: reason %v of %v", method, got, err)
				}
				if seen.Load() != 1 {
					t.Errorf("%s, key %v: sent %d times", method, key, seen.Load())
				}
			}
		}
	})
}

func TestContentIsSentAtMostOnce(t *testing.T) {
	throughBoth(t, func(t *testing.T, send sendFunc) {
		var seen atomic.Int64
		s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
			for {
				h, err := head(r)
				if err != nil {
					return
				}
				if strings.HasPrefix(h, "PUT") {
					seen.Add(1)
					io.ReadFull(r, make([]byte, 5))
					return
				}
				io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			}
		})
		tr := newTransport(t, Options{})
		exchangeBy(t, send, tr, get(s.addr, "/"))
		r := post(s.addr, strings.NewReader("hello"), 5)
		r.Method = "PUT"
		_, err := send(tr, t.Context(), r)
		r.Join()
		if got := engine.ReasonOf(err); got != engine.ReasonOriginFailed || seen.Load() != 1 {
			t.Errorf("reason %v of %v, sent %d times", got, err, seen.Load())
		}
	})
}

// A kept connection that the origin has closed meanwhile costs no request.
func TestClosedIdleConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials int
		tr := New(Options{Dial: func(context.Context, Class, string) (net.Conn, error) {
			dials++
			near, far := enginetest.Pipe()
			go func() {
				defer far.Close()
				head(bufio.NewReader(far))
				io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}()
			return near, nil
		}})
		defer tr.Close()
		for range 10 {
			exchange(t, tr, get("origin.example:80", "/"))
			synctest.Wait()
		}
		if dials != 10 {
			t.Errorf("%d connections", dials)
		}
	})
}

// What comes after the head must not wait for what the caller still has to say.
func TestEarlyResponseIsNotHeldBack(t *testing.T) {
	throughBoth(t, func(t *testing.T, send sendFunc) {
		for _, tt := range []struct {
			name     string
			response string
			linger   bool // the origin goes on reading
		}{
			{"kept open", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig", true},
			{"closed at once", "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig", false},
			{"until close", "HTTP/1.1 413 Content Too Large\r\n\r\nbig", true},
		} {
			t.Run(tt.name, func(t *testing.T) {
				s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
					head(r)
					io.WriteString(c, tt.response)
					if tt.linger {
						if tt.name == "until close" {
							c.CloseWrite() // a reset would say that the answer was cut
						}
						io.Copy(io.Discard, r)
					}
				})
				tr := newTransport(t, Options{})
				content, caller := io.Pipe()
				defer caller.Close()
				go io.WriteString(caller, "part")
				r := post(s.addr, content, 1<<20)
				start := time.Now()
				resp, got := exchangeBy(t, send, tr, r)
				if resp.Status != 413 || got != "big" {
					t.Errorf("got %d %q", resp.Status, got)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
				if _, err := caller.Write([]byte("x")); err == nil {
					t.Error("content is still read after it was closed")
				}
			})
		}
	})
}

// An origin that refuses a large content without reading it, and resets.
func TestEarlyResponseSurvivesTheReset(t *testing.T) {
	throughBoth(t, func(t *testing.T, send sendFunc) {
		s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
			head(r)
			io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
			c.CloseWrite()
		})
		tr := newTransport(t, Options{})
		for range 50 {
			r := post(s.addr, strings.NewReader(strings.Repeat("x", 512<<10)), 512<<10)
			resp, got := exchangeBy(t, send, tr, r)
			if resp.Status != 413 || got != "big" {
				t.Fatalf("got %d %q", resp.Status, got)
			}
		}
	})
}

// The origin dies while the caller pauses: nobody waits for the caller.
func TestOriginDeathEndsAPausedUpload(t *testing.T) {
	throughBoth(t, func(t *testing.T, send sendFunc) {
		s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
			head(r)
			io.ReadFull(r, make([]byte, 4))
		})
		tr := newTransport(t, Options{})
		content, caller := io.Pipe()
		defer caller.Close()
		go io.WriteString(caller, "part")
		r := post(s.addr, content, 1<<20)
		start := time.Now()
		_, err := send(tr, t.Context(), r)
		if got := engine.ReasonOf(err); got != engine.ReasonOriginFailed {
			t.Errorf("reason %v of %v", got, err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		r.Join()
	})
}

func TestCancelEndsAPausedUpload(t *testing.T) {
	throughBoth(t, func(t *testing.T, send sendFunc) {
		s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
			head(r)
			io.Copy(io.Discard, r)
		})
		tr := newTransport(t, Options{})
		content, caller := io.Pipe()
		defer caller.Close()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			io.WriteString(caller, "part")
			cancel()
		}()
		r := post(s.addr, content, -1)
		_, err := send(tr, ctx, r)
		r.Join()
		if got := engine.ReasonOf(err); got != engine.ReasonCallerGone {
			t.Errorf("reason %v of %v", got, err)
		}
	})
}

// A request whose origin can't be reached leaves the content alone.
func TestFailedDialTakesNoContent(t *testing.T) {
	refused := engine.Fail("dial", engine.ReasonDenied, nil)
	tr := newTransport(t, Options{Dial: func(context.Context, Class, string) (net.Conn, error) { return nil, refused }})
	content := strings.NewReader("hello")
	r := post("origin.example:80", content, 5)
	_, err := tr.Send(t.Context(), r)
	r.Join()
	if got := engine.ReasonOf(err); got != engine.ReasonDenied {
		t.Errorf("reason %v of %v", got, err)
	}
	if content.Len() != 5 {
		t.Error("content was read")
	}
}

func TestReasons(t *testing.T) {
	silent := newScript(t, func(c *net.TCPConn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	tr := newTransport(t, Options{HeadTimeout: 30 * time.Millisecond})
	_, err := tr.Send(t.Context(), get(silent.addr, "/"))
	if got := engine.ReasonOf(err); got != engine.ReasonTimedOut {
		t.Errorf("no head in time: %v of %v", got, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(5*time.Millisecond, func() { cancel(engine.Fail("tunnel", engine.ReasonTunnelFailed, nil)) })
	_, err = newTransport(t, Options{}).Send(ctx, get(silent.addr, "/"))
	if got := engine.ReasonOf(err); got != engine.ReasonTunnelFailed {
		t.Errorf("cancelled with a cause: %v of %v", got, err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer stop()
	_, err = newTransport(t, Options{}).Send(ctx, get(silent.addr, "/"))
	if got := engine.ReasonOf(err); got != engine.ReasonTimedOut {
		t.Errorf("deadline: %v of %v", got, err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, err = tr.Send(t.Context(), get(ln.Addr().String(), "/"))
	if got := engine.ReasonOf(err); got != engine.ReasonOriginFailed {
		t.Errorf("nobody listens: %v of %v", got, err)
	}
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	r := get(plain, "/")
	r.Scheme = "https"
	_, err = tr.Send(t.Context(), r)
	if got := engine.ReasonOf(err); got != engine.ReasonOriginFailed {
		t.Errorf("no TLS: %v of %v", got, err)
	}
}
