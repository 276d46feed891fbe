package observe

import (
	"testing"

	"adit/engine"
)

// stalledBus has three subscribers that never read. The caller closes it by
// ending ctx.
func stalledBus(tb testing.TB) *Bus {
	b := NewBus()
	for range 3 {
		if _, err := b.Subscribe(tb.Context(), engine.SubscribeOptions{}); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(b.Close)
	return b
}

func BenchmarkPublishStalled(b *testing.B) {
	bus := stalledBus(b)
	e := finished()
	b.ReportAllocs()
	for b.Loop() {
		bus.Publish(e)
	}
}

func BenchmarkPublishStalledContended(b *testing.B) {
	bus := stalledBus(b)
	e := finished()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			bus.Publish(e)
		}
	})
}

// BenchmarkPublishRead has a subscriber that keeps up.
func BenchmarkPublishRead(b *testing.B) {
	bus := NewBus()
	batches, err := bus.Subscribe(b.Context(), engine.SubscribeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range batches {
		}
	}()
	e := finished()
	b.ReportAllocs()
	for b.Loop() {
		bus.Publish(e)
	}
	b.StopTimer()
	bus.Close()
	<-done
}

func BenchmarkWants(b *testing.B) {
	bus := stalledBus(b)
	for b.Loop() {
		if !bus.Wants(engine.KindRequestStarted) {
			b.Fatal("nobody")
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := finished()
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = AppendEvent(line[:0], &e)
	}
}

func BenchmarkTarget(b *testing.B) {
	for name, target := range map[string]string{
		"path":   "/api/v1/things/4711",
		"query":  "/api/v1/things?page=3&order=name&limit=50",
		"masked": "http://u:p@api.internal/v1?page=3&access_token=abcdefghijklmnop",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = Target(target)
			}
		})
	}
}
