package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// atHand is content that never waits.
type atHand struct{ io.Reader }

func (atHand) Buffered() bool { return true }

// paused is content of which some is at hand and the rest is waited for.
type paused struct {
	first string
	rest  chan string // closed at the end
	err   error       // at the end; nil: io.EOF
}

func (p *paused) Buffered() bool { return p.first != "" }

func (p *paused) Read(b []byte) (int, error) {
	if p.first == "" {
		more, is := <-p.rest
		if !is && p.err != nil {
			return 0, p.err
		}
		if !is {
			return 0, io.EOF
		}
		p.first = more
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}

func dialled(c net.Conn) Options {
	return Options{Dial: func(context.Context, uint8, string) (net.Conn, error) { return c, nil }}
}

func TestContentAtHandGoesWithItsHead(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content io.Reader
		length  int64
		writes  int
	}{
		{"at hand", atHand{strings.NewReader("hello")}, 5, 1},
		{"4 KiB at hand", atHand{strings.NewReader(strings.Repeat("x", 4096))}, 4096, 1},
		{"too large", atHand{strings.NewReader(strings.Repeat("x", 4097))}, 4097, 2},
		{"not known to be at hand", strings.NewReader("hello"), 5, 2},
		{"chunked", atHand{strings.NewReader("hello")}, -1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCanned("", 1)
			// Not before the request is there, which may take a second write.
			near, far := enginetest.Pipe()
			defer far.Close()
			go func() {
				req, err := http.ReadRequest(bufio.NewReader(far))
				if err == nil {
					io.Copy(io.Discard, req.Body)
					io.WriteString(far, ok("Content-Length: 0\r\n\r\n"))
				}
			}()
			counted := &counting{Conn: near, to: c}
			tr := newTransport(t, dialled(counted))
			exchange(t, tr, post("origin.example:80", tt.content, tt.length))
			if c.writes != tt.writes {
				t.Errorf("%d writes: %q", c.writes, c.written.String())
			}
		})
	}
}

type counting struct {
	net.Conn
	to *canned
}

func (c *counting) Write(p []byte) (int, error) {
	c.to.Write(p)
	return c.Conn.Write(p)
}

// Content that is known but not there must not hold up its head, nor be sent
// twice or out of order when a part of it was there.
func TestHeadDoesNotWaitForContent(t *testing.T) {
	arrived := make(chan string)
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		head(r)
		b := make([]byte, 10)
		n, _ := io.ReadFull(r, b[:4])
		arrived <- string(b[:n])
		n, _ = io.ReadFull(r, b[:6])
		arrived <- string(b[:n])
		io.WriteString(c, ok("Content-Length: 0\r\n\r\n"))
	})
	tr := newTransport(t, Options{})
	content := &paused{first: "part", rest: make(chan string)}
	go func() {
		if got := <-arrived; got != "part" {
			t.Errorf("first %q", got)
		}
		content.rest <- "second"
		close(content.rest)
		if got := <-arrived; got != "second" {
			t.Errorf("then %q", got)
		}
	}()
	exchange(t, tr, post(s.addr, content, 10))
}

// R3 of the request: what is not whole must not look so to the origin.
func TestContentThatIsNotWholeIsCut(t *testing.T) {
	broken := engine.Fail("read request", engine.ReasonTunnelFailed, nil)
	for _, tt := range []struct {
		name    string
		content string
		err     error
		length  int64
		want    engine.Reason
	}{
		{"shorter than its length", "hello", nil, 10, engine.ReasonOriginFailed},
		{"source fails", "hello", broken, 10, engine.ReasonTunnelFailed},
		{"source of chunks fails", "hello", broken, -1, engine.ReasonTunnelFailed},
		{"longer than its length", "hello", nil, 3, engine.ReasonOriginFailed},
	} {
		for _, hand := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				whole := make(chan bool, 1)
				s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
					req, err := http.ReadRequest(r)
					if err == nil {
						_, err = io.Copy(io.Discard, req.Body)
					}
					if err == nil {
						io.Copy(io.Discard, c) // until the client closes
					}
					whole <- err == nil
				})
				tr := newTransport(t, Options{})
				rest := make(chan string, 1)
				if hand {
					close(rest)
				} else {
					rest <- tt.content
					close(rest)
				}
				content := &paused{rest: rest, err: tt.err}
				if hand {
					content.first = tt.content
				}
				r := post(s.addr, content, tt.length)
				_, err := tr.Send(t.Context(), r)
				r.Join()
				if engine.ReasonOf(err) != tt.want {
					t.Errorf("reason of %v", err)
				}
				if hand && tt.length > 0 {
					return // found before anything was sent, maybe
				}
				if <-whole && tt.length != 3 {
					t.Error("the origin took it for whole")
				}
			})
		}
	}
}

