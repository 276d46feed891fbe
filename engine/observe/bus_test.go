package observe

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subscribe(t *testing.T, b *Bus, ctx context.Context, o engine.SubscribeOptions) <-chan engine.Batch {
	t.Helper()
	batches, err := b.Subscribe(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return batches
}

// follow checks that every batch says exactly what is missing, and returns the
// number of events and of losses until the channel is closed.
func follow(t *testing.T, batches <-chan engine.Batch) (events, dropped uint64) {
	t.Helper()
	var last uint64
	for batch := range batches {
		for i, e := range batch.Events {
			want := last + 1
			if i == 0 {
				want += batch.Dropped
			}
			if e.Seq != want {
				t.Errorf("event %d of a batch with %d dropped: seq %d, want %d", i, batch.Dropped, e.Seq, want)
			}
			last = e.Seq
		}
		events += uint64(len(batch.Events))
		dropped += batch.Dropped
	}
	return events, dropped
}

func publish(b *Bus, n int) {
	for range n {
		b.Publish(engine.Event{Kind: engine.KindNotice, Reason: "x"})
	}
}

func TestStalledSubscriberLosesTheOldestAndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{Slots: 16})
		for range 10 {
			publish(b, 7)
			synctest.Wait()
		}
		publish(b, 100)
		go b.Close()
		events, dropped := follow(t, batches)
		if events+dropped != 170 || dropped < 100 || events < 16 {
			t.Errorf("%d events, %d dropped of 170", events, dropped)
		}
		b.Close()
	})
}

// Whoever keeps what has ended has to know how much of it is missing.
func TestLossSaysHowManyRequestsEnded(t *testing.T) {
	b := NewBus()
	batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{Slots: 4})
	const each = 2000
	for n := range engine.RequestID(each) {
		b.Publish(engine.Event{Kind: engine.KindRequestStarted, Request: &engine.Request{ID: n + 1}})
		b.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &engine.Request{ID: n + 1}})
	}
	go b.Close()
	var ended, dropped uint64
	for batch := range batches {
		for i := range batch.Events {
			if batch.Events[i].Kind == engine.KindRequestFinished {
				ended++
			}
		}
		if ended += batch.Ended; batch.Dropped > 0 && !batch.Sorted {
			t.Error("it is not said how many had ended")
		}
		dropped += batch.Dropped
	}
	if ended != each || dropped == 0 {
		t.Errorf("%d of %d ended, %d events were lost", ended, each, dropped)
	}
}

func TestStalledSubscriberDoesNotHoldUpAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		stalled, stop := context.WithCancel(t.Context())
		subscribe(t, b, stalled, engine.SubscribeOptions{Slots: 1})
		batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{})
		done := make(chan uint64)
		go func() {
			events, dropped := follow(t, batches)
			if dropped != 0 {
				t.Errorf("%d dropped", dropped)
			}
			done <- events
		}()
		for range 20 {
			publish(b, 1000)
			time.Sleep(gather)
		}
		stop()
		b.Close()
		if n := <-done; n != 20_000 {
			t.Errorf("%d events of 20,000", n)
		}
	})
}

func TestBatchIsNotChangedBeforeTheNextIsReceived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{})
		publish(b, 1)
		held := <-batches
		for range 10 {
			publish(b, 300)
			time.Sleep(10 * gather)
		}
		for want := uint64(1); ; held = <-batches {
			time.Sleep(10 * gather) // the pump has filled its other buffer by now
			for _, e := range held.Events {
				if e.Seq != want {
					t.Fatalf("seq %d in the batch held, want %d", e.Seq, want)
				}
				want++
			}
			if want > 3001 {
				break
			}
		}
		go b.Close()
		for range batches {
		}
		b.Close()
	})
}

func TestCloseDeliversWhatWasPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{Slots: 8192})
		publish(b, 8000)
		go b.Close()
		synctest.Wait()
		publish(b, 1) // to nobody
		if events, dropped := follow(t, batches); events != 8000 || dropped != 0 {
			t.Errorf("%d events, %d dropped of 8000", events, dropped)
		}
		b.Close()
		if b.Seq() != 8001 {
			t.Errorf("seq %d", b.Seq())
		}
	})
}

func TestCloseGivesUpOnASubscriberThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		stuck := subscribe(t, b, t.Context(), engine.SubscribeOptions{})
		publish(b, 5000)
		begun := time.Now()
		b.Close()
		if took := time.Since(begun); took != patience {
			t.Errorf("Close took %v, want %v", took, patience)
		}
		if _, open := <-stuck; open {
			t.Error("the channel of the stuck subscriber is not closed")
		}
	})
}

