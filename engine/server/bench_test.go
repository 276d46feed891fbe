package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A cannedConn answers every request at once, from memory.
type cannedConn struct{ fakeConn }

func (c *cannedConn) Open(context.Context, *wire.Request, bool) (tunnel.Exchange, error) {
	return &cannedExchange{c: c, sent: time.Now()}, nil
}

type cannedExchange struct {
	tunnel.Exchange // nil: what a small request does not need
	c               *cannedConn
	sent            time.Time
	read            bool
}

var (
	cannedContent  = []byte("hello world\n")
	cannedResponse = &wire.Response{Status: 200, FirstByte: 100, Fields: []wire.Field{
		{Name: "Content-Type", Value: "text/plain; charset=utf-8"}, {Name: "Content-Length", Value: "12"},
		{Name: "Date", Value: "Mon, 02 Jan 2006 15:04:05 GMT"}, {Name: "Etag", Value: `"abc"`},
	}}
)

func (x *cannedExchange) ReadResponse() (*wire.Response, error) { return cannedResponse, nil }
func (x *cannedExchange) Buffered() bool                        { return true }
func (x *cannedExchange) Trailers() []wire.Field                { return nil }
func (x *cannedExchange) SentAt() time.Time                     { return x.sent }
func (x *cannedExchange) Close()                                { x.c.Unreserve() }

func (x *cannedExchange) Next() ([]byte, error) {
	if x.read {
		return nil, io.EOF
	}
	x.read = true
	return cannedContent, nil
}

// A blankWriter takes an answer and forgets it.
type blankWriter struct {
	header http.Header
	status int
}

func (w *blankWriter) Header() http.Header         { return w.header }
func (w *blankWriter) WriteHeader(status int)      { w.status = status }
func (w *blankWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *blankWriter) FlushError() error           { return nil }

// smallRequest returns a function that carries a small request through the whole
// handler, to a client that answers from memory.
func smallRequest(t testing.TB, bus *observe.Bus) func() {
	s, err := New(Options{Domain: domain, Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	l := fakeLink(s.dispatch, 1, "edge", 1, engine.ProtocolNative, engine.Expose{Host: "app"})
	l.conn = &cannedConn{fakeConn{protocol: engine.ProtocolNative, capacity: 1}}
	r, err := http.NewRequest("GET", "http://app.t.example/x?page=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Scheme, r.URL.Host = "", ""
	r.RequestURI, r.RemoteAddr = "/x?page=1", "192.0.2.1:1234"
	r.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Accept-Encoding": {"gzip"}}
	w := &blankWriter{header: http.Header{}}
	return func() {
		clear(w.header)
		s.serveHTTP(w, r)
		if w.status != 200 || len(w.header["Etag"]) != 1 {
			t.Fatal(w.status, w.header)
		}
	}
}

// BenchmarkSmallRequest: what the handler costs beside net/http and the tunnel,
// with nobody who wants to know, with a subscriber that reads, with one that
// writes lines, with one that wants heads, and with one that wants all that the
// dashboard does: heads, and requests that start.
func BenchmarkSmallRequest(b *testing.B) {
	watchers := map[string]func(<-chan engine.Batch){
		"unobserved": nil,
		"subscribed": func(batches <-chan engine.Batch) {
			for range batches {
			}
		},
		"lines": func(batches <-chan engine.Batch) { observe.WriteEvents(io.Discard, batches) },
	}
	watchers["heads"], watchers["dashboard"] = watchers["subscribed"], watchers["subscribed"]
	options := map[string]engine.SubscribeOptions{
		"subscribed": {Kinds: engine.KindsRequests},
		"lines":      {Kinds: engine.KindsRequests},
		"heads":      {Kinds: engine.KindsRequests, Heads: true},
		"dashboard":  {Heads: true, Late: true},
	}
	for _, name := range strings.Fields("unobserved subscribed lines heads dashboard") {
		b.Run(name, func(b *testing.B) {
			bus := observe.NewBus()
			done := make(chan struct{})
			if watch := watchers[name]; watch != nil {
				batches, err := bus.Subscribe(context.Background(), options[name])
				if err != nil {
					b.Fatal(err)
				}
				go func() { defer close(done); watch(batches) }()
			} else {
				close(done)
			}
			run := smallRequest(b, bus)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
			bus.Close()
			<-done
		})
	}
}

// BenchmarkSnapshot is of a server with idle connections, each of which lies
// elsewhere in memory.
func BenchmarkSnapshot(b *testing.B) {
	const connections = 2000
	s := serve(b, Options{Live: Live{Caps: Caps{ConnectionsPerClient: -1}}})
	for range connections {
		s.dial(greeting("edge"), hello)
	}
	for deadline := time.Now().Add(patience); len(s.snapshot().Connections) < connections; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%d of %d connections", len(s.snapshot().Connections), connections)
		}
	}
	var snapshot engine.Snapshot
	b.ReportAllocs()
	for b.Loop() {
		if err := s.s.Snapshot(b.Context(), &snapshot); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/connections, "ns/connection")
}
