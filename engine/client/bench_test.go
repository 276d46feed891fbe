package client

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"adit/engine/observe"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A handed exchange is a request that needs no tunnel.
type handed struct {
	tunnel.Incoming // nil: what is not below is not called
	request         *wire.Request
	ctx             context.Context
	arrived         time.Time
	answers         int
}

func (h *handed) Request() *wire.Request        { return h.request }
func (h *handed) Connect() (wire.Connect, bool) { return wire.Connect{}, false }
func (h *handed) HasContent() bool              { return false }
func (h *handed) Context() context.Context      { return h.ctx }
func (h *handed) Arrived() time.Time            { return h.arrived }

func (h *handed) Respond(r *wire.Response, content []byte) (bool, error) {
	if r.Status == 200 && string(content) == "hello world\n" {
		h.answers++
	}
	return true, nil
}

// newHanded returns the handler of a client with an origin that costs little,
// and a small request for it.
func newHanded(t testing.TB) (tunnel.Handler, *handed) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		answer := []byte("HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 18:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nhello world\n")
		buf := make([]byte, 4<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				c.Write(answer)
			}
		}
	}()
	c, err := New(Options{ID: "edge-3", Servers: []string{"ws://server.example/register"}, Bus: observe.NewBus(),
		Expose: []Expose{{Host: "app", Origin: "http://" + l.Addr().String()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		c.o.Bus.Close()
		l.Close()
		<-served
	})
	n := c.endpoints[0].newConnection()
	n.open.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	h := &handed{ctx: ctx, arrived: time.Now(), request: &wire.Request{Route: 1, Method: "GET", Scheme: "http",
		Authority: "app.test", Path: "/", Fields: []wire.Field{{Name: "user-agent", Value: "bench"}, {Name: "accept", Value: "*/*"}}}}
	return n.serve, h
}

// BenchmarkSmallExchange is a small request from the tunnel to the origin and
// back: what a client does for it beside its tunnel.
func BenchmarkSmallExchange(b *testing.B) {
	serve, h := newHanded(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		serve(h)
		n++
	}
	if h.answers != n {
		b.Errorf("%d answers to %d requests", h.answers, n)
	}
}
