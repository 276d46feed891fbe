package store

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"adit/engine"
)

const busy = "status:>=500 method:POST path:/api dur:>200ms"

// typical returns the record of an exchange that ended, as a server makes it.
func typical(i int) *engine.Request {
	paths := [...]string{"/api/search", "/api/orders", "/static/app.js", "/api/upload?part=2", "/health"}
	methods := [...]string{"GET", "POST", "GET", "PUT"}
	clients := [...]string{"edge-fra-01", "edge-sin-01", "edge-iad-01"}
	return &engine.Request{
		ID: engine.RequestID(i), Connection: engine.ConnectionID(i%40 + 1), Client: clients[i%len(clients)], Way: engine.WayHost,
		Protocol: engine.ProtocolNative, Method: methods[i%len(methods)], Target: strings.Clone("https://shop.example.com" + paths[i%len(paths)]),
		Caller: fmt.Sprintf("192.0.2.%d:50123", i%250), Status: 200 + i%4*100, ResponseBytes: int64(i%5000) * 10, Arrived: time.Now(), LastByte: time.Duration(i*7919%1000) * time.Millisecond,
		Outcome: engine.OutcomeCompleted,
	}
}

// filled returns a log of n records that ended.
func filled(n int) *Log {
	l := &Log{ring: newRing(defaultRecords, defaultBytes)}
	for i := range n {
		l.finished(typical(i+1), false)
	}
	return l
}

// exchange is one start and one end.
func exchange(l *Log, start, end *engine.Event, id int) {
	start.Request.ID, end.Request.ID = engine.RequestID(id), engine.RequestID(id)
	l.apply(start, 0)
	l.apply(end, 0)
}

func events() (start, end *engine.Event) {
	s, e := typical(1), typical(1)
	s.Outcome, s.Live = engine.OutcomeNone, new(engine.Live)
	return &engine.Event{Kind: engine.KindRequestStarted, Request: s}, &engine.Event{Kind: engine.KindRequestFinished, Request: e}
}

// BenchmarkIngest is of two events: a start and an end.
func BenchmarkIngest(b *testing.B) {
	l := filled(defaultRecords)
	start, end := events()
	id := defaultRecords
	b.ReportAllocs()
	for b.Loop() {
		id++
		exchange(l, start, end, id)
	}
}

// BenchmarkIngestHeads is of records whose heads fill the log.
func BenchmarkIngestHeads(b *testing.B) {
	l := filled(defaultRecords)
	start, end := events()
	end.Request.Heads = &engine.Heads{Request: strings.Repeat("a", 600), Response: strings.Repeat("b", 400)}
	id := defaultRecords
	b.ReportAllocs()
	for b.Loop() {
		id++
		exchange(l, start, end, id)
	}
}

// BenchmarkTick is a standing query each 100 ms at 1,000 requests a second.
func BenchmarkTick(b *testing.B) {
	for name, q := range map[string]engine.RequestQuery{
		"all":         {},
		"filter":      {Filter: busy},
		"most":        {Filter: "method:GET,POST"},
		"by duration": {Order: engine.ByDuration},
		"by path":     {Order: engine.ByPath, Filter: "-status:200"},
		"last 5m":     {Filter: "time:-5m.."},
	} {
		b.Run(name, func(b *testing.B) {
			l := filled(defaultRecords)
			start, end := events()
			id := defaultRecords
			q.Count = 60
			var page engine.RequestPage
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				for range 100 {
					id++
					end.Request.LastByte = time.Duration(id*7919%1000) * time.Millisecond
					exchange(l, start, end, id)
				}
				b.StartTimer()
				if err := l.Requests(b.Context(), q, &page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInFlight is a tick with 10,000 requests in flight.
func BenchmarkInFlight(b *testing.B) {
	for name, q := range map[string]engine.RequestQuery{"all": {}, "filter": {Filter: "is:inflight"}, "by duration": {Order: engine.ByDuration}} {
		b.Run(name, func(b *testing.B) {
			l := filled(defaultRecords)
			for i := range 10_000 {
				e := started(defaultRecords + 1 + i)
				l.apply(&e, 0)
			}
			q.Count = 60
			var page engine.RequestPage
			b.ReportAllocs()
			for b.Loop() {
				if err := l.Requests(b.Context(), q, &page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScan is a query that nobody has asked before.
func BenchmarkScan(b *testing.B) {
	l := filled(defaultRecords)
	var page engine.RequestPage
	for name, q := range map[string]engine.RequestQuery{
		"filter": {Filter: busy}, "word": {Filter: "orders"}, "by duration": {Order: engine.ByDuration}, "by path": {Order: engine.ByPath},
	} {
		b.Run(name, func(b *testing.B) {
			q.Count = 60
			b.ReportAllocs()
			for b.Loop() {
				l.standing = l.standing[:0]
				if err := l.Requests(b.Context(), q, &page); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		before := heap()
		l := filled(defaultRecords)
		b.ReportMetric(float64(heap()-before)/1e6, "MB/100k")
		var page engine.RequestPage
		for _, q := range []string{busy, "GET", "status:>=400"} {
			if err := l.Requests(b.Context(), engine.RequestQuery{Filter: q, Count: 60}, &page); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/1e6, "MB/with-queries")
		runtime.KeepAlive(l)
	}
}
