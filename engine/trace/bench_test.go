package trace

import (
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"adit/engine"
)

func BenchmarkSpan(b *testing.B) {
	x, r := &Exporter{role: engine.RoleServer}, traced()
	b.ReportAllocs()
	for b.Loop() {
		x.span(&r)
	}
}

func BenchmarkEncode(b *testing.B) {
	x, r := &Exporter{role: engine.RoleServer}, traced()
	d := delivery{x: x}
	batch := make([]*tracepb.Span, maxBatch)
	size := 0
	for i := range batch {
		batch[i] = x.span(&r)
		size += proto.Size(batch[i])
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.encode(batch); err != nil {
			b.Fatal(err)
		}
	}
}