func TestKeptConnectionCarriesContentAgain(t *testing.T) {
	for name, length := range map[string]int64{"length": 1 << 20, "chunks": -1} {
		t.Run(name, func(t *testing.T) {
			conns := make(map[string]bool)
			addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
				conns[r.RemoteAddr] = true
				io.Copy(io.Discard, r.Body)
			})
			tr := newTransport(t, Options{})
			for range 50 {
				exchange(t, tr, post(addr, strings.NewReader(strings.Repeat("x", 1<<20)), length))
			}
			if len(conns) != 1 {
				t.Errorf("%d connections", len(conns))
			}
		})
	}
}

// A final status instead of 100 Continue: the content stays, the connection
// goes.
func TestRefusedContentIsNotSent(t *testing.T) {
	got := make(chan string, 2)
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		head(r)
		io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
		rest, _ := io.ReadAll(r)
		got <- string(rest)
	})
	tr := newTransport(t, Options{})
	for range 2 {
		content := &countingReader{Reader: strings.NewReader("hello")}
		r := post(s.addr, content, 5)
		r.Fields = []wire.Field{{Name: "Expect", Value: "100-continue"}}
		resp, text := exchange(t, tr, r)
		if resp.Status != 417 || text != "no" || content.reads != 0 {
			t.Errorf("%d %q, %d reads", resp.Status, text, content.reads)
		}
		if sent := <-got; sent != "" {
			t.Errorf("sent %q", sent)
		}
	}
	if s.conns.Load() != 2 {
		t.Errorf("%d connections", s.conns.Load())
	}
}

// An origin that says nothing gets the content after a second.
func TestContinueIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := enginetest.Pipe()
		defer far.Close()
		var after time.Duration
		go func() {
			r := bufio.NewReader(far)
			head(r)
			start := time.Now()
			io.ReadFull(r, make([]byte, 5))
			after = time.Since(start)
			io.WriteString(far, ok("Content-Length: 0\r\n\r\n"))
		}()
		tr := New(dialled(near))
		defer tr.Close()
		r := post("origin.example:80", strings.NewReader("hello"), 5)
		r.Fields = []wire.Field{{Name: "Expect", Value: "100-continue"}}
		exchange(t, tr, r)
		if after != time.Second {
			t.Errorf("content came after %v", after)
		}
	})
}

// The deadline of the head counts from the end of the request.
func TestHeadTimeoutFollowsTheContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := enginetest.Pipe()
		defer far.Close()
		go io.Copy(io.Discard, far)
		o := dialled(near)
		o.HeadTimeout = 5 * time.Second
		tr := New(o)
		defer tr.Close()
		content := &paused{rest: make(chan string)}
		go func() {
			time.Sleep(time.Minute)
			content.rest <- "hello"
			close(content.rest)
		}()
		start := time.Now()
		r := post("origin.example:80", content, 5)
		_, err := tr.Send(t.Context(), r)
		r.Join()
		if took := time.Since(start); engine.ReasonOf(err) != engine.ReasonTimedOut || took != 65*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A head that came late leaves no deadline behind for the content.
func TestHeadTimeoutEndsWithTheHead(t *testing.T) {
	for _, content := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			near, far := enginetest.Pipe()
			defer far.Close()
			go func() {
				r := bufio.NewReader(far)
				for range 2 {
					head(r)
					if content {
						io.ReadFull(r, make([]byte, 5))
					}
					io.WriteString(far, "HTTP/1.1 103 Early Hints\r\n\r\n"+ok("Content-Length: 5\r\n\r\n"))
					time.Sleep(time.Minute)
					io.WriteString(far, "hello")
				}
			}()
			o := dialled(near)
			o.HeadTimeout, o.IdleTimeout = 5*time.Second, time.Hour
			tr := New(o)
			defer tr.Close()
			for range 2 {
				r := get("origin.example:80", "/")
				if content {
					r = post("origin.example:80", strings.NewReader("hello"), 5)
				}
				if _, text := exchange(t, tr, r); text != "hello" {
					t.Errorf("got %q", text)
				}
				time.Sleep(time.Minute)
			}
		})
	}
}

