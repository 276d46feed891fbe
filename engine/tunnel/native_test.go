package tunnel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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

func TestExchangeCarriesHeadContentAndTrailers(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) {
		content, err := io.ReadAll(in)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		if got := wire.Get(in.Trailers(), "x-after"); got != "sent" {
			t.Errorf("request trailer %q", got)
		}
		_ = in.WriteInformational(103, []wire.Field{{Name: "link", Value: "</a>"}})
		_ = in.WriteResponse(&wire.Response{Status: 201, Connect: 3, FirstByte: 5, Fields: []wire.Field{{Name: "x-path", Value: in.Request().Path}}}, false)
		_, _ = in.Write(content)
		_ = in.CloseWrite([]wire.Field{{Name: "x-sum", Value: "ok"}})
	}})
	defer l.close()
	x := l.open(t, context.Background(), post("/a?b"), false)
	defer x.Close()
	body := bytes.Repeat([]byte("0123456789"), 30_000)
	go func() {
		_, _ = x.Write(body)
		_ = x.CloseWrite([]wire.Field{{Name: "x-after", Value: "sent"}})
	}()
	if r, err := x.ReadResponse(); err != nil || r.Status != 103 || wire.Get(r.Fields, "link") != "</a>" {
		t.Fatalf("informational: %+v %v", r, err)
	}
	r, err := x.ReadResponse()
	if err != nil || r.Status != 201 || r.Connect != 3 || r.FirstByte != 5 || wire.Get(r.Fields, "x-path") != "/a?b" {
		t.Fatalf("final: %+v %v", r, err)
	}
	got, err := readAll(x)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("content: %d of %d bytes, %v", len(got), len(body), err)
	}
	if wire.Get(x.Trailers(), "x-sum") != "ok" {
		t.Errorf("trailers %v", x.Trailers())
	}
	if x.SentAt().IsZero() {
		t.Error("no time of sending")
	}
}

// A response's END ends the exchange although the request is not complete, and
// its writer is told instead of waiting for credit for ever.
func TestEarlyResponseEndsExchange(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) { _ = answer(in, 413, []byte("no")) }})
	defer l.close()
	x := l.open(t, context.Background(), post("/"), false)
	wrote := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			_, err = x.Write(make([]byte, 32<<10))
		}
		wrote <- err
	}()
	r, err := x.ReadResponse()
	if err != nil || r.Status != 413 {
		t.Fatalf("%+v %v", r, err)
	}
	if got, err := readAll(x); err != nil || string(got) != "no" {
		t.Fatalf("%q %v", got, err)
	}
	if err := <-wrote; !errors.Is(err, errOver) {
		t.Errorf("writer got %v", err)
	}
	x.Close()
	// The connection goes on.
	x = l.open(t, context.Background(), get("/"), true)
	defer x.Close()
	if r, err := x.ReadResponse(); err != nil || r.Status != 413 {
		t.Fatalf("next exchange: %+v %v", r, err)
	}
}

// Both directions flow at once: an origin that echoes what it has not read to
// the end must not deadlock.
func TestFullDuplexEcho(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) {
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		_, _ = io.Copy(struct{ io.Writer }{writer{in}}, in)
		_ = in.CloseWrite(nil)
	}})
	defer l.close()
	x := l.open(t, context.Background(), post("/"), false)
	defer x.Close()
	body := make([]byte, 3<<20)
	rand.New(rand.NewSource(1)).Read(body)
	go func() {
		_, _ = x.Write(body)
		_ = x.CloseWrite(nil)
	}()
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(x)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(body) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

type writer struct{ in Incoming }

func (w writer) Write(p []byte) (int, error) { return w.in.Write(p) }

