package store

import (
	"context"
	"math"
	"slices"
	"sort"
	"time"

	"adit/engine"
)

// Requests implements [engine.RequestLog].
func (l *Log) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	l.queries.Lock()
	defer l.queries.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	begun := time.Now()
	q.Count = min(max(q.Count, 0), maxCount)
	q.Offset = max(q.Offset, 0)
	q.Until = min(q.Until, math.MaxUint64-1) // there is one after it

	s, err := l.find(&q)
	if err != nil {
		return err
	}
	if s.filter.Empty() && s.order == engine.ByArrival {
		l.all(&q, into)
	} else {
		if err := l.refresh(ctx, s, &q); err != nil {
			return err
		}
		l.page(s, &q, into)
	}
	into.Took = time.Since(begun)
	return nil
}

// all answers a query that selects everything by arrival: the ring is in that
// order.
func (l *Log) all(q *engine.RequestQuery, into *engine.RequestPage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &l.ring
	end := g.next
	if q.Until > 0 {
		end, _ = g.find(q.Until + 1)
	}
	p, kept := g.find(q.At)
	w := windowOf(q, int(end-g.first), int(min(p, end)-g.first), kept && p < end)
	l.describe(q, w, into)
	t := time.Now()
	for i := w.from; i < w.to; i++ {
		l.copyOut(g.first+uint64(i), t, into)
	}
	if !q.Ascending {
		slices.Reverse(into.Requests)
	}
}

// A window is a part of what is selected, counted in ascending order.
type window struct {
	from, to int
	matched  int
	offset   int // in the order of the query
}

// windowOf returns the window of q among n records; rank is where At stands or,
// if it is not there, would stand.
func windowOf(q *engine.RequestQuery, n, rank int, there bool) window {
	offset := q.Offset
	if q.At > 0 {
		if !q.Ascending {
			rank = n - rank
			if there {
				rank--
			}
		}
		offset = max(rank-q.Offset, 0)
	}
	offset = min(offset, n)
	w := window{from: offset, to: min(offset+q.Count, n), matched: n, offset: offset}
	if !q.Ascending {
		w.from, w.to = n-w.to, n-w.from
	}
	return w
}

// page answers a query from what refresh has found.
func (l *Log) page(s *standing, q *engine.RequestQuery, into *engine.RequestPage) {
	m := merged{s.rest, s.live}
	if q.Until > 0 {
		m.live = slices.DeleteFunc(m.live, func(e entry) bool { return e.id > q.Until })
		m.rest = s.upTo(q.Until)
	}
	rank, there := 0, false
	if q.At > 0 {
		if e, ok := l.placed(s, q.At); ok {
			rank, there = m.rank(e)
		} else {
			q.At = 0
		}
	}
	w := windowOf(q, len(m.rest)+len(m.live), rank, there)
	l.window = m.ids(w, l.window[:0])
	if !q.Ascending {
		slices.Reverse(l.window)
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.describe(q, w, into)
	for _, id := range l.window {
		if p, ok := l.ring.find(id); ok {
			l.copyOut(p, s.context.Now, into)
		}
	}
}

// upTo returns the entries that rest with ids up to until.
func (s *standing) upTo(until engine.RequestID) []entry {
	if s.order == engine.ByArrival {
		i, _ := slices.BinarySearchFunc(s.rest, entry{id: until + 1}, compare)
		return s.rest[:i]
	}
	s.until = s.until[:0]
	for _, e := range s.rest {
		if e.id <= until {
			s.until = append(s.until, e)
		}
	}
	return s.until
}

// placed returns the entry that id has in the order of s, whether or not it is
// selected; false where that is not known.
func (l *Log) placed(s *standing, id engine.RequestID) (entry, bool) {
	if s.order == engine.ByArrival {
		return entry{id: id}, true
	}
	for _, e := range s.live {
		if e.id == id {
			return e, true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.ring.find(id)
	if !ok {
		return entry{}, false
	}
	l.ring.at(p).now(&l.candidate, nil, s.context.Now)
	return entryOf(&l.candidate, s.order), true
}

// merged is two ascending lists, read as one.
type merged struct{ rest, live []entry }

// rank returns how many entries stand before e, and whether e is one itself.
func (m merged) rank(e entry) (int, bool) {
	i, resting := slices.BinarySearchFunc(m.rest, e, compare)
	j, living := slices.BinarySearchFunc(m.live, e, compare)
	return i + j, resting || living
}

// ids appends the ids of a window, in ascending order.
func (m merged) ids(w window, into []engine.RequestID) []engine.RequestID {
	// How many of live stand before the window: those of rank below its beginning.
	j := sort.Search(len(m.live), func(j int) bool {
		rank, _ := m.rank(m.live[j])
		return rank >= w.from
	})
	i := w.from - j
	for range w.to - w.from {
		if j == len(m.live) || i < len(m.rest) && compare(m.rest[i], m.live[j]) < 0 {
			into = append(into, m.rest[i].id)
			i++
		} else {
			into = append(into, m.live[j].id)
			j++
		}
	}
	return into
}

// describe fills in what a page says beside its records. mu is held.
func (l *Log) describe(q *engine.RequestQuery, w window, into *engine.RequestPage) {
	g := &l.ring
	*into = engine.RequestPage{
		Requests: into.Requests[:0],
		Offset:   w.offset,
		Matched:  w.matched,
		Kept:     g.kept(),
		Oldest:   g.oldest(),
		Newest:   g.newest(),
		Lost:     min(l.lost, g.missing()),
		Capacity: g.capacity,
	}
	if q.Until > 0 {
		p, _ := g.find(q.Until + 1)
		into.After = int(g.next - p)
		if g.gone > q.Until {
			// Of those that are gone, ids say how many came after it.
			into.After += int(min(uint64(g.gone-q.Until), g.evicted))
		}
	}
}

// copyOut appends the record at p as it is at t. mu is held.
func (l *Log) copyOut(p uint64, t time.Time, into *engine.RequestPage) {
	into.Requests = append(into.Requests, engine.Request{})
	r := &into.Requests[len(into.Requests)-1]
	l.ring.at(p).now(r, nil, t)
}
