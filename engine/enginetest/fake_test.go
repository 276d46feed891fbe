package enginetest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"adit/engine"
)

func TestFakeDeliversEventsAndCountsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := NewFake(engine.Snapshot{Role: engine.RoleServer})
		all, err := f.Subscribe(t.Context(), engine.SubscribeOptions{Slots: 2})
		if err != nil {
			t.Fatal(err)
		}
		ready, err := f.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindReady)})
		if err != nil {
			t.Fatal(err)
		}
		f.Publish(engine.Event{Kind: engine.KindReady})
		b := <-ready
		if len(b.Events) != 1 || b.Events[0].Seq != 1 || b.Events[0].Time.IsZero() {
			t.Fatalf("%+v", b)
		}
		<-all
		synctest.Wait()
		// The deliverer holds one batch; what follows overflows two slots.
		f.Publish(engine.Event{Kind: engine.KindNotice})
		synctest.Wait()
		for range 5 {
			f.Publish(engine.Event{Kind: engine.KindNotice})
		}
		b1 := <-all
		b2 := <-all
		if len(b1.Events) != 1 || b2.Dropped != 3 || len(b2.Events) != 2 || b2.Events[1].Seq != 7 {
			t.Fatalf("%+v, then %+v", b1, b2)
		}
		go f.End()
		if _, open := <-all; open {
			t.Fatal("open after the end")
		}
		if _, open := <-ready; open {
			t.Fatal("open after the end")
		}
		<-f.Done()
		if _, err := f.Subscribe(t.Context(), engine.SubscribeOptions{}); !errors.Is(err, engine.ErrNotRunning) {
			t.Fatal(err)
		}
	})
}

func TestFakeSubscriptionEndsWithItsContext(t *testing.T) {
	f := NewFake(engine.Snapshot{})
	ctx, cancel := context.WithCancel(t.Context())
	ch, err := f.Subscribe(ctx, engine.SubscribeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.Publish(engine.Event{Kind: engine.KindReady})
	cancel()
	for range ch { // it has to end
	}
	f.End()
}

func TestFakeRecordsActions(t *testing.T) {
	f := NewFake(engine.Snapshot{Connections: []engine.Connection{{ID: 7}}})
	defer f.End()
	ctx, by := t.Context(), engine.Operator{Name: "local", Reason: "why"}
	boom := errors.New("boom")
	var into engine.Snapshot
	for _, tt := range []struct {
		name string
		got  error
		want error
	}{
		{"close", f.CloseConnection(ctx, 7, engine.CloseKilled, by), nil},
		{"close unknown", f.CloseConnection(ctx, 8, engine.CloseKilled, by), engine.ErrNotFound},
		{"ban", f.Ban(ctx, "pi", by), nil},
		{"snapshot", f.Snapshot(ctx, &into), nil},
		{"unban", f.Unban(ctx, "pi", by), nil},
		{"unban again", f.Unban(ctx, "pi", by), engine.ErrNotFound},
		{"cancel", f.CancelExchange(ctx, 3, by), nil},
		{"drain", f.Drain(ctx, 0, by), nil},
		{"refused", func() error { f.Refuse(boom); return f.Ban(ctx, "x", by) }(), boom},
	} {
		if !errors.Is(tt.got, tt.want) || (tt.want == nil && tt.got != nil) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if len(into.Banned) != 1 || into.Banned[0] != "pi" || len(into.Connections) != 1 {
		t.Fatalf("snapshot %+v", into)
	}
	a := f.Actions()
	if len(a) != 8 || a[0].Connection != 7 || a[0].Code != engine.CloseKilled || a[0].By != by || a[5].Request != 3 {
		t.Fatalf("%+v", a)
	}
}

func TestFakeSnapshotIsNotShared(t *testing.T) {
	f := NewFake(engine.Snapshot{Connections: []engine.Connection{{ID: 1}}})
	defer f.End()
	var s engine.Snapshot
	_ = f.Snapshot(t.Context(), &s)
	s.Connections[0].ID = 99
	f.Update(func(s *engine.Snapshot) { s.Waiting = 4 })
	var again engine.Snapshot
	_ = f.Snapshot(t.Context(), &again)
	if again.Connections[0].ID != 1 || again.Waiting != 4 {
		t.Fatalf("%+v", again)
	}
}
