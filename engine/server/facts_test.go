package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// wantHeads subscribes to heads until the test ends.
func (b *bench) wantHeads() {
	batches, err := b.s.Subscribe(b.t.Context(), engine.SubscribeOptions{Heads: true, Kinds: engine.KindSet(engine.KindRequestFinished)})
	if err != nil {
		b.t.Fatal(err)
	}
	go func() {
		for range batches {
		}
	}()
}

func (b *bench) snapshot() *engine.Snapshot {
	b.t.Helper()
	var s engine.Snapshot
	if err := b.s.Snapshot(b.t.Context(), &s); err != nil {
		b.t.Fatal(err)
	}
	return &s
}

// until waits for what a snapshot shows.
func (b *bench) until(what string, is func(*engine.Snapshot) bool) *engine.Snapshot {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if s := b.snapshot(); is(s) {
			return s
		} else if time.Now().After(deadline) {
			b.t.Fatalf("%s: never in %+v", what, s)
		}
	}
}

func lines(head string) []string {
	all := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	slices.Sort(all)
	return all
}

func TestHeadsAsTheyWentThroughTheTunnel(t *testing.T) {
	b := serve(t, Options{
		Live: Live{Callers: &policy.Callers{Secrets: policy.NewSecrets("caller-token")},
			Clients: &policy.Clients{Secrets: policy.NewSecrets("tunnel-secret")}},
	})
	for name, change := range map[string]func(*tunnel.DialOptions){
		"native": func(*tunnel.DialOptions) {}, "wsp": classic,
	} {
		if _, err := b.tryDial(greeting(name), func(in tunnel.Incoming) {
			respond(in, 502, "no", wire.Field{Name: "Set-Cookie", Value: "id=of-the-origin"}, wire.Field{Name: "Content-Length", Value: "2"})
		}, change, func(o *tunnel.DialOptions) { o.Header = http.Header{"X-Secret-Key": {"tunnel-secret"}} }); err != nil {
			t.Fatal(err)
		}
		b.awaitMember(name)
	}
	ask := func(client string) {
		do(t, caller(t), "GET", "http://"+b.addr+"/request", "", "X-PROXY-DESTINATION", "http://api.internal/x", "X-PROXY-CLIENT", client,
			"Proxy-Authorization", "Bearer caller-token", "Authorization", "Basic b2Y6dGhlIG9yaWdpbg==", "X-Secret-Key", "tunnel-secret", "Cookie", "a=b")
	}
	ask("native")
	if r := b.finished(1); r.Heads != nil {
		t.Errorf("heads that nobody wants: %+v", r.Heads)
	}
	b.wantHeads()
	for i, client := range []string{"native", "wsp"} {
		ask(client)
		h := b.finished(i + 2).Heads
		if h == nil || h.Cut {
			t.Fatalf("%s: %+v", client, h)
		}
		request := lines(h.Request)
		for _, want := range []string{"Authorization: Basic b2Y6dGhlIG9yaWdpbg==", "Cookie: a=b", "host: api.internal"} {
			if !slices.Contains(request, want) {
				t.Errorf("%s: no %q in %q", client, want, request)
			}
		}
		if !slices.Contains(lines(h.Response), "Set-Cookie: id=of-the-origin") {
			t.Errorf("%s: response %q", client, h.Response)
		}
		if all := strings.ToLower(h.Request + h.Response); strings.Contains(all, "caller-token") || strings.Contains(all, "secret") || strings.Contains(all, "x-proxy") {
			t.Errorf("%s: our own are among\n%s", client, all)
		}
	}
	for _, c := range b.snapshot().Connections {
		want := map[string]uint64{"native": 2, "wsp": 1}[c.Client]
		if c.Failed != want || c.Credential != "shared secret" {
			t.Errorf("%s: %d failed of %d, admitted by %q", c.Client, c.Failed, c.Exchanges, c.Credential)
		}
	}
	if got := b.snapshot().Totals; got.Statuses[5] != 3 || got.Requests != 3 {
		t.Errorf("totals %+v", got)
	}
}

