package tunnel

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

// soon fails the test if ch is not closed or signalled in time.
func soon[T any](t testing.TB, ch <-chan T, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
		buf := make([]byte, 1<<16)
		t.Fatalf("%s\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// bare is a connection whose reader and writer do not run: what the peer sends
// is handed to it, what it would write stays in its outbox.
func bare(t testing.TB, server bool, capacity int64) *conn {
	c := newConn(&socket{server: server, limits: DefaultLimits(), opened: time.Now()}, 1, NewBudget(64<<20), nil)
	c.capacity, c.peerWindow = capacity, 64<<10
	t.Cleanup(func() {
		c.finish(ending{code: engine.CloseNormal})
		c.limit.Stop()
		c.handlers.Wait()
	})
	return c
}

// A write of a control frame that fails must not strand the producers whose
// content was to go out behind it.
func TestFailedPongLetsProducersGo(t *testing.T) {
	s := newHostileServer(t, Limits{})
	p, conn := s.register(t)
	c := conn.(serverConn)
	if !c.Reserve() {
		t.Fatal("no slot")
	}
	x, err := c.Open(context.Background(), post("/"), false)
	if err != nil {
		t.Fatal(err)
	}
	readRecords(t, p)
	// After a Close frame the library refuses every write.
	if err := c.ws.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.out.pong, c.out.ponging = []byte("newest"), true
	c.mu.Unlock()
	wrote := make(chan error, 1)
	go func() {
		_, err := x.Write(make([]byte, 4*smallPiece))
		wrote <- err
	}()
	soon(t, wrote, "a producer waits for a writer that has ended")
	soon(t, c.Done(), "the connection did not end")
	x.Close()
	_ = p.Conn.Close()
}

// The growth of a window is given back with its buffers: content of a finished
// response that a slow caller has not read yet still counts.
func TestGrowthIsGivenBackWithTheBuffers(t *testing.T) {
	c := bare(t, true, 10)
	x := newExchange(c, nil)
	c.out.heads = append(c.out.heads, outHead{x: x, kind: wire.TypeRequest, end: true, payload: newChunk(10)})
	c.collect(nil, nil)
	if _, ok := c.gotBinary(message(rec(2, false, 1, response(200)))); !ok {
		t.Fatal("head refused")
	}
	c.mu.Lock()
	more := x.growLocked()
	x.inCredit += more
	c.mu.Unlock()
	if more == 0 {
		t.Fatal("no growth")
	}
	if _, ok := c.gotBinary(message(rec(3, true, 1, make([]byte, 128<<10)))); !ok {
		t.Fatal("content refused")
	}
	if used := c.growth.used.Load(); used != more {
		t.Errorf("%d of %d bytes still count while %d are buffered", used, more, x.in.size)
	}
	x.release()
	if used := c.growth.used.Load(); used != 0 || c.grown != 0 {
		t.Errorf("%d bytes did not come back", used)
	}
}

// What a peer makes this end want to write is bounded, also where that peer
// reads nothing: malformed requests, requests that are answered at once, and
// answered ones that are then reset.
func TestUnwrittenAnswersAreBounded(t *testing.T) {
	cases := []struct {
		name, path string
		reset      bool
		ends       bool // the connection does; else the queue stays short
	}{
		{"malformed", "x", false, true},
		{"answered", "/", false, true},
		{"answered and reset", "/", true, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := bare(t, false, 10)
			c.handler = func(in Incoming) { _ = in.WriteResponse(&wire.Response{Status: 204}, true) }
			ended := func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.end != nil
			}
			for id := uint64(1); id <= 5_000 && !ended(); id++ {
				_, _ = c.gotBinary(message(rec(1, true, id, wire.AppendRequest(nil, get(tc.path)))))
				c.handlers.Wait()
				if tc.reset {
					_, _ = c.gotBinary(message(rec(6, false, id, wire.AppendReset(nil, 1, ""))))
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if tc.ends && (c.end == nil || c.end.code != engine.CloseTryLater) {
				t.Errorf("%d resets, %d heads wait; ending %v", len(c.out.resets), len(c.out.heads), c.end)
			}
			if !tc.ends && (c.end != nil || len(c.out.heads) > 200) {
				t.Errorf("%d heads wait; ending %v", len(c.out.heads), c.end)
			}
		})
	}
}

// Requests that callers cancel while the writer is stuck leave nothing behind.
func TestCancelledRequestsLeaveTheQueue(t *testing.T) {
	c := bare(t, true, 10)
	for range 10_000 {
		if !(serverConn{c}).Reserve() {
			t.Fatal("no slot")
		}
		x, err := (serverConn{c}).Open(context.Background(), get("/"), true)
		if err != nil {
			t.Fatal(err)
		}
		x.Close()
	}
	if n := len(c.out.heads); n > 1_000 {
		t.Errorf("%d heads of cancelled requests are still queued", n)
	}
}

// The end of a drain waits for what is queued: the last RESET says why an
// exchange failed.
func TestDrainWritesTheLastReset(t *testing.T) {
	c := bare(t, false, 10)
	c.handler = func(in Incoming) { in.Reset(wire.ResetDenied, "rule 3") }
	c.leaving.Store(true)
	c.draining.asked = true
	if _, ok := c.gotBinary(message(rec(1, true, 1, wire.AppendRequest(nil, get("/"))))); !ok {
		t.Fatal("refused")
	}
	c.mu.Lock()
	c.draining.marked = true
	c.mu.Unlock()
	c.handlers.Wait()
	c.endIfDrained()
	if c.end != nil {
		t.Fatal("the connection ends before the RESET was written")
	}
	c.collect(nil, nil)
	c.endIfDrained()
	if c.end == nil {
		t.Error("the drain does not end")
	}
}

// A stale entry of the outbox, which writes nothing, must not hold up a drain.
func TestDrainEndsBehindStaleEntries(t *testing.T) {
	s := newHostileServer(t, Limits{})
	p, conn := s.register(t)
	c := conn.(serverConn)
	if !c.Reserve() {
		t.Fatal("no slot")
	}
	c.Drain(time.Hour, "restart")
	if op, _, err := p.ReadMessage(); err != nil || op != enginetest.OpText {
		t.Fatalf("%d %v", op, err)
	}
	x := newExchange(c.conn, nil)
	x.over = true
	c.mu.Lock()
	c.out.grants = append(c.out.grants, x)
	c.mu.Unlock()
	c.Unreserve()
	c.rouse()
	if got, err := p.ReadClose(); err != nil || got == nil || got.Code != 1001 {
		t.Errorf("closed with %v, %v", got, err)
	}
	_ = p.Conn.Close()
	soon(t, c.Done(), "the drain does not end")
}

// A peer that has asked to drain does not take the grace period of this end.
func TestDrainAfterThePeersHasItsOwnGrace(t *testing.T) {
	s := newHostileServer(t, Limits{})
	p, c := s.register(t)
	if !c.Reserve() {
		t.Fatal("no slot")
	}
	if err := p.WriteMessage(enginetest.OpText, wire.AppendDrain(nil, "bye")); err != nil {
		t.Fatal(err)
	}
	if op, _, err := p.ReadMessage(); err != nil || op != enginetest.OpText {
		t.Fatalf("%d %v", op, err)
	}
	c.Drain(50*time.Millisecond, "stop")
	soon(t, c.Done(), "the grace period does not end")
	c.Unreserve()
	_ = p.Conn.Close()
}

// The context of a handler that has answered and goes on ends with the connection.
func TestLostConnectionCancelsAnsweredHandlers(t *testing.T) {
	release := make(chan struct{})
	p, session := hostileClient(t, Limits{}, func(in Incoming) {
		_ = in.WriteResponse(&wire.Response{Status: 204}, true)
		select {
		case <-in.Context().Done():
		case <-release:
		}
	})
	if err := p.WriteMessage(enginetest.OpBinary, rec(1, false, 1, wire.AppendRequest(nil, post("/")))); err != nil {
		t.Fatal(err)
	}
	readRecords(t, p)
	_ = p.Conn.Close()
	defer close(release)
	soon(t, session.Done(), "a handler outlives its connection")
}

// A handler that returns with the peer's side of a raw stream open resets it.
func TestReturnedRawHandlerResets(t *testing.T) {
	p, session := hostileClient(t, Limits{}, func(in Incoming) {
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		_ = in.CloseWrite(nil)
	})
	p.Timeout = 5 * time.Second
	if err := p.WriteMessage(enginetest.OpBinary, rec(7, false, 1, wire.AppendConnect(nil, wire.Connect{Target: "db:1"}))); err != nil {
		t.Fatal(err)
	}
	for reset := false; !reset; {
		for _, r := range readRecords(t, p) {
			reset = reset || r.Type == wire.TypeReset
		}
	}
	_ = p.Conn.Close()
	<-session.Done()
}

// A target that no record can carry fails its own exchange, not the connection.
func TestConnectTargetIsBounded(t *testing.T) {
	c := serverConn{bare(t, true, 10)}
	if !c.Reserve() {
		t.Fatal("no slot")
	}
	if _, err := c.OpenConnect(context.Background(), 0, string(make([]byte, 65<<10))+":1"); engine.ReasonOf(err) != engine.ReasonHeadTooBig {
		t.Errorf("got %v", err)
	}
}
