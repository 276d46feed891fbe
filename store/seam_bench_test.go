package store

import (
	"path/filepath"
	"testing"
	"time"

	"adit/engine"
	"adit/store/history"
)

// shelved returns a database with n requests of a former run.
func shelved(b *testing.B, n int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench.db")
	f, err := history.Open(path, history.Options{Role: "server", Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	for i := 1; i <= n; i++ {
		r := typical(i)
		r.Arrived = time.Unix(1.7e9, int64(i)*1e6)
		for f.Add(&engine.Event{Kind: engine.KindRequestFinished, Request: r}) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkHistoryTick is a standing query each 100 ms over a million requests of
// the history behind a full ring, at 1,000 requests a second.
func BenchmarkHistoryTick(b *testing.B) {
	n := 1_000_000
	if testing.Short() {
		n /= 50 // the queries far back are then of its end
	}
	path := shelved(b, n)
	for name, q := range map[string]engine.RequestQuery{
		"all":             {},
		"all, far back":   {Offset: 600_000},
		"filter":          {Filter: busy},
		"most":            {Filter: "method:GET,POST"},
		"filter far back": {Filter: "method:GET,POST", Offset: 400_000},
		"by duration":     {Order: engine.ByDuration},
		"by path":         {Order: engine.ByPath, Filter: "-status:200", Offset: 300_000},
	} {
		b.Run(name, func(b *testing.B) {
			f, err := history.Open(path, history.Options{Role: "server", Name: "bench"})
			if err != nil {
				b.Fatal(err)
			}
			l := overHistory(b, f, defaultRecords)
			first, _ := f.Next()
			id := int(first)
			some := func(n int) {
				start, end := events()
				for range n {
					start.Request.ID, end.Request.ID = engine.RequestID(id), engine.RequestID(id)
					end.Request.LastByte = time.Duration(id*7919%1000) * time.Millisecond
					l.mu.Lock()
					l.apply(start, 0)
					l.apply(end, 1) // as if the history had it
					l.mu.Unlock()
					id++
				}
			}
			some(defaultRecords)
			q.Count = 60
			var page engine.RequestPage
			before := heap()
			begun := time.Now()
			whole := q
			whole.Complete = true
			if err := l.Requests(b.Context(), whole, &page); err != nil {
				b.Fatal(err)
			}
			complete, size := time.Since(begun), heap()
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				some(100)
				b.StartTimer()
				if err := l.Requests(b.Context(), q, &page); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(complete.Microseconds())/1e3, "ms/complete")
			b.ReportMetric((float64(size)-float64(before))/1e6, "MB")
			l.Close()
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
