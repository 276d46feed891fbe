package server

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
)

// P16, P19 and P21: a day on which nobody asks for anything, behind a middlebox
// that cuts what is silent for 25 s, costs no connection; an upgraded connection
// on which nothing moves for 90 s goes on; and who calls then is served.
func TestDayOfSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := enginetest.NewNetwork()
		b := serveOn(t, Options{Domain: domain, Wait: time.Second}, network.Listen("server.example:80"))
		session, err := b.tryDial(greeting("edge", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
			if in.Request() != nil && in.Request().Path == "/upgrade" {
				echoRaw(in)
				return
			}
			hello(in)
		}, func(o *tunnel.DialOptions) {
			o.URL = "ws://server.example/register"
			o.NetDial = func(ctx context.Context, net, addr string) (net.Conn, error) {
				c, err := network.DialContext(ctx, net, addr)
				if err != nil {
					return nil, err
				}
				return cutWhenSilent(c, 25*time.Second), nil
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		call := func(head string) (net.Conn, *bufio.Reader, *http.Response) {
			t.Helper()
			c, err := network.DialContext(t.Context(), "tcp", "server.example:80")
			if err != nil {
				t.Fatalf("the listener is gone: %v", err)
			}
			io.WriteString(c, head)
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			return c, r, resp
		}
		up, r, resp := call("GET /upgrade HTTP/1.1\r\nHost: " + appHost + "\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		if resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("upgrade: %s", resp.Status)
		}
		for range 3 {
			time.Sleep(90 * time.Second)
			io.WriteString(up, "still there?")
			answer := make([]byte, len("still there?"))
			if _, err := io.ReadFull(r, answer); err != nil || string(answer) != "still there?" {
				t.Fatalf("after 90 s of silence: %q, %v", answer, err)
			}
		}
		up.Close()
		time.Sleep(24 * time.Hour)
		select {
		case <-session.Done():
			code, why := session.Ended()
			t.Errorf("the connection ended: %d %s", code, why)
		default:
		}
		c, _, resp := call("GET / HTTP/1.1\r\nHost: " + appHost + "\r\nConnection: close\r\n\r\n")
		if resp.StatusCode != http.StatusOK {
			t.Errorf("after a day: %s", resp.Status)
		}
		c.Close()
		if n := len(b.seen(engine.KindConnectionOpened)); n != 1 {
			t.Errorf("%d connections in a day", n)
		}
	})
}

// cutWhenSilent closes c when no byte has passed it for that long.
func cutWhenSilent(c net.Conn, silence time.Duration) net.Conn {
	return &impatient{Conn: c, silence: silence, timer: time.AfterFunc(silence, func() { c.Close() })}
}

type impatient struct {
	net.Conn
	silence time.Duration
	timer   *time.Timer
}

func (c *impatient) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.timer.Reset(c.silence)
	return n, err
}

func (c *impatient) Write(p []byte) (int, error) {
	c.timer.Reset(c.silence)
	return c.Conn.Write(p)
}

// P22: compression costs each connection megabytes; who offers it is told
// nothing of it.
func TestCompressionIsNotTaken(t *testing.T) {
	b := serve(t, Options{})
	for _, subprotocol := range []string{"", "adit.v1"} {
		c, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		head := "GET /register HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
		if subprotocol != "" {
			head += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
		}
		io.WriteString(c, head+"\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", resp, err)
		}
		if got := strings.Join(resp.Header["Sec-Websocket-Extensions"], ","); got != "" {
			t.Errorf("the server takes %q", got)
		}
	}
}
