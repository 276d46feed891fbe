//go:build unix

package history

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// million opens a history of n requests, of a fiftieth where time is short.
func million(b *testing.B, n int) *File {
	b.Helper()
	if testing.Short() {
		n /= 50
	}
	f := open(b, filepath.Join(b.TempDir(), "h.db"), Options{})
	var last uint64
	for i := 1; i <= n; {
		if key := f.Add(finished(i)); key != 0 {
			last = key
			i++
		} else {
			time.Sleep(time.Millisecond)
		}
	}
	settle(b, f, last)
	return f
}

func BenchmarkSearchMillion(b *testing.B) {
	const n = 1_000_000
	f := million(b, n)
	for _, x := range []struct {
		text  string
		order engine.RequestOrder
	}{
		{"status:777", engine.ByArrival}, {"nowhere-to-be-found", engine.ByArrival}, {"dur:>1h", engine.ByArrival}, {"client:nobody", engine.ByArrival}, {"is:failed client:zz", engine.ByArrival},
		{"path:=/nowhere", engine.ByArrival}, {"/nowhere$/", engine.ByArrival}, {"-path:/api", engine.ByArrival}, {"-path:/health", engine.ByArrival}, {"path:/[0-9]{9}$/", engine.ByArrival}, {"/[^a-z]{12}$/", engine.ByArrival}, {"method:/^[xyz]/", engine.ByArrival}, {"status:500", engine.ByArrival}, {"", engine.ByArrival}, {"", engine.ByDuration}, {"", engine.ByClient}, {"", engine.ByPath},
	} {
		b.Run(fmt.Sprintf("%s/%d", x.text, x.order), func(b *testing.B) {
			fl, err := filter.Parse(filter.Requests, x.text)
			if err != nil {
				b.Fatal(err)
			}
			before := cpu(b)
			for b.Loop() {
				collect(b, f, fl, &filter.Context{Now: now()}, x.order)
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}
