package policy_test

import (
	"net/netip"
	"strings"
	"testing"

	"adit/engine/policy"
)

func FuzzRule(f *testing.F) {
	for _, seed := range []string{"any", "api.internal:443", "*.corp:1-2", "10.0.0.0/8:80", "[fd00::/8]:443", "[fd00::]/8:1", "/^http:/", "0177.0.0.1", "::ffff:1.2.3.4/97", "[::1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		r, err := (&policy.RuleSet{Allow: []string{rule}}).Compile()
		if err != nil {
			if !strings.HasPrefix(err.Error(), "allow rule ") {
				t.Fatalf("%v does not name the rule", err)
			}
			return
		}
		// Whatever the rule is, what names no address does not open metadata.
		if _, err := r.Check(query("GET", "http://169.254.169.254/", "169.254.169.254:80")); err == nil && !strings.ContainsAny(rule, "0123456789") {
			t.Fatalf("rule %q opens metadata", rule)
		}
	})
}

// FuzzDeny: a rule that is taken denies at most what it says, and never lets in
// what is denied without it.
func FuzzDeny(f *testing.F) {
	for _, seed := range []string{"api.internal:443", "*.corp:1-2", "10.0.0.0/8:80", "[fd00::/8]:443", "/^http:/", "::ffff:1.2.3.4/97", "169.254.169.254", "any"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		r, err := (&policy.RuleSet{Allow: []string{"any"}, Deny: []string{rule}}).Compile()
		if err != nil {
			if !strings.HasPrefix(err.Error(), "deny rule ") {
				t.Fatalf("%v does not name the rule", err)
			}
			return
		}
		if permit, err := r.Check(query("GET", "http://169.254.169.254/", "169.254.169.254:80")); err == nil {
			t.Fatalf("denying %q opens metadata: %v", rule, permit)
		}
		only, err := (&policy.RuleSet{Allow: []string{rule}}).Compile()
		if err != nil {
			t.Fatalf("%q is taken as deny only: %v", rule, err)
		}
		for _, host := range []string{"api.internal:443", "a.corp:1", "10.1.2.3:80", "[fd00::1]:443"} {
			q := query("GET", "http://"+host+"/", host)
			_, denied := r.Check(q)
			permit, allowed := only.Check(q)
			if allowed == nil && !permit.ByAddress() && denied == nil {
				t.Fatalf("%q allows %s and does not deny it", rule, host)
			}
		}
	})
}

// FuzzPolicyURL holds what was dialled against a plain list of what never may
// be, however host, URL and answer are spelt.
func FuzzPolicyURL(f *testing.F) {
	for _, seed := range [][3]string{
		{"http://169.254.169.254/", "169.254.169.254:80", "169.254.169.254"},
		{"http://[::ffff:169.254.169.254]/", "[::ffff:169.254.169.254]:80", ""},
		{"http://0251.0376.0251.0376/", "0251.0376.0251.0376:80", ""},
		{"http://2852039166/", "2852039166:80", ""},
		{"http://a@b/", "b:80", "10.0.0.1"},
		{"HTTP://Evil.Example./%2e%2e/", "evil.example:80", "64:ff9b::a9fe:a9fe"},
		{"tcp://169.254.169.254.:80", "169.254.169.254.:80", ""},
		{"http://metadata.google.internal/x/../y", "metadata.google.internal:80", "fe80::1%eth0"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	blacklisted := []policy.Rule{{URL: "^http://10\\.9\\.9\\.9[:/]"}}
	r, err := (&policy.RuleSet{Allow: []string{"any"}, Blacklist: blacklisted, AllowAll: true}).Compile()
	if err != nil {
		f.Fatal(err)
	}
	forbidden := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"),
		netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
		netip.MustParsePrefix("64:ff9b::a9fe:0/112"), netip.MustParsePrefix("2002:a9fe::/32"), netip.MustParsePrefix("fd00:ec2::/32"),
	}
	f.Fuzz(func(t *testing.T, url, host, answer string) {
		permit, err := r.Check(&policy.Query{Method: "GET", URL: url, Host: host})
		if err != nil {
			return
		}
		if i := strings.Index(url, "://"); i < 0 || strings.Contains(strings.SplitN(url[i+3:], "/", 2)[0], "@") && !strings.ContainsAny(url, "?#") {
			t.Fatalf("%q passes", url)
		}
		z := &zone{answers: map[string][][]string{}}
		if _, err := netip.ParseAddr(answer); err == nil {
			name, _, _ := strings.Cut(strings.ToLower(host), ":")
			z.answers[strings.TrimSuffix(name, ".")] = [][]string{{answer}}
		}
		w := &wire{}
		d := &policy.Dialer{Resolver: z, Dial: w.dial}
		c, err := d.DialContext(t.Context(), permit, host)
		if err == nil {
			c.Close()
		}
		for _, addr := range w.dialed {
			a := netip.MustParseAddrPort(addr).Addr()
			if a.Is4In6() || a.Zone() != "" {
				t.Fatalf("%q dialled %s, which is not plain", host, addr)
			}
			for _, p := range forbidden {
				if p.Contains(a) {
					t.Fatalf("%q with answer %q dialled %s", host, answer, addr)
				}
			}
			if strings.HasPrefix(addr, "10.9.9.9:") && !permit.ByAddress() && strings.HasPrefix(strings.ToLower(url), "http://10.9.9.9") {
				t.Fatalf("%q gets past the blacklist", url)
			}
		}
	})
}
