package policy_test

import (
	"net/http"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

func query(method, url, host string) *policy.Query {
	return &policy.Query{Method: method, URL: url, Host: host}
}

func TestAllowForms(t *testing.T) {
	const yes, no, dial = "yes", "no", "at the dial"
	tests := []struct {
		rule string
		want map[string]string // host:port to decision
	}{
		{"any", map[string]string{"a.b:1": yes, "10.0.0.1:65535": yes, "[2001:db8::1]:80": yes}},
		{"api.internal", map[string]string{"api.internal:1": yes, "api.internal:65535": yes, "API.INTERNAL.:80": yes, "x.api.internal:80": no, "internal:80": no, "10.0.0.1:80": no}},
		{"API.Internal.", map[string]string{"api.internal:80": yes}},
		{"api.internal:443", map[string]string{"api.internal:443": yes, "api.internal:80": no}},
		{"api.internal:8000-8100", map[string]string{"api.internal:7999": no, "api.internal:8000": yes, "api.internal:8100": yes, "api.internal:8101": no}},
		{"*.corp", map[string]string{"a.corp:80": yes, "a.b.corp:80": yes, "A.CORP:80": yes, "corp:80": no, "acorp:80": no, "a.corp.evil:80": no}},
		{"*.Corp:443", map[string]string{"a.corp:443": yes, "a.corp:80": no}},
		{"my_host", map[string]string{"my_host:80": yes}},
		{"10.0.0.5", map[string]string{"10.0.0.5:80": yes, "10.0.0.6:80": no, "a.b:80": dial, "[::ffff:10.0.0.5]:80": yes}},
		{"10.0.0.5:22-23", map[string]string{"10.0.0.5:22": yes, "10.0.0.5:24": no, "a.b:23": dial, "a.b:24": no}},
		{"10.0.0.0/8", map[string]string{"10.255.0.1:80": yes, "11.0.0.1:80": no, "a.b:80": dial}},
		{"10.0.0.0/8:443", map[string]string{"10.1.1.1:443": yes, "10.1.1.1:80": no}},
		{"fd00::1", map[string]string{"[fd00::1]:80": yes, "[fd00:0:0:0:0:0:0:1]:80": yes, "[fd00::2]:80": no}},
		{"[fd00::1]", map[string]string{"[fd00::1]:80": yes}},
		{"[fd00::1]:443", map[string]string{"[fd00::1]:443": yes, "[fd00::1]:80": no}},
		{"fd00::/16", map[string]string{"[fd00:5::1]:80": yes, "[fd01::1]:80": no}},
		{"[fd00::/16]:443", map[string]string{"[fd00:5::1]:443": yes, "[fd00:5::1]:80": no}},
		{"[fd00::]/16:443", map[string]string{"[fd00:5::1]:443": yes, "[fd00:5::1]:80": no}},
		{"::ffff:10.0.0.0/104", map[string]string{"10.1.1.1:80": yes, "11.1.1.1:80": no}},
		{"/^http://api\\.internal(:80)?//", map[string]string{"api.internal:80": yes, "other:80": no}},
		{"/internal/", map[string]string{"a.internal.b:80": yes}},
	}
	for _, tt := range tests {
		r := rules(t, tt.rule)
		for host, want := range tt.want {
			permit, err := r.Check(query("GET", "http://"+host+"/x", host))
			got := yes
			if err != nil {
				got = no
			} else if permit.ByAddress() && strings.Contains(host, "a.b") {
				got = dial
			}
			if got != want {
				t.Errorf("--allow %s: %s is %q (%v), want %q", tt.rule, host, got, err, want)
			}
		}
	}
}

func TestAllowErrorsSayWhatToDo(t *testing.T) {
	tests := []struct{ rule, want string }{
		{"", "is no host name"},
		{"10.0.0.0/33", `allow rule "10.0.0.0/33": "10.0.0.0/33" is no CIDR; want ADDRESS/BITS with at most 32 bits (IPv4) or 128 (IPv6)`},
		{"10.0.0.5/8", "want 10.0.0.0/8"},
		{"10.0.0.0/8:0", "is no port"},
		{"10.0.0.256", "no address in dotted decimal form"},
		{"010.0.0.1", "no address in dotted decimal form"},
		{"0x7f.1", "no address in dotted decimal form"},
		{"2130706433", "no address in dotted decimal form"},
		{"*.0.0.1", "no address in dotted decimal form"},
		{"api.internal:", "is no port"},
		{"api.internal:0", "is no port"},
		{"api.internal:65536", "is no port"},
		{"api.internal:http", "is no port"},
		{"api.internal:80-", "is no port"},
		{"api.internal:90-80", "the smaller port comes first"},
		{"http://api.internal/", "a URL is no rule"},
		{"user@api.internal", "is no host name"},
		{"a b", "is no host name"},
		{"a..b", "is no host name"},
		{"*", "stands for whole labels"},
		{"*corp", "stands for whole labels"},
		{"a.*.corp", "stands for whole labels"},
		{"*.", "is no host name"},
		{"any:443", "any takes no port"},
		{"fd00::1:443:zz", "in brackets"},
		{"[fd00::1", "[ without ]"},
		{"[fd00::1]443", "want :PORT after ]"},
		{"[10.0.0.1]:80", "IPv6 addresses only"},
		{"[fd00::zz]:80", "is no IPv6 address"},
		{"fe80::1%eth0", "zone"},
		{"::ffff:0.0.0.0/90", "name them apart"},
		{"/unclosed", "must end in /"},
		{"//", "use any"},
		{"/(/", "missing closing )"},
	}
	for _, tt := range tests {
		_, err := (&policy.RuleSet{Allow: []string{tt.rule}}).Compile()
		if err == nil {
			t.Errorf("--allow %q is taken", tt.rule)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, "allow rule ") || !strings.Contains(text, tt.want) {
			t.Errorf("--allow %q: %q does not say %q", tt.rule, text, tt.want)
		}
	}
	for list, entry := range map[string]policy.Rule{
		"method: ":         {Method: "("},
		"url: ":            {URL: "["},
		"header X-Custom:": {Headers: map[string]string{"X-Custom": "*"}},
	} {
		_, err := (&policy.RuleSet{Blacklist: []policy.Rule{{}, entry}, AllowAll: true}).Compile()
		if err == nil || !strings.Contains(err.Error(), "blacklist entry 2: "+list) {
			t.Errorf("%v: want blacklist entry 2: %s", err, list)
		}
	}
}

func TestWSPLists(t *testing.T) {
	fields := func(name string, values ...string) policy.Fields { return http.Header{name: values} }
	get := policy.Rule{Method: "^GET$", URL: "^http(s)?://.*$", Headers: map[string]string{"x-custom-header": "^value$"}}
	tests := []struct {
		name         string
		white, black []policy.Rule
		q            policy.Query
		want         bool
	}{
		{"no lists, all allowed", nil, nil, policy.Query{Method: "GET", URL: "http://a/x", Host: "a:80"}, true},
		{"whitelisted", []policy.Rule{get}, nil, policy.Query{Method: "GET", URL: "http://a/x", Host: "a:80", Fields: fields("X-Custom-Header", "value")}, true},
		{"other method", []policy.Rule{get}, nil, policy.Query{Method: "POST", URL: "http://a/x", Host: "a:80", Fields: fields("X-Custom-Header", "value")}, false},
		{"other scheme", []policy.Rule{get}, nil, policy.Query{Method: "GET", URL: "ws://a/x", Host: "a:80", Fields: fields("X-Custom-Header", "value")}, false},
		{"field absent", []policy.Rule{get}, nil, policy.Query{Method: "GET", URL: "http://a/x", Host: "a:80"}, false},
		{"field wrong", []policy.Rule{get}, nil, policy.Query{Method: "GET", URL: "http://a/x", Host: "a:80", Fields: fields("X-Custom-Header", "values")}, false},
		{"second value smuggled past the whitelist", []policy.Rule{get}, nil, policy.Query{Method: "GET", URL: "http://a/x", Host: "a:80", Fields: fields("X-Custom-Header", "value", "evil")}, false},
		{"expressions are not anchored", []policy.Rule{{URL: "internal"}}, nil, policy.Query{Method: "GET", URL: "http://a.internal.b/", Host: "a.internal.b:80"}, true},
		{"one of two", []policy.Rule{{URL: "^http://a/"}, {URL: "^http://b/"}}, nil, policy.Query{Method: "GET", URL: "http://b/", Host: "b:80"}, true},
		{"absent is empty, as in wsp", []policy.Rule{{Headers: map[string]string{"X-Bot": "^$"}}}, nil, policy.Query{Method: "GET", URL: "http://b/", Host: "b:80"}, true},
		{"blacklisted", nil, []policy.Rule{{Method: ".*", URL: "^http(s)?://google.*"}}, policy.Query{Method: "GET", URL: "http://google.fr/", Host: "google.fr:80"}, false},
		{"not blacklisted", nil, []policy.Rule{{Method: ".*", URL: "^http(s)?://google.*"}}, policy.Query{Method: "GET", URL: "http://b/", Host: "b:80"}, true},
		{"blacklist before whitelist", []policy.Rule{{URL: ".*"}}, []policy.Rule{{URL: "/admin"}}, policy.Query{Method: "GET", URL: "http://a/admin", Host: "a:80"}, false},
		{"second value hidden from the blacklist", nil, []policy.Rule{{Headers: map[string]string{"X-Bot": "evil"}}}, policy.Query{Method: "GET", URL: "http://a/", Host: "a:80", Fields: fields("X-Bot", "good", "evil")}, false},
		{"empty rule of the blacklist matches all", nil, []policy.Rule{{}}, policy.Query{Method: "GET", URL: "http://a/", Host: "a:80"}, false},
		{"CONNECT by URL", []policy.Rule{{URL: "^tcp://db:5432$"}}, nil, policy.Query{Method: "CONNECT", URL: "tcp://db:5432", Host: "db:5432"}, true},
		{"CONNECT blacklisted by method", nil, []policy.Rule{{Method: "CONNECT"}}, policy.Query{Method: "CONNECT", URL: "tcp://db:5432", Host: "db:5432"}, false},
		{"metadata is no matter of URLs", []policy.Rule{{URL: "169"}}, nil, policy.Query{Method: "GET", URL: "http://169.254.169.254/", Host: "169.254.169.254:80"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := (&policy.RuleSet{Whitelist: tt.white, Blacklist: tt.black, AllowAll: len(tt.white) == 0}).Compile()
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Check(&tt.q)
			if (err == nil) != tt.want {
				t.Fatalf("%v, want allowed %v", err, tt.want)
			}
			if err != nil && engine.ReasonOf(err) != engine.ReasonDenied {
				t.Fatalf("reason %v, want denied", engine.ReasonOf(err))
			}
		})
	}
}

func TestAllowAndWhitelistAddUp(t *testing.T) {
	r, err := (&policy.RuleSet{Allow: []string{"api.internal"}, Whitelist: []policy.Rule{{URL: "^http://db/"}}}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"api.internal": true, "db": true, "other": false} {
		if _, err := r.Check(query("GET", "http://"+host+"/", host+":80")); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %v", host, err, want)
		}
	}
}

