package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/filter"
	"adit/store/history"
)

// stocked returns a history with n requests of a former run.
func stocked(n int) *shelfDB {
	f := &shelfDB{first: engine.RequestID(n + 1), slices: 100}
	for i := 1; i <= n; i++ {
		f.rows = append(f.rows, *typical(i))
	}
	return f
}

func whole(t *testing.T, l *Log, q engine.RequestQuery) *engine.RequestPage {
	t.Helper()
	q.Complete = true
	return ask(t, l, q)
}

// Past events come from memory and, from where that begins, from the history: each
// once, in whatever pages, also those that the writer has not written yet.
func TestEventsOfMemoryAndHistoryAreOneList(t *testing.T) {
	f := &shelfDB{first: 1}
	for i := range 20 {
		f.Add(&engine.Event{Kind: engine.KindNotice, Reason: fmt.Sprint("former ", i)})
	}
	f.commit()
	l := overHistory(t, f, 10)
	for i := range remembered + 50 {
		feed(l, engine.Event{Kind: engine.KindNotice, Reason: fmt.Sprint("now ", i)})
		feed(l, finished(i+1))
		if i == remembered {
			f.commit()
		}
	}
	for _, count := range []int{1, 7, 1000} {
		var got []string
		q := engine.EventQuery{Count: count}
		for {
			var page engine.EventPage
			if err := l.Events(t.Context(), q, &page); err != nil {
				t.Fatal(err)
			}
			for i, e := range page.Events {
				if q.Before > 0 && page.Keys[i] >= q.Before {
					t.Fatalf("key %d is not before %d", page.Keys[i], q.Before)
				}
				q.Before = page.Keys[i]
				got = append(got, e.Reason)
			}
			if !page.More || count == 1 && len(got) == 100 {
				break
			}
		}
		if count == 1 {
			continue
		}
		if len(got) != remembered+70 || got[0] != fmt.Sprint("now ", remembered+49) || got[len(got)-1] != "former 0" || got[remembered+49] != "now 0" {
			t.Errorf("pages of %d: %d events, %v … %v", count, len(got), got[:2], got[len(got)-2:])
		}
	}
	var page engine.EventPage
	if err := l.Events(t.Context(), engine.EventQuery{Count: 5, Filter: `"now 17"`}, &page); err != nil || len(page.Events) != 5 || page.Events[4].Reason != "now 1797" && !strings.HasPrefix(page.Events[4].Reason, "now 17") {
		t.Errorf("%+v, %v", page.Events, err)
	}
	if err := l.Events(t.Context(), engine.EventQuery{Filter: "level:"}, &page); err == nil {
		t.Error("a filter that does not parse is taken")
	}
}

// Without a history the newest events are there all the same, and never more.
func TestEventsWithoutHistory(t *testing.T) {
	l := empty(10, 1<<20)
	for i := range 3 * remembered {
		put(l, engine.Event{Kind: engine.KindNotice, Reason: fmt.Sprint(i)}, finished(i+1))
	}
	var page engine.EventPage
	q := engine.EventQuery{Count: 1000}
	n := 0
	for more := true; more; more = page.More {
		if err := l.Events(t.Context(), q, &page); err != nil {
			t.Fatal(err)
		}
		n += len(page.Events)
		q.Before = page.Keys[len(page.Keys)-1]
	}
	if n != remembered || len(l.memory.events) != remembered {
		t.Errorf("%d events", n)
	}
}

// A search that nobody asks for any more must not go on, nor may one outlive its
// log.
func TestSearchThatNobodyAsksForEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stocked(100_000)
		f.slow = 20 * time.Millisecond
		l := overHistory(t, f, 10)
		for _, q := range []string{"method:GET", "method:PUT", "status:500"} {
			begun := time.Now()
			if page := ask(t, l, engine.RequestQuery{Filter: q}); !page.Searching || time.Since(begun) > 0 {
				t.Errorf("%q: waited %v, searching %v", q, time.Since(begun), page.Searching)
			}
		}
		run := func() (searches, rows int) {
			l.queries.Lock()
			defer l.queries.Unlock()
			f.mu.Lock()
			defer f.mu.Unlock()
			return l.searches, f.searched
		}
		if n, _ := run(); n != maxSearches {
			t.Errorf("%d searches run", n)
		}
		time.Sleep(2 * unasked)
		n, searched := run()
		if n != 0 {
			t.Errorf("%d searches that nobody asks for", n)
		}
		// Who asks again goes on where it ended.
		if page := whole(t, l, engine.RequestQuery{Filter: "method:GET"}); page.Matched != 50_000 || page.Searching {
			t.Errorf("%+v", page.Matched)
		}
		if _, rows := run(); rows-searched > 95_000 {
			t.Errorf("%d rows looked at again", rows-searched)
		}
		ask(t, l, engine.RequestQuery{Filter: "method:PUT"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var page engine.RequestPage
		if err := l.Requests(ctx, engine.RequestQuery{Filter: "method:PUT", Complete: true}, &page); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits is not let go: %v", err)
		}
		l.Close()
		if page := ask(t, l, engine.RequestQuery{Filter: "method:PUT"}); page.Searching {
			t.Error("searching after the end")
		}
	})
}

