package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/observe"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

func contentOn(o *Options) { o.Capture.Mode = engine.CaptureContent }

func TestContentOfARequestIsKept(t *testing.T) {
	b := exposed(t, hello, contentOn)
	do(t, caller(t), "POST", b.url("/x"), "what was sent", "Host", appHost)
	do(t, caller(t), "GET", b.url("/y"), "", "Host", appHost)
	for i, want := range []string{"what was sent", ""} {
		c := kept(t, b.finished(i+1))
		answer := []string{"POST /x what was sent", "GET /y "}[i]
		if string(c.Request.Data) != want || !c.Request.Whole() || string(c.Response.Data) != answer || !c.Response.Whole() {
			t.Errorf("kept %q and %q", c.Request.Data, c.Response.Data)
		}
	}
}

// Every event must reach the caller before the next one is made, captured or not,
// and be in what is kept at once.
func TestCaptureHoldsNoEventUp(t *testing.T) {
	next := make(chan string)
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Type", Value: "text/event-stream"}}}, false)
		for event := range next {
			in.Write([]byte(event))
		}
		in.CloseWrite(nil)
	}, contentOn)
	req, _ := http.NewRequest("GET", b.url("/events"), nil)
	req.Host = appHost
	resp, err := caller(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	live := b.await(engine.KindRequestStarted, 1).Request.Live
	r := bufio.NewReader(resp.Body)
	for i := range 20 {
		next <- fmt.Sprintf("data: %d\n\n", i)
		if line, err := r.ReadString('\n'); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("event %d: %q, %v", i, line, err)
		}
		r.ReadString('\n')
		var c engine.Content
		for deadline := time.Now().Add(patience); len(c.Messages) != i+1; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("of %d events %d are kept", i+1, len(c.Messages))
			}
			if kept := live.Captured.Load(); kept != nil {
				(*kept).Content(&c)
			}
		}
	}
	close(next)
	io.Copy(io.Discard, resp.Body)
	if c := kept(t, b.finished(1)); len(c.Messages) != 20 || !c.Response.Whole() {
		t.Errorf("%d events are kept", len(c.Messages))
	}
}

