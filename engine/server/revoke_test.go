package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

var operator = engine.Operator{Name: "sighup"}

// What a token admitted ends with it, within a second: the connection, what runs on
// it, and what would come; others are not disturbed. No event and no log line shows
// a token (P6).
func TestRevocationOfAClient(t *testing.T) {
	set := newTokenSet(t)
	gone, stays := set.add("gone", policy.TokenClient, policy.Scope{}), set.add("stays", policy.TokenClient, policy.Scope{})
	var mu sync.Mutex
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	b := serve(t, Options{Live: set.live(false), Domain: domain, Wait: 20 * time.Millisecond, Logger: logger})
	release := make(chan struct{})
	begun := make(chan struct{}, 2)
	hang := func(in tunnel.Incoming) {
		if in.Request().Path == "/hang" {
			begun <- struct{}{}
			select {
			case <-release:
			case <-in.Context().Done():
				return
			}
		}
		hello(in)
	}
	old := b.join(gone, greeting("gone", engine.Expose{Host: "gone"}), hang)
	b.join(stays, greeting("stays", engine.Expose{Host: "stays"}), hang)
	answers := map[string]chan int{}
	for _, name := range []string{"gone", "stays"} {
		answer := make(chan int, 1)
		answers[name] = answer
		go func() {
			resp, _, err := try(caller(t), "GET", b.url("/hang"), "", "Host", name+"."+domain)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				answer <- 0
				return
			}
			answer <- resp.StatusCode
		}()
	}
	b.await(engine.KindRequestStarted, 2)
	for range 2 { // their exchanges too
		<-begun
	}

	begin := time.Now()
	b.s.Update(set.live(false, "gone"), operator)
	within(t, "the end of the connection", old.Done())
	if code, reason := old.Ended(); code != engine.ClosePolicy || reason != "credential revoked: gone" {
		t.Errorf("closed with %d %q", code, reason)
	}
	if status := <-answers["gone"]; status != 502 {
		t.Errorf("the caller got %d", status)
	}
	if took := time.Since(begin); took > soon {
		t.Errorf("took %v", took)
	}
	if _, err := b.tryDial(greeting("gone"), hello, shows(gone)); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a revoked token registers: %v", err)
	}
	if resp, _ := do(t, caller(t), "GET", b.url("/"), "", "Host", "gone."+domain); resp.StatusCode != 503 {
		t.Errorf("the next request got %d", resp.StatusCode)
	}
	close(release)
	if status := <-answers["stays"]; status != 200 {
		t.Errorf("somebody else's caller got %d", status)
	}
	action, closed := b.await(engine.KindOperatorAction, 1), b.await(engine.KindConnectionClosed, 1)
	if action.Action != engine.ActionReload || action.Operator != "sighup" || closed.Reason != "credential revoked: gone" ||
		closed.Code != uint16(engine.ClosePolicy) {
		t.Errorf("events %+v, %+v", action, closed)
	}
	b.finished(3)
	b.mu.Lock()
	mu.Lock()
	for _, told := range []string{fmt.Sprintf("%+v", b.events), log.String(), fmt.Sprintf("%+v", b.s.links.list())} {
		for name, token := range set.text {
			if strings.Contains(told, token) || strings.Contains(told, token[len(token)-20:]) {
				t.Errorf("the token of %s is told", name)
			}
		}
	}
	mu.Unlock()
	b.mu.Unlock()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A caller's token that is revoked takes its streams with it, and a connection that
