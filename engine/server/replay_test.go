package server

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A seen is what reached a client of one request.
type seen struct {
	client, head, content string
	fields                []string
}

// A notebook is a handler that notes what reaches it.
type notebook struct {
	mu   sync.Mutex
	seen []seen
}

func (n *notebook) handler(client string) tunnel.Handler {
	return func(in tunnel.Incoming) {
		r := in.Request()
		body, err := content(in)
		if err != nil {
			return
		}
		n.mu.Lock()
		n.seen = append(n.seen, seen{client, r.Method + " " + r.Scheme + "://" + r.Authority + r.Path, string(body), fieldsOf(r.Fields)})
		n.mu.Unlock()
		respond(in, 200, "answer of "+client, wire.Field{Name: "Content-Type", Value: "text/plain"})
	}
}

func (n *notebook) at(i int) seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i >= len(n.seen) {
		return seen{}
	}
	return n.seen[i]
}

// again makes a replay of what reached a client.
func (x seen) again(of engine.RequestID, way engine.Way) engine.Replay {
	method, target, _ := strings.Cut(x.head, " ")
	r := engine.Replay{Of: of, Way: way, Method: method, Target: target, Content: []byte(x.content)}
	for _, f := range x.fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Fields = append(r.Fields, engine.Field{Name: name, Value: value})
	}
	return r
}

func by(name string) engine.Operator { return engine.Operator{Name: name} }

// kept returns what was captured of a record.
func kept(t *testing.T, r engine.Request) *engine.Content {
	t.Helper()
	var c engine.Content
	if r.Captured == nil || !r.Captured.Content(&c) {
		t.Fatalf("nothing is kept of %v", r.ID)
	}
	return &c
}

func TestReplayDiffersFromTheOriginal(t *testing.T) {
	var n notebook
	b := exposed(t, n.handler("edge"), func(o *Options) { o.Capture.Mode = engine.CaptureOff })
	if _, err := b.tryDial(greeting("old"), n.handler("old"), classic); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("old")
	c := caller(t)
	for i, k := range []struct {
		way    engine.Way
		client string
		send   func()
	}{
		{engine.WayHost, "", func() {
			do(t, c, "POST", b.url("/cart?a=b%20c"), "one=two", "Host", appHost, "Content-Type", "text/x", "Cookie", "a=b")
		}},
		{engine.WayHost, "edge", func() { do(t, c, "GET", b.url("/"), "", "Host", appHost, "Te", "trailers", "Accept", "a, b") }},
		{engine.WayRequest, "old", func() {
			do(t, c, "PUT", b.url("/request"), "put", "X-Proxy-Destination", "http://Api.internal/x", "X-Proxy-Client", "old")
		}},
		{engine.WayProxy, "edge", func() {
			b.raw("DELETE http://api.internal/y HTTP/1.1\r\nHost: x\r\nX-Proxy-Client: edge\r\n\r\n").response(t, "DELETE")
		}},
	} {
		k.send()
		original := b.finished(2*i + 1)
		was := n.at(2 * i)
		r := was.again(original.ID, k.way)
		r.Client = k.client
		id, err := b.s.Replay(t.Context(), r, by("ann"))
		if err != nil {
			t.Fatalf("replay of %v: %v", was.head, err)
		}
		rec := b.finished(2*i + 2)
		if is := n.at(2*i + 1); is.client != was.client || is.head != was.head || is.content != was.content || !slices.Equal(is.fields, was.fields) {
			t.Errorf("the original was\n%+v\nthe replay\n%+v", was, is)
		}
		if rec.ID != id || !rec.Replay || rec.Caller != "replay by ann" || rec.Way != k.way || rec.Status != 200 ||
			rec.Outcome != engine.OutcomeCompleted || rec.Target != original.Target || rec.Client != was.client ||
			rec.RequestBytes != original.RequestBytes || rec.ResponseBytes != original.ResponseBytes {
			t.Errorf("the record of the original is\n%+v\nof the replay\n%+v", original, rec)
		}
		got := kept(t, rec)
		if string(got.Request.Data) != was.content || !got.Request.Whole() || string(got.Response.Data) != "answer of "+was.client || !got.Response.Whole() {
			t.Errorf("captured %q and %q", got.Request.Data, got.Response.Data)
		}
		if e := b.await(engine.KindOperatorAction, i+1); e.Action != engine.ActionReplay || e.Operator != "ann" || e.Target != original.ID.String() {
			t.Errorf("audit event %+v", e)
		}
	}
}

