package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/filter"
)

func started(id int) engine.Event {
	r := typical(id)
	r.Outcome, r.Status, r.LastByte, r.Live = engine.OutcomeNone, 0, -1, new(engine.Live)
	return engine.Event{Kind: engine.KindRequestStarted, Request: r}
}

func finished(id int) engine.Event {
	return engine.Event{Kind: engine.KindRequestFinished, Request: typical(id)}
}

// put applies events as the ingest does.
func put(l *Log, events ...engine.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range events {
		l.apply(&events[i], 0)
	}
}

func ask(t testing.TB, l *Log, q engine.RequestQuery) *engine.RequestPage {
	t.Helper()
	if q.Count == 0 {
		q.Count = maxCount
	}
	page := new(engine.RequestPage)
	if err := l.Requests(t.Context(), q, page); err != nil {
		t.Fatal(err)
	}
	if fault := unsound(l); fault != "" {
		t.Fatal(fault)
	}
	return page
}

func empty(records, bytes int) *Log { return &Log{ring: newRing(records, bytes)} }

func TestRecordInFlightShowsWhatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := empty(10, 1<<20)
		e := started(1)
		e.Request.Connection = 0
		put(l, e)
		time.Sleep(90 * time.Second)
		live := e.Request.Live
		live.Connection.Store(7)
		live.Status.Store(503)
		live.RequestBytes.Store(10)
		live.ResponseBytes.Store(1 << 20)
		for _, f := range []string{"", "conn:c-7 status:503 in:10 out:1M dur:1m30s is:inflight"} {
			for order := range engine.ByPath + 1 {
				page := ask(t, l, engine.RequestQuery{Filter: f, Order: order})
				if len(page.Requests) != 1 {
					t.Fatalf("%q: %+v", f, page)
				}
				r := page.Requests[0]
				if r.Connection != 7 || r.Status != 503 || r.RequestBytes != 10 || r.ResponseBytes != 1<<20 || r.LastByte != 90*time.Second || r.Live == nil || r.Outcome != engine.OutcomeNone {
					t.Errorf("%q: %+v", f, r)
				}
			}
		}
		if r, err := l.Request(t.Context(), 1); err != nil || r.Status != 503 || r.LastByte != 90*time.Second {
			t.Errorf("%+v, %v", r, err)
		}
		if e.Request.Status != 0 || e.Request.LastByte != -1 {
			t.Error("a published record was written to")
		}
		put(l, finished(1))
		if page := ask(t, l, engine.RequestQuery{Filter: "is:ended"}); page.Matched != 1 || page.Requests[0].Live != nil || page.Requests[0].Status != 300 {
			t.Errorf("%+v", page)
		}
	})
}

// A record whose end was lost must not be in flight for ever, nor one that goes
// on be given up, however quiet it is.
func TestLostEndIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := enginetest.NewFake(engine.Snapshot{})
		l, err := Open(f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		defer f.End()
		quiet, ended, late := started(1), started(2), started(3)
		untold := started(4)
		untold.Request.Live = nil
		f.Publish(quiet, ended, late, untold)
		synctest.Wait()
		lose := func() {
			l.mu.Lock()
			l.distrust(false)
			l.mu.Unlock()
		}

		for _, e := range []engine.Event{ended, late} {
			e.Request.Live.Status.Store(200)
			e.Request.Live.Over.Store(true)
		}
		lose()
		f.Publish(started(5))
		synctest.Wait()
		page := ask(t, l, engine.RequestQuery{Filter: "is:unseen"})
		if !slices.Equal(idsOf(page.Requests), []engine.RequestID{4, 3, 2}) || page.Lost != 0 {
			t.Fatalf("%+v", page)
		}
		if r := page.Requests[2]; r.Reason != endNotSeen || r.Live != nil || r.LastByte >= 0 || r.Status != 200 {
			t.Errorf("%+v", r)
		}
		if page := ask(t, l, engine.RequestQuery{Filter: "is:inflight"}); !slices.Equal(idsOf(page.Requests), []engine.RequestID{5, 1}) || page.Requests[1].Reason != "" {
			t.Errorf("%+v", page)
		}

		f.Publish(finished(3))
		synctest.Wait()
		if page := ask(t, l, engine.RequestQuery{Filter: "is:unseen"}); !slices.Equal(idsOf(page.Requests), []engine.RequestID{4, 2}) {
			t.Errorf("%+v", page)
		}
		quiet.Request.Live.Over.Store(true)
		lose()
		if page := ask(t, l, engine.RequestQuery{Filter: "is:unseen"}); !slices.Equal(idsOf(page.Requests), []engine.RequestID{4, 2, 1}) {
			t.Errorf("%+v", page)
		}
		f.Publish(finished(1), finished(2), finished(4), finished(5))
		synctest.Wait()
		if page := ask(t, l, engine.RequestQuery{Filter: "outcome:completed"}); page.Matched != 5 || page.Kept != 5 {
			t.Errorf("%+v", page)
		}
	})
}

func TestNothingIsInFlightAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := enginetest.NewFake(engine.Snapshot{})
		l, err := Open(f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		e := started(1)
		f.Publish(e)
		synctest.Wait()
		f.End()
		l.Close()
		l.Close()
		e.Request.Live.Status.Store(200)
		page := ask(t, l, engine.RequestQuery{})
		if page.Kept != 1 || page.Requests[0].Live != nil || page.Requests[0].Reason != endNotSeen {
			t.Errorf("%+v", page)
		}
		if _, err := Open(f, Options{}); err == nil {
			t.Log("a fake that has ended takes subscriptions")
		}
	})
}

func TestHeadsGoBeforeRecords(t *testing.T) {
	heads := func(id int) engine.Event {
		e := finished(id)
		e.Request.Heads = &engine.Heads{Request: "x-id: " + fmt.Sprint(id) + "\n" + strings.Repeat("a", 900), Response: "content-type: text/html\n"}
		return e
	}
	const room = 20 * (recordSize + 1100)
	l := empty(1000, room)
	for id := 1; id <= 40; id++ {
		put(l, heads(id))
	}
	page := ask(t, l, engine.RequestQuery{})
	if page.Kept != 40 || page.Requests[0].Heads != nil {
		t.Fatalf("%d kept", page.Kept)
	}
	if r, err := l.Request(t.Context(), 40); err != nil || r.Heads == nil || !strings.HasPrefix(r.Heads.Request, "x-id: 40\n") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := l.Request(t.Context(), 1); err != nil || r.Heads != nil {
		t.Errorf("%+v, %v", r, err)
	}
	n := ask(t, l, engine.RequestQuery{Filter: "type:html"}).Matched
	if n == 0 || n == 40 {
		t.Errorf("%d with heads", n)
	}
	// Room for records alone is bounded too.
	for id := 41; id <= 400; id++ {
		put(l, finished(id))
	}
	page = ask(t, l, engine.RequestQuery{})
	if page.Kept >= 110 || page.Kept < 40 || page.Newest != 400 || page.Oldest != 401-engine.RequestID(page.Kept) || l.ring.bytes > room {
		t.Errorf("%d kept from %v to %v, %d bytes", page.Kept, page.Oldest, page.Newest, l.ring.bytes)
	}
	if _, err := l.Request(t.Context(), 1); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("%v", err)
	}
	// The end of an old exchange brings heads that are older than those that
	// were dropped.
	l = empty(1000, room)
	put(l, started(1))
	for id := 2; id <= 40; id++ {
		put(l, heads(id))
	}
	put(l, heads(1))
	ask(t, l, engine.RequestQuery{})
	if r, _ := l.Request(t.Context(), 1); r.Heads != nil {
		t.Error("the oldest heads were kept")
	}
}