// it was shown on before does not help (P1).
func TestRevocationOfACaller(t *testing.T) {
	set := newTokenSet(t)
	client := set.add("client", policy.TokenClient, policy.Scope{})
	gone, stays := set.add("gone", policy.TokenCaller, policy.Scope{}), set.add("stays", policy.TokenCaller, policy.Scope{})
	b := serve(t, Options{Live: set.live(true), Domain: domain, Wait: 5 * time.Second})
	b.join(client, greeting("edge", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
		if in.Request() == nil {
			echoRaw(in)
			return
		}
		hello(in)
	})
	stream := func(token string) *rawCall {
		c := b.raw("CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\nProxy-Authorization: Bearer " + token + "\r\n\r\n")
		if resp, err := http.ReadResponse(c.r, &http.Request{Method: "CONNECT"}); err != nil || resp.StatusCode != 200 {
			t.Fatalf("connect: %v, %v", resp, err)
		}
		return c
	}
	mine, other := stream(gone), stream(stays)
	kept := b.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\nAuthorization: Bearer " + gone + "\r\n\r\n")
	if resp, _ := kept.response(t, "GET"); resp.StatusCode != 200 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	waiting := b.raw("GET http://x/ HTTP/1.1\r\nHost: x\r\nX-Proxy-Client: nobody\r\nProxy-Authorization: Bearer " + gone + "\r\n\r\n")
	b.eventually("a caller to wait", func() bool { return b.s.dispatch.waiting.Load() > 0 })

	begin := time.Now()
	b.s.Update(set.live(true, "gone"), operator)
	if n, err := mine.r.ReadByte(); err == nil {
		t.Errorf("the stream goes on with %q", n)
	}
	if resp, _ := waiting.response(t, "GET"); resp.StatusCode != 407 {
		t.Errorf("who waited got %d", resp.StatusCode)
	}
	if took := time.Since(begin); took > soon {
		t.Errorf("took %v", took)
	}
	kept.Write([]byte("GET / HTTP/1.1\r\nHost: app." + domain + "\r\nAuthorization: Bearer " + gone + "\r\n\r\n"))
	if resp, _ := kept.response(t, "GET"); resp.StatusCode != 401 {
		t.Errorf("the connection that was admitted once got %d", resp.StatusCode)
	}
	other.Write([]byte("ping"))
	echo := make([]byte, 4)
	if _, err := io.ReadFull(other.r, echo); err != nil || string(echo) != "ping" {
		t.Errorf("somebody else's stream: %q, %v", echo, err)
	}
	for _, rec := range []engine.Request{b.finished(2), b.finished(3)} {
		if rec.Reason != "credential revoked: gone" {
			t.Errorf("record %+v", rec)
		}
	}
}

// A changed scope takes effect without anybody dialling again, and ends only what
// is outside of it.
func TestUpdateOfAScope(t *testing.T) {
	set := newTokenSet(t)
	token := set.add("edge", policy.TokenClient, policy.Scope{})
	live := set.live(false)
	live.Callers = &policy.Callers{}
	b := serve(t, Options{Live: live, Domain: domain, Wait: 20 * time.Millisecond})
	app := b.join(token, greeting("app", engine.Expose{Host: "app"}), hello)
	api := b.join(token, greeting("api", engine.Expose{Host: "api"}), hello)
	proxied := func() int {
		resp, _ := do(t, caller(t), "GET", b.url("/request"), "", "X-Proxy-Destination", "http://x.internal/")
		return resp.StatusCode
	}
	if status := proxied(); status != 200 {
		t.Fatalf("status %d", status)
	}
	set.list[0].Scope = policy.Scope{Hosts: []string{"app"}}
	live = set.live(false)
	live.Callers = &policy.Callers{}
	b.s.Update(live, operator)
	within(t, "the end of what exposes another name", api.Done())
	if code, reason := api.Ended(); code != engine.ClosePolicy || reason != `host "api" is outside the scope of its credential` {
		t.Errorf("closed with %d %q", code, reason)
	}
	if resp, _ := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost); resp.StatusCode != 200 {
		t.Errorf("what is inside got %d", resp.StatusCode)
	}
	if status := proxied(); status != 403 {
		t.Errorf("a chosen destination got %d", status)
	}
	select {
	case <-app.Done():
		t.Error("what is inside the scope was closed")
	default:
	}
}

