package tunnel

import (
	"adit/engine"
	"adit/engine/wire"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand"
	"testing"
)

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

// Who closes a raw stream right after both sides have ended must not cut off
// what the writer has not taken yet. Regression: the last bytes of an upload
// through CONNECT were lost.
func TestClosingARawStreamKeepsItsTail(t *testing.T) {
	for range 50 {
		var got []byte
		read := make(chan error, 1)
		l := newLink(t, linkOptions{handler: func(in Incoming) {
			_ = in.WriteResponse(&wire.Response{Status: 200}, false)
			_ = in.CloseWrite(nil)
			all, err := io.ReadAll(in)
			got = all
			read <- err
		}})
		if !l.server.Reserve() {
			t.Fatal("no slot")
		}
		x, err := l.server.OpenConnect(context.Background(), 0, "db:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		if all, err := readAll(x); err != nil || len(all) > 0 {
			t.Fatalf("%q %v", all, err)
		}
		_, _ = x.Write(make([]byte, 40_000))
		_, _ = x.Write([]byte("tail"))
		_ = x.CloseWrite(nil)
		x.Close()
		if err := <-read; err != nil || len(got) != 40_004 {
			t.Fatalf("the origin read %d bytes, %v", len(got), err)
		}
		l.close()
	}
}
