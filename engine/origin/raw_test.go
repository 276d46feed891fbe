package origin

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/wire"
)

func TestUpgrade(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "echo" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			t.Errorf("fields %v", r.Header)
		}
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-A: b\r\n\r\nhello ")
		io.Copy(c, buffered)
	}
	for _, scheme := range []string{"http", "https", "h2c"} {
		t.Run(scheme, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(echo))
			if scheme == "https" {
				s.EnableHTTP2 = true
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			tr := newTransport(t, Options{TLS: &tls.Config{InsecureSkipVerify: true}})
			r := get(s.Listener.Addr().String(), "/")
			r.Scheme, r.Upgrade = scheme, "echo"
			resp, err := tr.Send(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Status != 101 || resp.Raw == nil || wire.Get(resp.Fields, "upgrade") != "echo" ||
				wire.Get(resp.Fields, "x-a") != "b" || wire.Get(resp.Fields, "connection") != "" {
				t.Fatalf("got %d %v", resp.Status, resp.Fields)
			}
			io.WriteString(resp.Raw, "world")
			if err := resp.Raw.CloseWrite(); err != nil {
				t.Errorf("close write: %v", err)
			}
			if got, err := io.ReadAll(resp.Raw); string(got) != "hello world" || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
			resp.Raw.Close()
			resp.Content.Close()
		})
	}
}

// A stream that is cut must not look ended (RESET is RST).
func TestRawCloseBeforeTheEndIsReset(t *testing.T) {
	result := make(chan error, 1)
	s := newScript(t, func(c *net.TCPConn, r *bufio.Reader) {
		_, err := io.Copy(io.Discard, r)
		result <- err
	})
	tr := newTransport(t, Options{})
	for _, end := range []bool{false, true} {
		raw, err := tr.DialTCP(t.Context(), 0, s.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(raw, "hello")
		if end {
			raw.CloseWrite()
		}
		raw.Close()
		if err := <-result; (err == nil) != end {
			t.Errorf("ended %v: the origin saw %v", end, err)
		}
	}
}

func TestDialTCPReasons(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tr := newTransport(t, Options{Dial: func(ctx context.Context, _ Class, addr string) (net.Conn, error) {
		switch addr {
		case "denied:1":
			return nil, engine.Fail("dial", engine.ReasonDenied, nil)
		case "hangs:1":
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return nil, errors.New("no")
	}})
	for addr, want := range map[string]engine.Reason{
		"fails:1":  engine.ReasonOriginFailed,
		"denied:1": engine.ReasonDenied,
	} {
		if _, err := tr.DialTCP(ctx, 0, addr); engine.ReasonOf(err) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if _, err := tr.DialTCP(ctx, 0, "hangs:1"); engine.ReasonOf(err) != engine.ReasonCallerGone {
		t.Errorf("cancelled: %v", err)
	}
	tr.Close()
	if _, err := tr.DialTCP(t.Context(), 0, "fails:1"); err == nil {
		t.Error("dialled after Close")
	}
}
