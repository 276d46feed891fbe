package policy_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/policy"
)

// made is a token that a test may show.
type made struct {
	policy.Token
	text string
}

func makeToken(name string, kind policy.TokenKind, scope policy.Scope) made {
	text, id, hash := policy.MakeToken()
	return made{policy.Token{ID: id, Name: name, Kind: kind, Hash: hash, Scope: scope}, text}
}

func tokensOf(tb testing.TB, list ...made) *policy.Tokens {
	tb.Helper()
	var entries []policy.Token
	for _, m := range list {
		entries = append(entries, m.Token)
	}
	set, err := policy.NewTokens(entries)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func TestTokensAreUnlike(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		text, id, hash := policy.MakeToken()
		_, secret, _ := strings.Cut(strings.TrimPrefix(text, "adit_"+id), "_")
		// 52 characters of base32 are 260 bits.
		if len(secret) != 52 || seen[secret] || seen[id] {
			t.Fatalf("token %q of id %q", text, id)
		}
		seen[secret], seen[id] = true, true
		if again, err := policy.ParseHash(policy.FormatHash(hash)); err != nil || again != hash {
			t.Fatalf("hash %v, %v", again, err)
		}
	}
}

// Two fields must not disagree about who somebody is, and nobody is two (P3).
func TestTokenAdmitsOneIdentityAtItsDoor(t *testing.T) {
	edge, other := makeToken("edge", policy.TokenClient, policy.Scope{IDs: []string{"edge-*"}}), makeToken("other", policy.TokenClient, policy.Scope{})
	robot := makeToken("robot", policy.TokenCaller, policy.Scope{Hosts: []string{"app"}})
	set := tokensOf(t, edge, other, robot)
	clients := &policy.Clients{Secrets: policy.NewSecrets("s3cret"), Tokens: set}
	callers := &policy.Callers{Secrets: policy.NewSecrets("t0ken"), Tokens: set}
	swapped := other.text[:len(other.text)-52] + edge.text[len(edge.text)-52:]
	for _, k := range []struct {
		name string
		h    http.Header
		want string // "!" and a reason for a refusal
	}{
		{"key", http.Header{"X-Secret-Key": {edge.text}}, "edge"},
		{"bearer", http.Header{"Authorization": {"Bearer " + edge.text}}, "edge"},
		{"both alike", http.Header{"X-Secret-Key": {edge.text}, "Authorization": {"Bearer " + edge.text}}, "edge"},
		{"two tokens", http.Header{"X-Secret-Key": {edge.text}, "Authorization": {"Bearer " + other.text}}, "!malformed request"},
		{"token and secret", http.Header{"X-Secret-Key": {"s3cret"}, "Authorization": {"Bearer " + edge.text}}, "!malformed request"},
		{"a field twice", http.Header{"X-Secret-Key": {edge.text, other.text}}, "!malformed request"},
		{"a secret", http.Header{"X-Secret-Key": {"s3cret"}}, "shared secret"},
		{"of a caller", http.Header{"X-Secret-Key": {robot.text}}, "!credential missing or wrong"},
		{"one id, another secret", http.Header{"X-Secret-Key": {swapped}}, "!credential missing or wrong"},
		{"cut", http.Header{"X-Secret-Key": {edge.text[:len(edge.text)-1]}}, "!credential missing or wrong"},
		{"longer", http.Header{"X-Secret-Key": {edge.text + "A"}}, "!credential missing or wrong"},
		{"id only", http.Header{"X-Secret-Key": {"adit_" + edge.ID}}, "!credential missing or wrong"},
		{"hash", http.Header{"X-Secret-Key": {policy.FormatHash(edge.Hash)}}, "!credential missing or wrong"},
		{"a megabyte", http.Header{"X-Secret-Key": {edge.text + strings.Repeat("A", 1<<20)}}, "!credential missing or wrong"},
		{"nothing", http.Header{}, "!credential missing or wrong"},
	} {
		id, err := clients.Admit(&policy.Presented{Header: k.h})
		if got := outcome(id.Name, err); got != k.want {
			t.Errorf("client, %s: %q, want %q", k.name, got, k.want)
		}
		if err != nil && strings.Contains(err.Error(), "adit_") {
			t.Errorf("%s: the error shows a token: %v", k.name, err)
		}
	}
	for _, k := range []struct {
		name string
		h    http.Header
		want string
		left int
	}{
		{"bearer", http.Header{"Authorization": {"Bearer " + robot.text}}, "robot", 0},
		{"password", http.Header{"Authorization": {basic("anybody", robot.text)}}, "robot", 0},
		{"proxy", http.Header{"Proxy-Authorization": {"Bearer " + robot.text}, "Authorization": {"Bearer origins"}}, "robot", 1},
		{"shown twice", http.Header{"Proxy-Authorization": {"Bearer " + robot.text}, "Authorization": {"Bearer " + robot.text}}, "robot", 0},
		{"two of ours", http.Header{"Proxy-Authorization": {"Bearer " + robot.text}, "Authorization": {"Bearer t0ken"}}, "robot", 0},
		{"wrong in front of right", http.Header{"Proxy-Authorization": {"Bearer x"}, "Authorization": {"Bearer " + robot.text}}, "!credential missing or wrong", 2},
		{"of a client", http.Header{"Authorization": {"Bearer " + edge.text}}, "!credential missing or wrong", 1},
	} {
		id, err := callers.Admit(&policy.Presented{Header: k.h}, engine.WayRequest)
		if got := outcome(id.Name, err); got != k.want || len(k.h) != k.left {
			t.Errorf("caller, %s: %q, left %v; want %q", k.name, got, k.h, k.want)
		}
	}
}

