package policy_test

import (
	"fmt"
	"net/http"
	"testing"

	"adit/engine/policy"
)

func benchRules(tb testing.TB) *policy.Rules {
	tb.Helper()
	r, err := (&policy.RuleSet{Allow: []string{"10.0.0.0/8", "*.corp", "api.internal:80-90", "[fd00::/8]:443"}}).Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func BenchmarkCheck(b *testing.B) {
	lists, err := (&policy.RuleSet{Whitelist: []policy.Rule{{Method: "^GET$", URL: "^http://api\\."}}, Blacklist: []policy.Rule{{URL: "/admin"}}}).Compile()
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name string
		r    *policy.Rules
		q    *policy.Query
	}{
		{"name", benchRules(b), query("GET", "http://api.internal/v1/items?id=7", "api.internal:80")},
		{"address", benchRules(b), query("GET", "http://10.0.0.5:8080/v1/items?id=7", "10.0.0.5:8080")},
		{"lists", lists, query("GET", "http://api.internal/v1/items?id=7", "api.internal:80")},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bm.r.Check(bm.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hundred returns 100 rules as a grown-up service has them: expressions on URLs,
// fields and methods, names, addresses with and without more conditions.
func hundred(tb testing.TB) *policy.Rules {
	tb.Helper()
	set := policy.RuleSet{}
	for i := range 15 {
		set.Allow = append(set.Allow, fmt.Sprintf("svc-%d.internal:80-443", i), fmt.Sprintf("10.%d.0.0/16:80-443", i))
		set.Deny = append(set.Deny, fmt.Sprintf("10.%d.66.0/24:22", i))
		set.Blacklist = append(set.Blacklist, policy.Rule{URL: fmt.Sprintf(`^https?://[a-z0-9.-]+(:\d+)?/admin-%d(/|$)`, i)},
			policy.Rule{URL: fmt.Sprintf(`(?i)\.(bak|old|sql)%d$`, i)})
		set.Whitelist = append(set.Whitelist, policy.Rule{Method: "^(GET|HEAD)$", URL: fmt.Sprintf(`^http://team-%d\.corp\.example(:80)?/`, i)})
	}
	for i := range 10 {
		set.Blacklist = append(set.Blacklist, policy.Rule{Headers: map[string]string{"User-Agent": fmt.Sprintf("(?i)badbot-%d", i)}})
	}
	rules, err := set.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

// hundredQueries are hits and misses with distinct URLs.
func hundredQueries(n int) (hits, misses []*policy.Query) {
	fields := http.Header{"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126"}, "Accept": {"*/*"}}
	for i := range n {
		host := fmt.Sprintf("team-%d.corp.example", i%15)
		if i%3 == 0 {
			host = fmt.Sprintf("svc-%d.internal", i%15)
		}
		q := query("GET", fmt.Sprintf("http://%s/v1/items/%d?page=%d", host, i, i%7), host+":80")
		q.Fields = fields
		hits = append(hits, q)
		host = fmt.Sprintf("other-%d.example:8443", i%50)
		q = query("GET", fmt.Sprintf("http://%s/v1/items/%d", host, i), host)
		q.Fields = fields
		misses = append(misses, q)
	}
	return hits, misses
}

// A small request may pay 1 us and no allocation for 100 rules (see
// TestCheck100DoesNotAllocate).
func BenchmarkCheck100(b *testing.B) {
	rules := hundred(b)
	hits, misses := hundredQueries(4096)
	for name, queries := range map[string][]*policy.Query{"hits": hits, "misses": misses} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				rules.Check(queries[i&4095])
				i++
			}
		})
	}
}
