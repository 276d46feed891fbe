package origin

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

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
	return Options{Dial: func(context.Context, Class, string) (net.Conn, error) { return c, nil }}
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
