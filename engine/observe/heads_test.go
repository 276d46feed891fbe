package observe

import (
	"context"
	"testing"
	"testing/synctest"

	"adit/engine"
)

// Who did not ask for heads must not hold those that another wants, however many
// slots it has.
func TestHeadsAreLeftOutForWhoDidNotAskAndIsSlow(t *testing.T) {
	b := NewBus()
	s, other := newSubscriber(engine.KindsAll, 1<<14), newSubscriber(engine.KindsAll, 1<<14)
	other.heads = true
	b.subscribers = append(b.subscribers, s, other)
	for range 3 * maxWithHeads {
		b.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &engine.Request{ID: 7, Heads: new(engine.Heads)}})
	}
	count := func(s *subscriber) (heads int) {
		for _, e := range b.take(s, make([]engine.Event, 0, 3*maxWithHeads)).Events {
			if e.Request.ID != 7 {
				t.Error("another record")
			}
			if e.Request.Heads != nil {
				heads++
			}
		}
		return heads
	}
	if n := count(s); n != maxWithHeads {
		t.Errorf("%d heads wait for who did not ask", n)
	}
	if n := count(other); n != 3*maxWithHeads {
		t.Errorf("%d heads for who asked", n)
	}
}

func TestHeadsAreNotMadeForWhoIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{Heads: true, Slots: 65_536})
		b.Publish(engine.Event{Kind: engine.KindNotice}) // held by the pump
		synctest.Wait()
		publish(b, maxWithHeads)
		if !b.WantsHeads() {
			t.Error("not wanted any more too early")
		}
		publish(b, 1)
		if b.WantsHeads() || !b.Wants(engine.KindRequestFinished) {
			t.Error("wanted by one who is too slow, or nothing is")
		}
		for n := 0; n < maxWithHeads+2; {
			n += len((<-batches).Events)
		}
		synctest.Wait()
		if !b.WantsHeads() {
			t.Error("not wanted by one who has caught up")
		}
		b.Close()
	})
}

func TestHeadsAreWantedByWhoAsks(t *testing.T) {
	b := NewBus()
	defer b.Close()
	ctx, leave := context.WithCancel(t.Context())
	for _, o := range []engine.SubscribeOptions{{}, {Heads: true, Kinds: engine.KindSet(engine.KindNotice)}, {Kinds: engine.Kinds(1) << 31}} {
		if _, err := b.Subscribe(ctx, o); err != nil {
			t.Fatal(err)
		}
		if b.WantsHeads() {
			t.Fatalf("heads are wanted by %+v", o)
		}
	}
	batches := subscribe(t, b, ctx, engine.SubscribeOptions{Heads: true})
	if !b.WantsHeads() {
		t.Error("heads are not wanted")
	}
	leave()
	for range batches {
	}
	if b.WantsHeads() {
		t.Error("heads are wanted by one who left")
	}
}
