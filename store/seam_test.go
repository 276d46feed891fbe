package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"adit/engine"
	"adit/engine/filter"
	"adit/store/history"
)

// A shelfDB is a history in memory, whose writer is as slow as the test wants.
type shelfDB struct {
	shared bool // a former process may add rows
	first  engine.RequestID

	mu       sync.Mutex
	rows     []engine.Request // that can be read, in order
	pending  []engine.Request
	key      uint64
	readable uint64
	full     bool // nothing more is taken
	oldest   engine.RequestID
	events   []engine.Event
	keys     []uint64
	slices   int // ids that one step of a search looks at
	failing  error
	searched int           // rows that searches have looked at
	slow     time.Duration // what a step takes
}

func (f *shelfDB) Next() (engine.RequestID, engine.ConnectionID) { return f.first, 1 }

func (f *shelfDB) Add(e *engine.Event) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.full, e.Kind == engine.KindRequestStarted:
		return 0
	case e.Kind == engine.KindRequestFinished:
		f.pending = append(f.pending, *e.Request)
	default:
		f.events = append(f.events, *e)
		f.keys = append(f.keys, f.key+1)
	}
	f.key++
	return f.key
}

func (f *shelfDB) commit() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.pending {
		i, _ := slices.BinarySearchFunc(f.rows, r.ID, rowByID)
		f.rows = slices.Insert(f.rows, i, r)
	}
	f.pending, f.readable = nil, f.key
}

func (f *shelfDB) Lost(engine.Batch) {}

func (f *shelfDB) Readable() uint64 { f.mu.Lock(); defer f.mu.Unlock(); return f.readable }

func (f *shelfDB) Sole() bool               { f.mu.Lock(); defer f.mu.Unlock(); return !f.shared }
func (f *shelfDB) Oldest() engine.RequestID { f.mu.Lock(); defer f.mu.Unlock(); return f.oldest }

func (f *shelfDB) Problem() string { return "" }

func (f *shelfDB) Search(ctx context.Context, fl *filter.Filter, c *filter.Context, order engine.RequestOrder, from, before engine.RequestID, found func([]history.Entry, engine.RequestID) bool) error {
	for before > from {
		down := from
		if step := engine.RequestID(f.slices); before-from > step {
			down = before - step
		}
		var batch []history.Entry
		f.mu.Lock()
		err := f.failing
		i, _ := slices.BinarySearchFunc(f.rows, before, rowByID)
		for i--; i >= 0 && f.rows[i].ID >= down; i-- {
			f.searched++
			if r := &f.rows[i]; fl == nil || fl.Request(r, c) {
				x := history.Entry{ID: r.ID, Key: entryOf(r, order).key}
				switch order {
				case engine.ByClient:
					x.Text = r.Client
				case engine.ByPath:
					x.Text = filter.Path(r.Target)
				}
				batch = append(batch, x)
			}
		}
		f.mu.Unlock()
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if f.slow > 0 {
			time.Sleep(f.slow)
		}
		if !found(batch, down) {
			return nil
		}
		before = down
	}
	return nil
}

func (f *shelfDB) Spans(ctx context.Context, before engine.RequestID, found func(from, to engine.RequestID) bool) error {
	f.mu.Lock()
	rows := slices.Clone(f.rows)
	err := f.failing
	f.mu.Unlock()
	if err != nil {
		return err
	}
	for i := len(rows) - 1; i >= 0; i-- {
		if id := rows[i].ID; id < before && !found(id, id+1) {
			break
		}
	}
	return ctx.Err()
}

func (f *shelfDB) Requests(_ context.Context, ids []engine.RequestID, into []engine.Request) ([]engine.Request, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if i, ok := slices.BinarySearchFunc(f.rows, id, rowByID); ok {
			into = append(into, f.rows[i])
		}
	}
	return into, nil
}

func (f *shelfDB) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	if list, _ := f.Requests(ctx, []engine.RequestID{id}, nil); len(list) > 0 {
		r := list[0]
		r.Heads = &engine.Heads{Request: "from: history\n"}
		return r, nil
	}
	return engine.Request{}, engine.ErrNotFound
}

func (f *shelfDB) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