func TestUpgradeIsReadMessageByMessage(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 101, Fields: []wire.Field{{Name: "Upgrade", Value: "websocket"}}}, false)
		in.Next()
		in.Write([]byte("\x81\x05world\x88\x02\x03\xe8"))
		for {
			if _, err := in.Next(); err != nil {
				break
			}
		}
		in.CloseWrite(nil)
	}, contentOn)
	c := b.raw("GET /chat HTTP/1.1\r\nHost: " + appHost + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if line, _ := c.r.ReadString('\n'); !strings.Contains(line, " 101 ") {
		t.Fatalf("answer %q", line)
	}
	io.WriteString(c, "\x81\x85\x01\x02\x03\x04igohn\x88\x82\x00\x00\x00\x00\x03\xe8")
	c.Conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c.r)
	got := kept(t, b.finished(1))
	var lines []string
	for _, m := range got.Messages {
		lines = append(lines, fmt.Sprintf("%v %v %q", m.FromCaller, m.Kind, m.Data))
	}
	text := strings.Join(lines, ", ")
	for _, want := range []string{`true text "hello"`, `true close "\x03\xe8"`, `false text "world"`, `false close "\x03\xe8"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in %s", want, text)
		}
	}
	if !got.Request.Over || !got.Response.Over || got.Request.Size != 19 || got.Response.Size != 11 {
		t.Errorf("kept %+v", got)
	}
}

func TestByteStreamIsKeptInPieces(t *testing.T) {
	b := serve(t, Options{Wait: 50 * time.Millisecond})
	b.dial(greeting("edge"), echoRaw)
	if err := b.s.SetCapture(t.Context(), engine.Capture{Content: []string{"way:connect"}}, by("ann")); err != nil {
		t.Fatal(err)
	}
	c := b.raw("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n")
	for line := ""; line != "\r\n"; {
		line, _ = c.r.ReadString('\n')
	}
	io.WriteString(c, "ping")
	io.ReadFull(c.r, make([]byte, 4))
	c.Conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c.r)
	got := kept(t, b.finished(1))
	if len(got.Messages) < 2 || got.Messages[0].Kind != engine.MessageBytes || !got.Messages[0].FromCaller || string(got.Messages[1].Data) != "ping" {
		t.Errorf("kept %+v", got)
	}
	if !got.Request.Whole() || !got.Response.Whole() {
		t.Errorf("kept %+v", got)
	}
}

func TestSetCapture(t *testing.T) {
	b := exposed(t, hello)
	b.wantHeads()
	if s := b.snapshot(); s.Capture.Mode != engine.CaptureHeads || s.Capture.Limit == 0 || s.Capture.Sampling != 1 || len(s.Instance) != 16 {
		t.Errorf("at the start %+v, instance %q", s.Capture, s.Instance)
	}
	var wrong *filter.Error
	if err := b.s.SetCapture(t.Context(), engine.Capture{Content: []string{"path:"}}, by("ann")); !errors.As(err, &wrong) {
		t.Errorf("a filter that does not parse: %v", err)
	}
	get := func(n int) engine.Request {
		do(t, caller(t), "GET", b.url("/x"), "", "Host", appHost)
		return b.finished(n)
	}
	if rec := get(1); rec.Captured != nil || rec.Heads == nil {
		t.Errorf("by default %+v", rec)
	}
	if err := b.s.SetCapture(t.Context(), engine.Capture{Mode: engine.CaptureOff}, by("ann")); err != nil {
		t.Error(err)
	}
	if rec := get(2); rec.Captured != nil || rec.Heads != nil {
		t.Errorf("off: %+v", rec)
	}
	if err := b.s.SetCapture(t.Context(), engine.Capture{Mode: engine.CaptureOff, Content: []string{"path:/x", "client:none"}}, by("ann")); err != nil {
		t.Error(err)
	}
	if rec := get(3); rec.Captured == nil || rec.Heads != nil {
		t.Errorf("by a filter: %+v", rec)
	}
	s := b.snapshot()
	if s.Capture.Mode != engine.CaptureOff || len(s.Capture.Content) != 2 || s.Capture.Bytes == 0 {
		t.Errorf("at the end %+v", s.Capture)
	}
	for i, want := range []string{"off", "off, content of 2 filters"} {
		if e := b.await(engine.KindOperatorAction, i+1); e.Action != engine.ActionCapture || e.Operator != "ann" || e.Target != want {
			t.Errorf("audit event %+v", e)
		}
	}
}

func TestIDsBeginWhereTheyAreTold(t *testing.T) {
	b := exposed(t, hello, func(o *Options) { o.FirstRequest, o.FirstConnection = 4711, 17 })
	do(t, caller(t), "GET", b.url("/"), "", "Host", appHost)
	if rec := b.finished(1); rec.ID != 4711 || rec.Connection != 17 {
		t.Errorf("record %+v", rec)
	}
	if _, err := New(Options{Bus: observe.NewBus(), Capture: engine.Capture{Content: []string{"("}}}); err == nil {
		t.Error("a filter that does not parse is taken at the start")
	}
}

// Content far above what is kept passes as it did, and costs what is kept.
func TestCaptureOfALotOfContent(t *testing.T) {
	const pieces = 64
	piece := make([]byte, 256<<10)
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		for range pieces {
			if _, err := in.Write(piece); err != nil {
				return
			}
		}
		in.CloseWrite(nil)
	}, contentOn)
	req, _ := http.NewRequestWithContext(context.Background(), "GET", b.url("/"), nil)
	req.Host = appHost
	resp, err := caller(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != pieces*int64(len(piece)) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	c := kept(t, b.finished(1))
	if c.Response.Size != n || len(c.Response.Data) != engine.MaxContent || b.snapshot().Capture.Bytes > engine.MaxContent+4<<10 {
		t.Errorf("%d bytes kept of %d, %d in the books", len(c.Response.Data), c.Response.Size, b.snapshot().Capture.Bytes)
	}
}

// A record that nobody gets must not keep content: it would push out that of others.
func TestContentThatNobodyCanReadIsNotKept(t *testing.T) {
	bus := observe.NewBus()
	defer bus.Close()
	s, err := New(Options{Bus: bus, Capture: engine.Capture{Mode: engine.CaptureContent}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := s.begin(engine.WayHost, "192.0.2.1:1")
	defer c.release()
	c.started()
	c.capture()
	c.received([]byte("x"))
	c.end()
	var snap engine.Snapshot
	if s.Snapshot(t.Context(), &snap); snap.Capture.Bytes != 0 || c.rec.Captured != nil {
		t.Errorf("%d bytes are kept", snap.Capture.Bytes)
	}
}

// The target of a record is one that can be sent again: the path * is no part of it.
func TestRecordOfOptionsForTheServer(t *testing.T) {
	b := exposed(t, hello)
	b.raw("OPTIONS * HTTP/1.1\r\nHost: "+appHost+"\r\n\r\n").response(t, "OPTIONS")
	rec := b.finished(1)
	if rec.Target != "http://"+appHost {
		t.Errorf("target %q", rec.Target)
	}
	if _, err := b.s.Replay(t.Context(), engine.Replay{Of: rec.ID, Way: rec.Way, Method: rec.Method, Target: rec.Target}, by("ann")); err != nil {
		t.Fatal(err)
	}
	if again := b.finished(2); again.Target != rec.Target || again.Status != 200 || string(kept(t, again).Response.Data) != "OPTIONS * " {
		t.Errorf("sent again: %+v", again)
	}
}
