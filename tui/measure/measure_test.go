package measure

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPercentileOfFewAndMany(t *testing.T) {
	var many []float64
	for i := range 100 {
		many = append(many, float64(99-i))
	}
	for _, tt := range []struct {
		all  []float64
		p    int
		want float64
	}{{nil, 50, 0}, {[]float64{3}, 99, 3}, {[]float64{2, 1}, 50, 2}, {many, 50, 50}, {many, 95, 95}, {many, 99, 99}} {
		if got := percentile(tt.all, tt.p); got != tt.want {
			t.Errorf("%d %% of %d values: %v, want %v", tt.p, len(tt.all), got, tt.want)
		}
	}
}

// A first paint is what comes before the first pause, not all there is.
func TestFirstPaintEndsWithAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScreen()
		s.Write(make([]byte, 800))
		time.Sleep(30 * time.Millisecond)
		s.Write(make([]byte, 700))
		time.Sleep(time.Second)
		s.Write(make([]byte, 50))
		if bytes, writes := s.counts(); s.first() != 1500 || bytes != 1550 || writes != 3 {
			t.Errorf("first paint %d of %d bytes in %d writes", s.first(), bytes, writes)
		}
	})
}

// An invented engine that publishes less than it says would flatter the figures.
func TestFeedKeepsItsRate(t *testing.T) {
	e := newInvented(0, 100)
	defer e.bus.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	batches, err := e.Subscribe(ctx, engine.SubscribeOptions{Slots: 65_536})
	if err != nil {
		t.Fatal(err)
	}
	go e.feed(ctx, 20_000, 0)
	got := uint64(0)
	for b := range batches {
		got += uint64(len(b.Events)) + b.Dropped
	}
	if got < 6_000 || got > 10_500 {
		t.Errorf("%d events in 500 ms at 20,000/s", got)
	}
}
