package store

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

const (
	maxStanding = 8
	maxCount    = 1000

	// turn is how long a query holds the ring's lock before it lets the
	// ingest in, and how many records it looks at between two looks at the clock.
	turn      = 300 * time.Microsecond
	turnSteps = 16

	// refind is how often a query whose answers change with the time, or with
	// heads that are dropped, is answered anew.
	refind = time.Second

	// leap is how far context.Now may go at once: what is further, or back, is a
	// jump, and what was found in the history means nothing any more.
	leap = time.Minute

	// attempts is how often a scan is made, where records that rested have changed
	// since or more came than the journal holds. A filter that is slower than what
	// comes is then answered with what was there when the last one began: nothing
	// is lost for it.
	attempts = 2
)

// An entry stands for a record in the order of a query.
type entry struct {
	key  int64
	text string
	id   engine.RequestID
}

func compare(a, b entry) int {
	switch {
	case a.key != b.key:
		if a.key < b.key {
			return -1
		}
		return 1
	case a.text != b.text:
		return strings.Compare(a.text, b.text)
	case a.id < b.id:
		return -1
	case a.id > b.id:
		return 1
	}
	return 0
}

func entryOf(r *engine.Request, o engine.RequestOrder) entry {
	e := entry{id: r.ID}
	switch o {
	case engine.ByDuration:
		e.key = durationKey(r.LastByte)
	case engine.BySize:
		e.key = r.RequestBytes + r.ResponseBytes
	case engine.ByStatus:
		e.key = int64(r.Status)
	case engine.ByClient:
		e.key, e.text = textKey(r.Client)
	case engine.ByPath:
		e.key, e.text = textKey(filter.Path(r.Target))
	}
	return e
}

// beginning returns the first eight bytes of s as a number in the same order.
func beginning(s string) int64 {
	var n uint64
	for i := range 8 {
		n <<= 8
		if i < len(s) {
			n |= uint64(s[i])
		}
	}
	return int64(n ^ 1<<63)
}

// A standing is a query that is asked again and again. What it knows of records
// that rest it keeps; those in flight it asks each time. Under Log.queries.
type standing struct {
	filter  *filter.Filter
	order   engine.RequestOrder
	context filter.Context
	clock   time.Time // when it was asked
	moment  time.Time // context.Now, where answers depend on it
	marked  []engine.RequestID

	rest  []entry // of those that rest and are selected, in order
	live  []entry // of those in flight when it was last asked, in order
	fresh []entry // scratch
	until []entry // scratch

	valid   bool // what follows says what rest is true for
	sorted  bool // rest is in order
	seq     uint64
	epoch   uint64
	floor   engine.RequestID
	scanned time.Time
	dropped uint64
	labels  uint64

	past    past
	anew    *past     // what is to take the place of past; nil: nothing
	job     *job      // what runs for it; nil: nothing
	asked   time.Time // when it was asked last
	waiting int       // who waits until the history has been searched
	failed  time.Time // when a search failed
	failure error     // the last search's
}

// find returns the standing query for q.
func (l *Log) find(q *engine.RequestQuery) (*standing, error) {
	for i, s := range l.standing {
		if s.order == q.Order && s.filter.String() == q.Filter {
			copy(l.standing[1:i+1], l.standing[:i])
			l.standing[0] = s
			return s, nil
		}
	}
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		return nil, err
	}
	s := &standing{filter: f, order: q.Order}
	s.context.Marked = func(id uint64) bool {
		_, ok := slices.BinarySearch(s.marked, engine.RequestID(id))
		return ok
	}
	s.context.Labels = func(client string) map[string]string { return l.labels.of[client] }
	if len(l.standing) == maxStanding {
		l.retire()
	}
	l.standing = slices.Insert(l.standing, 0, s)
	return s, nil
}