// One caller that does not read must not hold up another on the same connection.
func TestStalledReaderHoldsNobodyUp(t *testing.T) {
	big := make([]byte, 8<<20)
	l := newLink(t, linkOptions{handler: func(in Incoming) {
		if in.Request().Path == "/big" {
			_ = answer(in, 200, big)
			return
		}
		_ = answer(in, 200, []byte("small"))
	}})
	defer l.close()
	var stalled []Exchange
	for range 40 {
		x := l.open(t, context.Background(), get("/big"), true)
		if _, err := x.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		stalled = append(stalled, x)
	}
	for range 20 {
		x := l.open(t, context.Background(), get("/small"), true)
		if _, err := x.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(x); err != nil || string(got) != "small" {
			t.Fatalf("%q %v", got, err)
		}
		x.Close()
	}
	for _, x := range stalled {
		x.Close()
	}
}

func TestCallerGoneCancelsTheHandler(t *testing.T) {
	started, cancelled := make(chan struct{}), make(chan struct{})
	l := newLink(t, linkOptions{handler: func(in Incoming) {
		close(started)
		<-in.Context().Done()
		close(cancelled)
	}})
	defer l.close()
	ctx, cancel := context.WithCancel(context.Background())
	x := l.open(t, ctx, get("/"), true)
	<-started
	cancel()
	if _, err := x.ReadResponse(); engine.ReasonOf(err) != engine.ReasonCallerGone {
		t.Errorf("got %v", err)
	}
	x.Close()
	<-cancelled
}

func TestHandlerThatForgetsToAnswerResets(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) {}})
	defer l.close()
	x := l.open(t, context.Background(), get("/"), true)
	defer x.Close()
	if _, err := x.ReadResponse(); engine.ReasonOf(err) != engine.ReasonInternal {
		t.Errorf("got %v", err)
	}
	if x.Retryable() {
		t.Error("retryable although the handler saw it")
	}
}

// Content that is cut off must not look complete, whichever way it is cut.
func TestTruncationIsNeverCompletion(t *testing.T) {
	const declared = "100"
	for name, cut := range map[string]func(in Incoming, l *link){
		"reset":        func(in Incoming, _ *link) { in.Reset(wire.ResetOriginFailed, "broken") },
		"short":        func(in Incoming, _ *link) { _ = in.CloseWrite(nil) },
		"handler ends": func(in Incoming, _ *link) {},
		"socket lost":  func(_ Incoming, l *link) { _ = l.pair[0].Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var l *link
			ready := make(chan struct{})
			l = newLink(t, linkOptions{handler: func(in Incoming) {
				<-ready
				_ = in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "content-length", Value: declared}}}, false)
				_, _ = in.Write([]byte("only this"))
				cut(in, l)
			}})
			close(ready)
			defer l.close()
			x := l.open(t, context.Background(), get("/"), true)
			defer x.Close()
			if _, err := x.ReadResponse(); err != nil {
				return // nothing came: as visible as it gets
			}
			if got, err := readAll(x); err == nil {
				t.Errorf("%q taken for complete", got)
			}
		})
	}
}

func TestConnectIsAHalfClosedByteStream(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) {
		c, ok := in.Connect()
		if !ok || c.Target != "db:5432" {
			t.Errorf("connect %+v %v", c, ok)
		}
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		all, _ := io.ReadAll(in) // FIN from the caller
		_, _ = in.Write(bytes.ToUpper(all))
		_ = in.CloseWrite(nil)
	}})
	defer l.close()
	if !l.server.Reserve() {
		t.Fatal("no slot")
	}
	x, err := l.server.OpenConnect(context.Background(), 0, "db:5432")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	_, _ = x.Write([]byte("early ")) // within credit, before the answer
	if r, err := x.ReadResponse(); err != nil || r.Status != 200 {
		t.Fatalf("%+v %v", r, err)
	}
	_, _ = x.Write([]byte("select"))
	_ = x.CloseWrite(nil)
	if got, err := readAll(x); err != nil || string(got) != "EARLY SELECT" {
		t.Errorf("%q %v", got, err)
	}
}