// A server that was open and now asks for a credential keeps nobody who has none.
func TestUpdateThatCloses(t *testing.T) {
	b := serve(t, Options{Domain: domain})
	s := b.dial(greeting("edge"), hello)
	b.s.Update(Live{}, operator)
	select {
	case <-s.Done():
		t.Fatal("closed by an update that changes nothing")
	case <-time.After(20 * time.Millisecond):
	}
	b.s.Update(Live{Clients: &policy.Clients{Secrets: policy.NewSecrets("s")}}, operator)
	within(t, "the end", s.Done())
	if code, reason := s.Ended(); code != engine.ClosePolicy || reason != "a credential is asked for now" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// Whoever is admitted while the credentials change is admitted by the new ones.
func TestRevocationDuringRegistration(t *testing.T) {
	set := newTokenSet(t)
	token := set.add("edge", policy.TokenClient, policy.Scope{})
	b := serve(t, Options{Live: set.live(false)})
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() { b.tryDial(greeting(fmt.Sprint("edge-", i)), hello, shows(token)) })
		if i == 12 {
			wg.Go(func() { b.s.Update(set.live(false, "edge"), operator) })
		}
	}
	wg.Wait()
	b.until("nobody is left", func(s *engine.Snapshot) bool { return len(s.Connections) == 0 })
}

// An expired credential ends its connections at that moment, a caller's its streams;
// what expires later stays until then.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newTokenSet(t)
		begin := time.Now()
		for i, after := range []time.Duration{90 * time.Second, 3 * time.Minute} {
			set.add(fmt.Sprint("client", i), policy.TokenClient, policy.Scope{}, begin.Add(after))
		}
		forever := set.add("forever", policy.TokenClient, policy.Scope{})
		robot := set.add("robot", policy.TokenCaller, policy.Scope{}, begin.Add(2*time.Minute))
		network := enginetest.NewNetwork()
		b := serveOn(t, Options{Live: set.live(true), Domain: domain}, network.Listen("server.example:80"))
		dial := func(token, id string) tunnel.Session {
			s, err := b.tryDial(greeting(id), func(in tunnel.Incoming) { echoRaw(in) }, shows(token), func(o *tunnel.DialOptions) {
				o.URL = "ws://server.example/register"
				o.NetDial = func(ctx context.Context, n, addr string) (net.Conn, error) { return network.DialContext(ctx, n, addr) }
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		first, second, last := dial(set.text["client0"], "c0"), dial(set.text["client1"], "c1"), dial(forever, "forever")
		synctest.Wait()
		conn, err := network.DialContext(t.Context(), "tcp", "server.example:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\nX-Proxy-Client: forever\r\nProxy-Authorization: Bearer "+robot+"\r\n\r\n")
		head := make([]byte, 12)
		if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200" {
			t.Fatalf("%q, %v", head, err)
		}
		ended := make(chan struct{})
		var streamed time.Duration
		go func() {
			defer close(ended)
			io.Copy(io.Discard, conn)
			streamed = time.Since(begin)
		}()
		for _, k := range []struct {
			what  tunnel.Session
			after time.Duration
			name  string
		}{{first, 90 * time.Second, "client0"}, {second, 3 * time.Minute, "client1"}} {
			<-k.what.Done()
			if took := time.Since(begin); took < k.after || took > k.after+time.Second {
				t.Errorf("%s: closed after %v, want %v", k.name, took, k.after)
			}
			if code, reason := k.what.Ended(); code != engine.ClosePolicy || reason != "credential expired: "+k.name {
				t.Errorf("%s: closed with %d %q", k.name, code, reason)
			}
		}
		<-ended
		if streamed < 2*time.Minute || streamed > 2*time.Minute+time.Second {
			t.Errorf("the stream of an expired caller lasted %v", streamed)
		}
		select {
		case <-last.Done():
			t.Error("what never expires was closed")
		default:
		}
	})
}