// No caller's bytes may begin a second request.
func TestRequestIsNotSplit(t *testing.T) {
	tr := newTransport(t, Options{Dial: func(context.Context, uint8, string) (net.Conn, error) {
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

func TestReadyMeansThatAllHasCome(t *testing.T) {
	more := make(chan struct{})
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		for {
			h, err := head(r)
			if err != nil {
				return
			}
			switch {
			case strings.Contains(h, "/sized"):
				io.WriteString(c, ok("Content-Length: 5\r\n\r\nhello"))
			case strings.Contains(h, "/chunked"):
				io.WriteString(c, chunked("2\r\nhe\r\n3\r\nllo\r\n0\r\nX-A: 1\r\n\r\n"))
			case strings.Contains(h, "/none"):
				io.WriteString(c, ok("Content-Length: 0\r\n\r\n"))
			case strings.Contains(h, "/later"):
				io.WriteString(c, ok("Content-Length: 5\r\n\r\nhel"))
				<-more
				io.WriteString(c, "lo")
			case strings.Contains(h, "/last"):
				io.WriteString(c, chunked("5\r\nhello\r\n0\r\n"))
				<-more
				io.WriteString(c, "\r\n")
			}
		}
	})
	tr := newTransport(t, Options{})
	for path, want := range map[string]bool{"/sized": true, "/chunked": true, "/none": true, "/later": false, "/last": false} {
		resp, err := tr.Send(t.Context(), get(s.addr, path))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Ready != want {
			t.Errorf("%s: ready %v", path, resp.Ready)
		}
		if !want {
			more <- struct{}{}
		}
		content, err := io.ReadAll(resp.Content)
		if path != "/none" && string(content) != "hello" || err != nil {
			t.Errorf("%s: %q, %v", path, content, err)
		}
		resp.Content.Close()
	}
	if s.conns.Load() != 1 {
		t.Errorf("%d connections", s.conns.Load())
	}
}

// A cancel that comes when all is over must not hit who has the connection next.
func TestLateCancelHitsNobody(t *testing.T) {
	s := newScript(t, answers(ok("Content-Length: 5\r\n\r\nhello")))
	tr := newTransport(t, Options{})
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := tr.Send(ctx, get(s.addr, "/"))
		if err != nil {
			t.Fatal(err)
		}
		go cancel()
		io.Copy(io.Discard, resp.Content)
		resp.Content.Close()
	}
	if s.conns.Load() != 1 {
		t.Errorf("%d connections", s.conns.Load())
	}
}

// Nor does a request that ends after its answer has begun.
func TestHeadTimeoutSparesAnEarlyResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := enginetest.Pipe()
		defer far.Close()
		go func() {
			r := bufio.NewReader(far)
			head(r)
			io.WriteString(far, ok("Content-Length: 5\r\n\r\n"))
			io.ReadFull(r, make([]byte, 5))
			time.Sleep(time.Minute)
			io.WriteString(far, "hello")
		}()
		o := dialled(near)
		o.HeadTimeout = 5 * time.Second
		tr := New(o)
		defer tr.Close()
		content := &paused{rest: make(chan string)}
		go func() {
			time.Sleep(time.Second)
			content.rest <- "hello"
			close(content.rest)
		}()
		if _, text := exchange(t, tr, post("origin.example:80", content, 5)); text != "hello" {
			t.Errorf("got %q", text)
		}
	})
}

// An origin that saw the cancel may have ended its answer because of it.
func TestEndAfterCancelIsNoEnd(t *testing.T) {
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		head(r)
		io.WriteString(c, ok("\r\nhello")) // until close
	})
	tr := newTransport(t, Options{})
	for _, answer := range []string{"", ok("Content-Length: 5\r\n\r\nhello"), chunked("5\r\nhello\r\n0\r\n\r\n")} {
		if answer != "" {
			s = newScript(t, answers(answer))
		}
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := tr.Send(ctx, get(s.addr, "/"))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if content, err := io.ReadAll(resp.Content); engine.ReasonOf(err) != engine.ReasonCallerGone {
			t.Errorf("%q: %q, %v", answer, content, err)
		}
		resp.Content.Close()
	}
}
