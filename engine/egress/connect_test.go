package egress

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fakeProxy answers each CONNECT with a text, and then is the server itself: it
// echoes.
type fakeProxy struct {
	addr string
	mu   sync.Mutex
	asks []*http.Request
}

func (p *fakeProxy) asked(t *testing.T) *http.Request {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asks) != 1 {
		t.Fatalf("the proxy was asked %d times, want once", len(p.asks))
	}
	return p.asks[0]
}

// startProxy serves on loopback until the test ends. A nil answer is silence.
func startProxy(t *testing.T, answer func(w io.Writer)) *fakeProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &fakeProxy{addr: ln.Addr().String()}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				p.mu.Lock()
				p.asks = append(p.asks, r)
				p.mu.Unlock()
				if answer != nil {
					answer(c)
				}
				io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); work.Wait() })
	return p
}

func dialer(t *testing.T, o Options) *Dialer {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func dial(t *testing.T, d *Dialer) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := d.DialContext(ctx, "wss", "server.example:443")
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func says(text string) func(io.Writer) {
	return func(w io.Writer) { io.WriteString(w, text) }
}

// Whoever loses what came with the head loses the server's first bytes.
func TestStreamThroughAProxy(t *testing.T) {
	for name, answer := range map[string]string{
		"plain":                "HTTP/1.1 200 Connection established\r\n\r\n",
		"of HTTP/1.0":          "HTTP/1.0 200 OK\r\n\r\n",
		"with a length":        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", // none follows (RFC 9110 §9.3.6)
		"early bytes of 6":     "HTTP/1.1 200 OK\r\n\r\nEARLY:",
		"many fields":          "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Why: because\r\n", 500) + "\r\n",
		"another success code": "HTTP/1.1 204 No Content\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, says(answer))
			c, err := dial(t, dialer(t, Options{Proxy: "http://" + p.addr}))
			if err != nil {
				t.Fatal(err)
			}
			want := "hello"
			if strings.HasPrefix(name, "early") {
				want = "EARLY:hello"
			}
			if _, err := io.WriteString(c, "hello"); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
			r := p.asked(t)
			if r.Method != "CONNECT" || r.RequestURI != "server.example:443" || r.Host != "server.example:443" {
				t.Errorf("asked %s %s of %s", r.Method, r.RequestURI, r.Host)
			}
			if len(r.Header) != 0 {
				t.Errorf("fields that nobody asked for: %v", r.Header)
			}
		})
	}
}

// What an operator reads has to say what to set, and no password.
func TestProxyThatSaysNo(t *testing.T) {
	const secret = "opensesame"
	for name, tt := range map[string]struct {
		answer  string
		user    bool
		want    string
		refused bool
	}{
		"wants a user":          {"HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nwho", false, "it asks for a user and password; give --proxy", true},
		"wants another user":    {"HTTP/1.1 407 No\r\n\r\n", true, "it does not take the user and password", true},
		"forbids":               {"HTTP/1.1 403 Forbidden\r\n\r\n", false, "its rules forbid it", true},
		"does not reach it":     {"HTTP/1.1 502 Bad\r\n\r\n", false, "it does not reach the server", false},
		"redirects":             {"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", false, "answered 302", false},
		"sends a page":          {"<html>hello</html>\r\n\r\n", false, "it is no HTTP", false},
		"sends a head too long": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", maxAnswer), false, "too long", false},
		"answers 000":           {"HTTP/1.1 000\r\n\r\n", false, "it is no HTTP", false},
		"speaks something else": {"SSH-2.0-OpenSSH_9.6\r\n\r\n", false, "it is no HTTP", false},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, says(tt.answer))
			url := "http://" + p.addr
			if tt.user {
				url = "http://alice:" + secret + "@" + p.addr
			}
			_, err := dial(t, dialer(t, Options{Proxy: url}))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), p.addr) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if e.Refused() != tt.refused {
				t.Errorf("refused %v, want %v", e.Refused(), tt.refused)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func TestProxyIsShownItsCredential(t *testing.T) {
	p := startProxy(t, says("HTTP/1.1 200 OK\r\n\r\n"))
	if _, err := dial(t, dialer(t, Options{Proxy: "http://al%40ice:open:sesame@" + p.addr})); err != nil {
		t.Fatal(err)
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("al@ice:open:sesame"))
	if got := p.asked(t).Header.Get("Proxy-Authorization"); got != want {
		t.Errorf("Proxy-Authorization %q, want %q", got, want)
	}
}

// A proxy that takes the connection and says nothing, or a byte now and then,
// must not hold a dial for longer than its context.
func TestProxyThatIsSilent(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for name, answer := range map[string]func(io.Writer){
		"silent": nil,
		"drips": func(w io.Writer) {
			for range 1000 {
				if _, err := io.WriteString(w, "H"); err != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, answer)
			for _, end := range []struct {
				ctx  func() (context.Context, context.CancelFunc)
				want error
			}{
				{func() (context.Context, context.CancelFunc) {
					return context.WithTimeout(context.Background(), 50*time.Millisecond)
				}, context.DeadlineExceeded},
				{func() (context.Context, context.CancelFunc) {
					ctx, cancel := context.WithCancel(context.Background())
					time.AfterFunc(50*time.Millisecond, cancel)
					return ctx, cancel
				}, context.Canceled},
			} {
				ctx, cancel := end.ctx()
				began := time.Now()
				_, err := dialer(t, Options{Proxy: "http://" + p.addr}).DialContext(ctx, "wss", "server:443")
				cancel()
				if !errors.Is(err, end.want) {
					t.Errorf("error %v, want %v", err, end.want)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
			}
		})
	}
}

func TestProxyThatIsNotThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	for _, scheme := range []string{"http", "socks5"} {
		_, err = dial(t, dialer(t, Options{Proxy: scheme + "://u:p4ssword@" + ln.Addr().String()}))
		var e *Error
		if !errors.As(err, &e) || e.Refused() || !strings.Contains(err.Error(), "proxy "+ln.Addr().String()+": dial") {
			t.Errorf("%s: error %v", scheme, err)
		}
		if strings.Contains(err.Error(), "p4ssword") {
			t.Errorf("%s: the error shows the password: %v", scheme, err)
		}
	}
}