// A list must mean the same however a caller spells the URL.
func TestURLSpellingsDoNotGetPastLists(t *testing.T) {
	black := []policy.Rule{{URL: "^http://api\\.internal/admin"}, {URL: "^http://[0-9a-f:.\\[\\]]*1\\]/secret"}}
	for _, url := range []string{
		"http://api.internal/admin",
		"HTTP://api.internal/admin",
		"http://API.Internal/admin",
		"http://api.internal./admin",
		"http://api.internal/%61dmin",
		"http://api.internal/a%64min/x",
		"http://api.internal/x/../admin",
		"http://api.internal/x/%2e%2E/admin",
		"http://api.internal/./admin",
		"http://api.internal/x/y/.././../admin?q=/..",
		"http://api.internal/../admin",
	} {
		if got := decide(t, nil, black, url, "api.internal:80"); got {
			t.Errorf("blacklist passes %s", url)
		}
	}
	for _, url := range []string{"http://api.internal:80/admin", "http://api.internal:/admin", "http://API.internal:80/x/../admin"} {
		if decide(t, nil, black, url, "api.internal:80") {
			t.Errorf("blacklist passes %s", url)
		}
	}
	ported := []policy.Rule{{URL: "^http://api\\.internal:80/admin"}}
	for _, url := range []string{"http://api.internal/admin", "http://api.internal:/admin", "http://api.internal/%61dmin", "HTTP://API.internal./admin"} {
		if decide(t, nil, ported, url, "api.internal:80") {
			t.Errorf("blacklist with a port passes %s", url)
		}
	}
	if decide(t, nil, black, "http://[0:0:0:0:0:0:0:1]/secret", "[::1]:80") {
		t.Error("blacklist passes another spelling of ::1")
	}
	white := []policy.Rule{{URL: "^http://api\\.internal(:80)?/public/"}}
	for url, want := range map[string]bool{
		"http://api.internal/public/x":              true,
		"http://api.internal:80/public/x":           true,
		"HTTP://API.internal./public/x":             true,
		"http://api.internal/public/a%20b%2Fc":      true,
		"http://api.internal/public/%7Euser":        true,
		"http://api.internal/public/x/../y":         true,
		"http://api.internal/public/x?u=http://../": true,
		"http://api.internal/public/../admin":       false,
		"http://api.internal/public/%2e%2e/admin":   false,
		"http://api.internal/public/x/../../admin":  false,
		"http://api.internal/public/..":             false,
		"http://api.internal/admin/../public/x":     false, // an origin may not read it as /public/
		"http://api.internal/publi%63/x":            false,
		"http://api.internal/":                      false,
		"http://evil/?http://api.internal/public/":  false,
	} {
		if got := decide(t, white, nil, url, "api.internal:80"); got != want {
			t.Errorf("whitelist on %s: allowed %v, want %v", url, got, want)
		}
	}
	upper := []policy.Rule{{URL: "^http://API"}}
	if !decide(t, upper, nil, "http://API.internal/", "api.internal:80") {
		t.Error("a whitelist in capitals does not match what came in capitals")
	}
}