func TestUpgradeIsRawOnlyWhenAskedFor(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) {
		_ = in.WriteResponse(&wire.Response{Status: 101, Fields: []wire.Field{{Name: "upgrade", Value: "echo"}}}, false)
		p, _ := in.Next()
		_, _ = in.Write(p)
		_ = in.CloseWrite(nil)
	}})
	defer l.close()
	x := l.open(t, context.Background(), get("/", wire.Field{Name: "upgrade", Value: "echo"}), false)
	if r, err := x.ReadResponse(); err != nil || r.Status != 101 {
		t.Fatalf("%+v %v", r, err)
	}
	_, _ = x.Write([]byte("ping"))
	_ = x.CloseWrite(nil)
	if got, err := readAll(x); err != nil || string(got) != "ping" {
		t.Errorf("%q %v", got, err)
	}
	x.Close()
	x = l.open(t, context.Background(), get("/"), true)
	defer x.Close()
	if r, err := x.ReadResponse(); err == nil {
		t.Errorf("101 nobody asked for was delivered: %+v", r)
	}
}

func TestSlotsAreBoundedAndComeBack(t *testing.T) {
	block := make(chan struct{})
	released := make(chan struct{}, 100)
	l := newLink(t, linkOptions{limits: Limits{MaxExchanges: 3}, release: func() { released <- struct{}{} },
		handler: func(in Incoming) { <-block; _ = answer(in, 204, nil) }})
	defer l.close()
	var open []Exchange
	for range 3 {
		open = append(open, l.open(t, context.Background(), get("/"), true))
	}
	if l.server.Reserve() {
		t.Fatal("a fourth slot of three")
	}
	close(block)
	for _, x := range open {
		if r, err := x.ReadResponse(); err != nil || r.Status != 204 {
			t.Fatalf("%+v %v", r, err)
		}
		x.Close()
		<-released
	}
	if l.server.InFlight() != 0 || !l.server.Reserve() {
		t.Fatal("slots did not come back")
	}
	l.server.Unreserve()
}

func TestSilentPeerIsFoundDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, linkOptions{limits: Limits{Ping: 20 * time.Second}, handler: func(in Incoming) { <-in.Context().Done() }})
		time.Sleep(95 * time.Second)
		select {
		case <-l.server.Done():
			t.Fatal("a peer that answers pings was called dead")
		default:
		}
		var st engine.Connection
		l.server.Status(&st)
		if st.RTT <= 0 {
			t.Error("no round-trip time")
		}
		x := l.open(t, context.Background(), get("/"), true)
		c, s := l.pair[0].(*enginetest.Conn), time.Now()
		_ = c.SetDeadline(time.Now()) // nothing passes any more, and nobody says so
		if _, err := x.ReadResponse(); err == nil {
			t.Error("answered by a dead peer")
		}
		if took := time.Since(s); took > 2*20*time.Second+time.Second {
			t.Errorf("found after %v", took)
		}
		x.Close()
		_ = c.SetDeadline(time.Time{})
		l.close()
	})
}

func TestDrainLetsExchangesFinish(t *testing.T) {
	for _, who := range []string{"server", "client"} {
		t.Run(who, func(t *testing.T) {
			started, goOn := make(chan struct{}), make(chan struct{})
			l := newLink(t, linkOptions{handler: func(in Incoming) {
				close(started)
				<-goOn
				_ = answer(in, 200, []byte("finished"))
			}})
			x := l.open(t, context.Background(), get("/"), true)
			<-started
			if who == "server" {
				l.server.Drain(time.Minute, "restart")
				if l.server.Reserve() {
					t.Error("a slot while draining")
				}
			} else {
				l.session.Drain(time.Minute, "restart")
				for l.server.Reserve() { // until the client's drain has come
					l.server.Unreserve()
					time.Sleep(time.Millisecond)
				}
			}
			close(goOn)
			if _, err := x.ReadResponse(); err != nil {
				t.Fatal(err)
			}
			if got, err := readAll(x); err != nil || string(got) != "finished" {
				t.Errorf("%q %v", got, err)
			}
			x.Close()
			<-l.server.Done()
			<-l.session.Done()
			if code, _ := l.server.Ended(); code != engine.CloseGoingAway {
				t.Errorf("closed with %d", code)
			}
			l.close()
		})
	}
}

func TestDrainEndsAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, linkOptions{handler: func(in Incoming) { <-in.Context().Done() }})
		x := l.open(t, context.Background(), get("/"), true)
		begin := time.Now()
		l.server.Drain(30*time.Second, "stop")
		if _, err := x.ReadResponse(); engine.ReasonOf(err) != engine.ReasonTunnelFailed {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("after %v", took)
		}
		x.Close()
		<-l.server.Done()
		l.close()
	})
}

func TestKillTellsTheOtherEndWhy(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) { <-in.Context().Done() }})
	x := l.open(t, context.Background(), get("/"), true)
	l.server.Close(engine.CloseKilled, "killed by an operator")
	if _, err := x.ReadResponse(); engine.ReasonOf(err) != engine.ReasonOperator {
		t.Errorf("exchange failed with %v", err)
	}
	x.Close()
	<-l.session.Done()
	if code, text := l.session.Ended(); code != engine.CloseKilled || text != "killed by an operator" {
		t.Errorf("client saw %d %q", code, text)
	}
	l.close()
}

// The head deadline counts from the last movement of the request, so that a
// long upload does not run into it.
func TestHeadDeadlineCountsFromTheLastMovement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, linkOptions{limits: Limits{Head: 10 * time.Second}, handler: func(in Incoming) {
			_, _ = io.Copy(io.Discard, in)
			<-in.Context().Done()
		}})
		x := l.open(t, context.Background(), post("/"), false)
		begin := time.Now()
		go func() {
			for range 5 {
				_, _ = x.Write([]byte("more"))
				time.Sleep(8 * time.Second)
			}
		}()
		_, err := x.ReadResponse()
		if engine.ReasonOf(err) != engine.ReasonTimedOut {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took < 42*time.Second || took > 43*time.Second {
			t.Errorf("after %v", took)
		}
		time.Sleep(time.Second)
		x.Close()
		l.close()
	})
}

// What runs at once on one connection never mixes: every exchange gets its own
// content back, through cancellations and early responses.
func TestExchangesNeverCross(t *testing.T) {
	l := newLink(t, linkOptions{growth: NewBudget(16 << 20), handler: func(in Incoming) {
		path := in.Request().Path
		if path[1] == 'e' {
			_ = answer(in, 400, []byte(path))
			return
		}
		all, err := io.ReadAll(in)
		if err != nil {
			return
		}
		_ = answer(in, 200, append([]byte(path+" "), all...))
	}})
	defer l.close()
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			r := rand.New(rand.NewSource(int64(w)))
			for i := range 60 {
				kind := "fec"[r.Intn(3)]
				path := fmt.Sprintf("/%c/%d/%d", kind, w, i)
				ctx, cancel := context.WithCancel(context.Background())
				x := l.open(t, ctx, post(path), false)
				body := bytes.Repeat([]byte{byte(w), byte(i)}, r.Intn(60_000))
				var pump sync.WaitGroup
				pump.Go(func() {
					if _, err := x.Write(body); err == nil {
						_ = x.CloseWrite(nil)
					}
				})
				if kind == 'c' {
					cancel()
				}
				head, err := x.ReadResponse()
				var got []byte
				if err == nil {
					got, err = readAll(x)
				}
				if err == nil && kind == 'f' && string(got) != path+" "+string(body) {
					t.Errorf("%s: got %d bytes of another exchange or order", path, len(got))
				}
				if err == nil && kind == 'e' && (head.Status != 400 || string(got) != path) {
					t.Errorf("%s: %d %q", path, head.Status, got)
				}
				if err != nil && kind != 'c' {
					t.Errorf("%s: %v", path, err)
				}
				if err != nil {
					x.Reset(wire.ResetCancelled, "")
				}
				pump.Wait()
				x.Close()
				cancel()
			}
		})
	}
	group.Wait()
	if n := l.server.InFlight(); n != 0 {
		t.Errorf("%d slots did not come back", n)
	}
}