func TestEndOfContextEndsAStuckSubscriptionDuringClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		subscribe(t, b, ctx, engine.SubscribeOptions{})
		publish(b, 5000)
		synctest.Wait()
		begun := time.Now()
		b.Close()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("Close took %v, want 1s", took)
		}
	})
}

func TestEndOfContextEndsTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		ctx, cancel := context.WithCancel(t.Context())
		idle := subscribe(t, b, ctx, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindReady)})
		busy := subscribe(t, b, ctx, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindNotice)})
		publish(b, 10)
		synctest.Wait()
		if !b.Wants(engine.KindReady) || !b.Wants(engine.KindNotice) || b.Wants(engine.KindStopped) {
			t.Error("Wants is not the union of what was asked for")
		}
		cancel()
		synctest.Wait()
		for name, c := range map[string]<-chan engine.Batch{"idle": idle, "busy": busy} {
			if _, open := <-c; open {
				t.Errorf("%s: still open", name)
			}
		}
		if b.Wants(engine.KindReady) || b.Wants(engine.KindNotice) {
			t.Error("Wants somebody who left")
		}
		b.Close()
	})
}

func TestOnlyTheKindsAskedForAreDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{Kinds: engine.KindsRequests})
		for k := engine.KindReady; k <= engine.KindStopped; k++ {
			b.Publish(engine.Event{Kind: k})
		}
		b.Publish(engine.Event{Kind: 200})
		go b.Close()
		var got engine.Kinds
		for batch := range batches {
			if batch.Dropped != 0 {
				t.Errorf("%d dropped", batch.Dropped)
			}
			for _, e := range batch.Events {
				got |= engine.KindSet(e.Kind)
				if e.Seq != uint64(e.Kind) {
					t.Errorf("%v has seq %d, want %d", e.Kind, e.Seq, e.Kind)
				}
			}
		}
		if got != engine.KindsRequests {
			t.Errorf("kinds %b, want %b", got, engine.KindsRequests)
		}
		b.Close()
	})
}

func TestSubscribeAfterCloseIsRefused(t *testing.T) {
	b := NewBus()
	b.Close()
	if _, err := b.Subscribe(t.Context(), engine.SubscribeOptions{}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestRingSizeIsBounded(t *testing.T) {
	b := NewBus()
	defer b.Close()
	for slots, want := range map[int]int{-1: 4096, 0: 4096, 1: 1, 5: 8, 4096: 4096, 65_536: 65_536, math.MaxInt: 65_536} {
		ctx, cancel := context.WithCancel(t.Context())
		subscribe(t, b, ctx, engine.SubscribeOptions{Slots: slots})
		b.mu.Lock()
		if got := b.subscribers[len(b.subscribers)-1].slots; got != uint64(want) {
			t.Errorf("%d slots asked for: %d, want %d", slots, got, want)
		}
		b.mu.Unlock()
		cancel()
	}
}

// TestEventsUnderLoadComeTogether: a wake-up per event would cost more than the
// event; a ring about to overflow must not wait.
func TestEventsUnderLoadComeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus()
		batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{Slots: 16})
		began := time.Now()
		receive := func(n int, at time.Duration) {
			t.Helper()
			if got := len((<-batches).Events); got != n || time.Since(began) != at {
				t.Errorf("%d events after %v, want %d after %v", got, time.Since(began), n, at)
			}
		}
		publish(b, 1)
		receive(1, 0)
		for range 3 {
			time.Sleep(gather / 4)
			publish(b, 1)
			synctest.Wait()
		}
		receive(3, gather)
		synctest.Wait()
		publish(b, 8)
		receive(8, gather)
		b.Close()
	})
}

func TestConcurrentPublishersKeepSeqAndTimeInOrder(t *testing.T) {
	const publishers, each = 4, 2000
	b := NewBus()
	batches := subscribe(t, b, t.Context(), engine.SubscribeOptions{Slots: publishers * each})
	var wg sync.WaitGroup
	for range publishers {
		wg.Go(func() { publish(b, each) })
	}
	go func() {
		wg.Wait()
		b.Close()
	}()
	var seq uint64
	var last time.Time
	for batch := range batches {
		for _, e := range batch.Events {
			if e.Seq != seq+1 || e.Time.Before(last) {
				t.Fatalf("seq %d at %v after %d at %v", e.Seq, e.Time, seq, last)
			}
			seq, last = e.Seq, e.Time
		}
	}
	if seq != publishers*each {
		t.Errorf("%d events", seq)
	}
	b.Close()
}

