package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A request that a dead connection never took goes to another one; content
// that was taken does not.
func TestUnwrittenRequestIsTriedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := enginetest.NewNetwork()
		b := serveOn(t, Options{Domain: domain, Wait: time.Minute, Limits: tunnel.Limits{Ping: 10 * time.Second}}, network.Listen("server.example:80"))
		dial := func() net.Conn {
			conn, err := network.DialContext(t.Context(), "tcp", "server.example:80")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		p, _, err := enginetest.DialPeer(dial(), enginetest.Handshake{Subprotocols: []string{wire.Subprotocol}})
		if err != nil {
			t.Fatal(err)
		}
		p.WriteMessage(enginetest.OpText, []byte(`{"type":"greeting","id":"dead","pool_size":1,"expose":[{"host":"app"}]}`))
		if _, _, err := p.ReadMessage(); err != nil { // the welcome, and nothing after it
			t.Fatal(err)
		}
		b.awaitMember("dead")
		statuses := func(c net.Conn, method string) <-chan int {
			status := make(chan int, 1)
			go func() {
				resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
				if err != nil {
					status <- 0
					return
				}
				resp.Body.Close()
				status <- resp.StatusCode
			}()
			return status
		}
		var uploads []<-chan int
		for range 12 { // more than the network between holds
			c := dial()
			go io.WriteString(c, "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 65536\r\nConnection: close\r\n\r\n"+repeat("x", 64<<10))
			uploads = append(uploads, statuses(c, "POST"))
		}
		synctest.Wait()
		c := dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: close\r\n\r\n")
		got := statuses(c, "GET")
		synctest.Wait()
		if _, err := b.tryDial(greeting("alive", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
			if in.HasContent() {
				t.Error("content was sent twice")
			}
			hello(in)
		}, func(o *tunnel.DialOptions) {
			o.URL, o.NetDial = "ws://server.example/register", network.DialContext
		}); err != nil {
			t.Fatal(err)
		}
		if status := <-got; status != 200 {
			t.Errorf("the request that was not written got %d", status)
		}
		for _, status := range uploads {
			if s := <-status; s != 504 {
				t.Errorf("a request with content got %d", s)
			}
		}
	})
}
