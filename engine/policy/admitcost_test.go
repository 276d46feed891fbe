//go:build !race

package policy_test

import (
	"net/http"
	"testing"

	"adit/engine"
	"adit/engine/policy"
)

// admissions are what a request may be admitted by.
func admissions(tb testing.TB) map[string]func() error {
	robot := makeToken("robot", policy.TokenCaller, policy.Scope{Hosts: []string{"app"}})
	ours := newIssuer(tb, "ours")
	state := shown(ours.leaf(nil).Leaf)
	of := func(c *policy.Callers, value string) func() error {
		values, h := []string{value}, http.Header{}
		return func() error {
			if value != "" {
				h["Proxy-Authorization"] = values
			}
			_, err := c.Admit(&policy.Presented{Header: h, TLS: state}, engine.WayProxy)
			return err
		}
	}
	list := []made{robot}
	for range 1000 {
		list = append(list, makeToken("other", policy.TokenCaller, policy.Scope{}))
	}
	return map[string]func() error{
		"secret":                   of(&policy.Callers{Secrets: policy.NewSecrets("one", "two", "three")}, "Bearer three"),
		"token of a thousand":      of(&policy.Callers{Tokens: tokensOf(tb, list...)}, "Bearer "+robot.text),
		"certificate, not a first": of(&policy.Callers{CA: ours.authority()}, ""),
	}
}

// Every request is admitted anew.
func TestAdmitDoesNotAllocate(t *testing.T) {
	for name, admit := range admissions(t) {
		if n := testing.AllocsPerRun(100, func() {
			if err := admit(); err != nil {
				t.Fatal(name, err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkAdmit(b *testing.B) {
	for name, admit := range admissions(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := admit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
