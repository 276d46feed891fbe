package server

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"adit/engine/policy"
	"adit/engine/tunnel"
)

// Row 19 of reliability.md and P4 at the public end: by each of the ways whose
// destination the caller chooses, nothing but what a rule allows goes to a client.
func TestForgedAuthoritiesReachNoClient(t *testing.T) {
	text, err := os.ReadFile("../policy/testdata/forged-authorities.txt")
	if err != nil {
		t.Fatal(err)
	}
	var reached atomic.Int64
	b := serve(t, Options{Live: Live{Rules: compiled(t, policy.RuleSet{
		Allow: []string{"good.example", "10.0.0.0/8", "127.0.0.1:9"}, Whitelist: []policy.Rule{{URL: `^http://good\.example/`}},
		Deny: []string{"10.9.0.0/16", "*.evil.example"},
	})}})
	b.dial(greeting("edge"), func(in tunnel.Incoming) {
		reached.Add(1)
		hello(in)
	})
	forms := []string{
		"GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://$/x\r\n\r\n",
		"GET http://$/x HTTP/1.1\r\nHost: good.example\r\n\r\n",
		"GET http://$/x HTTP/1.1\r\nHost: $\r\n\r\n",
		"CONNECT $ HTTP/1.1\r\nHost: $\r\n\r\n",
	}
	ask := func(raw, what string) {
		t.Helper()
		resp, _ := b.raw(raw).response(t, "GET")
		if n := reached.Swap(0); n > 0 || resp.StatusCode != 403 && resp.StatusCode != 400 && resp.StatusCode != 404 {
			t.Errorf("%s: %d, reached a client %d times\n%q", what, resp.StatusCode, n, raw)
		}
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		for _, form := range forms {
			authority := words[0]
			if strings.HasPrefix(form, "CONNECT") && !strings.Contains(authority[strings.LastIndexByte(authority, ']')+1:], ":") {
				authority += ":80"
			}
			ask(strings.ReplaceAll(form, "$", authority), words[0])
		}
	}
	// P4: targets that a lenient reader takes for absolute ones.
	for _, target := range []string{"//evil.internal/", `\\evil.internal/`, "http:/evil.internal/", "http:evil.internal", "http:///evil.internal/",
		"http://good.example@evil.internal/", "http://evil.internal#@good.example/", `http://evil.internal\@good.example/`,
		"http://evil.internal;@good.example/", "ftp://good.example/", "http://evil.internal?http://good.example/"} {
		ask("GET "+target+" HTTP/1.1\r\nHost: good.example\r\n\r\n", target)
		ask("GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: "+target+"\r\n\r\n", target)
	}
	ask("GET /request HTTP/1.1\r\nHost: x\r\nX-Proxy-Destination: http://good.example/\r\nX-Proxy-Destination: http://evil.internal/\r\n\r\n", "two destinations")
	if resp, _ := b.raw(strings.ReplaceAll(forms[0], "$", "good.example")).response(t, "GET"); resp.StatusCode != 200 {
		t.Errorf("what is allowed: %d", resp.StatusCode)
	}
}
