package store

import (
	"context"
	"math"
	"slices"
	"time"

	"adit/engine"
)

// Requests implements [engine.RequestLog].
func (l *Log) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	begun := time.Now()
	q.Count = min(max(q.Count, 0), maxCount)
	q.Offset = max(q.Offset, 0)
	q.Until = min(q.Until, math.MaxUint64-1) // there is one after it
	if l.file == nil {
		q.Complete = false
	}
	if q.Complete {
		select {
		case l.slots <- struct{}{}:
			defer func() { <-l.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var a answer
	for {
		var err error
		into.Took = 0
		if a, err = l.answer(ctx, &q, into); err != nil {
			return err
		}
		if a.wait == nil {
			break
		}
		select {
		case <-a.wait:
		case <-ctx.Done():
		}
		l.waited(a.standing)
	}
	if l.file != nil {
		if err := l.fetch(ctx, a.added, into); err != nil {
			return err
		}
	}
	into.Took = max(into.Took, time.Since(begun))
	return nil
}

// An answer is what is known of a page beside the page.
type answer struct {
	added    uint64        // the newest key of the history when it was made
	wait     chan struct{} // closed when there may be more; nil: nobody has to wait
	standing *standing     // of the query that waits; nil where it is everything
}

// waited notes that somebody waits no more.
func (l *Log) waited(s *standing) {
	if s != nil {
		l.queries.Lock()
		defer l.queries.Unlock()
		s.waiting--
	}
}

// answer fills into with what is known now. Of records of the history there is
// the id alone.
func (l *Log) answer(ctx context.Context, q *engine.RequestQuery, into *engine.RequestPage) (a answer, err error) {
	l.queries.Lock()
	defer l.queries.Unlock()
	if err := ctx.Err(); err != nil {
		return a, err
	}
	s, err := l.find(q)
	if err != nil {
		return a, err
	}
	if l.file != nil {
		l.trim(s)
	}
	var failure error
	if s.filter.Empty() && s.order == engine.ByArrival {
		failure = l.all(q, into)
		s = nil
	} else {
		if err := l.refresh(ctx, s, q); err != nil {
			return a, err
		}
		l.page(ctx, s, q, into)
		failure = l.failed(s)
	}
	if l.file == nil {
		return a, nil
	}
	switch {
	case failure != nil:
		into.Problem = "the history can't be searched: " + failure.Error()
	case l.closed:
		into.Searching = false
	case into.Searching && q.Complete:
		if a.wait, a.standing = l.progress, s; s != nil {
			s.waiting++
		}
	}
	if problem := l.file.Problem(); problem != "" {
		into.Problem = problem
	}
	if failure != nil && q.Complete {
		return a, failure
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a.added = l.shelf.added
	return a, nil
}

// failed returns why the history can't be searched for s, nil where it can.
func (l *Log) failed(s *standing) error {
	if s.failure != nil || l.shelf == nil {
		return s.failure
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shelf.failure
}

// trim forgets what the history keeps no more, and has it looked at if it was not.
func (l *Log) trim(s *standing) {
	oldest := l.file.Oldest()
	s.past.ids.trim(oldest)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shelf.ids.trim(oldest)
	if b := l.shelf; b.shared && b.down == 0 && !b.asked && l.file.Sole() {
		// What the former process has added since is found by looking again.
		first, _ := l.file.Next()
		b.shared, b.down = false, first
		b.ids.trim(first)
		for _, s := range l.standing {
			s.past.outdated = true
		}
	}
	if !l.closed {
		l.survey()
	}
}

// all answers a query that selects everything by arrival: the ring is in that
// order, and what is known of the history too.
func (l *Log) all(q *engine.RequestQuery, into *engine.RequestPage) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &l.ring
	end := g.next
	if q.Until > 0 {
		end, _ = g.find(q.Until + 1)
	}
	var failure error
	before := 0 // how many of the history stand before the ring
	if b := l.shelf; b != nil {
		failure = b.failure
		if before = b.ids.n; q.Until > 0 {
			before = b.ids.rank(q.Until + 1)
		}
	}
	p, there := g.find(q.At)
	rank := before + int(min(p, end)-g.first)
	there = there && p < end
	if l.shelf != nil && q.At > 0 && q.At < g.floor {
		rank, there = min(l.shelf.ids.rank(q.At), before), l.shelf.ids.has(q.At) && (q.Until == 0 || q.At <= q.Until)
	}
	w := windowOf(q, before+int(end-g.first), rank, there)
	l.describe(q, w, into)
	t := time.Now()
	if w.from < before {
		l.window = l.shelf.ids.window(w.from, min(w.to, before), l.window[:0])
		for _, id := range l.window {
			l.copyOut(id, t, into)
		}
	}
	for i := max(w.from, before); i < w.to; i++ {
		l.copyAt(g.first+uint64(i-before), t, into)
	}
	if !q.Ascending {
		slices.Reverse(into.Requests)
	}
	return failure
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
func (l *Log) page(ctx context.Context, s *standing, q *engine.RequestQuery, into *engine.RequestPage) {
	m := lists{rest: s.rest, live: s.live}
	if q.Until > 0 {
		m.live = slices.DeleteFunc(m.live, func(e entry) bool { return e.id > q.Until })
		m.rest = s.upTo(q.Until)
	}
	if l.file != nil {
		m.past, m.texts = s.past.lists(q.Until, s.floor), s.past.words.list
		if s.order == engine.ByArrival {
			m.ids, m.before = &s.past.ids, s.past.ids.n
			if q.Until > 0 {
				m.before = m.ids.rank(q.Until + 1)
			}
		}
	}
	rank, there := 0, false
	if q.At > 0 {
		if e, ok := l.placed(ctx, s, q.At); ok {
			rank, there = m.rank(e)
		} else {
			q.At = 0
		}
	}
	w := windowOf(q, m.len(), rank, there)
	l.window = m.window(w, l.window[:0])
	if !q.Ascending {
		slices.Reverse(l.window)
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	l.describe(q, w, into)
	if l.file != nil {
		into.Searching, into.Cut = into.Searching || s.searching(), s.past.cut
		into.Took = s.past.took // what of it was not found anew
	}
	for _, id := range l.window {
		l.copyOut(id, s.clock, into)
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
func (l *Log) placed(ctx context.Context, s *standing, id engine.RequestID) (entry, bool) {
	if s.order == engine.ByArrival {
		return entry{id: id}, true
	}
	for _, e := range s.live {
		if e.id == id {
			return e, true
		}
	}
	if l.known(s, id) {
		return entryOf(&l.candidate, s.order), true
	}
	if l.file == nil || id >= s.floor || !l.row(ctx, id, &l.candidate) {
		return entry{}, false
	}
	return entryOf(&l.candidate, s.order), true
}

// known makes a record that is in memory the candidate.
func (l *Log) known(s *standing, id engine.RequestID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.ring.find(id); ok {
		l.ring.now(l.ring.at(p), &l.candidate, nil, s.clock)
		return true
	}
	if l.shelf != nil {
		if late := l.shelf.find(id); late != nil {
			l.candidate = *late
			return true
		}
	}
	return false
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
	b := l.shelf
	if b != nil {
		into.Stored, into.Searching = b.ids.n, b.down > 0
	}
	if q.Until > 0 {
		p, _ := g.find(q.Until + 1)
		into.After = int(g.next - p)
		switch {
		case b != nil:
			into.After += b.ids.n - b.ids.rank(q.Until+1)
		case g.gone > q.Until:
			// Of those that are gone, ids say how many came after it.
			into.After += int(min(uint64(g.gone-q.Until), g.evicted))
		}
	}
}

// copyOut appends the record id as it is at t, the id alone where the history has
// the rest. mu is held.
func (l *Log) copyOut(id engine.RequestID, t time.Time, into *engine.RequestPage) {
	if p, ok := l.ring.find(id); ok {
		l.copyAt(p, t, into)
		return
	}
	// One that was pushed out in flight is nowhere until it ends.
	if l.shelf == nil || id >= l.shelf.down && !l.shelf.ids.has(id) {
		return
	}
	r := engine.Request{ID: id}
	if late := l.shelf.find(id); late != nil {
		r = *late
	}
	into.Requests = append(into.Requests, r)
}

// copyAt appends the record at p as it is at t. mu is held.
func (l *Log) copyAt(p uint64, t time.Time, into *engine.RequestPage) {
	into.Requests = append(into.Requests, engine.Request{})
	r := &into.Requests[len(into.Requests)-1]
	l.ring.now(l.ring.at(p), r, nil, t)
}
