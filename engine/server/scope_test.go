package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// A tokenSet is tokens that a test hands out.
type tokenSet struct {
	t    testing.TB
	list []policy.Token
	text map[string]string // by name
}

func newTokenSet(t testing.TB) *tokenSet { return &tokenSet{t: t, text: map[string]string{}} }

// add makes a token of that name.
func (s *tokenSet) add(name string, kind policy.TokenKind, scope policy.Scope, expires ...time.Time) string {
	text, id, hash := policy.MakeToken()
	token := policy.Token{ID: id, Name: name, Kind: kind, Hash: hash, Scope: scope}
	for _, at := range expires {
		token.Expires = at
	}
	s.list = append(s.list, token)
	s.text[name] = text
	return text
}

// without returns the set less what has one of the names.
func (s *tokenSet) tokens(without ...string) *policy.Tokens {
	s.t.Helper()
	var kept []policy.Token
	for _, token := range s.list {
		if !strings.Contains(" "+strings.Join(without, " ")+" ", " "+token.Name+" ") {
			kept = append(kept, token)
		}
	}
	set, err := policy.NewTokens(kept)
	if err != nil {
		s.t.Fatal(err)
	}
	return set
}

// live is what admits clients by the set, and callers too where they are closed.
func (s *tokenSet) live(closed bool, without ...string) Live {
	l := Live{Clients: &policy.Clients{Tokens: s.tokens(without...)}, Callers: &policy.Callers{OpenExposed: !closed}}
	if closed {
		l.Callers.Tokens = l.Clients.Tokens
	}
	return l
}

// shows makes a client present a token.
func shows(token string) func(*tunnel.DialOptions) {
	return func(o *tunnel.DialOptions) { o.Header = http.Header{"X-Secret-Key": {token}} }
}

// join dials with a token and waits until callers can reach the client.
func (b *bench) join(token string, g *engine.Greeting, h tunnel.Handler) tunnel.Session {
	b.t.Helper()
	s, err := b.tryDial(g, h, shows(token))
	if err != nil {
		b.t.Fatalf("dial: %v", err)
	}
	b.awaitMember(g.ID)
	return s
}

func TestRegistrationOutsideTheScope(t *testing.T) {
	set := newTokenSet(t)
	token := set.add("edge", policy.TokenClient, policy.Scope{IDs: []string{"edge-*"}, Hosts: []string{"app", "api-*"}, Ports: []string{"20000-20002"}})
	callers := set.add("robot", policy.TokenCaller, policy.Scope{})
	b := serve(t, Options{Live: set.live(false), Domain: domain, TCPFirst: 20000, TCPLast: 20100, TCPHost: "127.0.0.1"})
	for _, k := range []struct {
		name, id string
		expose   []engine.Expose
		want     string // "" is admitted
	}{
		{"all of it", "edge-1", []engine.Expose{{Host: "APP"}, {Host: "api-2"}}, ""},
		{"another id", "core-1", nil, `client id "core-1" is outside the scope`},
		{"another host", "edge-2", []engine.Expose{{Host: "app"}, {Host: "admin"}}, `host "admin" is outside the scope`},
		{"another port", "edge-3", []engine.Expose{{TCP: 20003}}, "tcp port 20003 is outside the scope"},
	} {
		s, err := b.tryDial(greeting(k.id, k.expose...), hello, shows(token))
		if k.want == "" {
			if err != nil {
				t.Errorf("%s: %v", k.name, err)
			} else if c := b.snapshot().Connections[0]; c.Credential != "edge" {
				t.Errorf("%s: the connection's credential is %q", k.name, c.Credential)
			}
			continue
		}
		var dial *tunnel.DialError
		if err == nil || !errors.As(err, &dial) || dial.Code != engine.ClosePolicy || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v, %v; want 1008 with %q", k.name, s, err, k.want)
		}
	}
	if _, err := b.tryDial(greeting("edge-4"), hello, shows(callers)); err == nil {
		t.Error("a caller's token registers a client")
	}
}