// TestLiveTellsWhatARequestWaitsFor: first a connection, then content.
func TestLiveTellsWhatARequestWaitsFor(t *testing.T) {
	b := serve(t, Options{Wait: patience})
	b.wantHeads()
	answered := make(chan string, 1)
	body, send := io.Pipe()
	go func() {
		r, _ := http.NewRequest("POST", "http://"+b.addr+"/request", body)
		r.Header.Set("X-PROXY-DESTINATION", "http://api.internal/x")
		resp, err := caller(t).Do(r)
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		all, _ := io.ReadAll(resp.Body)
		answered <- string(all)
	}()
	live := b.await(engine.KindRequestStarted, 1).Request.Live
	b.until("a caller waits", func(s *engine.Snapshot) bool { return s.Waiting == 1 })
	if live == nil || live.Connection.Load() != 0 || live.Status.Load() != 0 {
		t.Fatalf("while it waits: %+v", live)
	}
	step, begun := make(chan struct{}), make(chan struct{})
	b.dial(greeting("edge"), func(in tunnel.Incoming) {
		close(begun)
		in.WriteResponse(&wire.Response{Status: 203, Fields: []wire.Field{{Name: "x-a", Value: "b"}}}, false)
		in.Write([]byte("abc"))
		<-step
		content(in)
		in.CloseWrite(nil)
	})
	within(t, "the handler", begun)
	if id := live.Connection.Load(); id != 1 {
		t.Errorf("connection %d", id)
	}
	if _, err := io.WriteString(send, "12345"); err != nil {
		t.Fatal(err)
	}
	b.until("content both ways", func(*engine.Snapshot) bool {
		return live.Status.Load() == 203 && live.ResponseBytes.Load() == 3 && live.RequestBytes.Load() == 5
	})
	if live.Over.Load() {
		t.Error("over while it runs")
	}
	// Who looks at a stream of hours must not wait for its end to see its head.
	if a := live.Answered.Load(); a == nil || a.Client != "edge" || a.FirstByte < 0 || a.Heads == nil || a.Heads.Response != "x-a: b\n" || !strings.Contains(a.Heads.Request, "host: ") {
		t.Errorf("since its head: %+v", a)
	}
	close(step)
	send.Close()
	if got := <-answered; got != "abc" {
		t.Errorf("%q", got)
	}
	r := b.finished(1)
	if !live.Over.Load() || r.Live != nil || r.RequestBytes != 5 || live.ResponseBytes.Load() != r.ResponseBytes {
		t.Errorf("%+v", r)
	}
}

func TestLiveOfAStream(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serve(t, withPorts(port, port))
	b.dial(greeting("edge", engine.Expose{TCP: port}), func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		for {
			p, err := in.Next()
			if err != nil {
				return
			}
			in.Write(p)
		}
	})
	conn, err := b.dialPort(port)
	if err != nil {
		t.Fatal(err)
	}
	live := b.await(engine.KindRequestStarted, 1).Request.Live
	if _, err := io.WriteString(conn, "ping"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	b.until("bytes both ways", func(*engine.Snapshot) bool {
		return live.Connection.Load() == 1 && live.RequestBytes.Load() == 4 && live.ResponseBytes.Load() == 4
	})
	if live.Status.Load() != 0 {
		t.Errorf("a status of a stream: %d", live.Status.Load())
	}
	conn.Close()
	b.finished(1)
}

func TestConnectionTellsItsShape(t *testing.T) {
	b := serve(t, Options{})
	if _, err := b.tryDial(greeting("old"), hello, classic); err != nil {
		t.Fatal(err)
	}
	session := b.dial(greeting("edge"), hello)
	s := b.until("the first ping", func(s *engine.Snapshot) bool {
		return len(s.Connections) == 2 && s.Connections[1].RTT > 0
	})
	for _, c := range s.Connections {
		g := c.Greeting
		if !strings.Contains(g.Raw, g.ID) || len(g.Raw) != g.Size || c.ShapeIn.Sizes == [4]uint64{} || c.Credential != "" {
			t.Errorf("%s: greeting %q of %d, in %+v, admitted by %q", c.Client, g.Raw, g.Size, c.ShapeIn, c.Credential)
		}
		if until := time.Until(c.PingNext); c.PingEvery != 20*time.Second || until < 10*time.Second || until > 30*time.Second {
			t.Errorf("%s: pings every %v, next in %v", c.Client, c.PingEvery, until)
		}
	}
	session.Close(4321, "")
	s = b.until("the close code", func(s *engine.Snapshot) bool { return len(s.Closes) > 0 })
	if len(s.Closes) != 1 || s.Closes[0] != (engine.CloseCount{Code: 4321, Count: 1}) {
		t.Errorf("%+v", s.Closes)
	}
}

func TestFrameTapeTellsWhatFramesCarry(t *testing.T) {
	b := serve(t, Options{})
	if _, err := b.s.FrameTape(t.Context(), 99, nil); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("of no connection: %v", err)
	}
	for i, tt := range []struct {
		client string
		change func(*tunnel.DialOptions)
		want   []string // of text and binary frames
	}{
		{"edge", func(*tunnel.DialOptions) {}, []string{"< RESPONSE x1, more", "> REQUEST x1 END"}},
		{"old", classic, []string{"< response content", "< response head", "> request content", "> request head"}},
	} {
		if _, err := b.tryDial(greeting(tt.client), hello, tt.change); err != nil {
			t.Fatal(err)
		}
		b.awaitMember(tt.client)
		id := engine.ConnectionID(i + 1)
		if tape, err := b.s.FrameTape(t.Context(), id, nil); len(tape) > 0 || err != nil {
			t.Errorf("%s: before: %+v, %v", tt.client, tape, err)
		}
		do(t, caller(t), "GET", "http://"+b.addr+"/request", "", "X-PROXY-DESTINATION", "http://api.internal/x", "X-PROXY-CLIENT", tt.client)
		// What was written is noted a moment after the peer may have read it.
		b.until("a tape of "+tt.client, func(*engine.Snapshot) bool {
			tape, err := b.s.FrameTape(t.Context(), id, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range tape {
				way := "< "
				if f.Out {
					way = "> "
				}
				if note := way + f.Note; f.Opcode <= 2 && !slices.Contains(got, note) { // content comes in one frame or more
					got = append(got, note)
				}
			}
			slices.Sort(got)
			return slices.Equal(got, tt.want)
		})
	}
}

