package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/frame"
	"adit/engine/wire"
)

// A link is a native connection between our two ends over an in-memory network.
type link struct {
	server  Conn
	session Session
	pair    [2]net.Conn // client's, server's end below everything
	close   func()
}

type linkOptions struct {
	limits  Limits
	handler Handler
	growth  *Budget
	release func()
}

// newLink opens a connection through a real HTTP server in memory.
func newLink(t testing.TB, o linkOptions) *link {
	t.Helper()
	listener := enginetest.NewListener(80)
	conns := make(chan Conn, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := Accept(w, r, AcceptOptions{ID: 17, Limits: o.limits, Growth: o.growth, Counters: new(frame.Counters), OnRelease: o.release})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		c, err := g.Welcome(&wire.Welcome{Server: "test", Version: "0"})
		if err != nil {
			t.Errorf("welcome: %v", err)
			return
		}
		conns <- c
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(listener)
	}()
	l := &link{}
	session, err := Dial(context.Background(), DialOptions{
		ID: 1, URL: "ws://server/register", Greeting: &engine.Greeting{ID: "edge", PoolSize: 1},
		Limits: o.limits, Growth: o.growth, Counters: new(frame.Counters), Handler: o.handler,
		NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := listener.Dial(ctx)
			l.pair[0] = c
			return c, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l.session, l.server = session, <-conns
	l.close = func() {
		l.server.Close(engine.CloseGoingAway, "test is over")
		<-l.session.Done()
		_ = srv.Close()
		<-served
	}
	return l
}

// open reserves and opens, and fails the test if that does not work.
func (l *link) open(t testing.TB, ctx context.Context, r *wire.Request, end bool) Exchange {
	t.Helper()
	if !l.server.Reserve() {
		t.Fatal("no slot")
	}
	x, err := l.server.Open(ctx, r, end)
	if err != nil {
		l.server.Unreserve()
		t.Fatal(err)
	}
	return x
}

func get(path string, fields ...wire.Field) *wire.Request {
	return &wire.Request{Route: 1, Method: "GET", Scheme: "http", Authority: "app.test", Path: path, Fields: fields}
}

func post(path string, fields ...wire.Field) *wire.Request {
	r := get(path, fields...)
	r.Method = "POST"
	return r
}

func readAll(x Exchange) ([]byte, error) {
	var all []byte
	for {
		p, err := x.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, p...)
	}
}

func answer(in Incoming, status int, content []byte) error {
	err := in.WriteResponse(&wire.Response{Status: status, Fields: []wire.Field{
		{Name: "content-length", Value: fmt.Sprint(len(content))}}}, len(content) == 0)
	if err == nil && len(content) > 0 {
		if _, err = in.Write(content); err == nil {
			err = in.CloseWrite(nil)
		}
	}
	return err
}
