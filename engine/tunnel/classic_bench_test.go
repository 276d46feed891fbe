package tunnel

import (
	"io"
	"testing"

	"adit/engine/wire"
)

// BenchmarkClassicExchange is one small request with its response.
func BenchmarkClassicExchange(b *testing.B) {
	c, _ := paired(b, classicOptions{handler: func(in Incoming) {
		_, _ = in.Respond(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Length", Value: "12"}, {Name: "Content-Type", Value: "text/plain"}}},
			[]byte("hello world\n"))
	}})
	b.ReportAllocs()
	for b.Loop() {
		x := opened(b, c, b.Context(), ask("GET", "/hello", wire.Field{Name: "Accept", Value: "*/*"}), true)
		if _, err := x.ReadResponse(); err != nil {
			b.Fatal(err)
		}
		if got := content(b, x); len(got) != 12 {
			b.Fatalf("got %q", got)
		}
		x.Close()
	}
}

// BenchmarkClassicDownload is content in one long response.
func BenchmarkClassicDownload(b *testing.B) {
	piece := make([]byte, classicPiece)
	n := make(chan int, 1)
	c, _ := paired(b, classicOptions{network: true, handler: func(in Incoming) {
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		for range <-n {
			if _, err := in.Write(piece); err != nil {
				return
			}
		}
		_ = in.CloseWrite(nil)
	}})
	b.ReportAllocs()
	b.SetBytes(classicPiece)
	x := opened(b, c, b.Context(), ask("GET", "/"), true)
	b.ResetTimer()
	n <- b.N
	if _, err := x.ReadResponse(); err != nil {
		b.Fatal(err)
	}
	got, err := io.Copy(io.Discard, onlyReader{x})
	if err != nil || got != int64(b.N)*classicPiece {
		b.Fatal(got, err)
	}
	x.Close()
}

type onlyReader struct{ io.Reader }
