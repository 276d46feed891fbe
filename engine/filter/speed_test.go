package filter

import (
	"fmt"
	"testing"
	"time"

	"adit/engine"
)

const clauses4 = "status:>=500 method:POST path:/api dur:>200ms"

// records are like those of the design's measurement.
func records(n int) []engine.Request {
	paths := [...]string{"/api/search", "/api/orders", "/static/app.js", "/api/upload?part=2", "/health"}
	methods := [...]string{"GET", "POST", "GET", "PUT"}
	all := make([]engine.Request, n)
	for i := range all {
		all[i] = engine.Request{
			ID: engine.RequestID(i + 1), Connection: engine.ConnectionID(i % 40), Client: fmt.Sprintf("edge-%d", i%6), Method: methods[i%len(methods)],
			Target: "https://shop.example.com" + paths[i%len(paths)], Status: 200 + i%4*100, LastByte: time.Duration(i%1000) * time.Millisecond, Outcome: engine.OutcomeCompleted,
			Caller: "192.0.2.7:50123", Arrived: noon(),
		}
	}
	return all
}

func BenchmarkRequest100k(b *testing.B) {
	all, c := records(100_000), context()
	for _, text := range []string{clauses4, "orders", "path:/^\\/api\\/o/", "-(is:failed OR client:edge-1)", "time:-5m.."} {
		f, err := Parse(Requests, text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for i := range all {
					if f.Request(&all[i], c) {
						n++
					}
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(Requests, clauses4); err != nil {
			b.Fatal(err)
		}
	}
}
