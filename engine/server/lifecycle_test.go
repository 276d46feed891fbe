package server

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

func TestShutdownLetsExchangesFinish(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		close(began)
		<-release
		respond(in, 200, "finished")
	}, func(o *Options) { o.Grace = patience })
	idle := b.raw("GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
	idle.response(t, "GET")
	result := make(chan string)
	go func() {
		_, body, err := try(caller(t), "GET", b.url("/"), "", "Host", appHost)
		if err != nil {
			body = err.Error()
		}
		result <- body
	}()
	within(t, "exchange", began)
	down := make(chan error)
	go func() { down <- b.s.Shutdown(context.Background()) }()
	if e := b.await(engine.KindDraining, 1); e.Count != 1 {
		t.Errorf("event %+v", e)
	}
	if _, err := net.DialTimeout("tcp", b.addr, time.Second); err == nil {
		// The listener closes a moment after the event.
		time.Sleep(50 * time.Millisecond)
		if _, err := net.DialTimeout("tcp", b.addr, time.Second); err == nil {
			t.Error("still listening")
		}
	}
	close(release)
	if got := <-result; got != "finished" {
		t.Errorf("the exchange ended with %q", got)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	<-b.s.Done()
	if e := b.await(engine.KindConnectionClosed, 1); e.Code != 1001 {
		t.Errorf("event %+v", e)
	}
	e := b.await(engine.KindStopped, 1)
	if e.Totals.Requests != 1 || e.Totals.Failed != 0 || e.Totals.FramesIn.Text == 0 || e.Totals.BytesOut == 0 || e.Duration <= 0 {
		t.Errorf("totals %+v", e.Totals)
	}
}

func TestGraceEnds(t *testing.T) {
	for name, stop := range map[string]func(s *Server){
		"grace": func(s *Server) { s.Shutdown(context.Background()) },
		"context": func(s *Server) {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			s.Shutdown(ctx)
		},
		"close": func(s *Server) { s.Close() },
		"close while draining": func(s *Server) {
			var wg sync.WaitGroup
			wg.Go(func() { s.Shutdown(context.Background()) })
			wg.Go(func() { s.Close() })
			wg.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			port := enginetest.FreePort(t)
			o := withPorts(port, port)
			o.Grace = patience
			if name == "grace" {
				o.Grace = 50 * time.Millisecond
			}
			b := serve(t, o)
			began := make(chan struct{}, 4)
			b.dial(greeting("edge", engine.Expose{Host: "app"}, engine.Expose{TCP: port}), func(in tunnel.Incoming) {
				if _, ok := in.Connect(); ok && in.Request() == nil {
					in.WriteResponse(&wire.Response{Status: 200}, false)
				} else if in.Request().Path == "/stream" {
					in.WriteResponse(&wire.Response{Status: 200}, false)
					in.Write([]byte("part"))
				}
				began <- struct{}{}
				<-in.Context().Done()
			})
			b.raw("GET /stream HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
			b.raw("GET /wait HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
			b.raw("POST /wait HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 10\r\n\r\nabc")
			if _, err := b.dialPort(port); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				<-began
			}
			// A client that says nothing.
			conn, err := net.Dial("tcp", b.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			enginetest.DialPeer(conn, enginetest.Handshake{})
			begin := time.Now()
			stop(b.s)
			if took := time.Since(begin); took > soon {
				t.Errorf("took %v", took)
			}
			b.await(engine.KindStopped, 1)
			records := b.seen(engine.KindRequestFinished)
			if len(records) != 4 {
				t.Errorf("%d records, not 4", len(records))
			}
			for _, e := range records {
				if e.Request.Outcome == engine.OutcomeCompleted {
					t.Errorf("completed: %+v", e.Request)
				}
			}
		})
	}
}

func TestDrainingServerRefuses(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		close(began)
		<-release
		respond(in, 200, "x")
	}, func(o *Options) { o.Grace = patience })
	// Connections that have begun a request before the listener closed.
	kept := b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\n")
	other := b.raw("GET /register HTTP/1.1\r\nHost: x\r\n")
	go try(caller(t), "GET", b.url("/"), "", "Host", appHost)
	within(t, "exchange", began)
	if err := b.s.Drain(t.Context(), 0, engine.Operator{Name: "local", Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(kept, "\r\n")
	if line, _ := kept.r.ReadString('\n'); line != "" && !strings.Contains(line, " 503 ") {
		t.Errorf("a new request got %q", line)
	}
	io.WriteString(other, strings.TrimPrefix(handshake, "GET /register HTTP/1.1\r\nHost: x\r\n")+"\r\n")
	if line, _ := other.r.ReadString('\n'); line != "" && !strings.Contains(line, " 503 ") {
		t.Errorf("a new client got %q", line)
	}
	close(release)
	within(t, "end", b.s.Done())
	if e := b.await(engine.KindOperatorAction, 1); e.Action != engine.ActionDrain || e.Operator != "local" || e.Reason != "test" {
		t.Errorf("event %+v", e)
	}
	if err := b.s.Serve(listen(t)); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("serve after the end: %v", err)
	}
}

func listen(t *testing.T) net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func TestOperatorActions(t *testing.T) {
	began := make(chan struct{}, 3)
	b := exposed(t, func(in tunnel.Incoming) {
		began <- struct{}{}
		<-in.Context().Done()
	})
	by := engine.Operator{Name: "ann", Reason: "too loud"}
	ctx := t.Context()

	result := make(chan int, 1)
	get := func() {
		resp, _, err := try(caller(t), "GET", b.url("/"), "", "Host", appHost)
		if err != nil {
			result <- 0
			return
		}
		result <- resp.StatusCode
	}
	go get()
	<-began
	if err := b.s.CancelExchange(ctx, 77, by); !errors.Is(err, engine.ErrNotFound) {
		t.Error(err)
	}
	if err := b.s.CancelExchange(ctx, 1, by); err != nil {
		t.Error(err)
	}
	if got := <-result; got != 502 {
		t.Errorf("cancelled: got %d", got)
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeTunnelFailed || rec.Reason != "ended by an operator" {
		t.Errorf("record %+v", rec)
	}

	var snap engine.Snapshot
	go get()
	<-began
	if err := b.s.Snapshot(ctx, &snap); err != nil || len(snap.Connections) != 1 {
		t.Fatal(err)
	}
	c := snap.Connections[0]
	if c.Client != "edge" || c.State != engine.StateBusy || c.InFlight != 1 || c.Exchanges != 1 || c.Greeting == nil ||
		c.GreetingReady.IsZero() || c.BytesIn == 0 || c.Peer == "" || snap.Role != engine.RoleServer ||
		snap.Listen[0] != b.addr || snap.Totals.Requests != 1 || snap.Totals.BytesIn != c.BytesIn || snap.Seq == 0 {
		t.Errorf("snapshot %+v", snap)
	}
	if err := b.s.CloseConnection(ctx, 99, engine.CloseKilled, by); !errors.Is(err, engine.ErrNotFound) {
		t.Error(err)
	}
	if err := b.s.CloseConnection(ctx, c.ID, engine.CloseKilled, by); err != nil {
		t.Error(err)
	}
	if got := <-result; got != 502 {
		t.Errorf("killed: got %d", got)
	}
	if e := b.await(engine.KindConnectionClosed, 1); e.Code != 4000 || e.Reason != "too loud" {
		t.Errorf("event %+v", e)
	}

	s := b.dial(greeting("edge"), hello)
	if err := b.s.Ban(ctx, "edge", by); err != nil {
		t.Error(err)
	}
	within(t, "ban", s.Done())
	if code, _ := s.Ended(); code != engine.CloseBanned {
		t.Errorf("banned with %d", code)
	}
	_, err := b.tryDial(greeting("edge"), hello)
	var de *tunnel.DialError
	if !errors.As(err, &de) || de.Code != engine.CloseBanned {
		t.Errorf("banned: %v", err)
	}
	b.s.Snapshot(ctx, &snap)
	if len(snap.Banned) != 1 || snap.Banned[0] != "edge" {
		t.Errorf("banned %v", snap.Banned)
	}
	if err := b.s.Unban(ctx, "edge", by); err != nil {
		t.Error(err)
	}
	if err := b.s.Unban(ctx, "edge", by); !errors.Is(err, engine.ErrNotFound) {
		t.Error(err)
	}
	s = b.dial(greeting("edge"), hello)
	b.awaitMember("edge")
	b.s.Snapshot(ctx, &snap)
	newest := snap.Connections[len(snap.Connections)-1] // one that was refused may linger before it
	if err := b.s.Drain(ctx, newest.ID, by); err != nil {
		t.Error(err)
	}
	within(t, "drain", s.Done())
	for i, want := range []engine.Action{engine.ActionCancel, engine.ActionKill, engine.ActionBan, engine.ActionUnban, engine.ActionDrain} {
		if e := b.await(engine.KindOperatorAction, i+1); e.Action != want || e.Operator != "ann" || e.Reason != "too loud" || e.Target == "" {
			t.Errorf("audit %d: %+v", i, e)
		}
	}
}

func TestOperatorEndsClientThatGreets(t *testing.T) {
	b := serve(t, Options{})
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, _, err := enginetest.DialPeer(conn, enginetest.Handshake{}); err != nil {
		t.Fatal(err)
	}
	opened := b.await(engine.KindConnectionOpened, 1)
	var snap engine.Snapshot
	b.s.Snapshot(t.Context(), &snap)
	if len(snap.Connections) != 1 || snap.Connections[0].State != engine.StateGreeting {
		t.Errorf("snapshot %+v", snap.Connections)
	}
	if err := b.s.CloseConnection(t.Context(), opened.Connection, engine.CloseKilled, engine.Operator{}); err != nil {
		t.Error(err)
	}
	if e := b.await(engine.KindConnectionClosed, 1); e.Code != 4000 {
		t.Errorf("event %+v", e)
	}
}

// A caller that takes nothing is cut, and costs the others nothing.
func TestSlowReaderIsCut(t *testing.T) {
	const stall = 300 * time.Millisecond
	ended := make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		if in.Request().Path == "/small" {
			respond(in, 200, "ok")
			return
		}
		defer close(ended)
		in.WriteResponse(&wire.Response{Status: 200}, false)
		piece := make([]byte, 64<<10)
		for {
			if _, err := in.Write(piece); err != nil {
				return
			}
		}
	}, func(o *Options) { o.Caps.Stall = stall })
	c := b.raw("GET /big HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
	c.Read(make([]byte, 1))
	begin := time.Now()
	for range 20 {
		if resp, body := do(t, caller(t), "GET", b.url("/small"), "", "Host", appHost); resp.StatusCode != 200 || body != "ok" {
			t.Fatalf("beside the slow one: %d %q", resp.StatusCode, body)
		}
	}
	within(t, "cut", ended)
	if took := time.Since(begin); took > stall+soon {
		t.Errorf("cut after %v", took)
	}
	for i := 1; ; i++ {
		if rec := b.finished(i); strings.HasSuffix(rec.Target, "/big") {
			if rec.Outcome != engine.OutcomeCallerGone || rec.Status != 200 {
				t.Errorf("record %+v", rec)
			}
			return
		}
	}
}

func TestSlowReaderOnHTTP2IsCut(t *testing.T) {
	const stall = 300 * time.Millisecond
	ended := make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		if in.Request().Path == "/small" {
			respond(in, 200, "ok")
			return
		}
		defer close(ended)
		in.WriteResponse(&wire.Response{Status: 200}, false)
		piece := make([]byte, 64<<10)
		for {
			if _, err := in.Write(piece); err != nil {
				return
			}
		}
	}, func(o *Options) { o.Caps.Stall = stall })
	c := h2c(t)
	req := mustRequest("GET", b.url("/big"))
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	within(t, "cut", ended)
	if resp, body := do(t, c, "GET", b.url("/small"), "", "Host", appHost); resp.StatusCode != 200 || body != "ok" {
		t.Errorf("another stream: %d %q", resp.StatusCode, body)
	}
}

