package origin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
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

// R1: only an answer that leaves no doubt lets its connection carry another.
func TestConnectionIsKeptOnlyWithoutDoubt(t *testing.T) {
	for _, tt := range []struct {
		name, method, answer string
		kept                 bool
	}{
		{"length", "GET", ok("Content-Length: 2\r\n\r\nhi"), true},
		{"no content", "GET", ok("Content-Length: 0\r\n\r\n"), true},
		{"chunks", "GET", chunked("2\r\nhi\r\n0\r\n\r\n"), true},
		{"trailers", "GET", chunked("2\r\nhi\r\n0\r\nA: b\r\n\r\n"), true},
		{"large", "GET", ok("Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000)), true},
		{"HEAD", "HEAD", ok("Content-Length: 2\r\n\r\n"), true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", true},
		{"103 before", "GET", "HTTP/1.1 103 Early Hints\r\n\r\n" + ok("Content-Length: 0\r\n\r\n"), true},
		{"HTTP/1.0 that says so", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", true},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false},
		{"close", "GET", ok("Connection: close\r\nContent-Length: 2\r\n\r\nhi"), false},
		{"close in a list", "GET", ok("Connection: x, Close\r\nContent-Length: 2\r\n\r\nhi"), false},
		{"close and keep-alive", "GET", ok("Connection: keep-alive\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"), false},
		{"a byte over", "GET", ok("Content-Length: 2\r\n\r\nhi!"), false},
		{"an answer over", "GET", ok("Content-Length: 0\r\n\r\n") + ok("Content-Length: 0\r\n\r\n"), false},
		{"a byte over the chunks", "GET", chunked("2\r\nhi\r\n0\r\n\r\n\n"), false},
		{"content to HEAD", "HEAD", ok("Content-Length: 2\r\n\r\nhi"), false},
		{"204 with length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", false},
		{"204 chunked", "GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false},
		{"no HTTP", "GET", "hello\r\n\r\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScript(t, answers(tt.answer))
			tr := newTransport(t, Options{})
			for range 3 {
				r := get(s.addr, "/")
				r.Method = tt.method
				resp, err := tr.Send(t.Context(), r)
				if err != nil {
					continue
				}
				io.Copy(io.Discard, resp.Content)
				resp.Content.Close()
			}
			want := int64(3)
			if tt.kept {
				want = 1
			}
			if got := s.conns.Load(); got != want {
				t.Errorf("%d connections, want %d", got, want)
			}
		})
	}
}

// What comes while nothing was asked for must not become the next answer, and a
// connection that was closed meanwhile costs no request.
func TestIdleConnectionIsLookedAt(t *testing.T) {
	for _, tt := range []struct {
		name string
		idle func(c *net.TCPConn)
	}{
		{"closed", func(c *net.TCPConn) { c.Close() }},
		{"reset", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }},
		{"unsolicited answer", func(c *net.TCPConn) { io.WriteString(c, ok("Content-Length: 5\r\n\r\nwrong")) }},
		{"one byte", func(c *net.TCPConn) { io.WriteString(c, "\n") }},
	} {
		for _, below := range []string{"socket", "no socket"} {
			t.Run(tt.name+"/"+below, func(t *testing.T) {
				misbehave, done := make(chan struct{}), make(chan struct{})
				s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
					for first := true; ; first = false {
						if _, err := head(r); err != nil {
							return
						}
						io.WriteString(c, ok("Content-Length: 5\r\n\r\nright"))
						if first {
							<-misbehave
							tt.idle(c)
							done <- struct{}{}
						}
					}
				})
				tr := newTransport(t, Options{Dial: func(ctx context.Context, _ Class, addr string) (net.Conn, error) {
					c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
					if below == "no socket" {
						c = struct{ net.Conn }{c}
					}
					return c, err
				}})
				exchange(t, tr, get(s.addr, "/1"))
				misbehave <- struct{}{}
				<-done
				time.Sleep(time.Millisecond) // loopback delivers at once, but to whoever looks later
				go func() { misbehave <- struct{}{}; <-done }()
				if _, content := exchange(t, tr, get(s.addr, "/2")); content != "right" {
					t.Errorf("got %q", content)
				}
				if s.conns.Load() != 2 {
					t.Errorf("%d connections", s.conns.Load())
				}
			})
		}
	}
}

func TestNewestIdleConnectionIsTakenFirst(t *testing.T) {
	var mu sync.Mutex
	var used []string
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		for {
			h, err := head(r)
			if err != nil {
				return
			}
			mu.Lock()
			used = append(used, c.RemoteAddr().String())
			mu.Unlock()
			answer := ok("Content-Length: 0\r\n\r\n")
			if strings.Contains(h, "/large") {
				answer = ok("Content-Length: 9000\r\n\r\n" + strings.Repeat("x", 9000))
			}
			io.WriteString(c, answer)
		}
	})
	tr := newTransport(t, Options{MaxIdle: 2})
	// Three at once, which end in turn: the last finds two idle and is closed.
	var responses [3]*Response
	for i := range responses {
		resp, err := tr.Send(t.Context(), get(s.addr, "/large"))
		if err != nil {
			t.Fatal(err)
		}
		responses[i] = resp
	}
	for _, resp := range responses {
		io.Copy(io.Discard, resp.Content)
		resp.Content.Close()
	}
	for range 3 {
		exchange(t, tr, get(s.addr, "/"))
	}
	if s.conns.Load() != 3 {
		t.Errorf("%d connections", s.conns.Load())
	}
	for _, addr := range used[3:] {
		if addr != used[1] {
			t.Errorf("used %v", used)
		}
	}
}

func TestIdleConnectionIsClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int64
		tr := New(Options{IdleTimeout: time.Minute, Dial: func(context.Context, Class, string) (net.Conn, error) {
			near, far := enginetest.Pipe()
			go func() {
				defer far.Close()
				r := bufio.NewReader(far)
				for {
					if _, err := head(r); err != nil {
						closed.Add(1)
						return
					}
					io.WriteString(far, ok("Content-Length: 0\r\n\r\n"))
				}
			}()
			return near, nil
		}})
		defer tr.Close()
		for i := range 3 {
			exchange(t, tr, get(fmt.Sprintf("origin%d.example:80", i), "/"))
		}
		time.Sleep(45*time.Second - 1)
		synctest.Wait()
		if closed.Load() != 0 {
			t.Errorf("%d closed early", closed.Load())
		}
		time.Sleep(15*time.Second + 1)
		synctest.Wait()
		if closed.Load() != 3 || len(tr.http1.conns.pools) > 0 || tr.http1.conns.timer != nil {
			t.Errorf("%d closed, %d origins known, timer %v", closed.Load(), len(tr.http1.conns.pools), tr.http1.conns.timer)
		}
	})
}

// A write to a kept connection that fails before a byte is the one case that is
// tried again.
func TestOnlyAnUnsentRequestIsSentAgain(t *testing.T) {
	for _, tt := range []struct {
		accepts int // bytes of the second request
		dials   int
		fails   bool
	}{{0, 2, false}, {1, 1, true}, {30, 1, true}} {
		dials := 0
		tr := newTransport(t, Options{Dial: func(context.Context, Class, string) (net.Conn, error) {
			dials++
			near, far := enginetest.Pipe()
			t.Cleanup(func() { far.Close() })
			go answersOnce(far)
			return &failing{Conn: near, accepts: tt.accepts, after: 1}, nil
		}})
		exchange(t, tr, get("origin.example:80", "/1"))
		resp, err := tr.Send(t.Context(), get("origin.example:80", "/2"))
		if (err != nil) != tt.fails || dials != tt.dials {
			t.Errorf("%d bytes accepted: %d dials, %v", tt.accepts, dials, err)
		}
		if err == nil {
			resp.Content.Close()
		} else if engine.ReasonOf(err) != engine.ReasonOriginFailed {
			t.Errorf("reason of %v", err)
		}
	}
}

