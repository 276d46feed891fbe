package store

import (
	"context"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/store/history"
)

// A database is what a Log needs of a [history.File].
type database interface {
	Next() (engine.RequestID, engine.ConnectionID)
	Add(e *engine.Event) uint64
	Lost(b engine.Batch)
	Readable() uint64
	Oldest() engine.RequestID
	Problem() string
	Sole() bool
	Search(ctx context.Context, fl *filter.Filter, c *filter.Context, order engine.RequestOrder, from, before engine.RequestID, found func(batch []history.Entry, down engine.RequestID) bool) error
	Spans(ctx context.Context, before engine.RequestID, found func(from, to engine.RequestID) bool) error
	Requests(ctx context.Context, ids []engine.RequestID, into []engine.Request) ([]engine.Request, error)
	Request(ctx context.Context, id engine.RequestID) (engine.Request, error)
	Content(ctx context.Context, id engine.RequestID, into *engine.Content) error
	Events(ctx context.Context, q engine.EventQuery, into *engine.EventPage) error
}

const (
	lateLen = 4096 // records that the history has and can't show yet, and that a query may not have seen
	markLen = 1024
)

// A shelf is what a Log knows of its history: which requests before the ring's
// floor are in it, and those of them that can't be read yet. It is under Log.mu.
type shelf struct {
	ids     idSet
	down    engine.RequestID // from it on ids is all there is; 0 nothing was left out
	shared  bool             // a former process may add to what is before the first id
	asked   bool             // somebody finds out what is before down
	failed  time.Time        // when finding that out failed
	failure error

	// late are records that came to rest before the ring's floor, or were pushed
	// out before they could be read. One of the number n is at n % lateLen.
	late   []engine.Request
	lateAt map[engine.RequestID]uint64
	lates  uint64 // the number of the newest, from 1

	// marks say up to where in the ring's journal the history can be read once it
	// has got to a key.
	marks    []mark
	readable uint64 // what came to rest up to this number can be read
	added    uint64 // the newest key
}

type mark struct{ key, seq uint64 }

// newShelf returns what is known of a history at the start.
func newShelf(f database) *shelf {
	first, _ := f.Next()
	return &shelf{down: first, shared: !f.Sole(), late: make([]engine.Request, 0, 8), lateAt: map[engine.RequestID]uint64{}}
}

// shelve notes a record that the ring pushes out.
func (b *shelf) shelve(g *ring, x *record) {
	if !x.has(stored) || x.settled == 0 {
		return
	}
	b.ids.add(x.ID)
	if x.settled > b.readable {
		var r engine.Request
		g.show(x, &r, nil)
		b.keep(&r)
	}
}

// add notes a record that came to rest before the ring's floor.
func (b *shelf) add(r *engine.Request) {
	b.ids.add(r.ID)
	x := *r
	x.Heads, x.Captured, x.Live = nil, nil, nil
	b.keep(&x)
}

func (b *shelf) keep(r *engine.Request) {
	b.lates++
	i := b.lates % lateLen
	for uint64(len(b.late)) <= i {
		b.late = append(b.late, engine.Request{})
	}
	if old := b.late[i].ID; b.lateAt[old]+lateLen == b.lates {
		delete(b.lateAt, old)
	}
	b.late[i] = *r
	b.lateAt[r.ID] = b.lates
}

// find returns a late record, nil where it is none.
func (b *shelf) find(id engine.RequestID) *engine.Request {
	if n, ok := b.lateAt[id]; ok {
		return &b.late[n%lateLen]
	}
	return nil
}

// progress takes in up to where the history can be read.
func (b *shelf) progress(key uint64) {
	n := 0
	for n < len(b.marks) && b.marks[n].key <= key {
		b.readable = b.marks[n].seq
		n++
	}
	b.marks = b.marks[:copy(b.marks, b.marks[n:])]
}

// mark notes that the ring's journal has got to seq, the history's queue to key.
func (b *shelf) mark(key, seq uint64) {
	b.added = key
	if n := len(b.marks); n == markLen || n > 0 && b.marks[n-1].key == key {
		b.marks[n-1] = mark{key, seq}
		return
	}
	b.marks = append(b.marks, mark{key, seq})
}