// TestOperatorIsNamedInEvents: what ends by an operator's hand says so, and who.
func TestOperatorIsNamedInEvents(t *testing.T) {
	b := serve(t, Options{})
	begun := make(chan struct{}, 2)
	b.dial(greeting("edge"), func(in tunnel.Incoming) { begun <- struct{}{}; <-in.Context().Done() })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for range 2 {
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://"+b.addr+"/request", nil)
		r.Header.Set("X-PROXY-DESTINATION", "http://api.internal/x")
		go func() {
			if resp, err := caller(t).Do(r); err == nil {
				resp.Body.Close()
			}
		}()
		<-begun
	}
	by := engine.Operator{Name: "local", Reason: "stuck upload"}
	if err := b.s.CancelExchange(t.Context(), 1, by); err != nil {
		t.Fatal(err)
	}
	if r := b.finished(1); r.Reason != "ended by an operator" || r.ID != 1 {
		t.Errorf("cancelled: %+v", r)
	}
	if err := b.s.CloseConnection(t.Context(), 1, engine.CloseKilled, by); err != nil {
		t.Fatal(err)
	}
	if r := b.finished(2); r.ID != 2 || !strings.Contains(r.Reason, "operator") {
		t.Errorf("of a connection that was killed: %+v", r)
	}
	closed := b.await(engine.KindConnectionClosed, 1)
	if closed.Code != uint16(engine.CloseKilled) || closed.Reason != "stuck upload" {
		t.Errorf("%+v", closed)
	}
	for n, target := range []string{"r-1", "c-1"} {
		if e := b.await(engine.KindOperatorAction, n+1); e.Target != target || e.Operator != "local" || e.Reason != "stuck upload" {
			t.Errorf("%+v", e)
		}
	}
}

// A resetting exchange tells when it is reset.
type resetting struct {
	tunnel.Exchange
	reset func()
}

func (x resetting) Reset(wire.ResetCode, string) { x.reset() }

// The end of a cancelled exchange may be published as soon as it is reset: who
// cancelled it stands before that.
func TestCancelIsToldBeforeItActs(t *testing.T) {
	var r calls
	c := &call{shard: &r.shards[1]}
	c.rec.ID = 1
	c.shard.head, c.shard.n = c, 1
	var told, reset bool
	c.ex = resetting{reset: func() {
		if reset = true; !told || !c.cancelled.Load() {
			t.Errorf("reset before it was told (%v) or marked (%v)", told, c.cancelled.Load())
		}
	}}
	if r.cancel(2, func() { t.Error("told of an exchange that does not run") }) {
		t.Error("an exchange that does not run was cancelled")
	}
	if !r.cancel(1, func() { told = true }) || !reset {
		t.Error("not cancelled")
	}
}

// An operator may cancel while the exchange is being opened, when there is
// nothing to reset yet: he was told that it is done, so it must be.
func TestCancelBeforeTheExchangeIsKnown(t *testing.T) {
	var r calls
	c := &call{shard: &r.shards[1]}
	c.rec.ID = 1
	c.shard.head, c.shard.n = c, 1
	if !r.cancel(1, func() {}) {
		t.Fatal("not found")
	}
	reset := false
	c.attach(resetting{reset: func() { reset = true }}, nil)
	if !reset {
		t.Error("the exchange goes on")
	}
}

// A wsp connection is not pinged while an exchange runs, so it says no time.
func TestBusyClassicConnectionTellsNoNextPing(t *testing.T) {
	b := serve(t, Options{})
	begun, step := make(chan struct{}), make(chan struct{})
	if _, err := b.tryDial(greeting("old"), func(in tunnel.Incoming) {
		close(begun)
		<-step
		respond(in, 200, "")
	}, classic); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("old")
	if c := b.snapshot().Connections[0]; c.InFlight != 0 || c.PingNext.IsZero() {
		t.Errorf("idle: %+v", c)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		do(t, caller(t), "GET", "http://"+b.addr+"/request", "", "X-PROXY-DESTINATION", "http://api.internal/x")
	}()
	within(t, "the handler", begun)
	if c := b.snapshot().Connections[0]; c.InFlight != 1 || !c.PingNext.IsZero() || c.PingEvery == 0 {
		t.Errorf("busy: %+v", c)
	}
	close(step)
	within(t, "the answer", done)
}