func (f *shelfDB) Events(_ context.Context, q engine.EventQuery, into *engine.EventPage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.events) - 1; i >= 0; i-- {
		switch {
		case q.Before > 0 && f.keys[i] >= q.Before || f.keys[i] > f.readable:
		case len(into.Events) == q.Count:
			into.More = true
			return nil
		default:
			into.Events, into.Keys = append(into.Events, f.events[i]), append(into.Keys, f.keys[i])
		}
	}
	return nil
}

// overHistory returns a log over f that events are put into by a test.
func overHistory(t interface{ Cleanup(func()) }, f database, capacity int) *Log {
	l := newLog(Options{Records: capacity, Bytes: 1 << 30})
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.open(f)
	close(l.done)
	t.Cleanup(l.Close)
	return l
}

// feed puts an event in as the ingest does.
func feed(l *Log, e engine.Event) {
	key := l.file.Add(&e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shelf.progress(l.file.Readable())
	l.apply(&e, key)
	if key > 0 {
		l.shelf.mark(key, l.ring.seq)
	}
}

// everything returns what ring and history have, each record once, by id.
func everything(l *Log, f *shelfDB) []engine.Request {
	var all []engine.Request
	for _, r := range slices.Concat(f.rows, f.pending) {
		if r.ID < l.ring.floor && r.ID >= f.oldest {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b engine.Request) int { return cmp.Compare(a.ID, b.ID) })
	for p := l.ring.first; p < l.ring.next; p++ {
		var r engine.Request
		l.ring.now(l.ring.at(p), &r, nil, time.Now())
		all = append(all, r)
	}
	return all
}

// naive answers q by sorting and filtering everything.
func naive(t *rapid.T, all []engine.Request, q engine.RequestQuery) (page engine.RequestPage, ids []engine.RequestID) {
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		t.Fatal(err)
	}
	c := &filter.Context{Now: time.Now(), Marked: func(id uint64) bool { return slices.Contains(q.Marked, engine.RequestID(id)) }}
	var entries []entry
	place, placed := entry{id: q.At}, q.Order == engine.ByArrival
	for i := range all {
		r := &all[i]
		e := entryOf(r, q.Order)
		if r.ID == q.At {
			place, placed = e, true
		}
		if q.Until > 0 && r.ID > q.Until {
			page.After++
			continue
		}
		if f.Request(r, c) {
			entries = append(entries, e)
		}
	}
	direction := 1
	if !q.Ascending {
		direction = -1
	}
	slices.SortFunc(entries, func(a, b entry) int { return compare(a, b) * direction })
	from := q.Offset
	if q.At > 0 && placed {
		rank := 0
		for rank < len(entries) && compare(entries[rank], place)*direction < 0 {
			rank++
		}
		from = max(rank-q.Offset, 0)
	}
	from = min(from, len(entries))
	page.Offset, page.Matched = from, len(entries)
	for _, e := range entries[from:min(from+q.Count, len(entries))] {
		ids = append(ids, e.id)
	}
	return page, ids
}

