package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/store/history"
)

const (
	maxSearches = 2
	maxComplete = 4

	// unasked is how long a search goes on that nobody asks for any more.
	unasked = 2 * time.Second

	// again is how soon a search that failed is tried again.
	again = time.Second

	// Where answers change with the time, the history is searched anew when the
	// last search is as old as share times what it took, and a second more.
	share = 20

	// searchTurn is how many finds are put in while queries wait.
	searchTurn = 1024

	// allFound bounds what all queries together keep of the history.
	allFound = 2 * maxFound
)

// begin forgets what s knows of the history.
func (s *standing) begin() {
	s.stop()
	s.past, s.anew = past{version: s.past.version + 1}, nil
}

// stop ends what runs for s, without waiting for it.
func (s *standing) stop() {
	if s.job != nil {
		s.job.cancel()
		s.job.into, s.job = nil, nil
	}
}

// retire drops the query that was asked the longest ago, if it can be one that
// nobody waits for.
func (l *Log) retire() {
	i := len(l.standing) - 1
	for i > 0 && l.standing[i].waiting > 0 {
		i--
	}
	if l.standing[i].waiting > 0 {
		i = len(l.standing) - 1
	}
	l.standing[i].stop()
	l.standing = slices.Delete(l.standing, i, i+1)
}

// followLate finds what has come to rest behind the ring and is selected. mu and
// queries are held.
func (l *Log) followLate(h *hold, s *standing) error {
	b := l.shelf
	if s.past.begun && b.lates-s.past.late > lateLen {
		s.begin()
	}
	from := s.past.late
	if s.anew != nil {
		from = min(from, s.anew.late)
	}
	from = max(from, b.lates-min(b.lates, lateLen))
	for from < b.lates {
		from++
		// A copy: the ring is let go now and then, and queries are not.
		l.candidate = b.late[from%lateLen]
		if s.filter.Request(&l.candidate, &s.context) {
			e := entryOf(&l.candidate, s.order)
			for p := range s.pasts() {
				p.put(e, s.order)
			}
		}
		if err := h.step(); err != nil {
			s.valid = false
			return err
		}
	}
	for p := range s.pasts() {
		p.late = from
	}
	return nil
}

// pasts yields what s knows of the history, and what is to take its place.
func (s *standing) pasts() func(yield func(*past) bool) {
	return func(yield func(*past) bool) {
		if yield(&s.past) && s.anew != nil {
			yield(s.anew)
		}
	}
}

// extend puts in what the ring has pushed out, which is in moved unless it is
// broken: then what was pushed out is to be looked for.
func (l *Log) extend(s *standing, floor engine.RequestID, broken bool) {
	s.asked = s.clock
	for p := range s.pasts() {
		switch {
		case !p.begun:
			p.begun, p.down, p.at, p.labels = true, floor, s.clock, s.labels
		case p.top == floor:
			continue
		case broken:
			if p.gapFrom == p.gapTo {
				p.gapFrom = p.top
			}
			p.gapTo = floor
		}
		p.top = floor
		p.putAll(l.moved, s.order)
	}
}

// pursue starts what s wants done beside, unless enough is running.
func (l *Log) pursue(s *standing) {
	p := &s.past
	if s.job != nil || l.closed || !p.begun || s.clock.Sub(s.failed) < again {
		return
	}
	j := &job{s: s, into: p, order: s.order}
	switch {
	case p.gapFrom != p.gapTo:
		j.kind, j.from, j.before = fillGap, p.gapFrom, p.gapTo
	case p.down > 0 && !p.cut:
		j.kind, j.before = goDown, p.down
	case s.stale():
		s.anew = &past{begun: true, down: s.floor, top: s.floor, at: s.clock, labels: s.labels}
		j.kind, j.into, j.before = goDown, s.anew, s.floor
	case len(p.recent) > recentFound:
		j.kind = joinLists
	default:
		return
	}
	if l.searches >= maxSearches {
		return
	}
	l.searches++
	s.job = j
	c := &filter.Context{Now: s.context.Now}
	marked := s.marked
	c.Marked = func(id uint64) bool {
		_, ok := slices.BinarySearch(marked, engine.RequestID(id))
		return ok
	}
	if s.filter.Needs()&filter.NeedsLabels != 0 {
		l.mu.Lock()
		of := maps.Clone(l.labels.of)
		l.mu.Unlock()
		c.Labels = func(client string) map[string]string { return of[client] }
	}
	ctx, cancel := context.WithCancel(l.ctx)
	j.cancel = cancel
	l.thin(s)
	l.finder.Go(func() {
		defer cancel()
		l.run(ctx, j, c)
	})
}

// stale reports whether the history has to be searched anew.
func (s *standing) stale() bool {
	changes := s.past.outdated || s.filter.Needs()&filter.NeedsNow != 0
	return changes && s.clock.Sub(s.past.at) > share*s.past.took+time.Second
}

// searching reports whether what s knows of the history is not all that there is.
func (s *standing) searching() bool { return !s.past.complete() || s.stale() }

// thin forgets what the queries asked the longest ago know of the history, where
// all of them together keep too much; but not s.
func (l *Log) thin(s *standing) {
	n := 0
	for _, other := range l.standing {
		n += other.past.size()
		if n > allFound && other != s && other.waiting == 0 {
			n -= other.past.size()
			other.begin()
		}
	}
}