func TestSlowWriterIsCut(t *testing.T) {
	const stall = 200 * time.Millisecond
	ended := make(chan error, 1)
	b := exposed(t, func(in tunnel.Incoming) {
		_, err := content(in)
		ended <- err
	}, func(o *Options) { o.Caps.Stall = stall })
	c := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 10\r\n\r\nabc")
	begin := time.Now()
	if rest, _ := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("got %q", rest)
	}
	if took := time.Since(begin); took < stall/2 || took > stall+soon {
		t.Errorf("cut after %v", took)
	}
	if err := <-ended; err == nil {
		t.Error("a part was taken for the whole")
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeCallerGone || rec.Status != 499 {
		t.Errorf("record %+v", rec)
	}
}

// Nothing is due from a caller once the answer has begun: a conversation may
// be silent for longer than a stall.
func TestSilentConversationIsNotCut(t *testing.T) {
	const stall = 100 * time.Millisecond
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		in.Write([]byte("go\n"))
		body, err := content(in)
		if err != nil {
			t.Errorf("content: %v", err)
		}
		in.Write(body)
		in.CloseWrite(nil)
	}, func(o *Options) { o.Caps.Stall = stall })
	c := b.raw("POST / HTTP/1.1\r\nHost: app.t.example\r\nTransfer-Encoding: chunked\r\n\r\n")
	time.Sleep(3 * stall)
	io.WriteString(c, "3\r\nabc\r\n0\r\n\r\n")
	// The wait was before any answer: the caller owed content and was cut, or
	// after it and was not; the handler answers at once.
	if _, body := c.response(t, "POST"); body != "go\nabc" {
		t.Errorf("got %q", body)
	}
}