func outcome(name string, err error) string {
	if err != nil {
		return "!" + engine.ReasonOf(err).String()
	}
	return name
}

// What is named once stays asked for: a file whose last token was revoked opens
// nothing.
func TestTokensWithoutATokenAdmitNobody(t *testing.T) {
	set := tokensOf(t)
	if _, err := (&policy.Clients{Tokens: set}).Admit(&policy.Presented{Header: http.Header{}}); err == nil {
		t.Error("clients come in")
	}
	for _, way := range []engine.Way{engine.WayRequest, engine.WayProxy, engine.WayConnect, engine.WayHost, engine.WayTCP} {
		if _, err := (&policy.Callers{Tokens: set}).Admit(&policy.Presented{Header: http.Header{}}, way); err == nil {
			t.Errorf("callers come in by %v", way)
		}
	}
	if _, err := (&policy.Clients{Tokens: set, Open: true}).Admit(&policy.Presented{Header: http.Header{"X-Secret-Key": {"old"}}}); err != nil {
		t.Errorf("told to be open: %v", err)
	}
	robot := makeToken("robot", policy.TokenCaller, policy.Scope{})
	h := http.Header{"Authorization": {"Bearer " + robot.text}}
	if _, err := (&policy.Callers{Tokens: tokensOf(t, robot), Open: true}).Admit(&policy.Presented{Header: h}, engine.WayHost); err != nil || len(h) > 0 {
		t.Errorf("told to be open: %v, and the origin gets %v", err, h)
	}
}

func TestExpiredTokenIsRefusedAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		edge, robot := makeToken("edge", policy.TokenClient, policy.Scope{}), makeToken("robot", policy.TokenCaller, policy.Scope{})
		edge.Expires, robot.Expires = time.Now().Add(time.Hour), time.Now().Add(time.Hour)
		set := tokensOf(t, edge, robot)
		clients, callers := &policy.Clients{Tokens: set}, &policy.Callers{Tokens: set}
		show := func() (policy.Identity, error, error) {
			id, err := clients.Admit(&policy.Presented{Header: http.Header{"X-Secret-Key": {edge.text}}})
			_, err2 := callers.Admit(&policy.Presented{Header: http.Header{"Authorization": {"Bearer " + robot.text}}}, engine.WayHost)
			return id, err, err2
		}
		time.Sleep(time.Hour - time.Nanosecond)
		id, err, err2 := show()
		if err != nil || err2 != nil || !id.Expires.Equal(edge.Expires) {
			t.Fatal(err, err2)
		}
		if _, ok := clients.Renew(&id); !ok {
			t.Error("over before its time")
		}
		time.Sleep(time.Nanosecond)
		if _, err, err2 := show(); !errors.Is(err, policy.ErrExpired) || !errors.Is(err2, policy.ErrExpired) || engine.ReasonOf(err) != engine.ReasonUnauthorized {
			t.Errorf("%v, %v", err, err2)
		}
		if _, ok := clients.Renew(&id); ok || !id.Over(time.Now()) {
			t.Error("still in force")
		}
	})
}

