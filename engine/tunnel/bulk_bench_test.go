package tunnel

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"adit/engine/wire"
)

// bulkHandler sends content without end, takes all there is, or answers 12 bytes.
func bulkHandler(in Incoming) {
	switch in.Request().Path {
	case "/down":
		_ = in.WriteResponse(&wire.Response{Status: 200}, false)
		piece := make([]byte, PieceSize)
		for {
			if _, err := in.Write(piece); err != nil {
				return
			}
		}
	case "/up":
		for {
			if _, err := in.Next(); err == io.EOF {
				_ = answer(in, 200, nil)
				return
			} else if err != nil {
				return
			}
		}
	default:
		_ = answer(in, 200, []byte("hello world\n"))
	}
}

// download returns a function that reads n bytes more of a response without end.
func download(t testing.TB, l *link) (read func(n int), stop func()) {
	t.Helper()
	x := l.open(t, context.Background(), get("/down"), true)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	ahead := 0
	return func(n int) {
		for ahead < n {
			p, err := x.Next()
			if err != nil {
				t.Error(err)
				return
			}
			ahead += len(p)
		}
		ahead -= n
	}, x.Close
}

const mebibyte = 1 << 20

// BenchmarkBulk is content through one in-memory connection, a MiB at a time:
// one way, eight at once, and a small request beside each MiB.
func BenchmarkBulk(b *testing.B) {
	b.Run("down", func(b *testing.B) {
		l := newLink(b, linkOptions{growth: NewBudget(256 << 20), handler: bulkHandler})
		defer l.close()
		read, stop := download(b, l)
		defer stop()
		b.SetBytes(mebibyte)
		b.ReportAllocs()
		for b.Loop() {
			read(mebibyte)
		}
	})
	b.Run("up", func(b *testing.B) {
		l := newLink(b, linkOptions{growth: NewBudget(256 << 20), handler: bulkHandler})
		defer l.close()
		x := l.open(b, context.Background(), post("/up"), false)
		defer x.Close()
		content := make([]byte, mebibyte)
		b.SetBytes(mebibyte)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := x.Write(content); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("8-down", func(b *testing.B) {
		l := newLink(b, linkOptions{growth: NewBudget(256 << 20), handler: bulkHandler})
		defer l.close()
		var reads [8]func(int)
		for i := range reads {
			read, stop := download(b, l)
			defer stop()
			reads[i] = read
		}
		b.SetBytes(8 * mebibyte)
		b.ReportAllocs()
		for b.Loop() {
			var wg sync.WaitGroup
			for _, read := range reads {
				wg.Go(func() { read(mebibyte) })
			}
			wg.Wait()
		}
	})
	b.Run("beside", func(b *testing.B) {
		l := newLink(b, linkOptions{growth: NewBudget(256 << 20), handler: bulkHandler})
		defer l.close()
		read, stop := download(b, l)
		over := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer stop()
			for {
				select {
				case <-over:
					return
				default:
					read(mebibyte)
				}
			}
		})
		var took []time.Duration
		for b.Loop() {
			begin := time.Now()
			x := l.open(b, context.Background(), get("/small"), true)
			if _, err := x.ReadResponse(); err != nil {
				b.Fatal(err)
			}
			if _, err := readAll(x); err != nil {
				b.Fatal(err)
			}
			x.Close()
			took = append(took, time.Since(begin))
		}
		close(over)
		wg.Wait()
		reportQuantiles(b, took)
	})
}

func reportQuantiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for _, q := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*q/100])/1e6, fmt.Sprintf("p%d-ms", q))
	}
}