// Requests on one connection after one with content: no deadline is left over.
func TestKeepAliveOutlivesStall(t *testing.T) {
	const stall = 100 * time.Millisecond
	b := exposed(t, hello, func(o *Options) { o.Caps.Stall = stall })
	c := b.raw("")
	for range 3 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 2\r\n\r\nhi")
		if resp, body := c.response(t, "POST"); body != "POST / hi" || resp.Close {
			t.Fatalf("got %q, close %v", body, resp.Close)
		}
		time.Sleep(2 * stall)
	}
}

func TestConcurrentUploadsAndDownloadsKeepApart(t *testing.T) {
	b := exposed(t, hello)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			c := caller(t)
			for n := range 30 {
				body := repeat(string(rune('a'+i)), n*1000)
				path := "/" + string(rune('a'+i))
				_, got, err := try(c, "POST", b.url(path), body, "Host", appHost)
				if err != nil || got != "POST "+path+" "+body {
					t.Errorf("caller %d request %d: %d bytes, %v", i, n, len(got), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// An operator ends an exchange whose caller takes nothing: at once, not when
// the caller is found to stall.
func TestCancelReachesStalledCaller(t *testing.T) {
	full := make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		piece := make([]byte, 64<<10)
		var once sync.Once
		for {
			timer := time.AfterFunc(200*time.Millisecond, func() { once.Do(func() { close(full) }) })
			_, err := in.Write(piece)
			timer.Stop()
			if err != nil {
				return
			}
		}
	})
	b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n")
	within(t, "stall", full)
	if err := b.s.CancelExchange(t.Context(), 1, engine.Operator{Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeTruncated || rec.Reason != "ended by an operator" {
		t.Errorf("record %+v", rec)
	}
}
