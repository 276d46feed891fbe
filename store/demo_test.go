package store

import (
	"context"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/demo"
	"adit/engine/observe"
)

// TestEveryRequestOfARealServerIsThereOnce runs a server with clients, origins
// and callers, and holds the log to the server's totals.
func TestEveryRequestOfARealServerIsThereOnce(t *testing.T) {
	bus := observe.NewBus()
	d, err := demo.New(demo.Options{Grace: 200 * time.Millisecond, Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(d.Engine(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		if page := ask(t, l, engine.RequestQuery{Filter: "is:ended"}); page.Matched >= 40 || ctx.Err() != nil {
			tick.Stop()
			break
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	bus.Close()
	l.Close()
	var s engine.Snapshot
	if err := d.Engine().Snapshot(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	page := ask(t, l, engine.RequestQuery{Filter: "is:ended"})
	if page.Matched < 40 || uint64(page.Matched) != s.Totals.Requests || page.Kept != page.Matched || page.Lost != 0 {
		t.Errorf("%d ended, %d kept, %d lost; the server had %d", page.Matched, page.Kept, page.Lost, s.Totals.Requests)
	}
	if failed := ask(t, l, engine.RequestQuery{Filter: "-outcome:completed"}).Matched; uint64(failed) != s.Totals.Failed {
		t.Errorf("%d failed, the server says %d", failed, s.Totals.Failed)
	}
	for i := range page.Requests {
		if r := &page.Requests[i]; r.Live != nil || r.LastByte < 0 || r.Target == "" {
			t.Errorf("%+v", r)
		}
	}
}