func TestReplayIsWhatWasEditedAndNothingElse(t *testing.T) {
	var n notebook
	b := exposed(t, n.handler("edge"))
	r := engine.Replay{Way: engine.WayHost, Method: "patch", Target: "https://" + appHost + "?q", Content: []byte("new"), Fields: []engine.Field{
		{Name: "Host", Value: "evil"}, {Name: "Content-Length", Value: "99"}, {Name: "Transfer-Encoding", Value: "chunked"},
		{Name: "Connection", Value: "x-hop, close"}, {Name: "X-Hop", Value: "1"}, {Name: "Proxy-Authorization", Value: "ours"},
		{Name: "X-Secret-Key", Value: "ours"}, {Name: "X-Proxy-Client", Value: "other"}, {Name: "Expect", Value: "100-continue"},
		{Name: "Authorization", Value: "theirs"}, {Name: "Via", Value: "1.1 a"}, {Name: "X-Forwarded-For", Value: "1.2.3.4"},
		{Name: "Forwarded", Value: "for=1.2.3.4"}, {Name: "X", Value: "1"}, {Name: "x", Value: "2"}}}
	if _, err := b.s.Replay(t.Context(), r, by("ann")); err != nil {
		t.Fatal(err)
	}
	if rec := b.finished(1); rec.Status != 200 {
		t.Fatalf("record %+v", rec)
	}
	is := n.at(0)
	want := []string{"authorization: theirs", "content-length: 3", "forwarded: for=1.2.3.4", "via: 1.1 a", "x-forwarded-for: 1.2.3.4", "x: 1", "x: 2"}
	if is.head != "patch https://"+appHost+"/?q" || is.content != "new" || !slices.Equal(is.fields, want) {
		t.Errorf("sent %+v", is)
	}
}

func TestReplayThatIsRefusedAtOnce(t *testing.T) {
	b := exposed(t, hello)
	ok := engine.Replay{Way: engine.WayHost, Method: "GET", Target: "http://" + appHost + "/"}
	for name, change := range map[string]func(*engine.Replay){
		"a CONNECT":           func(r *engine.Replay) { r.Method = "CONNECT" },
		"no method":           func(r *engine.Replay) { r.Method = "" },
		"a method with space": func(r *engine.Replay) { r.Method = "G ET" },
		"an upgrade":          func(r *engine.Replay) { r.Fields = []engine.Field{{Name: "upgrade", Value: "websocket"}} },
		"a broken field":      func(r *engine.Replay) { r.Fields = []engine.Field{{Name: "a", Value: "b\r\nc: d"}} },
		"a broken name":       func(r *engine.Replay) { r.Fields = []engine.Field{{Name: "a:", Value: "b"}} },
		"too many fields":     func(r *engine.Replay) { r.Fields = make([]engine.Field, 1000) },
		"a byte stream":       func(r *engine.Replay) { r.Way = engine.WayTCP },
		"no way":              func(r *engine.Replay) { r.Way = 0 },
		"a relative target":   func(r *engine.Replay) { r.Target = "/x" },
		"user information":    func(r *engine.Replay) { r.Target = "http://a:b@" + appHost + "/" },
		"a fragment":          func(r *engine.Replay) { r.Target += "#f" },
		"another scheme":      func(r *engine.Replay) { r.Target = "ftp://" + appHost + "/" },
		"a host elsewhere":    func(r *engine.Replay) { r.Target = "http://elsewhere.example/" },
		"a control character": func(r *engine.Replay) { r.Target += "\x01" },
	} {
		r := ok
		change(&r)
		if _, err := b.s.Replay(t.Context(), r, by("ann")); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	big := ok
	big.Content = make([]byte, engine.MaxReplay+1)
	if _, err := b.s.Replay(t.Context(), big, by("ann")); !errors.Is(err, engine.ErrTooMuch) {
		t.Errorf("too much content: %v", err)
	}
	if got := b.seen(engine.KindOperatorAction); len(got) > 0 {
		t.Errorf("what was refused left %+v", got)
	}
}

func TestReplayThatNobodyMayServe(t *testing.T) {
	rules, err := (&policy.RuleSet{Blacklist: []policy.Rule{{URL: "/forbidden"}, {URL: ".*", Headers: map[string]string{"X-Bad": "^1$"}}}, AllowAll: true, Server: true}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	b := exposed(t, hello, func(o *Options) { o.Rules = rules })
	b.dial(greeting("other", engine.Expose{Host: "second"}), hello)
	for i, k := range []struct {
		change func(*engine.Replay)
		status int
		reason engine.Reason
	}{
		{func(r *engine.Replay) { r.Target += "forbidden" }, 403, engine.ReasonDenied},
		{func(r *engine.Replay) { r.Fields = []engine.Field{{Name: "x-bad", Value: "1"}} }, 403, engine.ReasonDenied},
		{func(r *engine.Replay) { r.Target = "http://nobody." + domain + "/" }, 404, engine.ReasonNoRoute},
		{func(r *engine.Replay) { r.Client = "other" }, 503, engine.ReasonNoClient},
		{func(r *engine.Replay) { r.Way, r.Client = engine.WayRequest, "gone" }, 503, engine.ReasonNoClient},
		{func(r *engine.Replay) {}, 200, engine.ReasonNone},
	} {
		r := engine.Replay{Way: engine.WayHost, Method: "GET", Target: "http://" + appHost + "/"}
		k.change(&r)
		if _, err := b.s.Replay(t.Context(), r, by("ann")); err != nil {
			t.Fatal(err)
		}
		rec := b.finished(i + 1)
		if rec.Status != k.status || rec.Outcome != engine.OutcomeOf(k.reason) || k.reason != 0 && rec.Reason != k.reason.String() {
			t.Errorf("%+v: record %+v", r, rec)
		}
	}
}

func TestReplayWhileDraining(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		close(began)
		<-release
		respond(in, 200, "x")
	}, func(o *Options) { o.Grace = patience })
	r := engine.Replay{Way: engine.WayHost, Method: "GET", Target: "http://" + appHost + "/"}
	if _, err := b.s.Replay(t.Context(), r, by("ann")); err != nil {
		t.Fatal(err)
	}
	within(t, "replay", began)
	b.s.Drain(t.Context(), 0, by("ann"))
	if _, err := b.s.Replay(t.Context(), r, by("ann")); !errors.Is(err, engine.ErrDraining) {
		t.Errorf("a new one: %v", err)
	}
	close(release)
	within(t, "end", b.s.Done())
	if rec := b.finished(1); rec.Outcome != engine.OutcomeCompleted {
		t.Errorf("the one that ran: %+v", rec)
	}
	if _, err := b.s.Replay(t.Context(), r, by("ann")); err == nil {
		t.Error("one after the end is taken")
	}
}

