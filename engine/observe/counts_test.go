package observe

import (
	"sync"
	"testing"
	"time"

	"adit/engine"
)

func TestDurationInTheWrongBucket(t *testing.T) {
	bounds := Bounds()
	for i, most := range bounds {
		if i > 0 && most <= bounds[i-1] {
			t.Errorf("bound %d, %v, is not above the one before", i, most)
		}
		if got := bucketOf(most); got != i {
			t.Errorf("%v is in bucket %d; a bound belongs to its bucket, %d", most, got, i)
		}
		if got := bucketOf(most + 1); got != i+1 {
			t.Errorf("%v is in bucket %d, want %d", most+1, got, i+1)
		}
	}
	if got := bucketOf(0); got != 0 {
		t.Errorf("0 is in bucket %d", got)
	}
}

func TestRequestCountsMissWhatEnded(t *testing.T) {
	var totals Totals
	ended := []engine.Request{
		{Way: engine.WayHost, Status: 200, Outcome: engine.OutcomeCompleted, Queued: time.Microsecond, FirstByte: 3 * time.Millisecond, LastByte: 4 * time.Millisecond},
		{Way: engine.WayHost, Status: 502, Outcome: engine.OutcomeOriginFailed, Queued: -1, FirstByte: -1, LastByte: 2 * time.Minute},
		{Way: engine.WayTCP, Outcome: engine.OutcomeCompleted, Queued: 0, FirstByte: -1, LastByte: time.Second},
		{Status: 200, Outcome: engine.OutcomeCompleted, Queued: -1, FirstByte: 1, LastByte: 2}, // at a client
	}
	var all sync.WaitGroup
	for i := range ended {
		all.Go(func() {
			for range 100 {
				totals.RequestEnded(&ended[i])
			}
		})
	}
	all.Wait()
	var got RequestCounts
	totals.RequestCounts(&got)
	host := engine.WayHost
	for _, c := range []struct {
		what string
		got  uint64
	}{
		{"completed by name", got.Ended[host][2][engine.OutcomeCompleted]},
		{"failed by name", got.Ended[host][5][engine.OutcomeOriginFailed]},
		{"completed by port", got.Ended[engine.WayTCP][0][engine.OutcomeCompleted]},
		{"completed at a client", got.Ended[0][2][engine.OutcomeCompleted]},
		{"of 4 ms", got.Duration[host][2].Buckets[bucketOf(4*time.Millisecond)]},
		{"beyond the last bound", got.Duration[host][5].Buckets[len(got.Duration[host][5].Buckets)-1]},
		{"first byte after 3 ms", got.FirstByte[host][2].Buckets[bucketOf(3*time.Millisecond)]},
		{"queued, by name", got.Queued[host].Buckets[0]},
		{"queued, by port", got.Queued[engine.WayTCP].Buckets[0]},
	} {
		if c.got != 100 {
			t.Errorf("%s: %d, want 100", c.what, c.got)
		}
	}
	if got.Duration[host][2].Sum != 400*time.Millisecond {
		t.Errorf("sum %v", got.Duration[host][2].Sum)
	}
	if n := got.FirstByte[host][5]; n != (Distribution{}) {
		t.Errorf("a first byte that never came is counted: %v", n)
	}
	if n := got.Queued[0]; n != (Distribution{}) {
		t.Errorf("a wait that is not known is counted: %v", n)
	}
	if sum := totals.Load(); sum.Requests != 400 || sum.Failed != 100 || sum.Statuses != [6]uint64{100, 0, 200, 0, 0, 100} {
		t.Errorf("totals %+v", sum)
	}
}

// The bus counts what any ring lost, also after its subscriber has gone.
func TestDroppedEventThatIsNotCounted(t *testing.T) {
	b := NewBus()
	defer b.Close()
	if _, err := b.Subscribe(t.Context(), engine.SubscribeOptions{Slots: 4}); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		b.Publish(engine.Event{Kind: engine.KindNotice})
	}
	if n := b.Dropped(); n < 1000 || n >= 2000 {
		t.Errorf("%d dropped of 2,000 through 4 slots and one batch", n)
	}
}

func BenchmarkRequestEnded(b *testing.B) {
	var totals Totals
	r := finished().Request
	for b.Loop() {
		totals.RequestEnded(r)
	}
}

func BenchmarkRequestEndedContended(b *testing.B) {
	var totals Totals
	r := finished().Request
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			totals.RequestEnded(r)
		}
	})
}