func decide(t *testing.T, white, black []policy.Rule, url, host string) bool {
	t.Helper()
	r, err := (&policy.RuleSet{Whitelist: white, Blacklist: black, AllowAll: len(white) == 0}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Check(query("GET", url, host))
	return err == nil
}

// The URL that lists read must be the one that is dialled.
func TestURLMustNameTheDestination(t *testing.T) {
	r := rules(t, "any")
	for url, want := range map[string]bool{
		"http://api.internal:8080/":     true,
		"http://API.internal.:8080?q":   true,
		"http://api.internal:8080*":     true, // OPTIONS *
		"h2c://api.internal:8080/":      true,
		"tcp://api.internal:8080":       true,
		"http://api.internal/":          false,
		"http://api.internal:/":         false,
		"tcp://api.internal":            false,
		"http://api.internal:80/":       false,
		"http://other/":                 false,
		"http://api.internal@other/":    false,
		"http://user@api.internal/":     false,
		"http://u:p@api.internal:8080/": false,
		"http://other\\@api.internal/":  false,
		"http://api.internal\n/":        false,
		"http://api.internal/\x00":      false,
		"http://api.internal/a b":       false,
		"http:/api.internal/":           false,
		"//api.internal/":               false,
		"/x":                            false,
		"":                              false,
		"://api.internal/":              false,
		"1http://api.internal/":         false,
		"http://":                       false,
	} {
		if _, err := r.Check(query("GET", url, "api.internal:8080")); (err == nil) != want {
			t.Errorf("%q: %v, want allowed %v", url, err, want)
		}
	}
}

func TestNilRulesAllowNothing(t *testing.T) {
	for _, r := range []*policy.Rules{nil, {}} {
		if _, err := r.Check(query("GET", "http://a/", "a:80")); engine.ReasonOf(err) != engine.ReasonDenied {
			t.Errorf("%v, want denied", err)
		}
	}
}