// TestRingAndHistoryAreOneList holds the log over a history to sorting and filtering
// a slice, whatever the writer's delay, however much is lost, and with records that
// end long after the ring has pushed them out.
func TestRingAndHistoryAreOneList(t *testing.T) {
	filters := []string{"", "", "status:>=500", "-is:inflight client:a", "is:marked", "path:/b OR is:unseen", "out:>2", "time:-90m.."}
	rapid.Check(t, func(t *rapid.T) {
		former := rapid.IntRange(0, 60).Draw(t, "former")
		f := &shelfDB{first: 100, slices: rapid.SampledFrom([]int{1, 7, 1000}).Draw(t, "slices")}
		l := overHistory(t, f, rapid.IntRange(1, 30).Draw(t, "capacity"))
		base := time.Now().Add(-30 * time.Minute)
		made := func(id engine.RequestID) *engine.Request {
			return &engine.Request{
				ID: id, Client: rapid.SampledFrom([]string{"a", "b", "client-of-a-long-name-1", "client-of-a-long-name-2"}).Draw(t, "client"),
				Target:  "/" + rapid.SampledFrom([]string{"a", "b", "a/long/way/to/go", "a/long/way/to/stay"}).Draw(t, "path"),
				Arrived: base.Add(-time.Duration(rapid.IntRange(0, 5).Draw(t, "hours")) * time.Hour), LastByte: -1, Live: new(engine.Live),
			}
		}
		ended := func(id engine.RequestID) *engine.Request {
			r := made(id)
			r.Status = rapid.SampledFrom([]int{200, 404, 500}).Draw(t, "status")
			r.LastByte, r.ResponseBytes = time.Duration(rapid.IntRange(0, 9999).Draw(t, "took")), int64(rapid.IntRange(0, 5).Draw(t, "bytes"))
			r.Outcome, r.Live = engine.OutcomeCompleted, nil
			return r
		}
		for id := range former {
			if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				f.rows = append(f.rows, *ended(engine.RequestID(id + 1)))
			}
		}
		next := f.first
		var open []engine.RequestID
		var queries []engine.RequestQuery
		end := func(i int) {
			feed(l, engine.Event{Kind: engine.KindRequestFinished, Request: ended(open[i])})
			open = slices.Delete(open, i, i+1)
		}
		t.Repeat(map[string]func(*rapid.T){
			"start": func(*rapid.T) {
				for range rapid.IntRange(1, 8).Draw(t, "n") {
					feed(l, engine.Event{Kind: engine.KindRequestStarted, Request: made(next)})
					open = append(open, next)
					next += engine.RequestID(rapid.SampledFrom([]int{1, 1, 1, 2, 9}).Draw(t, "gap"))
				}
			},
			"untold": func(*rapid.T) { open = append(open, next); next++ },
			"end": func(*rapid.T) {
				for range rapid.IntRange(1, 12).Draw(t, "n") {
					if len(open) > 0 {
						end(rapid.IntRange(0, len(open)-1).Draw(t, "which"))
					}
				}
			},
			"burst": func(*rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					open = append(open, next)
					next++
					end(len(open) - 1)
				}
			},
			"commit": func(*rapid.T) { f.commit() },
			"full":   func(*rapid.T) { f.full = !f.full },
			"lose":   func(*rapid.T) { l.mu.Lock(); l.distrust(true); l.mu.Unlock() },
			"ask": func(*rapid.T) {
				if len(queries) < 12 && rapid.Bool().Draw(t, "new") || len(queries) == 0 {
					queries = append(queries, engine.RequestQuery{
						Filter: rapid.SampledFrom(filters).Draw(t, "filter"), Order: engine.RequestOrder(rapid.IntRange(0, int(engine.ByPath)).Draw(t, "order")), Ascending: rapid.Bool().Draw(t, "ascending"),
					})
				}
				q := rapid.SampledFrom(queries).Draw(t, "query")
				q.Complete = rapid.IntRange(0, 3).Draw(t, "complete") > 0
				q.Count, q.Offset = rapid.IntRange(0, 30).Draw(t, "count"), rapid.IntRange(0, 40).Draw(t, "offset")
				if rapid.Bool().Draw(t, "paused") {
					q.Until = engine.RequestID(rapid.IntRange(0, int(next)).Draw(t, "until"))
				}
				if rapid.Bool().Draw(t, "around") {
					q.At = engine.RequestID(rapid.IntRange(0, int(next)+2).Draw(t, "at"))
				}
				for id, seed := engine.RequestID(0), rapid.IntRange(1, 9).Draw(t, "marks"); id < next; id += engine.RequestID(seed) {
					q.Marked = append(q.Marked, id)
				}
				all := everything(l, f)
				want, ids := naive(t, all, q)
				var got engine.RequestPage
				if err := l.Requests(t.Context(), q, &got); err != nil {
					t.Fatal(err)
				}
				if got.Searching && q.Complete {
					t.Fatalf("%+v: still searching", q)
				}
				if !got.Searching && (!slices.Equal(idsOf(got.Requests), ids) || got.Offset != want.Offset || got.Matched != want.Matched || got.After != want.After) {
					t.Fatalf("floor %d, %+v:\n got %v %d %d %d\nwant %v %d %d %d", l.ring.floor, q, idsOf(got.Requests), got.Offset, got.Matched, got.After, ids, want.Offset, want.Matched, want.After)
				}
				for i := range got.Requests {
					r := &got.Requests[i]
					at, ok := slices.BinarySearchFunc(all, r.ID, rowByID)
					if !ok || fmt.Sprint(all[at].Client, all[at].Status, all[at].Outcome, all[at].Live != nil) != fmt.Sprint(r.Client, r.Status, r.Outcome, r.Live != nil) {
						t.Fatalf("record %+v", r)
					}
				}
			},
			"": func(t *rapid.T) {
				if fault := unsound(l); fault != "" {
					t.Fatal(fault)
				}
			},
		})
	})
}
