//go:build !race

package policy_test

import "testing"

// A check stands in the way of every request.
func TestCheckDoesNotAllocate(t *testing.T) {
	r := benchRules(t)
	for _, host := range []string{"api.internal:80", "10.0.0.5:8080", "[fd00::5]:443", "x.corp:1"} {
		q := query("GET", "http://"+host+"/v1/items?id=7", host)
		if n := testing.AllocsPerRun(200, func() {
			if _, err := r.Check(q); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", host, n)
		}
	}
}