// TestComingAndGoingUnderLoad is for the race detector: readers of every speed
// come and go while others publish, until Close.
func TestComingAndGoingUnderLoad(t *testing.T) {
	b := NewBus()
	var publishers, subscribers sync.WaitGroup
	for range 2 {
		publishers.Go(func() { publish(b, 3000) })
	}
	for i := range 20 {
		subscribers.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			batches, err := b.Subscribe(ctx, engine.SubscribeOptions{Slots: 1 << (i % 8)})
			if err != nil {
				return
			}
			var last uint64
			for n := 0; n < 50; n++ {
				batch, open := <-batches
				if !open {
					return
				}
				for j, e := range batch.Events {
					if j == 0 && last > 0 && e.Seq != last+1+batch.Dropped || j > 0 && e.Seq != last+1 {
						t.Errorf("seq %d after %d with %d dropped", e.Seq, last, batch.Dropped)
					}
					last = e.Seq
				}
				if i%3 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	publishers.Wait()
	b.Close()
	subscribers.Wait()
}

func TestTotalsAddUp(t *testing.T) {
	var totals Totals
	traffic := engine.Traffic{
		BytesIn: 1, BytesOut: 2,
		FramesIn:  engine.Frames{Text: 3, Binary: 4, Continuation: 5, Close: 6, Ping: 7, Pong: 8},
		FramesOut: engine.Frames{Text: 9, Binary: 10, Continuation: 11, Close: 12, Ping: 13, Pong: 14},
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for o := engine.OutcomeCompleted; o <= engine.OutcomeTruncated; o++ {
				totals.RequestEnded(&engine.Request{Outcome: o, Status: 100 * int(o)}) // up to 700
			}
			totals.ConnectionEnded(traffic, engine.CloseNormal)
		})
	}
	wg.Wait()
	want := engine.Totals{
		Requests: 28, Failed: 24, BytesIn: 4, BytesOut: 8, Statuses: [6]uint64{0, 4, 4, 4, 4, 12},
		FramesIn:  engine.Frames{Text: 12, Binary: 16, Continuation: 20, Close: 24, Ping: 28, Pong: 32},
		FramesOut: engine.Frames{Text: 36, Binary: 40, Continuation: 44, Close: 48, Ping: 52, Pong: 56},
	}
	if got := totals.Load(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := totals.Closes(nil); len(got) != 1 || got[0] != (engine.CloseCount{Code: engine.CloseNormal, Count: 4}) {
		t.Errorf("closes %+v", got)
	}
}

// TestCloseCodesAreBounded: a peer may close with as many codes as there are.
func TestCloseCodesAreBounded(t *testing.T) {
	var totals Totals
	for range 2 {
		for code := 4999; code >= 4900; code-- {
			totals.ConnectionEnded(engine.Traffic{}, engine.CloseCode(code))
		}
	}
	got := totals.Closes(nil)
	if len(got) != maxCloses || got[0] != (engine.CloseCount{Code: 0, Count: 2 * (100 - maxCloses + 1)}) {
		t.Fatalf("%d codes, first %+v", len(got), got[0])
	}
	for i, c := range got[1:] {
		if c.Code != engine.CloseCode(5000-maxCloses+1+i) || c.Count != 2 {
			t.Errorf("%+v at %d", c, i)
		}
	}
}

// TestHeadsAreNotMadeForWhoIsSlow: 65,536 records with hostile heads are 1 GiB.
// A ring that is never quite emptied goes through all of its slots: what was
// taken from them must not stay alive behind it.
func TestTakenEventsAreNotKept(t *testing.T) {
	b := NewBus()
	s := newSubscriber(engine.KindsAll, 64)
	b.subscribers = append(b.subscribers, s)
	for range 10 {
		b.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &engine.Request{Heads: new(engine.Heads)}})
	}
	if batch := b.take(s, make([]engine.Event, 0, 4)); len(batch.Events) != 4 || batch.Events[3].Request == nil {
		t.Fatalf("%+v", batch)
	}
	for i := range s.slots {
		if held := s.ring[i/room][i%room].Request != nil; held != (i >= 4 && i < 10) {
			t.Errorf("slot %d holds a record: %v", i, held)
		}
	}
}

// TestRingGrowsAsItIsFilled: large rings are for bad moments, and every collection
// would look through what they never needed.
func TestRingGrowsAsItIsFilled(t *testing.T) {
	b := NewBus()
	s := newSubscriber(engine.KindsAll, 65_536)
	b.subscribers = append(b.subscribers, s)
	for range 10 * room {
		b.Publish(engine.Event{Kind: engine.KindNotice})
		b.take(s, make([]engine.Event, 0, 4))
	}
	made := 0
	for _, part := range s.ring {
		made += len(part)
	}
	if made != room {
		t.Errorf("%d slots for one event at a time", made)
	}
}
