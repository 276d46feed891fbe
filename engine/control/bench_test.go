package control

import (
	"encoding/json"
	"testing"

	"adit/engine"
)

// BenchmarkDelta is what one operator costs each tenth of a second at a server
// with 10,000 connections, of which 100 are busy.
func BenchmarkDelta(b *testing.B) {
	was, now := scene(10_000), scene(10_000)
	for i := range now.Connections {
		now.Connections[i].Greeting = was.Connections[i].Greeting
		if i%100 == 0 {
			now.Connections[i].BytesIn++
		}
	}
	e := encoder{}
	bytes := 0
	for b.Loop() {
		bytes = 0
		_ = e.delta(&now, &was, 1, func(line []byte) error { bytes += len(line); return nil })
	}
	b.ReportMetric(float64(bytes), "bytes")
}

// BenchmarkEvent is what one request that ends costs for one who watches.
func BenchmarkEvent(b *testing.B) {
	r := record(4)
	v := engine.Event{Kind: engine.KindRequestFinished, Request: &r}
	var e encoder
	b.ReportAllocs()
	for b.Loop() {
		e.b = e.b[:0]
		e.event(&v, false, false)
	}
}

// BenchmarkDecodeEvent is the same at the other end.
func BenchmarkDecodeEvent(b *testing.B) {
	r := record(4)
	var e encoder
	e.event(&engine.Event{Kind: engine.KindRequestFinished, Request: &r}, false, false)
	for b.Loop() {
		if _, err := DecodeEvent(e.b); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPatch is what a delta costs who is attached.
func BenchmarkPatch(b *testing.B) {
	s := scene(10_000)
	line := []byte(`{"connections":[{"conn":"c-17","bytes_in":12345678,"frames_in":{"binary":99},"in_flight":3,"state":"busy"}]}`)
	for b.Loop() {
		var w wireDelta
		if err := json.Unmarshal(line, &w); err != nil {
			b.Fatal(err)
		}
		if err := w.patch(&s); err != nil {
			b.Fatal(err)
		}
	}
}
