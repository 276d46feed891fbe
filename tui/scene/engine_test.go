package scene

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFeedThatIsTooSlowOrTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEngine(Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		batches, err := e.Subscribe(t.Context(), engine.SubscribeOptions{Slots: 65536})
		if err != nil {
			t.Fatal(err)
		}
		published := e.Feed(ctx, 5000)
		ended := make(chan struct{})
		go func() {
			e.End()
			close(ended)
		}()
		got, others := uint64(0), 0
		for b := range batches {
			got += uint64(len(b.Events)) + b.Dropped
			for _, event := range b.Events {
				if event.Kind != engine.KindRequestFinished {
					others++
				}
			}
		}
		<-ended
		if published < 9900 || published > 10100 || got != published {
			t.Errorf("published %d, delivered %d; want 10 000", published, got)
		}
		if others < 15 || others > 20 {
			t.Errorf("%d of them are not requests", others)
		}
	})
}

func TestActionsThatAreNotSeen(t *testing.T) {
	e := NewEngine(Options{})
	defer e.End()
	ctx, by := t.Context(), engine.Operator{Name: "local"}
	var s engine.Snapshot
	first := func() *engine.Connection {
		if err := e.Snapshot(ctx, &s); err != nil {
			t.Fatal(err)
		}
		return &s.Connections[0]
	}
	id := first().ID
	if err := e.Drain(ctx, id, by); err != nil || first().State != engine.StateDraining {
		t.Errorf("drain: %v, state %s", err, first().State)
	}
	if err := e.CloseConnection(ctx, id, engine.CloseKilled, by); err != nil || first().ID == id {
		t.Errorf("kill: %v, still there", err)
	}
	if err := e.CloseConnection(ctx, id, engine.CloseKilled, by); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("killed twice: %v", err)
	}
	if err := e.Ban(ctx, "edge-iad-01", by); err != nil || len(s.Banned) != 0 || first() == nil || len(s.Banned) != 1 || len(s.Connections) > 31 {
		t.Errorf("ban: %v, banned %v, %d connections", err, s.Banned, len(s.Connections))
	}
	if err := e.Unban(ctx, "edge-iad-01", by); err != nil {
		t.Error(err)
	}
	if tape, err := e.FrameTape(ctx, s.Connections[0].ID, nil); err != nil || len(tape) != 64 {
		t.Errorf("tape of %d frames: %v", len(tape), err)
	}
}

func TestWindowsOfTheLog(t *testing.T) {
	l := New(Options{Requests: 3000}).Log()
	ask := func(q engine.RequestQuery) *engine.RequestPage {
		page := new(engine.RequestPage)
		if err := l.Requests(t.Context(), q, page); err != nil {
			t.Fatal(err)
		}
		return page
	}
	if p := ask(engine.RequestQuery{Offset: 10, Count: 5}); len(p.Requests) != 5 || p.Requests[0].ID != 2990 || p.Matched != 3000 {
		t.Errorf("%+v", p)
	}
	if p := ask(engine.RequestQuery{Offset: 2, At: 100, Count: 5}); p.Requests[2].ID != 100 || p.Offset != 2898 {
		t.Errorf("around r-100: %+v", p)
	}
	if p := ask(engine.RequestQuery{Until: 2000, Count: 3, Ascending: true}); p.Requests[0].ID != 1 || p.After != 1000 || p.Matched != 2000 {
		t.Errorf("until r-2000: %+v", p)
	}
	p := ask(engine.RequestQuery{Filter: "status:>=500", Order: engine.ByDuration, Count: 1000})
	if p.Matched == 0 || p.Matched != len(p.Requests) {
		t.Fatalf("%d selected, %d given", p.Matched, len(p.Requests))
	}
	for i, r := range p.Requests {
		if r.Status < 500 || i > 0 && r.LastByte > p.Requests[i-1].LastByte {
			t.Errorf("%d: %+v", i, r)
		}
	}
	if r, err := l.Request(t.Context(), New(Options{Requests: 3000}).Upload()); err != nil || r.Heads == nil || r.Status != 502 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := l.Request(t.Context(), 3001); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a request that is not there: %v", err)
	}
	if err := l.Requests(t.Context(), engine.RequestQuery{Filter: "status:>>"}, new(engine.RequestPage)); err == nil {
		t.Error("a filter that does not parse is no error")
	}
}
