package policy_test

import (
	"net/http"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

func benchRules(tb testing.TB) *policy.Rules {
	tb.Helper()
	r, err := policy.NewRules([]string{"10.0.0.0/8", "*.corp", "api.internal:80-90", "[fd00::/8]:443"}, nil, nil, false)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func BenchmarkCheck(b *testing.B) {
	lists, err := policy.NewRules(nil, []policy.Rule{{Method: "^GET$", URL: "^http://api\\."}}, []policy.Rule{{URL: "/admin"}}, false)
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

func BenchmarkAdmitCaller(b *testing.B) {
	c := &policy.Callers{Secrets: policy.NewSecrets("one", "two", "three")}
	value := []string{"Bearer three"}
	h := http.Header{}
	b.ReportAllocs()
	for b.Loop() {
		h["Proxy-Authorization"] = value
		if _, err := c.Admit(&policy.Presented{Header: h}, engine.WayProxy); err != nil {
			b.Fatal(err)
		}
	}
}
