package policy_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

// The table of forged authorities at the seam of policy alone; engine/client and
// engine/server hold theirs against it too.
func TestForgedAuthorities(t *testing.T) {
	text, err := os.ReadFile("testdata/forged-authorities.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := compile(t, policy.RuleSet{Allow: []string{"any"}, Deny: []string{"10.9.0.0/16", "127.0.0.0/8", "::1", "*.evil.example"}})
	n := 0
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		n++
		authority, z := words[0], answers()
		host := authority
		if _, _, err := net.SplitHostPort(host); err != nil {
			host += ":80"
		}
		if len(words) > 1 {
			name, _, _ := strings.Cut(strings.ToLower(host), ":")
			z = answers(strings.TrimSuffix(name, "."), words[1])
		}
		for _, q := range []*policy.Query{query("GET", "http://"+authority+"/x", host), query("CONNECT", "tcp://"+host, host)} {
			w := &wire{}
			permit, err := r.Check(q)
			if err == nil {
				_, err = (&policy.Dialer{Resolver: z, Dial: w.dial}).DialContext(t.Context(), permit, host)
			}
			if len(w.dialed) > 0 || engine.ReasonOf(err) != engine.ReasonDenied && !strings.Contains(err.Error(), "no such host") {
				t.Errorf("%s %s (%s): %v, dialled %v", q.Method, authority, strings.Join(words[1:], ""), err, w.dialed)
			}
		}
	}
	if n < 80 {
		t.Errorf("%d cases, want at least 80", n)
	}
}
