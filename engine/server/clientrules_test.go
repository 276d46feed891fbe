package server

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

func compiled(t testing.TB, set policy.RuleSet) *policy.Rules {
	t.Helper()
	set.Server = true
	rules, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// named answers with the id of its client.
func named(id string) tunnel.Handler {
	return func(in tunnel.Incoming) {
		io.Copy(io.Discard, in)
		if in.Request() == nil {
			in.WriteResponse(&wire.Response{Status: 200}, false)
			in.Write([]byte(id))
			in.CloseWrite(nil)
			return
		}
		in.WriteResponse(&wire.Response{Status: 200}, false)
		in.Write([]byte(id))
		in.CloseWrite(nil)
	}
}

// A rule on the client keeps a request from it, and leaves it to another: whoever
// can't have one is refused at once, however long others would wait.
func TestRulesOnClients(t *testing.T) {
	rules := compiled(t, policy.RuleSet{AllowAll: true, Blacklist: []policy.Rule{
		{URL: "/secret", Client: "^edge-[ab]$"},
		{URL: "/nobody", Client: "^"},
		{Method: "^CONNECT$", Client: "^edge-[ac]$"},
	}})
	b := serve(t, Options{Live: Live{Rules: rules}, Domain: domain, Wait: time.Minute})
	for _, id := range []string{"edge-a", "edge-b", "edge-c"} {
		b.dial(greeting(id, engine.Expose{Host: "app"}), named(id))
	}
	ask := func(path, client string) string {
		text := "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.internal" + path + "\r\n"
		if client != "" {
			text += "X-Proxy-Client: " + client + "\r\n"
		}
		resp, body := b.raw(text+"\r\n").response(t, "GET")
		return fmt.Sprint(resp.StatusCode, " ", body)
	}
	seen := map[string]int{}
	for range 30 {
		if got := ask("/secret", ""); got != "200 edge-c" {
			t.Fatalf("/secret: %s, want edge-c", got)
		}
		seen[ask("/open", "")]++
		resp, body := b.raw("GET /secret HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n").response(t, "GET")
		if resp.StatusCode != 200 || body != "edge-c" {
			t.Fatalf("exposed /secret: %d %s, want edge-c", resp.StatusCode, body)
		}
	}
	if len(seen) != 3 {
		t.Errorf("what no rule speaks of goes to %v, want all three", seen)
	}
	began := time.Now()
	for path, client := range map[string]string{"/nobody": "", "/secret": "edge-a", "/nobody?": "edge-c"} {
		if got := ask(path, client); !strings.HasPrefix(got, "403 ") {
			t.Errorf("%s at %q: %s, want 403", path, client, got)
		}
	}
	if got := ask("/secret", "edge-c"); got != "200 edge-c" {
		t.Errorf("chosen client: %s", got)
	}
	c := b.raw("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\nX-Proxy-Client: edge-a\r\n\r\n")
	if resp, _ := c.response(t, "GET"); resp.StatusCode != 403 {
		t.Errorf("connect at a client that may not: %d", resp.StatusCode)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("refusals took %v", took)
	}
}

// Whoever waits gets the slot of a client that may serve it, not that of another
// that becomes free before.
func TestWaitersGetAllowedClients(t *testing.T) {
	rules := compiled(t, policy.RuleSet{Whitelist: []policy.Rule{{URL: "/b", Client: "^edge-b$"}, {URL: "/any"}}})
	b := serve(t, Options{Live: Live{Rules: rules}, Wait: 20 * time.Second})
	type answer struct {
		status int
		body   string
	}
	got := make(chan answer, 1)
	go func() {
		resp, body := b.raw("GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.internal/b\r\n\r\n").response(t, "GET")
		got <- answer{resp.StatusCode, body}
	}()
	b.eventually("a caller to wait", func() bool { return b.s.dispatch.waiting.Load() > 0 })
	b.dial(greeting("edge-a"), named("edge-a"))
	resp, body := b.raw("GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://api.internal/any\r\n\r\n").response(t, "GET")
	if resp.StatusCode != 200 || body != "edge-a" {
		t.Errorf("beside who waits: %d %s", resp.StatusCode, body)
	}
	b.dial(greeting("edge-b"), named("edge-b"))
	if a := <-got; a.status != 200 || a.body != "edge-b" {
		t.Errorf("who waits: %d %s, want edge-b", a.status, a.body)
	}
}

// Rules on the caller: by the name of its credential and by its address.
func TestRulesOnCallers(t *testing.T) {
	set := newTokenSet(t)
	alice, bob := set.add("alice", policy.TokenCaller, policy.Scope{}), set.add("bob", policy.TokenCaller, policy.Scope{})
	live := set.live(true)
	live.Clients = &policy.Clients{}
	live.Rules = compiled(t, policy.RuleSet{AllowAll: true, Blacklist: []policy.Rule{
		{URL: "/admin", Caller: "^bob$"},
		{URL: "/loopback", From: []string{"127.0.0.0/8", "::1"}},
		{URL: "/elsewhere", From: []string{"10.0.0.0/8"}},
	}})
	b := serve(t, Options{Live: live})
	b.dial(greeting("edge"), hello)
	for _, k := range []struct {
		path, token string
		want        int
	}{
		{"/admin", alice, 200}, {"/admin", bob, 403}, {"/x", bob, 200},
		{"/loopback", alice, 403}, {"/elsewhere", alice, 200},
	} {
		resp, _ := b.raw("GET http://api.internal"+k.path+" HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer "+k.token+"\r\n\r\n").response(t, "GET")
		if resp.StatusCode != k.want {
			t.Errorf("%s: %d, want %d", k.path, resp.StatusCode, k.want)
		}
	}
}

// Behind a trusted proxy the caller is whom it names, and no one else may say so.
func TestRulesOnCallersBehindAProxy(t *testing.T) {
	for _, k := range []struct {
		trusted []netip.Prefix
		says    string
		want    int
	}{
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "192.0.2.7", 403},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "192.0.2.7:4711", 403},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "198.51.100.7", 200},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "192.0.2.7, 198.51.100.7", 200},
		{nil, "192.0.2.7", 200},
	} {
		b := serve(t, Options{Live: Live{TrustedProxies: k.trusted, Rules: compiled(t, policy.RuleSet{AllowAll: true, Blacklist: []policy.Rule{{From: []string{"192.0.2.0/24"}}}})}})
		b.dial(greeting("edge"), hello)
		resp, _ := b.raw("GET http://api.internal/ HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: "+k.says+"\r\n\r\n").response(t, "GET")
		if resp.StatusCode != k.want {
			t.Errorf("%v says %s: %d, want %d", k.trusted, k.says, resp.StatusCode, k.want)
		}
	}
}

// A server does not resolve: an address that it allows is one that is written.
func TestAddressRulesOfTheServerAllowNoNames(t *testing.T) {
	rules := compiled(t, policy.RuleSet{Allow: []string{"10.0.0.0/8"}, Deny: []string{"10.9.0.0/16", "api.internal"}})
	b := serve(t, Options{Live: Live{Rules: rules}})
	b.dial(greeting("edge"), hello)
	for url, want := range map[string]int{
		"http://10.0.0.5/": 200, "http://10.9.0.5/": 403, "http://[64:ff9b::10.9.0.5]/": 403,
		"http://rebind.example/": 403, "http://api.internal/": 403, "http://0x0a000005/": 403,
	} {
		if resp, _ := b.raw("GET "+url+" HTTP/1.1\r\nHost: x\r\n\r\n").response(t, "GET"); resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", url, resp.StatusCode, want)
		}
	}
}