// A job is what a goroutine of its own does for a query.
type job struct {
	s            *standing
	into         *past // nil: what is found is of no use any more. Under Log.queries
	kind         jobKind
	order        engine.RequestOrder
	from, before engine.RequestID
	cancel       context.CancelFunc

	tail   []found // not in order, not in into yet
	halted bool    // nobody asks any more
}

type jobKind uint8

const (
	goDown jobKind = iota
	fillGap
	joinLists
)

// run does a job to its end.
func (l *Log) run(ctx context.Context, j *job, c *filter.Context) {
	begun := time.Now()
	var err error
	if j.kind == joinLists {
		l.join(j)
	} else {
		err = l.file.Search(ctx, j.s.filter, c, j.order, j.from, j.before, func(batch []history.Entry, down engine.RequestID) bool {
			return l.take(j, batch, down)
		})
		l.publish(j)
	}
	l.queries.Lock()
	defer l.queries.Unlock()
	l.searches--
	close(l.progress)
	l.progress = make(chan struct{})
	s, p := j.s, j.into
	if p == nil {
		return
	}
	s.job = nil
	s.failure = nil
	if err != nil && ctx.Err() == nil {
		s.failed, s.failure = time.Now(), err
	}
	switch over := err == nil && !j.halted; {
	case j.kind == goDown && over:
		if !p.cut {
			p.down = 0
		}
		p.took = time.Since(begun)
		if p == s.anew {
			p.version += s.past.version + 1
			s.past = *p
		}
	case j.kind == fillGap && over && p.gapTo == j.before:
		p.gapFrom, p.gapTo = 0, 0
	case j.kind == fillGap && over:
		p.gapFrom = j.before
	}
	s.anew = nil
}

// take takes in what a search has found, and reports whether it is to go on.
func (l *Log) take(j *job, batch []history.Entry, down engine.RequestID) bool {
	for {
		some := batch[:min(len(batch), searchTurn)]
		batch = batch[len(some):]
		more, full := l.takeSome(j, some, down, len(batch) == 0)
		if full {
			l.publish(j)
		}
		if !more || len(batch) == 0 {
			return more
		}
	}
}

// takeSome takes in some of a batch, or the last of it. It reports whether to go on,
// and whether there is enough to be made one with what was found before.
func (l *Log) takeSome(j *job, batch []history.Entry, down engine.RequestID, last bool) (more, full bool) {
	l.queries.Lock()
	defer l.queries.Unlock()
	p := j.into
	if p == nil {
		return false, false
	}
	for i := range batch {
		e := entryOfRow(&batch[i], j.order)
		if j.order == engine.ByArrival {
			p.ids.add(e.id)
		} else {
			j.tail = append(j.tail, found{key: e.key, id: e.id, text: p.words.index(e.text)})
		}
	}
	switch {
	case !last:
		return true, false
	case j.kind == goDown:
		p.down = max(down, 1) // what is in tail is still to be published
	}
	switch {
	case p.size()+len(j.tail) >= maxFound:
		p.cut = true
		return false, false
	case j.s.waiting == 0 && time.Since(j.s.asked) > unasked:
		j.halted = true
		return false, false
	}
	return true, len(j.tail) > max(recentFound, len(p.main)/2)
}

// publish puts what a job has found in its place: the work is done beside.
func (l *Log) publish(j *job) {
	if len(j.tail) == 0 {
		return
	}
	l.queries.Lock()
	p := j.into
	if p == nil {
		l.queries.Unlock()
		return
	}
	main, texts := p.main, p.words.list
	l.queries.Unlock()

	slices.SortFunc(j.tail, func(a, b found) int { return compareFound(a, b, texts) })
	main = union(main, j.tail, texts)
	j.tail = j.tail[:0]

	l.queries.Lock()
	defer l.queries.Unlock()
	if p = j.into; p == nil {
		return
	}
	p.main = main
	p.recent = absent(p.recent, main, p.words.list)
	p.version++
}

// join makes one list of two.
func (l *Log) join(j *job) {
	l.queries.Lock()
	p := j.into
	if p == nil {
		l.queries.Unlock()
		return
	}
	p.middle, p.recent = p.recent, nil
	p.version++
	main, middle, texts := p.main, p.middle, p.words.list
	l.queries.Unlock()

	main = union(main, middle, texts)
	oldest := l.file.Oldest()
	main = slices.DeleteFunc(main, func(x found) bool { return x.id < oldest })

	l.queries.Lock()
	defer l.queries.Unlock()
	if j.into != nil {
		p.main, p.middle = main, nil
		p.version++
	}
}

// survey finds out, beside, which requests the history had before the ring's first.
// mu is held.
func (l *Log) survey() {
	b := l.shelf
	if b.asked || b.down == 0 || time.Since(b.failed) < again {
		return
	}
	b.asked = true
	before := b.down
	l.finder.Go(func() {
		err := l.file.Spans(l.ctx, before, func(from, to engine.RequestID) bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			b.ids.prepend(span{from, to})
			b.down = from
			return true
		})
		l.mu.Lock()
		b.asked = false
		if b.failure = err; err == nil {
			b.down = 0
		} else {
			b.failed = time.Now()
		}
		l.mu.Unlock()
		l.queries.Lock()
		defer l.queries.Unlock()
		close(l.progress)
		l.progress = make(chan struct{})
	})
}
