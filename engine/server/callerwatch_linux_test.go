package server

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"adit/engine/tunnel"
	"adit/engine/wire"
)

// awaitWatched waits until the server watches n callers.
func (b *bench) awaitWatched(n int) {
	b.t.Helper()
	w := &b.s.watch
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		watched := len(w.conns)
		w.mu.Unlock()
		if watched == n {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d callers are watched, want %d", watched, n)
		}
	}
}

// TestWatchedCallers: a connection is watched from its first request on, and no
// longer than it is net/http's.
func TestWatchedCallers(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		if _, ok := in.Connect(); ok {
			in.WriteResponse(&wire.Response{Status: 200}, false)
			io.Copy(in, in)
			in.CloseWrite(nil)
			return
		}
		close(began)
		select {
		case <-release:
		case <-in.Context().Done():
		}
		in.WriteResponse(&wire.Response{Status: 204}, true)
	})
	b.awaitWatched(0) // the client's connection was taken over
	c := b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
	within(t, "handler", began)
	b.awaitWatched(1)
	close(release)
	if resp, _ := c.response(t, "GET"); resp.StatusCode != 204 {
		t.Error(resp.Status)
	}
	b.awaitWatched(1)
	c.Close()
	b.awaitWatched(0)

	c = b.raw("CONNECT a.example:1 HTTP/1.1\r\nHost: a.example:1\r\n\r\n")
	if line, err := c.r.ReadString('\n'); line != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	c.r.ReadString('\n')
	b.awaitWatched(0)
	io.WriteString(c, "half")
	c.Conn.(*net.TCPConn).CloseWrite() // must not end what comes back
	if got, err := io.ReadAll(c.r); string(got) != "half" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestCallerThatSentMoreIsNotGone: the end of a caller's side, behind a request
// that nobody has read yet, cancels nothing, as in net/http; nor is any byte of
// that request lost.
func TestCallerThatSentMoreIsNotGone(t *testing.T) {
	began, release := make(chan struct{}, 3), make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		began <- struct{}{}
		select {
		case <-release:
		case <-in.Context().Done():
		}
		in.WriteResponse(&wire.Response{Status: 200}, false)
		in.Write([]byte(in.Request().Path))
		in.CloseWrite(nil)
	})
	c := b.raw("GET /1 HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
	for i := 1; i <= 2; i++ {
		within(t, fmt.Sprintf("request %d", i), began)
		fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: app.t.example\r\n\r\n", i+1)
		if i == 2 {
			c.Conn.(*net.TCPConn).CloseWrite()
			time.Sleep(20 * time.Millisecond) // room for a mistake
		}
		release <- struct{}{}
		if _, body := c.response(t, "GET"); body != fmt.Sprintf("/%d", i) {
			t.Errorf("answer to request %d: %q", i, body)
		}
	}
	// Nothing follows the third: its caller is gone.
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("after the caller left: %v", err)
	}
}