func TestQueryThatDoesNotParse(t *testing.T) {
	l := empty(10, 1<<20)
	put(l, finished(1))
	page := engine.RequestPage{Matched: 7}
	var fault *filter.Error
	if err := l.Requests(t.Context(), engine.RequestQuery{Filter: "statsu:1"}, &page); !errors.As(err, &fault) || page.Matched != 7 {
		t.Errorf("%v, %+v", err, page)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Requests(ctx, engine.RequestQuery{}, &page); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := l.Request(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestStandingQueriesAreBounded(t *testing.T) {
	l := empty(100, 1<<20)
	for id := 1; id <= 100; id++ {
		put(l, finished(id))
	}
	for i := range 50 {
		ask(t, l, engine.RequestQuery{Filter: fmt.Sprintf("status:>%d", i)})
		ask(t, l, engine.RequestQuery{Filter: "method:GET"})
	}
	if len(l.standing) != maxStanding || l.standing[0].filter.String() != "method:GET" || l.standing[1].filter.String() != "status:>49" {
		t.Errorf("%d queries stand", len(l.standing))
	}
}

func TestWindowIsBoundedAndItsSliceReused(t *testing.T) {
	l := empty(5000, 1<<30)
	for id := 1; id <= 3000; id++ {
		put(l, finished(id))
	}
	for _, f := range []string{"", "-status:1"} {
		page := ask(t, l, engine.RequestQuery{Filter: f, Count: math.MaxInt})
		if len(page.Requests) != maxCount || page.Matched != 3000 {
			t.Errorf("%q: %d of %d", f, len(page.Requests), page.Matched)
		}
		first := &page.Requests[0]
		if err := l.Requests(t.Context(), engine.RequestQuery{Filter: f, Count: 10, Offset: math.MaxInt}, page); err != nil || len(page.Requests) != 0 || page.Offset != 3000 {
			t.Errorf("%q: %+v, %v", f, page, err)
		}
		if &page.Requests[:1][0] != first {
			t.Error("the slice was not reused")
		}
	}
}

// A query that looks at everything lets the ingest in between.
func TestLongQueryLetsTheIngestIn(t *testing.T) {
	many := 30_000
	if testing.Short() { // the race detector makes each look ten times as long
		many = 5_000
	}
	l := filled(many)
	const slow = `/(a.*b.*c|x.*y.*z|o.*r.*d.*q)/`
	done := make(chan struct{})
	var page engine.RequestPage
	go func() {
		defer close(done)
		if err := l.Requests(context.Background(), engine.RequestQuery{Filter: slow, Count: 1}, &page); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	tick := time.NewTicker(20 * time.Microsecond)
	defer tick.Stop()
	for id := many + 1; ; id++ {
		select {
		case <-done:
			if n < 10 {
				t.Errorf("%d events came in during %v", n, page.Took)
			}
			sameWhenAskedAnew(t, l, []engine.RequestQuery{{Filter: slow}})
			return
		case <-tick.C:
			put(l, finished(id))
			n++
		}
	}
}

// sameWhenAskedAnew holds what standing queries know to what they would find
// from the beginning.
func sameWhenAskedAnew(t *testing.T, l *Log, queries []engine.RequestQuery) {
	t.Helper()
	for _, q := range queries {
		standing := ask(t, l, q)
		l.queries.Lock()
		l.standing = nil
		l.queries.Unlock()
		if anew := ask(t, l, q); anew.Matched != standing.Matched || !slices.Equal(idsOf(anew.Requests), idsOf(standing.Requests)) {
			t.Errorf("%+v: %d match, anew %d", q, standing.Matched, anew.Matched)
		}
	}
}

// TestQueriesWhileRecordsCome is for the race detector, and for duplicates.
func TestQueriesWhileRecordsCome(t *testing.T) {
	f := enginetest.NewFake(engine.Snapshot{})
	l, err := Open(f, Options{Records: 500})
	if err != nil {
		t.Fatal(err)
	}
	const requests = 5000
	var asking sync.WaitGroup
	stop := make(chan struct{})
	queries := []engine.RequestQuery{{}, {Filter: "is:inflight"}, {Filter: "status:>200", Order: engine.ByDuration}, {Filter: "-is:unseen", Order: engine.ByPath, Ascending: true}, {Filter: "label.a:b"}}
	for i, q := range queries {
		asking.Go(func() {
			var page engine.RequestPage
			for {
				select {
				case <-stop:
					return
				default:
				}
				q.Count, q.At = 100, engine.RequestID(i*50)
				if err := l.Requests(context.Background(), q, &page); err != nil {
					t.Error(err)
					return
				}
				ids := idsOf(page.Requests)
				slices.Sort(ids)
				if len(slices.Compact(ids)) != len(page.Requests) {
					t.Error("a record stands twice on a page")
				}
				l.Request(context.Background(), page.Newest)
			}
		})
	}
	for id := 1; id <= requests; id++ {
		e := started(id)
		f.Publish(e)
		e.Request.Live.ResponseBytes.Add(1)
		if id > 20 {
			f.Publish(finished(id - 20))
		}
		if id%100 == 0 {
			f.Publish(engine.Event{Kind: engine.KindGreetingReceived, Greeting: &engine.Greeting{ID: "edge-fra-01", Labels: map[string]string{"a": fmt.Sprint(id)}}})
			l.mu.Lock()
			if id%1000 == 0 {
				l.distrust(false)
			}
			l.mu.Unlock()
		}
	}
	f.End()
	close(stop)
	asking.Wait()
	l.Close()
	if page := ask(t, l, engine.RequestQuery{}); page.Kept != 500 || page.Newest != requests {
		t.Errorf("%+v", page)
	}
	sameWhenAskedAnew(t, l, queries)
}

// Twelve events were lost; of six ids nothing came.
func TestLossIsCountedAndCastsDoubt(t *testing.T) {
	l := empty(10, 1<<20)
	l.done = make(chan struct{})
	batches := make(chan engine.Batch)
	go l.ingest(batches)
	lost := started(1)
	lost.Request.Live.Over.Store(true)
	batches <- engine.Batch{Events: []engine.Event{lost, started(2)}}
	batches <- engine.Batch{Events: []engine.Event{started(9), finished(2)}, Dropped: 12}
	batches <- engine.Batch{} // the one before was taken in
	page := ask(t, l, engine.RequestQuery{Ascending: true})
	if page.Lost != 6 || page.Kept != 3 {
		t.Errorf("%+v", page)
	}
	for i, want := range []string{endNotSeen, "", ""} {
		if r := page.Requests[i]; r.Reason != want || (r.Live != nil) != (r.ID == 9) {
			t.Errorf("%+v", r)
		}
	}
	close(batches)
	<-l.done
	if page := ask(t, l, engine.RequestQuery{Filter: "is:unseen"}); page.Matched != 2 {
		t.Errorf("%+v", page)
	}
}