// What a credential allows is asked for every request, not at the handshake only
// (P1): a client registered for one network is never sent what is for another,
// whatever the requests before it on the same connection of the caller were.
func TestScopeOfClientsForEveryRequest(t *testing.T) {
	set := newTokenSet(t)
	inner := set.add("inner", policy.TokenClient, policy.Scope{Destinations: []string{"*.internal:80", "10.1.0.0/16", "db.internal:5432"}})
	outer := set.add("outer", policy.TokenClient, policy.Scope{Destinations: []string{"*.outer"}})
	shop := set.add("shop", policy.TokenClient, policy.Scope{Hosts: []string{"shop"}})
	live := set.live(false)
	live.Callers = &policy.Callers{}
	b := serve(t, Options{Live: live, Domain: domain, Wait: 20 * time.Millisecond})
	var mu sync.Mutex
	served := map[string]string{} // path or target to client
	by := func(id string) tunnel.Handler {
		return func(in tunnel.Incoming) {
			mu.Lock()
			if r := in.Request(); r != nil {
				served[r.Path] = id
			} else {
				c, _ := in.Connect()
				served[c.Target] = id
			}
			mu.Unlock()
			if in.Request() == nil {
				echoRaw(in)
				return
			}
			hello(in)
		}
	}
	b.join(inner, greeting("inner"), by("inner"))
	b.join(outer, greeting("outer"), by("outer"))
	b.join(shop, greeting("shop", engine.Expose{Host: "shop"}), by("shop"))
	c := b.raw("")
	for _, k := range []struct {
		send, key, by string // by "": 403
	}{
		{"GET http://a.internal/1 HTTP/1.1\r\nHost: x\r\n\r\n", "/1", "inner"},
		{"GET http://a.outer/2 HTTP/1.1\r\nHost: x\r\n\r\n", "/2", "outer"},
		{"GET http://a.outer/3 HTTP/1.1\r\nHost: x\r\nX-Proxy-Client: inner\r\n\r\n", "/3", ""},
		{"GET http://a.internal:81/4 HTTP/1.1\r\nHost: x\r\n\r\n", "/4", ""},
		{"GET http://other/5 HTTP/1.1\r\nHost: x\r\n\r\n", "/5", ""},
		{"GET http://10.1.2.3/6 HTTP/1.1\r\nHost: x\r\n\r\n", "/6", "inner"},
		{"GET http://10.2.0.1/7 HTTP/1.1\r\nHost: x\r\n\r\n", "/7", ""},
		{"GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: https://a.internal/8\r\n\r\n", "/8", ""},
		{"GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://A.Internal./9\r\n\r\n", "/9", "inner"},
		{"GET http://shop.internal.evil/10 HTTP/1.1\r\nHost: x\r\n\r\n", "/10", ""},
		{"GET http://evil/11 HTTP/1.1\r\nHost: x\r\nX-Proxy-Client: shop\r\n\r\n", "/11", ""},
		{"GET /12 HTTP/1.1\r\nHost: shop." + domain + "\r\n\r\n", "/12", "shop"},
	} {
		c.Write([]byte(k.send))
		resp, _ := c.response(t, "GET")
		want := 200
		if k.by == "" {
			want = 403
		}
		mu.Lock()
		got := served[k.key]
		mu.Unlock()
		if resp.StatusCode != want || got != k.by {
			t.Errorf("%q: status %d by %q, want %d by %q", k.send, resp.StatusCode, got, want, k.by)
		}
	}
	for target, want := range map[string]int{"db.internal:5432": 200, "db.internal:22": 403, "db.outer:22": 200, "other:80": 403} {
		c := b.raw("CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n")
		if resp, err := http.ReadResponse(c.r, &http.Request{Method: "CONNECT"}); err != nil || resp.StatusCode != want {
			t.Errorf("connect %s: %v, %v, want %d", target, resp, err, want)
		}
	}
}

// Who waits for a connection gets none that may not carry what he asks.
func TestWaiterIsNotServedOutsideTheScope(t *testing.T) {
	set := newTokenSet(t)
	token := set.add("inner", policy.TokenClient, policy.Scope{Destinations: []string{"*.internal"}})
	live := set.live(false)
	live.Callers = &policy.Callers{}
	b := serve(t, Options{Live: live, Wait: 300 * time.Millisecond})
	got := make(chan string, 2)
	for _, destination := range []string{"http://x.internal/in", "http://x.outer/out"} {
		go func() {
			resp, _, err := try(caller(t), "GET", b.url("/request"), "", "X-Proxy-Destination", destination)
			if err != nil {
				t.Errorf("%s: %v", destination, err)
				got <- ""
				return
			}
			got <- resp.Status[:3] + " " + destination
		}()
	}
	b.eventually("two callers to wait", func() bool { return b.s.dispatch.waiting.Load() >= 2 })
	b.join(token, greeting("inner"), func(in tunnel.Incoming) {
		if in.Request().Path != "/in" {
			t.Errorf("%s is carried", in.Request().Path)
		}
		hello(in)
	})
	for range 2 {
		if g := <-got; g != "200 http://x.internal/in" && g != "503 http://x.outer/out" {
			t.Error(g)
		}
	}
}

