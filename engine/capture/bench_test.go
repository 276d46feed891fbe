package capture

import (
	"fmt"
	"testing"

	"adit/engine"
)

// exchange is what an exchange of small content tells its tee.
func exchange(k *Keeper, r *engine.Request, content []byte, field func(string) string) {
	x := k.Begin(r, false)
	x.EndRequest()
	if x != nil {
		x.Head(200, field)
	}
	x.Response(content)
	x.EndResponse()
}

// What an exchange with 1 KiB of content costs; memory stays at the limit.
func BenchmarkExchange(b *testing.B) {
	r := &engine.Request{Method: "GET", Target: "http://shop/items", Client: "shop"}
	content := make([]byte, 1<<10)
	field := func(string) string { return "application/json" }
	for _, test := range []struct {
		name    string
		capture engine.Capture
	}{
		{"heads", engine.Capture{}},
		{"filter", engine.Capture{Content: []string{"client:other path:/cart"}}},
		{"content", engine.Capture{Mode: engine.CaptureContent}},
	} {
		b.Run(test.name, func(b *testing.B) {
			k, err := New(Options{Capture: test.capture})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				exchange(k, r, content, field)
			}
			if n := k.bytes.Load(); n > k.limit {
				b.Errorf("%d bytes", n)
			}
		})
	}
}

// What a piece costs that is not kept any more, and a message.
func BenchmarkPiece(b *testing.B) {
	for _, test := range []struct {
		name  string
		head  int
		field string
		piece []byte
	}{
		{"32KiB beyond", 200, "a/b", make([]byte, 32<<10)},
		{"message", 101, "websocket", wsFrame(0x81, fmt.Sprintf("%0120d", 1), true)},
		{"event", 200, "text/event-stream", fmt.Appendf(nil, "data: %0120d\n\n", 1)},
	} {
		b.Run(test.name, func(b *testing.B) {
			k, err := New(Options{Capture: engine.Capture{Mode: engine.CaptureContent}})
			if err != nil {
				b.Fatal(err)
			}
			x := k.Begin(&engine.Request{}, true)
			x.Head(test.head, func(name string) string {
				if name == "content-encoding" {
					return ""
				}
				return test.field
			})
			b.ReportAllocs()
			b.SetBytes(int64(len(test.piece)))
			for b.Loop() {
				x.Response(test.piece)
			}
		})
	}
}
