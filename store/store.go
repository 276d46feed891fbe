// Package store keeps what was seen: a ring of the newest records of requests,
// those in flight included, the history behind it, and the standing queries over
// both as one list.
//
// A [Log] has one goroutine, which takes events from a subscription of its own
// and puts them into the history's queue and into the ring. Queries run on the
// goroutines of those who ask. Two locks keep them apart: one that serialises
// queries, and below it one for the ring, which nobody holds for much longer than
// [turn]. What the subscription loses is counted, and a record whose end may be
// among it is no longer shown as in flight.
//
// What is before the ring's floor is the history's, what is not is the ring's: so
// no record is there twice. The history is searched on goroutines of their own, at
// most two at a time; whoever asks is answered at once with what was found so far.
// A page's rows of the history are read by their ids, beside all locks.
//
// Start with ring.go for what is kept, ingest.go for how it comes in, query.go
// for how it is found; shelf.go, past.go and search.go are the same of the history.
// [Record] writes a recording, package playback shows one.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"adit/engine"
	"adit/store/history"
)

const (
	defaultRecords = 100_000
	defaultBytes   = 64 << 20
	slots          = 65_536 // of the subscription: a second and more of the fastest traffic
	maxRecords     = 1 << 24
)

// Options bound a Log.
type Options struct {
	Records int // kept at most; default 100,000
	Bytes   int // of records and heads together; default 64 MiB. Heads go first, the oldest before

	// History is fed by the Log, and read where the ring ends; nil: there is none.
	// Whoever opened it closes it, after the Log. The engine's ids begin with its
	// Next.
	History *history.File
}

// A Log is the ring of the newest records, filled by its own subscription, and the
// history that begins where the ring ends. Its queries keep 32 bytes for each
// record of the ring that they find and 24 of the history, for at most 8 queries.
type Log struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when ingest has returned
	file   database      // nil: no history

	ctx    context.Context // of searches
	finder sync.WaitGroup  // searches
	slots  chan struct{}   // capacity maxComplete: who waits for a search to be over
	rows   rows

	mu     sync.Mutex // a leaf
	ring   ring
	lost   uint64 // events: two for a whole record, one where only its start or its end was lost
	labels labels
	memory memory
	shelf  *shelf // nil: no history

	// queries serialises Requests; it is taken before mu.
	queries   sync.Mutex
	standing  []*standing // the last used first
	flight    []engine.RequestID
	window    []engine.RequestID
	candidate engine.Request // a record as it is now, for filters
	heads     engine.Heads   // of the candidate
	moved     []entry        // what the ring has pushed out of a query's answer
	searches  int            // that run
	closed    bool
	progress  chan struct{} // closed, and replaced, when a search ends
}

var _ engine.RequestLog = (*Log)(nil)

// Open subscribes to e and keeps what comes until Close or the end of e. It is
// called before e begins to serve, so that nothing is missed.
func Open(e engine.Engine, o Options) (*Log, error) {
	if o.Records <= 0 {
		o.Records = defaultRecords
	}
	if o.Bytes <= 0 {
		o.Bytes = defaultBytes
	}
	ctx, cancel := context.WithCancel(context.Background())
	batches, err := e.Subscribe(ctx, engine.SubscribeOptions{
		Kinds: engine.KindsAll,
		Slots: slots,
		Heads: true,
		Late:  true,
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l := newLog(o)
	l.cancel, l.ctx = cancel, ctx
	var s engine.Snapshot
	if err := e.Snapshot(ctx, &s); err == nil {
		for i := range s.Connections {
			l.labels.learn(s.Connections[i].Greeting)
		}
		if o.History != nil {
			o.History.Identify(s.Instance)
		}
	}
	go l.ingest(batches)
	return l, nil
}

// newLog returns a log that nothing comes into.
func newLog(o Options) *Log {
	l := &Log{
		done:     make(chan struct{}),
		ctx:      context.Background(),
		ring:     newRing(min(o.Records, maxRecords), o.Bytes),
		slots:    make(chan struct{}, maxComplete),
		progress: make(chan struct{}),
	}
	if o.History != nil {
		l.open(o.History)
	}
	return l
}

// open puts a history behind the ring, which is empty.
func (l *Log) open(f database) {
	l.file, l.shelf = f, newShelf(f)
	l.ring.floor, _ = f.Next()
	l.ring.leaving = l.shelf.shelve
	l.memory.last = f.Readable()
}

// Close ends the subscription and the searches; what is in memory can still be
// read.
func (l *Log) Close() {
	l.queries.Lock()
	l.closed = true
	l.queries.Unlock()
	l.cancel()
	<-l.done
	l.finder.Wait()
}

// Request implements [engine.RequestLog].
func (l *Log) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	if err := ctx.Err(); err != nil {
		return engine.Request{}, err
	}
	r, found := l.inMemory(id)
	if l.file != nil && !found {
		kept, err := l.file.Request(ctx, id)
		switch {
		case err == nil:
			return kept, nil
		case r.ID == 0 && !errors.Is(err, engine.ErrNotFound):
			return engine.Request{}, fmt.Errorf("record %v: %w", id, err)
		}
	}
	if r.ID == 0 {
		return engine.Request{}, fmt.Errorf("record %v: %w", id, engine.ErrNotFound)
	}
	return r, nil
}

// inMemory returns a record with its heads, with false where the history may have
// it, or more of it.
func (l *Log) inMemory(id engine.RequestID) (engine.Request, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var r engine.Request
	if p, ok := l.ring.find(id); ok {
		x := l.ring.at(p)
		l.ring.now(x, &r, new(engine.Heads), time.Now())
		r.Captured = l.ring.content(x)
		return r, r.Heads != nil || p >= l.ring.heads || l.ring.live(x) != nil
	}
	if r, ok := l.ring.aloft.now(id, time.Now()); ok {
		return r, true
	}
	if l.shelf != nil {
		if late := l.shelf.find(id); late != nil {
			r = *late
		}
	}
	return r, false
}

// Content implements [engine.RequestLog].
func (l *Log) Content(ctx context.Context, id engine.RequestID, into *engine.Content) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c := l.content(id); c != nil && c.Content(into) {
		return nil
	}
	if l.file != nil {
		return l.file.Content(ctx, id, into)
	}
	return fmt.Errorf("content of %v: %w", id, engine.ErrNotFound)
}

// content returns what is kept of the content of a record in the ring, nil where
// nothing is.
func (l *Log) content(id engine.RequestID) engine.Captured {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.ring.find(id); ok {
		return l.ring.content(l.ring.at(p))
	}
	if r, ok := l.ring.aloft.now(id, time.Now()); ok {
		return r.Captured
	}
	return nil
}