// awaitBytes waits until so much of a response has come.
func (b *bench) awaitBytes(id engine.RequestID, n int64) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, e := range b.seen(engine.KindRequestStarted) {
			if e.Request.ID == id && e.Request.Live.ResponseBytes.Load() >= n {
				return
			}
		}
	}
	b.t.Fatalf("%d bytes of %v never came", n, id)
}

func TestReplayThatDoesNotEnd(t *testing.T) {
	began := make(chan struct{}, maxReplays)
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		in.Write([]byte("so far"))
		began <- struct{}{}
		<-in.Context().Done()
	})
	r := engine.Replay{Way: engine.WayHost, Method: "POST", Target: "http://" + appHost + "/", Content: make([]byte, engine.MaxReplay)}
	var ids []engine.RequestID
	for range maxReplays {
		id, err := b.s.Replay(t.Context(), r, by("ann"))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		<-began
		b.awaitBytes(id, 6)
	}
	if _, err := b.s.Replay(t.Context(), r, by("ann")); !errors.Is(err, engine.ErrTooMuch) {
		t.Errorf("one too many: %v", err)
	}
	if err := b.s.CancelExchange(t.Context(), ids[3], by("bob")); err != nil {
		t.Fatal(err)
	}
	rec := b.finished(1)
	if rec.ID != ids[3] || rec.Outcome != engine.OutcomeTruncated || rec.Reason != engine.ReasonOperator.String() {
		t.Errorf("cancelled: %+v", rec)
	}
	if c := kept(t, rec); string(c.Response.Data) != "so far" || c.Response.Over || c.Request.Over {
		t.Errorf("of the one that was cancelled %q is kept, over %v", c.Response.Data, c.Response.Over)
	}
	b.s.CloseConnection(t.Context(), rec.Connection, engine.CloseKilled, by("bob"))
	for i := range maxReplays - 1 {
		if rec := b.finished(2 + i); rec.Outcome != engine.OutcomeTruncated {
			t.Fatalf("with its connection killed: %+v", rec)
		}
	}
	for deadline := time.Now().Add(patience); b.s.replaying.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not all were given back")
		}
	}
}

