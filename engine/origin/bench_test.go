package origin

import (
	"io"
	"net/http"
	"testing"
)

func BenchmarkSmallGet(b *testing.B) {
	addr := serve(b, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello world\n") })
	tr := newTransport(b, Options{})
	buf := make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := tr.Send(b.Context(), get(addr, "/"))
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = resp.Content.Read(buf)
		}
		if err != io.EOF {
			b.Fatal(err)
		}
		resp.Content.Close()
	}
}
