//go:build !race

package capture

import (
	"testing"

	"adit/engine"
)

func TestWhatIsNotKeptDoesNotAllocate(t *testing.T) {
	r := &engine.Request{Method: "GET", Target: "http://shop/items", Client: "shop"}
	content := make([]byte, 1<<10)
	field := func(string) string { return "" }
	for _, c := range []engine.Capture{{}, {Mode: engine.CaptureOff}, {Content: []string{"client:other", "caller:192.0.2."}}} {
		k, err := New(Options{Capture: c})
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { exchange(k, r, content, field) }); n > 0 {
			t.Errorf("%v: %v allocations", c, n)
		}
	}
	k := keeper(t, Options{})
	// The tee and the content.
	if n := testing.AllocsPerRun(100, func() { exchange(k, r, content, field) }); n > 2 {
		t.Errorf("content: %v allocations", n)
	}
	x := k.Begin(r, true)
	x.Response(make([]byte, engine.MaxContent))
	if n := testing.AllocsPerRun(100, func() { x.Response(content) }); n > 0 {
		t.Errorf("a piece beyond what is kept: %v allocations", n)
	}
}