// An identity holds as long as its credential is there, whatever else changes.
func TestRenewal(t *testing.T) {
	edge := makeToken("edge", policy.TokenClient, policy.Scope{})
	narrow := edge
	narrow.Scope = policy.Scope{Hosts: []string{"app"}}
	again := makeToken("edge", policy.TokenClient, policy.Scope{})
	again.ID = edge.ID
	caller := edge
	caller.Kind = policy.TokenCaller
	old := &policy.Clients{Secrets: policy.NewSecrets("one", "two"), Tokens: tokensOf(t, edge)}
	by := func(key string) policy.Identity {
		id, err := old.Admit(&policy.Presented{Header: http.Header{"X-Secret-Key": {key}}})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	secret, token, nobody := by("two"), by(edge.text), policy.Identity{}
	for _, k := range []struct {
		name                  string
		now                   *policy.Clients
		secret, token, nobody bool
	}{
		{"nothing changed", old, true, true, false},
		{"the order of secrets", &policy.Clients{Secrets: policy.NewSecrets("two", "three")}, true, false, false},
		{"another secret", &policy.Clients{Secrets: policy.NewSecrets("one")}, false, false, false},
		{"another scope", &policy.Clients{Tokens: tokensOf(t, narrow)}, false, true, false},
		{"the same id made anew", &policy.Clients{Tokens: tokensOf(t, again)}, false, false, false},
		{"for the other door", &policy.Clients{Tokens: tokensOf(t, caller)}, false, false, false},
		{"open", &policy.Clients{}, false, false, true},
		{"told to be open", &policy.Clients{Open: true, Tokens: tokensOf(t, edge)}, false, true, true},
	} {
		for what, c := range map[string]struct {
			id   policy.Identity
			want bool
		}{"secret": {secret, k.secret}, "token": {token, k.token}, "nobody": {nobody, k.nobody}} {
			now, ok := k.now.Renew(&c.id)
			if ok != c.want || ok && now.Name != c.id.Name {
				t.Errorf("%s: %s holds: %v as %q, want %v", k.name, what, ok, now.Name, c.want)
			}
			if k.name == "another scope" && what == "token" && now.Scope.Host("other") {
				t.Error("the former scope stays")
			}
		}
	}
}

// A caller of an exposed name whom Admit lets in without a credential may stay: with
// the other ways closed for want of any, every reload would cut such streams.
func TestRenewalWhereTheOtherWaysAreClosed(t *testing.T) {
	c := &policy.Callers{ClosedChosen: true}
	for way, open := range map[engine.Way]bool{engine.WayHost: true, engine.WayTCP: true, engine.WayRequest: false, engine.WayConnect: false} {
		id, err := c.Admit(&policy.Presented{Header: http.Header{}}, way)
		if _, ok := c.Renew(&id, way == engine.WayHost || way == engine.WayTCP); (err == nil) != open || ok != open {
			t.Errorf("%v: admitted with %v, renewed %v; want both %v", way, err, ok, open)
		}
	}
}

func TestScope(t *testing.T) {
	scope := func(ids, hosts, ports, destinations string) *policy.Scope {
		s, err := policy.NewScope(strings.Fields(ids), strings.Fields(hosts), strings.Fields(ports), strings.Fields(destinations))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	to := func(s *policy.Scope, host string) bool {
		return s.Destination(&policy.Query{Method: "GET", URL: "http://" + host + "/x", Host: host})
	}
	var none *policy.Scope
	if !none.ID("x") || !none.Host("x") || !none.Port(1) || !to(none, "x:80") || none.Refuse("x", []engine.Expose{{TCP: 1}}) != "" {
		t.Error("no scope bounds something")
	}
	if s := scope("edge-*", "", "", ""); !s.ID("edge-") || s.ID("edge") || s.ID("Edge-1") || s.ID("my-edge-1") || !s.Host("x") || !to(s, "x:80") {
		t.Error("ids")
	}
	if s := scope("*a*b*", "", "", ""); !s.ID("ab") || !s.ID("xaxbx") || s.ID("ba") {
		t.Error("several stars")
	}
	if s := scope("", "app api-*", "", ""); !s.Host("APP") || !s.Host("api-1") || s.Host("apps") || s.Port(1) || to(s, "app:80") || !s.ID("x") {
		t.Error("hosts")
	}
	if s := scope("", "", "80 8000-8010", ""); !s.Port(80) || !s.Port(8010) || s.Port(8011) || s.Host("x") || to(s, "x:80") {
		t.Error("ports")
	}
	s := scope("", "", "", "*.internal:80 10.0.0.0/8 /^http://x[.]y:80/")
	for host, want := range map[string]bool{"a.internal:80": true, "A.INTERNAL.:80": true, "a.internal:81": false, "internal:80": false, "10.1.2.3:1": true,
		"11.0.0.1:1": false, "[::ffff:10.1.2.3]:1": true, "name-of-10.example:80": false, "x.y:80": true, "0xa.1.2.3:1": false, "": false} {
		if to(s, host) != want {
			t.Errorf("%s: want %v", host, want)
		}
	}
	// One that was not made ready opens nothing.
	if raw := (&policy.Scope{Destinations: []string{"any"}, Ports: []string{"1"}}); to(raw, "x:80") || raw.Port(1) {
		t.Error("a scope that was never checked is believed")
	}
	if long := strings.Repeat("*a", 250); scope(long, "", "", "").ID(strings.Repeat("a", 128)) {
		t.Error("a long pattern matches")
	}
	for _, wrong := range [][4]string{{strings.Repeat("x ", 101)}, {"", "a.b"}, {"", "", "0"}, {"", "", "x"}, {"", "", "", "http://x"}, {"a\x00b"}} {
		if _, err := policy.NewScope(strings.Fields(wrong[0]), strings.Fields(wrong[1]), strings.Fields(wrong[2]), strings.Fields(wrong[3])); err == nil {
			t.Errorf("%q is a scope", wrong)
		}
	}
}

func TestTokensThatAreWrong(t *testing.T) {
	good := makeToken("x", policy.TokenClient, policy.Scope{}).Token
	for want, change := range map[string]func(*policy.Token){
		"id":           func(t *policy.Token) { t.ID = "A_b" },
		"name":         func(t *policy.Token) { t.Name = "a\nb" },
		"kind":         func(t *policy.Token) { t.Kind = 9 },
		"hash":         func(t *policy.Token) { t.Hash = [32]byte{} },
		"ports":        func(t *policy.Token) { t.Kind = policy.TokenCaller; t.Scope.Ports = []string{"1"} },
		"destinations": func(t *policy.Token) { t.Scope.Destinations = []string{"[x"} },
		"expires":      func(t *policy.Token) { t.Created = time.Unix(2, 0); t.Expires = time.Unix(1, 0) },
	} {
		token := good
		change(&token)
		if _, err := policy.NewTokens([]policy.Token{token}); err == nil || !strings.HasPrefix(err.Error(), "token 1: "+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := policy.NewTokens([]policy.Token{good, good}); err == nil || !strings.Contains(err.Error(), "token 2: the id") {
		t.Error(err)
	}
	if _, err := policy.NewTokens(make([]policy.Token, policy.MaxTokens+1)); err == nil {
		t.Error("no bound")
	}
}
