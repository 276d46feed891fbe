package server

import (
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// Rules judge every request, in every spelling, those to exposed names by the URL
// that the caller used (F1, P1, P4).
func TestRulesOfTheServer(t *testing.T) {
	rules, err := (&policy.RuleSet{Whitelist: []policy.Rule{
		{URL: `^(http://api\.internal(:80)?/|tcp://db\.internal:5432)`}, {URL: `^http://(app\.t\.example|app\.t\.example:8080)/`}}, Blacklist: []policy.Rule{{Method: "^DELETE$", URL: ".*"}, {URL: "/forbidden"}}, Server: true}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	hits := 0
	b := serve(t, Options{Live: Live{Rules: rules}, Domain: domain, Wait: 20 * time.Millisecond})
	b.dial(greeting("edge", engine.Expose{Host: "app"}, engine.Expose{Host: "other"}), func(in tunnel.Incoming) {
		hits++
		if in.Request() == nil {
			echoRaw(in)
			return
		}
		hello(in)
	})
	request := func(destination string) string {
		return "GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: " + destination + "\r\n\r\n"
	}
	for _, k := range []struct {
		send   string
		status int
	}{
		{request("http://api.internal/ok"), 200},
		{request("HTTP://API.internal/ok"), 200},
		{request("http://api.internal/forbidden"), 403},
		{request("http://evil.internal/ok"), 403},
		{request("http://evil.internal/http://api.internal/"), 403},
		{"GET http://api.internal/ok HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET http://api.internal/forbidden HTTP/1.1\r\nHost: x\r\n\r\n", 403},
		{"DELETE http://api.internal/ok HTTP/1.1\r\nHost: x\r\n\r\n", 403},
		{"GET http://evil.internal/ HTTP/1.1\r\nHost: api.internal\r\n\r\n", 403},
		{"CONNECT evil.internal:5432 HTTP/1.1\r\nHost: evil.internal:5432\r\n\r\n", 403},
		{"GET /ok HTTP/1.1\r\nHost: app.t.example\r\n\r\n", 200},
		{"GET /ok HTTP/1.1\r\nHost: app.t.example:8080\r\n\r\n", 200},
		{"GET /ok HTTP/1.1\r\nHost: APP.t.example.\r\n\r\n", 200},
		{"GET http://app.t.example/ok HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		{"GET /ok HTTP/1.1\r\nHost: app.t.example:8081\r\n\r\n", 403},
		{"GET /ok HTTP/1.1\r\nHost: other.t.example\r\n\r\n", 403},
		{"GET /forbidden HTTP/1.1\r\nHost: app.t.example\r\n\r\n", 403},
		{"GET /x/../%66orbidden HTTP/1.1\r\nHost: APP.t.example:8080\r\n\r\n", 403},
		{"GET http://app.t.example/forbidden HTTP/1.1\r\nHost: api.internal\r\n\r\n", 403},
		{"DELETE /ok HTTP/1.1\r\nHost: app.t.example\r\n\r\n", 403},
		{"GET /forbidden HTTP/1.1\r\nHost: app.t.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 403},
	} {
		before := hits
		resp, body := b.raw(k.send).response(t, "GET")
		if resp.StatusCode != k.status || (hits > before) != (k.status == 200) {
			t.Errorf("%q: got %d %q, reached the client: %v", k.send, resp.StatusCode, body, hits > before)
		}
	}
	c := b.raw("CONNECT DB.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n")
	if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("connect that is allowed: %q", line)
	}
}

// Every request of a caller's connection is judged anew, exposed names too.
func TestRulesOfEveryRequestOfAConnection(t *testing.T) {
	rules, err := (&policy.RuleSet{Blacklist: []policy.Rule{{URL: "/forbidden"}}, AllowAll: true, Server: true}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	b := serve(t, Options{Live: Live{Rules: rules}, Domain: domain})
	b.dial(greeting("edge", engine.Expose{Host: "app"}), hello)
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: app.t.example\r\n\r\n" }
	c := b.raw(get("/a") + get("/forbidden") + get("/b"))
	for _, want := range []int{200, 403, 200} {
		if resp, body := c.response(t, "GET"); resp.StatusCode != want {
			t.Errorf("got %d %q, want %d", resp.StatusCode, body, want)
		}
	}
}
