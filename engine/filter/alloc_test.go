//go:build !race

package filter

import (
	"testing"

	"adit/engine"
)

func TestPredicatesAllocate(t *testing.T) {
	r, c := sample(), context()
	for _, text := range docExamples(t)[Requests] {
		f, err := Parse(Requests, text)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { f.Request(r, c) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
	x := &engine.Connection{Client: "edge", Greeting: &engine.Greeting{Expose: []engine.Expose{{Host: "shop"}}}}
	for _, text := range append(docExamples(t)[Connections], "expose:5432") {
		f, err := Parse(Connections, text)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { f.Connection(x, c) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}