// refresh brings s up to date.
func (l *Log) refresh(ctx context.Context, s *standing, q *engine.RequestQuery) error {
	needs := s.filter.Needs()
	s.clock = time.Now()
	if s.context.Now = q.Now; q.Now.IsZero() {
		s.context.Now = s.clock
	}
	if needs&filter.NeedsMarked != 0 && !slices.Equal(s.marked, q.Marked) {
		s.marked = slices.Clone(q.Marked) // a search may be reading the ones before
		s.valid = false
		s.begin()
	}
	if needs&filter.NeedsNow != 0 {
		s.valid = s.valid && s.clock.Sub(s.scanned) < refind
		if jump := s.context.Now.Sub(s.moment); jump < -refind || jump > leap {
			s.valid = false // not in a moment: nobody may be shown what is out by as much
			s.begin()
		}
		s.moment = s.context.Now
	}

	h := l.hold(ctx)
	defer h.release()
	if needs&filter.NeedsHeads != 0 && s.dropped != l.ring.dropped && s.clock.Sub(s.scanned) >= refind ||
		needs&filter.NeedsLabels != 0 && s.labels != l.labels.version {
		s.valid = false
	}
	s.fresh = s.fresh[:0]
	broken := false // it is not known all that the ring has pushed out
	for n := 1; ; n++ {
		if !s.valid || s.epoch != l.ring.epoch || l.ring.seq-s.seq > journalLen {
			broken = true
			if err := l.scan(h, s); err != nil {
				return err
			}
		}
		if err := l.follow(h, s, &broken); err != nil {
			return err
		}
		if s.valid && s.epoch == l.ring.epoch {
			break
		}
		if n == attempts {
			if s.epoch != l.ring.epoch {
				s.fresh = s.fresh[:0] // some may be in rest too, as they were before
			}
			s.valid, broken = false, true
			break
		}
	}
	if l.shelf != nil {
		if err := l.followLate(h, s); err != nil {
			return err
		}
	}
	l.flight = l.flight[:0]
	for _, slot := range l.ring.flight {
		l.flight = append(l.flight, l.ring.slot(slot).ID)
	}
	s.live = s.live[:0]
	for _, id := range l.flight {
		if err := h.step(); err != nil {
			// What came to rest meanwhile is known to neither list.
			s.valid = false
			return err
		}
		if p, ok := l.ring.find(id); ok {
			l.ring.now(l.ring.at(p), &l.candidate, &l.heads, s.clock)
			if s.filter.Request(&l.candidate, &s.context) {
				s.live = append(s.live, entryOf(&l.candidate, s.order))
			}
		}
	}
	floor, labels := l.ring.floor, l.labels.version
	h.release()

	slices.SortFunc(s.live, compare)
	if !s.sorted {
		slices.SortFunc(s.rest, compare)
		s.sorted = true
	}
	s.merge()
	if l.forget(s, floor); l.file != nil {
		l.extend(s, floor, broken)
		s.past.outdated = s.past.outdated || needs&filter.NeedsLabels != 0 && s.past.labels != labels
		l.pursue(s)
	}
	return nil
}

// scan finds what rests and is selected, from the beginning.
func (l *Log) scan(h *hold, s *standing) error {
	g := &l.ring
	s.rest, s.fresh, s.floor = s.rest[:0], s.fresh[:0], 0
	s.valid, s.seq, s.epoch, s.scanned = false, g.seq, g.epoch, s.clock
	s.dropped, s.labels = g.dropped, l.labels.version
	if s.filter.Empty() {
		s.rest = slices.Grow(s.rest, g.kept())
	}
	// What comes after the newest of now has not come to rest by now.
	end := g.newest() + 1
	for last := engine.RequestID(0); ; {
		p, _ := g.find(last + 1)
		stop, _ := g.find(end)
		for ; p < stop; p++ {
			x := g.at(p)
			last = x.ID
			if x.settled > 0 && x.settled <= s.seq && l.selects(s, x) {
				s.rest = append(s.rest, entryOf(&l.candidate, s.order))
			}
			if let, err := h.pause(); err != nil {
				return err
			} else if let {
				break
			}
		}
		if p >= stop {
			break
		}
	}
	s.valid, s.sorted = true, s.order == engine.ByArrival
	return nil
}

