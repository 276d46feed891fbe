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

// 100 rules cost a request no memory, whether one allows it or none.
func TestCheck100DoesNotAllocate(t *testing.T) {
	r := hundred(t)
	hits, misses := hundredQueries(30)
	for i := range hits {
		if _, err := r.Check(hits[i]); err != nil {
			t.Fatalf("%s: %v", hits[i].URL, err)
		}
		if _, err := r.Check(misses[i]); err == nil {
			t.Fatalf("%s is allowed", misses[i].URL)
		}
	}
	i := 0
	if n := testing.AllocsPerRun(300, func() {
		r.Check(hits[i%30])
		r.Check(misses[i%30])
		i++
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