func answersOnce(c net.Conn) {
	if _, err := head(bufio.NewReader(c)); err == nil {
		io.WriteString(c, ok("Content-Length: 0\r\n\r\n"))
	}
}

// failing breaks at the write after some.
type failing struct {
	net.Conn
	accepts, after int
}

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		f.Conn.Close()
		return min(f.accepts, len(p)), io.ErrClosedPipe
	}
	return f.Conn.Write(p)
}

// What was read of the head stays within one exchange: 10,000 requests that end
// in all ways, 16 at a time, and no content reaches another's caller.
func TestManyEndingsNeverCross(t *testing.T) {
	o := enginetest.NewOrigin()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := o.Serve(ln)
	defer stop()
	tr := newTransport(t, Options{MaxIdle: 8})
	requests := 10_000
	if testing.Short() {
		requests = 1000
	}
	var next, complete atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for n := int(next.Add(1)); n <= requests; n = int(next.Add(1)) {
				if oneEnding(t, tr, ln.Addr().String(), n) {
					complete.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if crossed := o.Crossed(); len(crossed) > 0 {
		t.Errorf("crossed at the origin: %q", crossed)
	}
	if complete.Load() < int64(requests)/4 {
		t.Errorf("only %d of %d complete", complete.Load(), requests)
	}
}

// oneEnding performs the n-th request and reports whether it came to its true
// end.
func oneEnding(t *testing.T, tr *Transport, addr string, n int) bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	mark := fmt.Sprintf("<%d>", n)
	body := strings.Repeat(mark, 1+n%7*n%2000)
	r := post(addr, strings.NewReader(body), int64(len(body)))
	r.Path = "/duplex"
	if n%3 == 0 {
		r.Length = -1
	}
	switch n % 11 {
	case 1:
		r.Path = "/early"
	case 2:
		r.Path = "/early?keep=1"
	case 3:
		r.Path = fmt.Sprintf("/abort?n=%d&at=%d", 1000+n%5000, n%900)
	case 4:
		go cancel()
	case 5:
		r.Path = "/echo" // reads before it answers, unlike /duplex, which would wait for ever
		r.Fields = append(r.Fields, wire.Field{Name: "Expect", Value: "100-continue"})
	case 6:
		r.Method, r.Path, r.Content, r.Length = "HEAD", "/size?n=100", nil, 0
	}
	resp, err := tr.Send(ctx, r)
	if err != nil {
		r.Join()
		return false
	}
	defer resp.Content.Close()
	if n%11 == 7 {
		return false // closed without a look
	}
	content, err := io.ReadAll(resp.Content)
	if err != nil {
		return false
	}
	switch r.Path {
	case "/duplex", "/echo":
		if resp.Status != 200 || string(content) != body {
			t.Errorf("request %d: %d and %d bytes for %d, %.20q", n, resp.Status, len(content), len(body), content)
		}
	default:
		if strings.Contains(string(content), "<") {
			t.Errorf("request %d to %s got %.20q", n, r.Path, content)
		}
	}
	return true
}

// However many origins are visited, what is kept of them is bounded.
func TestIdleConnectionsOfAllOriginsAreBounded(t *testing.T) {
	open := make(map[*canned]bool)
	tr := New(Options{Dial: func(context.Context, Class, string) (net.Conn, error) {
		c := newCanned(ok("Content-Length: 0\r\n\r\n"), 100)
		open[c] = true
		return c, nil
	}})
	for i := range maxIdle + 100 {
		exchange(t, tr, get(fmt.Sprintf("origin%d.example:80", i), "/"))
	}
	left := 0
	for c := range open {
		c.mu.Lock()
		if !c.closed {
			left++
		}
		c.mu.Unlock()
	}
	if left != maxIdle {
		t.Errorf("%d open", left)
	}
	tr.Close()
	for c := range open {
		if !c.closed {
			t.Fatal("open after Close")
		}
	}
}