// selects makes x the candidate and reports whether s selects it.
func (l *Log) selects(s *standing, x *record) bool {
	l.ring.show(x, &l.candidate, &l.heads)
	return s.filter.Request(&l.candidate, &s.context)
}

// follow finds what has come to rest since and is selected. It sets broken where
// the ring has pushed out some of it.
func (l *Log) follow(h *hold, s *standing, broken *bool) error {
	g := &l.ring
	for s.seq < g.seq {
		if g.seq-s.seq > journalLen {
			s.valid = false
			return nil
		}
		s.seq++
		if p, ok := g.find(g.journal[s.seq%journalLen]); ok {
			// A number other than this one: it moved again and comes later.
			if x := g.at(p); x.settled == s.seq && l.selects(s, x) {
				s.fresh = append(s.fresh, entryOf(&l.candidate, s.order))
			}
		} else {
			*broken = true
		}
		if err := h.step(); err != nil {
			s.valid = false
			return err
		}
	}
	return nil
}

// forget drops entries of records that were pushed out, and notes in moved those
// that the history has.
func (l *Log) forget(s *standing, floor engine.RequestID) {
	l.moved = l.moved[:0]
	if floor == s.floor {
		return
	}
	s.floor = floor
	if s.order == engine.ByArrival {
		i, _ := slices.BinarySearchFunc(s.rest, entry{id: floor}, compare)
		l.moved = append(l.moved, s.rest[:i]...)
		s.rest = s.rest[i:]
	} else {
		s.rest = without(s.rest, floor, &l.moved)
	}
	if l.shelf == nil || len(l.moved) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = slices.DeleteFunc(l.moved, func(e entry) bool {
		// One that is late was asked as it is now: it may have come to rest anew.
		return !l.shelf.ids.has(e.id) || l.shelf.find(e.id) != nil
	})
}

// without takes the entries of records before floor out of a list, appends them to
// another one, and moves what stands between them at once.
func without(list []entry, floor engine.RequestID, out *[]entry) []entry {
	to, from := 0, 0
	for i := range list {
		if list[i].id >= floor {
			continue
		}
		*out = append(*out, list[i])
		if to != from {
			copy(list[to:], list[from:i])
		}
		to += i - from
		from = i + 1
	}
	if from == 0 {
		return list
	}
	to += copy(list[to:], list[from:])
	clear(list[to:])
	return list[:to]
}

// merge puts the fresh entries into their places, the last one first.
func (s *standing) merge() {
	slices.SortFunc(s.fresh, compare)
	i := len(s.rest)
	s.rest = append(s.rest, s.fresh...)
	for j := len(s.fresh) - 1; j >= 0; j-- {
		p := i
		if p > 0 && compare(s.rest[p-1], s.fresh[j]) > 0 {
			p, _ = slices.BinarySearchFunc(s.rest[:i], s.fresh[j], compare)
		}
		copy(s.rest[p+j+1:], s.rest[p:i])
		s.rest[p+j] = s.fresh[j]
		i = p
	}
	clear(s.fresh)
	s.fresh = s.fresh[:0]
}

// A hold is the ring's lock, held for a turn at a time.
type hold struct {
	l     *Log
	ctx   context.Context
	since time.Time
	steps int
	held  bool
}

func (l *Log) hold(ctx context.Context) *hold {
	h := &hold{l: l, ctx: ctx}
	h.again()
	return h
}

func (h *hold) again() {
	h.l.mu.Lock()
	h.held, h.since = true, time.Now()
}

// release lets the lock go; a second time it does nothing.
func (h *hold) release() {
	if h.held {
		h.held = false
		h.l.mu.Unlock()
	}
}

// pause lets others in if the turn is over, and says so: the ring may have
// changed. The error is that of the context.
func (h *hold) pause() (bool, error) {
	if h.steps++; h.steps%turnSteps != 0 || time.Since(h.since) < turn {
		return false, nil
	}
	if err := h.ctx.Err(); err != nil {
		return false, err
	}
	h.release()
	runtime.Gosched()
	h.again()
	return true, nil
}

func (h *hold) step() error {
	_, err := h.pause()
	return err
}