// A history that can't be read is said, and asked again later; the ring is shown
// all the same.
func TestSearchThatFailsIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := stocked(1000)
		f.failing = errors.New("the disk is on fire")
		l := overHistory(t, f, 10)
		feed(l, finished(1001))
		for _, q := range []engine.RequestQuery{{Filter: "client:edge"}, {}, {Order: engine.ByPath}} {
			ask(t, l, q)
			synctest.Wait()
			page := ask(t, l, q)
			if !strings.Contains(page.Problem, "on fire") || len(page.Requests) != 1 {
				t.Errorf("%+v: %q, %d", q, page.Problem, len(page.Requests))
			}
			q.Complete = true
			if err := l.Requests(t.Context(), q, page); err == nil {
				t.Errorf("%+v: complete", q)
			}
		}
		f.mu.Lock()
		f.failing = nil
		f.mu.Unlock()
		time.Sleep(2 * again)
		for _, q := range []engine.RequestQuery{{Filter: "client:edge"}, {}, {Order: engine.ByPath}} {
			ask(t, l, q)
			synctest.Wait()
			if page := whole(t, l, q); page.Matched != 1001 || page.Problem != "" {
				t.Errorf("%+v: %d, %q", q, page.Matched, page.Problem)
			}
		}
	})
}

// What retention takes away is not counted, and a row that is gone is no row.
func TestWhatIsGoneIsNotShown(t *testing.T) {
	f := stocked(1000)
	l := overHistory(t, f, 10)
	feed(l, finished(1001))
	queries := []engine.RequestQuery{{}, {Filter: "client:edge"}, {Order: engine.ByDuration}}
	for _, q := range queries {
		if page := whole(t, l, q); page.Matched != 1001 {
			t.Fatalf("%+v: %d", q, page.Matched)
		}
	}
	f.mu.Lock()
	f.rows, f.oldest = f.rows[500:], 501
	f.mu.Unlock()
	f.commit()
	for _, q := range queries[:2] {
		page := whole(t, l, engine.RequestQuery{Filter: q.Filter, Ascending: true, Count: 5})
		if page.Matched != 501 || page.Stored != 500 || page.Requests[0].ID != 501 {
			t.Errorf("%+v: %d, first %v", q, page.Matched, page.Requests[0].ID)
		}
	}
	l.rows = rows{}
	f.mu.Lock()
	f.rows = slices.Delete(f.rows, 10, 20)
	f.mu.Unlock()
	feed(l, finished(1002))
	f.commit()
	for _, q := range queries {
		q.Ascending = true
		whole(t, l, q)
		if page := whole(t, l, q); q.Order == engine.ByArrival && page.Matched != 492 || slices.ContainsFunc(page.Requests, unreadRow) {
			t.Errorf("%+v: %d", q, page.Matched)
		}
	}
}

func unreadRow(r engine.Request) bool { return unread(&r) || r.ID > 510 && r.ID <= 520 }

// endless is a history in which everything matches.
type endless struct{ shelfDB }

func (f *endless) Search(ctx context.Context, _ *filter.Filter, _ *filter.Context, _ engine.RequestOrder, from, before engine.RequestID, found func([]history.Entry, engine.RequestID) bool) error {
	batch := make([]history.Entry, 0, 10_000)
	for before > from {
		batch = batch[:0]
		for ; before > from && len(batch) < cap(batch); before-- {
			batch = append(batch, history.Entry{ID: before - 1, Key: int64(before*7919) % 100_003 * 1000})
		}
		if !found(batch, before) {
			return nil
		}
	}
	return ctx.Err()
}

