package tunnel

import (
	"context"
	"testing"

	"adit/engine/wire"
)

// BenchmarkExchange is a small request with its answer over one in-memory
// connection: what the tunnel itself costs, both ends.
func BenchmarkExchange(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(map[int]string{1: "1-caller", 64: "64-callers"}[callers], func(b *testing.B) {
			content := []byte("hello world\n")
			fields := []wire.Field{{Name: "content-length", Value: "12"}, {Name: "content-type", Value: "text/plain"}}
			l := newLink(b, linkOptions{handler: func(in Incoming) {
				_ = in.WriteResponse(&wire.Response{Status: 200, Fields: fields}, false)
				_, _ = in.Write(content)
				_ = in.CloseWrite(nil)
			}})
			defer l.close()
			request := []wire.Field{{Name: "user-agent", Value: "bench"}, {Name: "accept", Value: "*/*"}}
			b.ReportAllocs()
			b.SetParallelism(max(1, callers/2))
			b.ResetTimer()
			run := func(next func() bool) {
				for next() {
					if !l.server.Reserve() {
						b.Error("no slot")
						return
					}
					x, err := l.server.Open(context.Background(), get("/", request...), true)
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := x.ReadResponse(); err != nil {
						b.Error(err)
					}
					if _, err := readAll(x); err != nil {
						b.Error(err)
					}
					x.Close()
				}
			}
			if callers == 1 {
				n := 0
				run(func() bool { n++; return n <= b.N })
				return
			}
			b.RunParallel(func(pb *testing.PB) { run(pb.Next) })
		})
	}
}
