package scene

import (
	"cmp"
	"context"
	"slices"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// A Log is the log of the requests of a scene. It keeps nothing: what a question
// is about is made for the answer, so one that filters or sorts takes long.
type Log struct {
	scene *Scene
	still bool
}

var _ engine.RequestLog = (*Log)(nil)

// Log returns the requests of the scene at the moment of the pictures.
func (s *Scene) Log() *Log { return &Log{scene: s, still: true} }

// Log returns the requests of the engine, of which more come.
func (e *Engine) Log() *Log { return &Log{scene: e.Scene} }

func (l *Log) now() time.Duration {
	if l.still {
		return 0
	}
	return time.Since(l.scene.o.Origin)
}

// Requests implements [engine.RequestLog].
func (l *Log) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	start := time.Now()
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		return err
	}
	t := l.now()
	newest := l.scene.newest(t)
	last := newest
	if q.Until > 0 {
		last = min(last, q.Until)
	}
	first := newest - min(newest, engine.RequestID(l.scene.o.Requests)) + 1
	records := into.Requests[:0]
	*into = engine.RequestPage{Kept: int(newest - first + 1), Oldest: first, Newest: newest, After: int(newest - last), Capacity: l.scene.o.Requests}
	count := min(max(q.Count, 0), 1000)
	if f.Empty() && q.Order == engine.ByArrival {
		into.Matched = int(last + 1 - min(first, last+1))
		at := func(id engine.RequestID) int {
			id = min(max(id, first), last)
			if q.Ascending {
				return int(id - first)
			}
			return int(last - id)
		}
		into.Offset = from(q, at)
		for i := into.Offset; i < min(into.Offset+count, into.Matched); i++ {
			id := last - engine.RequestID(i)
			if q.Ascending {
				id = first + engine.RequestID(i)
			}
			records = append(records, l.scene.Request(id, false))
		}
	} else {
		all, err := l.all(ctx, q, f, first, last, t)
		if err != nil {
			return err
		}
		into.Matched = len(all)
		into.Offset = from(q, func(id engine.RequestID) int {
			return max(0, slices.IndexFunc(all, func(r engine.Request) bool { return r.ID == id }))
		})
		low := min(into.Offset, len(all))
		records = append(records, all[low:min(low+count, len(all))]...)
	}
	into.Requests, into.Took = records, time.Since(start)
	return ctx.Err()
}

// from is where the window of a query begins.
func from(q engine.RequestQuery, at func(engine.RequestID) int) int {
	if q.At == 0 {
		return max(q.Offset, 0)
	}
	return max(at(q.At)-q.Offset, 0)
}

// all returns what a filter selects, in order.
func (l *Log) all(ctx context.Context, q engine.RequestQuery, f *filter.Filter, first, last engine.RequestID, t time.Duration) ([]engine.Request, error) {
	c := &filter.Context{Now: l.scene.o.Origin.Add(t), Marked: func(id uint64) bool {
		_, marked := slices.BinarySearch(q.Marked, engine.RequestID(id))
		return marked
	}}
	var all []engine.Request
	for id := first; id <= last; id++ {
		if id%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if r := l.scene.Request(id, f.Needs()&filter.NeedsHeads != 0); f.Request(&r, c) {
			r.Heads = nil
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b engine.Request) int {
		n := 0
		switch q.Order {
		case engine.ByDuration:
			n = cmp.Compare(a.LastByte, b.LastByte)
		case engine.BySize:
			n = cmp.Compare(a.RequestBytes+a.ResponseBytes, b.RequestBytes+b.ResponseBytes)
		case engine.ByStatus:
			n = cmp.Compare(a.Status, b.Status)
		case engine.ByClient:
			n = cmp.Compare(a.Client, b.Client)
		case engine.ByPath:
			n = cmp.Compare(filter.Path(a.Target), filter.Path(b.Target))
		}
		if n = cmp.Or(n, cmp.Compare(a.ID, b.ID)); !q.Ascending {
			n = -n
		}
		return n
	})
	return all, nil
}

// Request implements [engine.RequestLog].
func (l *Log) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	newest := l.scene.newest(l.now())
	if id == 0 || id > newest || newest-id >= engine.RequestID(l.scene.o.Requests) {
		return engine.Request{}, engine.ErrNotFound
	}
	return l.scene.Request(id, true), ctx.Err()
}

// Content implements [engine.RequestLog].
func (l *Log) Content(_ context.Context, id engine.RequestID, into *engine.Content) error {
	c := l.scene.contentOf(id)
	if c == nil {
		return engine.ErrNotFound
	}
	*into = *c
	return nil
}

// Events implements [engine.RequestLog].
func (*Log) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