// However much matches, what a query keeps is bounded, and it is said.
func TestFindsAreBounded(t *testing.T) {
	f := &endless{shelfDB{first: 1_400_001, slices: 1 << 20}}
	l := overHistory(t, f, 10)
	for _, q := range []engine.RequestQuery{{Order: engine.ByDuration}, {Filter: "client:edge", Order: engine.BySize}, {Filter: "method:GET", Order: engine.ByStatus}} {
		page := whole(t, l, q)
		if !page.Cut || page.Searching || page.Matched < maxFound || page.Matched > maxFound+20_000 {
			t.Errorf("%+v: %d, cut %v", q, page.Matched, page.Cut)
		}
	}
	n := 0
	for _, s := range l.standing {
		n += s.past.size()
	}
	if n > allFound+20_000 {
		t.Errorf("%d finds are kept", n)
	}
}

// text is content that says what it is.
type text string

func (c text) Content(into *engine.Content) bool {
	into.Request.Data = append(into.Request.Data[:0], c...)
	return c != "dropped"
}

// Content is read where it is: while the exchange runs, after it, and where
// everything was dropped in the history.
func TestContentIsFound(t *testing.T) {
	l := empty(10, 1<<20)
	e := started(1)
	var c engine.Content
	put(l, e)
	if err := l.Content(t.Context(), 1, &c); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("%v", err)
	}
	var running, over engine.Captured = text("running"), text("over")
	e.Request.Live.Captured.Store(&running)
	if err := l.Content(t.Context(), 1, &c); err != nil || string(c.Request.Data) != "running" {
		t.Errorf("%q, %v", c.Request.Data, err)
	}
	end := finished(1)
	end.Request.Captured = over
	put(l, end)
	if err := l.Content(t.Context(), 1, &c); err != nil || string(c.Request.Data) != "over" {
		t.Errorf("%q, %v", c.Request.Data, err)
	}
	if r, err := l.Request(t.Context(), 1); err != nil || r.Captured != over {
		t.Errorf("%+v, %v", r, err)
	}
	end = finished(2)
	end.Request.Captured = text("dropped")
	put(l, end)
	if err := l.Content(t.Context(), 2, &c); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

// While requests come, are pushed out and written, and end long after, everybody
// who asks gets rows in order, and in the end each request is there once.
func TestSeamUnderLoad(t *testing.T) {
	const requests = 3000
	f := stocked(500)
	e := enginetest.NewFake(engine.Snapshot{})
	l := newLog(Options{Records: 100, Bytes: 1 << 30})
	l.ctx, l.cancel = context.WithCancel(t.Context())
	l.open(f)
	batches, err := e.Subscribe(l.ctx, engine.SubscribeOptions{Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	go l.ingest(batches)
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for tick := time.NewTicker(2 * time.Millisecond); ; <-tick.C {
			select {
			case <-stop:
				tick.Stop()
				return
			default:
				f.commit()
			}
		}
	})
	queries := []engine.RequestQuery{{}, {Filter: "method:GET,PUT"}, {Order: engine.ByDuration}, {Filter: "client:edge-fra-01", Order: engine.ByPath, Ascending: true}, {Offset: 300}}
	for i, q := range queries {
		asking.Go(func() {
			var page engine.RequestPage
			q.Count, q.Complete = 200, i%2 == 0
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := l.Requests(t.Context(), q, &page); err != nil {
					t.Error(err)
					return
				}
				for i := 1; i < len(page.Requests); i++ {
					a, b := entryOf(&page.Requests[i-1], q.Order), entryOf(&page.Requests[i], q.Order)
					if page.Requests[i].Live == nil && page.Requests[i-1].Live == nil && (compare(a, b) > 0) == q.Ascending {
						t.Errorf("%+v: %+v before %+v", q, a, b)
						return
					}
				}
			}
		})
	}
	for i := range requests {
		e.Publish(started(501 + i))
		if late := 501 + i - 20 - i%7*60; late > 500 && i%7 == (late-501)%7 {
			e.Publish(finished(late))
		}
		if i%50 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	e.End()
	close(stop)
	asking.Wait()
	<-l.done
	f.commit()
	for _, q := range queries {
		q.Offset = 0
		all := everything(l, f)
		fl, err := filter.Parse(filter.Requests, q.Filter)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for i := range all {
			if fl.Request(&all[i], nil) {
				want++
			}
		}
		if page := whole(t, l, q); page.Matched != want {
			t.Errorf("%+v: %d, want %d", q, page.Matched, want)
		}
	}
	l.Close()
}