func TestScopeOfCallersForEveryRequest(t *testing.T) {
	set := newTokenSet(t)
	client := set.add("any client", policy.TokenClient, policy.Scope{})
	set.add("all", policy.TokenCaller, policy.Scope{})
	set.add("app", policy.TokenCaller, policy.Scope{Hosts: []string{"app"}})
	set.add("api", policy.TokenCaller, policy.Scope{Destinations: []string{"api.internal:80"}})
	set.add("one", policy.TokenCaller, policy.Scope{IDs: []string{"one"}})
	b := serve(t, Options{Live: set.live(true), Domain: domain, Wait: 20 * time.Millisecond})
	for _, id := range []string{"one", "two"} {
		b.join(client, greeting(id, engine.Expose{Host: "app"}, engine.Expose{Host: id}), func(in tunnel.Incoming) {
			respond(in, 200, id)
		})
	}
	for i, k := range []struct {
		token, send string
		status      int
		by          string // "": any
	}{
		{"all", "GET /x HTTP/1.1\r\nHost: two." + domain, 200, "two"},
		{"all", "GET http://anything/ HTTP/1.1\r\nHost: x", 200, ""},
		{"app", "GET /x HTTP/1.1\r\nHost: app." + domain, 200, ""},
		{"app", "GET /x HTTP/1.1\r\nHost: APP." + domain + ".", 200, ""},
		{"app", "GET /x HTTP/1.1\r\nHost: two." + domain, 403, ""},
		{"app", "GET /x HTTP/1.1\r\nHost: nobody." + domain, 403, ""},
		{"app", "GET http://two." + domain + "/x HTTP/1.1\r\nHost: app." + domain, 403, ""},
		{"app", "GET http://api.internal/ HTTP/1.1\r\nHost: x", 403, ""},
		{"app", "CONNECT api.internal:80 HTTP/1.1\r\nHost: api.internal:80", 403, ""},
		{"api", "GET http://api.internal/ HTTP/1.1\r\nHost: x", 200, ""},
		{"api", "GET http://api.internal:81/ HTTP/1.1\r\nHost: x", 403, ""},
		{"api", "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.internal/", 200, ""},
		{"api", "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://other.internal/", 403, ""},
		{"api", "GET /x HTTP/1.1\r\nHost: app." + domain, 403, ""},
		{"one", "GET /x HTTP/1.1\r\nHost: app." + domain, 200, "one"},
		{"one", "GET /y HTTP/1.1\r\nHost: app." + domain, 200, "one"},
		{"one", "GET /x HTTP/1.1\r\nHost: two." + domain, 403, ""},
		{"one", "GET http://any/ HTTP/1.1\r\nHost: x", 200, "one"},
		{"one", "GET http://any/ HTTP/1.1\r\nHost: x\r\nX-Proxy-Client: two", 403, ""},
		{"any client", "GET /x HTTP/1.1\r\nHost: app." + domain, 401, ""},
	} {
		c := b.raw(k.send + "\r\nProxy-Authorization: Bearer " + set.text[k.token] + "\r\n\r\n")
		resp, body := c.response(t, "GET")
		if resp.StatusCode != k.status || k.by != "" && body != k.by {
			t.Errorf("%s: %q: status %d by %q, want %d by %q", k.token, k.send, resp.StatusCode, body, k.status, k.by)
		}
		want := k.token
		if k.status == 401 {
			want = "" // it admits nobody here
		}
		if rec := b.finished(i + 1); rec.Credential != want {
			t.Errorf("%s: the record's credential is %q", k.token, rec.Credential)
		}
	}
}

// An operator who repeats a request is bound by the client's scope as its caller was.
func TestReplayOutsideTheScope(t *testing.T) {
	set := newTokenSet(t)
	token := set.add("inner", policy.TokenClient, policy.Scope{Destinations: []string{"*.internal"}})
	b := serve(t, Options{Live: set.live(false), Wait: 20 * time.Millisecond})
	b.join(token, greeting("inner"), func(tunnel.Incoming) { t.Error("carried") })
	_, err := b.s.Replay(context.Background(), engine.Replay{Way: engine.WayProxy, Method: "GET", Target: "http://x.outer/"}, engine.Operator{Name: "me"})
	if err != nil {
		t.Fatal(err)
	}
	if rec := b.finished(1); rec.Status != 403 {
		t.Errorf("record %+v", rec)
	}
}