func TestReplayOfASilentOriginTimesOut(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) { <-in.Context().Done() })
	b.s.replayIdle = 30 * time.Millisecond
	if _, err := b.s.Replay(t.Context(), engine.Replay{Way: engine.WayHost, Method: "GET", Target: "http://" + appHost + "/"}, by("ann")); err != nil {
		t.Fatal(err)
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeTimedOut || rec.Status != 504 {
		t.Errorf("record %+v", rec)
	}
}

func TestAnswerToAReplayIsBounded(t *testing.T) {
	piece := bytes.Repeat([]byte("x"), 32<<10)
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		for range 320 {
			if _, err := in.Write(piece); err != nil {
				return
			}
		}
		in.CloseWrite(nil)
	})
	if _, err := b.s.Replay(t.Context(), engine.Replay{Way: engine.WayHost, Method: "GET", Target: "http://" + appHost + "/"}, by("ann")); err != nil {
		t.Fatal(err)
	}
	rec := b.finished(1)
	if c := kept(t, rec); rec.ResponseBytes != 10<<20 || c.Response.Size != 10<<20 || len(c.Response.Data) != engine.MaxContent || !c.Response.Over {
		t.Errorf("%d bytes came, %d are kept", rec.ResponseBytes, len(c.Response.Data))
	}
}

// A panicking connection opens exchanges that have a fault of ours.
type panicking struct{ tunnel.Conn }

func (c panicking) Open(ctx context.Context, r *wire.Request, end bool) (tunnel.Exchange, error) {
	ex, err := c.Conn.Open(ctx, r, end)
	return panickingExchange{ex}, err
}

type panickingExchange struct{ tunnel.Exchange }

func (panickingExchange) ReadResponse() (*wire.Response, error) { panic("a fault of ours") }

func TestPanicInAReplayIsContained(t *testing.T) {
	panics := make(chan any, 1)
	b := exposed(t, hello, func(o *Options) { o.OnPanic = func(v any) { panics <- v } })
	l := b.settled(1)[0]
	l.conn = panicking{l.conn}
	r := engine.Replay{Way: engine.WayHost, Method: "PUT", Target: "http://" + appHost + "/", Content: make([]byte, 1<<20)}
	if _, err := b.s.Replay(t.Context(), r, by("ann")); err != nil {
		t.Fatal(err)
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeTunnelFailed || rec.Reason != engine.ReasonInternal.String() {
		t.Errorf("record %+v", rec)
	}
	if v := <-panics; v != "a fault of ours" {
		t.Errorf("panicked: %v", v)
	}
	b.until("the slot is free", func(s *engine.Snapshot) bool { return s.Connections[0].InFlight == 0 })
	if n := b.s.replaying.Load(); n != 0 {
		t.Errorf("%d replays still run", n)
	}
}

// A refusing connection has its first exchange refused when all of its content was
// taken.
type refusing struct {
	tunnel.Conn
	first *atomic.Bool
}

func (c refusing) Open(ctx context.Context, r *wire.Request, end bool) (tunnel.Exchange, error) {
	ex, err := c.Conn.Open(ctx, r, end)
	if err != nil || !c.first.CompareAndSwap(false, true) {
		return ex, err
	}
	return refused{ex, make(chan struct{})}, nil
}

type refused struct {
	tunnel.Exchange
	sent chan struct{}
}

func (x refused) CloseWrite(trailers []wire.Field) error {
	defer close(x.sent)
	return x.Exchange.CloseWrite(trailers)
}

func (x refused) ReadResponse() (*wire.Response, error) {
	<-x.sent
	return nil, engine.Fail("read response", engine.ReasonTunnelFailed, nil)
}

func (refused) Retryable() bool { return true }

func TestReplayThatIsTriedAgainIsCapturedOnce(t *testing.T) {
	b := exposed(t, hello)
	b.dial(greeting("edge", engine.Expose{Host: "app"}), hello)
	var first atomic.Bool
	for _, l := range b.settled(2) {
		l.conn = refusing{l.conn, &first}
	}
	content := strings.Repeat("0123456789", 10_000)
	if _, err := b.s.Replay(t.Context(), engine.Replay{Way: engine.WayHost, Method: "PUT", Target: "http://" + appHost + "/", Content: []byte(content)}, by("ann")); err != nil {
		t.Fatal(err)
	}
	rec := b.finished(1)
	if rec.Outcome != engine.OutcomeCompleted || rec.RequestBytes != int64(len(content)) || !first.Load() {
		t.Errorf("record %+v", rec)
	}
	if c := kept(t, rec); c.Request.Size != int64(len(content)) || !strings.HasPrefix(content, string(c.Request.Data)) {
		t.Errorf("of %d bytes %d passed", len(content), c.Request.Size)
	}
}
