package policy_test

import (
	"fmt"
	"net/netip"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

func compile(t testing.TB, set policy.RuleSet) *policy.Rules {
	t.Helper()
	r, err := set.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Row 19 of reliability.md with rules that deny: whatever a caller writes, what is
// denied is not dialled. want "" means that nothing is.
func TestPolicyDeniesHoldAfterResolving(t *testing.T) {
	corp := policy.RuleSet{Allow: []string{"any"}, Deny: []string{"10.9.0.0/16", "127.0.0.0/8", "::1", "*.evil.example", "/^[a-z]+://[^/]*/admin/"}}
	list := policy.RuleSet{AllowAll: true, Blacklist: []policy.Rule{{Address: []string{"10.9.0.0/16"}, Method: "^(GET|CONNECT)$"}}}
	ports := policy.RuleSet{AllowAll: true, Deny: []string{"10.9.0.0/16:22"}, Blacklist: []policy.Rule{{Ports: "25"}}}
	named := policy.RuleSet{Allow: []string{"any"}, Whitelist: []policy.Rule{{Address: []string{"169.254.169.254"}, Client: "^metadata$"}}}
	only := policy.RuleSet{Whitelist: []policy.Rule{{Address: []string{"10.9.0.0/16"}, Client: "^edge$"}}}
	tests := []struct {
		name string
		set  policy.RuleSet
		host string
		zone *zone
		want string
	}{
		{"beside the block", corp, "10.8.0.5:80", nil, "10.8.0.5:80"},
		{"in the block", corp, "10.9.0.5:80", nil, ""},
		{"mapped", corp, "[::ffff:10.9.0.5]:80", nil, ""},
		{"mapped in hexadecimal", corp, "[::ffff:a09:5]:80", nil, ""},
		{"NAT64", corp, "[64:ff9b::a09:5]:80", nil, ""},
		{"local NAT64", corp, "[64:ff9b:1::a09:5]:80", nil, ""},
		{"6to4", corp, "[2002:a09:5::1]:80", nil, ""},
		{"compatible", corp, "[::10.9.0.5]:80", nil, ""},
		{"translated", corp, "[::ffff:0:10.9.0.5]:80", nil, ""},
		{"ISATAP", corp, "[2001:db8::5efe:10.9.0.5]:80", nil, ""},
		{"name in the block", corp, "api.example:80", answers("api.example", "10.9.0.5"), ""},
		{"name beside the block", corp, "api.example:80", answers("api.example", "10.8.0.5"), "10.8.0.5:80"},
		{"name with mapped answer", corp, "api.example:80", answers("api.example", "::ffff:10.9.0.5"), ""},
		{"name with NAT64 answer", corp, "api.example:80", answers("api.example", "64:ff9b::a09:5"), ""},
		{"loopback", corp, "127.0.0.1:80", nil, ""},
		{"another loopback", corp, "127.255.0.9:80", nil, ""},
		{"IPv6 loopback", corp, "[::1]:80", nil, ""},
		{"IPv6 loopback spelt out", corp, "[0:0:0:0:0:0:0:1]:80", nil, ""},
		{"mapped loopback", corp, "[::ffff:127.0.0.1]:80", nil, ""},
		{"localhost", corp, "localhost:80", answers("localhost", "127.0.0.1"), ""},
		{"localhost over IPv6", corp, "localhost:80", answers("localhost", "::1"), ""},
		{"octal loopback", corp, "0177.0.0.1:80", nil, ""},
		{"decimal loopback", corp, "2130706433:80", nil, ""},
		{"hexadecimal loopback", corp, "0x7f.1:80", nil, ""},
		{"octal in the block", corp, "012.011.0.5:80", nil, ""},
		{"decimal in the block", corp, "168361989:80", nil, ""},
		{"hexadecimal in the block", corp, "0xa090005:80", nil, ""},
		{"short form in the block", corp, "10.9.5:80", nil, ""},
		{"trailing dot of an address", corp, "10.9.0.5.:80", nil, ""},
		{"name below the suffix", corp, "a.evil.example:80", answers("a.evil.example", "10.8.0.5"), ""},
		{"in capitals", corp, "A.Evil.Example:80", answers("a.evil.example", "10.8.0.5"), ""},
		{"with trailing dot", corp, "a.evil.example.:80", answers("a.evil.example", "10.8.0.5"), ""},
		{"suffix itself is another name", corp, "evil.example:80", answers("evil.example", "10.8.0.5"), "10.8.0.5:80"},
		{"name that begins so", corp, "a.evil.example.org:80", answers("a.evil.example.org", "10.8.0.5"), "10.8.0.5:80"},
		{"punycode is as it stands", corp, "xn--evl-mya.example:80", answers("xn--evl-mya.example", "10.9.0.1"), ""},
		{"entry on addresses: literal", list, "10.9.0.5:80", nil, ""},
		{"entry on addresses: name", list, "api.example:80", answers("api.example", "10.9.0.5"), ""},
		{"entry on addresses: name beside", list, "api.example:80", answers("api.example", "10.8.0.5"), "10.8.0.5:80"},
		{"entry on addresses: octal", list, "012.011.0.5:80", nil, ""},
		{"ports: denied one", ports, "10.9.0.5:22", nil, ""},
		{"ports: another", ports, "10.9.0.5:23", nil, "10.9.0.5:23"},
		{"ports: denied one of a name", ports, "api.example:22", answers("api.example", "10.9.0.5"), ""},
		{"ports: another of a name", ports, "api.example:80", answers("api.example", "10.9.0.5"), "10.9.0.5:80"},
		{"ports of an entry", ports, "api.example:25", answers("api.example", "10.8.0.5"), ""},
		{"metadata named for another client", named, "169.254.169.254:80", nil, ""},
		{"metadata by name for another client", named, "md.example:80", answers("md.example", "169.254.169.254"), ""},
		{"only addresses: literal", only, "10.9.0.5:80", nil, "10.9.0.5:80"},
		{"only addresses: name", only, "api.example:80", answers("api.example", "10.9.0.5"), "10.9.0.5:80"},
		{"only addresses: name elsewhere", only, "api.example:80", answers("api.example", "10.8.0.5"), ""},
		{"only addresses: NAT64 is another address", only, "[64:ff9b::a09:5]:80", nil, ""},
	}
	for _, tt := range tests {
		for _, scheme := range []string{"http", "tcp"} {
			t.Run(tt.name+"/"+scheme, func(t *testing.T) {
				z := tt.zone
				if z == nil {
					z = answers()
				}
				got, err := reachAs(t, compile(t, tt.set), z, scheme, tt.host, "edge")
				if got != tt.want || tt.want == "" && engine.ReasonOf(err) != engine.ReasonDenied {
					t.Fatalf("dialled %q (%v), want %q", got, err, tt.want)
				}
			})
		}
	}
}

// The answer that changes between two lookups: there is one, and it is judged by
// what denies too.
func TestPolicyRebindingIntoWhatIsDenied(t *testing.T) {
	r := compile(t, policy.RuleSet{Allow: []string{"any"}, Deny: []string{"10.9.0.0/16"}})
	z := answers("rebind.example", "203.0.113.9", "rebind.example", "10.9.0.5")
	for i, want := range []string{"203.0.113.9:80", "", ""} {
		if got, err := reach(t, r, z, "http", "rebind.example:80"); got != want {
			t.Errorf("request %d dialled %q (%v), want %q", i+1, got, err, want)
		}
	}
	if len(z.asked) != 3 {
		t.Errorf("looked up %d times, want once a request", len(z.asked))
	}
	mixed := &zone{answers: map[string][][]string{"mixed.example": {{"10.9.0.5", "203.0.113.9", "::ffff:10.9.0.6"}}}}
	if got, err := reach(t, r, mixed, "http", "mixed.example:80"); got != "203.0.113.9:80" {
		t.Errorf("mixed answer dialled %q (%v)", got, err)
	}
}

// P4: an absolute target, //host, \\host, user information, IPv4 in IPv6 clothes,
// names that end in dots, and percent-encoded or full-width hosts, in the URL and
// in the host that would be dialled.
func TestP4ForgedTargets(t *testing.T) {
	r := compile(t, policy.RuleSet{Allow: []string{"any"}, Deny: []string{"10.9.0.0/16", "evil.internal"}})
	for _, k := range []struct{ url, host string }{
		{"http://evil.internal/", "evil.internal:80"},
		{"//evil.internal/", "evil.internal:80"},
		{`\\evil.internal/`, "evil.internal:80"},
		{"http:\\\\evil.internal/", "evil.internal:80"},
		{"http://good.example@evil.internal/", "evil.internal:80"},
		{"http://good.example@evil.internal/", "good.example:80"},
		{"http://evil.internal@good.example/", "good.example:80"},
		{"http://good.example%40evil.internal/", "evil.internal:80"},
		{`http://good.example\@evil.internal/`, "good.example:80"},
		{"http://good.example#@evil.internal/", "evil.internal:80"},
		{"http://good.example?@evil.internal/", "evil.internal:80"},
		{"http://good.example/", "evil.internal:80"},
		{"http://good.example:80@evil.internal:80/", "evil.internal:80"},
		{"http://evil.internal./", "evil.internal.:80"},
		{"http://EVIL.internal/", "EVIL.internal:80"},
		{"http://evil%2einternal/", "evil%2einternal:80"},
		{"http://%65vil.internal/", "%65vil.internal:80"},
		{"http://evil。internal/", "evil。internal:80"},
		{"http://ｅｖｉｌ.internal/", "ｅｖｉｌ.internal:80"},
		{"http://evil.internal\x00.good.example/", "evil.internal\x00.good.example:80"},
		{"http://evil.internal\t/", "evil.internal\t:80"},
		{"http://[::ffff:10.9.0.5]/", "[::ffff:10.9.0.5]:80"},
		{"http://[::ffff:a09:5]/", "[::ffff:a09:5]:80"},
		{"http://[::ffff:a9fe:a9fe]/", "[::ffff:a9fe:a9fe]:80"},
		{"http://[10.9.0.5]/", "[10.9.0.5]:80"},
		{"http://10.9.0.5:80:443/", "10.9.0.5:80:443"},
		{"http://[fe80::1%25eth0]/", "[fe80::1%eth0]:80"},
		{"tcp://evil.internal:5432", "evil.internal:5432"},
	} {
		w := &wire{}
		d := &policy.Dialer{Resolver: answers("good.example", "203.0.113.9"), Dial: w.dial}
		permit, err := r.Check(query("GET", k.url, k.host))
		if err == nil {
			_, err = d.DialContext(t.Context(), permit, k.host)
		}
		if engine.ReasonOf(err) != engine.ReasonDenied || len(w.dialed) > 0 {
			t.Errorf("%q to %q: %v, dialled %v", k.url, k.host, err, w.dialed)
		}
	}
}

// Permits are equal where the same addresses may be dialled, and only there: that
// is what lets a connection to an origin be used again.
func TestPermitsAreEqualWhereRulesAre(t *testing.T) {
	set := policy.RuleSet{Allow: []string{"any"}, Blacklist: []policy.Rule{{Method: "^GET$", Address: []string{"10.9.0.0/16"}}}}
	r, again := compile(t, set), compile(t, set)
	permit := func(r *policy.Rules, method, path string) policy.Permit {
		p, err := r.Check(query(method, "http://api.example"+path, "api.example:80"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	get, post := permit(r, "GET", "/"), permit(r, "POST", "/")
	if get == post || get != permit(r, "GET", "/x") || post != permit(r, "HEAD", "/") || get == permit(again, "GET", "/") {
		t.Error("permits of other rules are equal, or those of the same rules are not")
	}
	inside := netip.MustParseAddr("10.9.0.5")
	if get.Allows(inside, 80) || !post.Allows(inside, 80) || (policy.Permit{}).Allows(inside, 80) {
		t.Error("a permit allows what its rules do not, or not what they do")
	}
}

// Whoever sends requests under which other sets of rules hold each time fills no
// memory.
func TestPlansAreBounded(t *testing.T) {
	set := policy.RuleSet{AllowAll: true}
	for i := range 12 {
		set.Blacklist = append(set.Blacklist, policy.Rule{URL: fmt.Sprintf("/p[a-z]*%x", i), Address: []string{"10.9.0.0/16"}})
	}
	r := compile(t, set)
	seen := map[policy.Permit]bool{}
	check := func(i int) policy.Permit {
		url := "http://api.example"
		for bit := range 12 {
			if i&(1<<bit) != 0 {
				url += fmt.Sprintf("/p%x", bit)
			}
		}
		p, err := r.Check(query("GET", url+"/", "api.example:80"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for range 2 {
		for i := range 1 << 12 {
			p := check(i)
			if p.Allows(netip.MustParseAddr("10.9.0.5"), 80) != (i == 0) {
				t.Fatalf("%b: wrong", i)
			}
			seen[p] = true
		}
	}
	if again := check(1); again != check(1) {
		t.Error("a permit of a kept plan is not equal to itself")
	}
	if last := check(1<<12 - 1); last == check(1<<12-1) {
		t.Error("every plan is kept")
	}
}

// A server does not resolve, so what it denies as an address must not pass in a form
// that a resolver at the client may read as one.
func TestServerDeniesAddressesInOtherForms(t *testing.T) {
	rules := compile(t, policy.RuleSet{AllowAll: true, Deny: []string{"10.9.0.0/16"}, Server: true})
	scope, err := policy.NewScope(nil, nil, nil, []string{"any"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"10.9.0.5": false, "[::ffff:10.9.0.5]": false, "10.9.0.5.": false, "012.011.0.5": false, "168361989": false, "0xa090005": false, "0xA.9.0.5": false,
		"10.9.5": false, "169.254.169.254": false, "2852039166": false, "0251.0376.0251.0376": false, "0xA9FEA9FE": false, "169.254.43518": false,
		"10.8.0.5": true, "api.example": true, "1.api.example": true, "web.1": true, "0x.example": true, "1e1": true, "1.2.3.4.5": true, "7f.1": true,
	} {
		q := policy.Query{Method: "GET", URL: "http://" + host + ":80/", Host: host + ":80"}
		if _, err := rules.Check(&q); (err == nil) != want || err != nil && engine.ReasonOf(err) != engine.ReasonDenied {
			t.Errorf("%s: %v, allowed must be %v", host, err, want)
		}
		if x := rules.Explain(&q, policy.Unknown{}); (x.Verdict == policy.Allowed) != want {
			t.Errorf("%s is explained as %v: %s", host, x.Verdict, x.Why)
		}
		if !want && host[0] != '[' && host != "10.9.0.5" && scope.Destination(&q) {
			t.Errorf("%s is within a scope", host)
		}
	}
}
