package server

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/observe"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// patience bounds every wait of a test that should not wait at all; what takes
// longer than soon waited for something.
const (
	patience = 20 * time.Second
	soon     = 5 * time.Second
)

// A bench is a running server with its events.
type bench struct {
	t    testing.TB
	s    *Server
	addr string

	mu     sync.Mutex
	events []engine.Event
	more   chan struct{}
	read   chan struct{} // closed when the subscription ended
}

// serve starts a server on loopback that ends with the test.
func serve(t testing.TB, o Options) *bench {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, o, ln)
}

func serveOn(t testing.TB, o Options, ln net.Listener) *bench {
	t.Helper()
	o.Bus = observe.NewBus()
	if o.Name == "" {
		o.Name = "test"
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, s: s, addr: ln.Addr().String(), more: make(chan struct{}, 1), read: make(chan struct{})}
	batches, err := s.Subscribe(context.Background(), engine.SubscribeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(b.read)
		for batch := range batches {
			b.mu.Lock()
			b.events = append(b.events, batch.Events...)
			b.mu.Unlock()
			select {
			case b.more <- struct{}{}:
			default:
			}
		}
	}()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		o.Bus.Close()
		<-b.read
		b.checkEvents()
	})
	b.await(engine.KindReady, 1) // all of its goroutines run
	return b
}

// seen returns the events of a kind so far.
func (b *bench) seen(kind engine.Kind) (found []engine.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// await waits for the n-th event of a kind.
func (b *bench) await(kind engine.Kind, n int) engine.Event {
	b.t.Helper()
	timeout := time.After(patience)
	for {
		if found := b.seen(kind); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-b.more:
		case <-timeout:
			b.t.Fatalf("no %v event number %d", kind, n)
		}
	}
}

// settled waits until n connections have registered. Only then are their fields a
// test's to change: a client knows of its welcome before the server has noted it.
func (b *bench) settled(n int) []*link {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		all := b.s.links.list()
		if len(all) == n && !slices.ContainsFunc(all, func(l *link) bool { return l.halves.Load() == 0 }) {
			return all
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%d connections, of which not all registered: want %d", len(all), n)
		}
	}
}

// finished waits for the n-th record.
func (b *bench) finished(n int) engine.Request {
	b.t.Helper()
	return *b.await(engine.KindRequestFinished, n).Request
}

// checkEvents holds what is true of the events of every run.
func (b *bench) checkEvents() {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := map[engine.ConnectionID]bool{}
	started := map[engine.RequestID]int{}
	for i, e := range b.events {
		switch e.Kind {
		case engine.KindConnectionOpened:
			open[e.Connection] = true
		case engine.KindConnectionClosed:
			if !open[e.Connection] {
				b.t.Errorf("%v closed without having opened", e.Connection)
			}
			delete(open, e.Connection)
		case engine.KindRequestStarted:
			started[e.Request.ID]++
		case engine.KindRequestFinished:
			if e.Request.Outcome == engine.OutcomeNone {
				b.t.Errorf("%v ended without an outcome", e.Request.ID)
			}
			started[e.Request.ID] -= 1000
		case engine.KindStopped:
			if i != len(b.events)-1 {
				b.t.Errorf("%v follows the stopped event", b.events[i+1].Kind)
			}
		}
	}
	for id := range open {
		b.t.Errorf("%v never closed", id)
	}
	for id, n := range started {
		if n != -1000 && n != -999 {
			b.t.Errorf("%v: not exactly one outcome (%d)", id, n)
		}
	}
}

func greeting(id string, expose ...engine.Expose) *engine.Greeting {
	return &engine.Greeting{ID: id, PoolSize: 1, Version: "1", Instance: "instance-of-" + id, Expose: expose}
}

// dial registers a client whose exchanges are served by h.
func (b *bench) dial(g *engine.Greeting, h tunnel.Handler) tunnel.Session {
	b.t.Helper()
	s, err := b.tryDial(g, h)
	if err != nil {
		b.t.Fatalf("dial: %v", err)
	}
	b.awaitMember(g.ID)
	return s
}

func (b *bench) tryDial(g *engine.Greeting, h tunnel.Handler, change ...func(*tunnel.DialOptions)) (tunnel.Session, error) {
	o := tunnel.DialOptions{
		URL: "ws://" + b.addr + "/register", Greeting: g, Counters: new(frame.Counters), Handler: h,
	}
	for _, c := range change {
		c(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := tunnel.Dial(ctx, o)
	if err == nil {
		b.t.Cleanup(func() { s.Close(engine.CloseNormal, "test is over") })
	}
	return s, err
}

// classic makes tryDial speak wsp.
func classic(o *tunnel.DialOptions) { o.Protocol = engine.ProtocolClassic }

// awaitMember waits until a connection of the client is in its pools: the
// welcome is on its way a moment before.
func (b *bench) awaitMember(client string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		p := b.s.dispatch.lookup(destination{kind: toClient, name: client})
		if p != nil && len(p.slots()) > 0 {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("client %s is not there", client)
		}
		time.Sleep(time.Millisecond)
	}
}

// content reads the request content of an exchange.
func content(in tunnel.Incoming) ([]byte, error) {
	if !in.HasContent() {
		return nil, nil
	}
	var all []byte
	for {
		p, err := in.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, p...)
	}
}

// respond answers with status and content.
func respond(in tunnel.Incoming, status int, body string, fields ...wire.Field) {
	r := &wire.Response{Status: status, Fields: fields}
	in.WriteResponse(r, body == "")
	if body != "" {
		io.WriteString(writer{in}, body)
		in.CloseWrite(nil)
	}
}

type writer struct{ in tunnel.Incoming }

func (w writer) Write(p []byte) (int, error) { return w.in.Write(p) }

// hello answers every request with what it saw.
func hello(in tunnel.Incoming) {
	body, err := content(in)
	if err != nil {
		return
	}
	r := in.Request()
	respond(in, 200, r.Method+" "+r.Path+" "+string(body), wire.Field{Name: "Content-Type", Value: "text/plain"})
}

// fieldsOf returns fields as sorted "name: value" lines in lower case names.
func fieldsOf(fields []wire.Field) []string {
	var lines []string
	for _, f := range fields {
		lines = append(lines, strings.ToLower(f.Name)+": "+f.Value)
	}
	slices.Sort(lines)
	return lines
}

// caller returns an HTTP client that keeps no connection beyond the test.
func caller(t testing.TB) *http.Client {
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// do sends a request and reads the answer.
func do(t testing.TB, c *http.Client, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	resp, text, err := try(c, method, url, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return resp, text
}

func try(c *http.Client, method, url, body string, header ...string) (*http.Response, string, error) {
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, content)
	if err != nil {
		return nil, "", err
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

// rawCall is one connection on which a test speaks bytes.
type rawCall struct {
	net.Conn
	r *bufio.Reader
}

func (b *bench) raw(send string) *rawCall {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, send); err != nil {
		b.t.Fatal(err)
	}
	return &rawCall{conn, bufio.NewReader(conn)}
}

// response reads one response head with its content.
func (c *rawCall) response(t testing.TB, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read content: %v (after %q)", err, body)
	}
	return resp, string(body)
}

// within fails the test if f takes longer than patience.
func within(t testing.TB, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("%s: nothing within %v", what, patience)
	}
}

func repeat(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }
