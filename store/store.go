// Package store keeps what was seen: a ring of the newest records of requests,
// those in flight included, and the standing queries over it.
//
// A [Log] has one goroutine, which takes events from a subscription of its own
// and puts them into the ring. Queries run on the goroutines of those who ask.
// Two locks keep them apart: one that serialises queries, and below it one for
// the ring, which nobody holds for much longer than [turn]. What the
// subscription loses is counted, and a record whose end may be among it is no
// longer shown as in flight.
//
// Start with ring.go for what is kept, ingest.go for how it comes in, query.go
// for how it is found.
package store

import (
	"context"
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

// A Log is the ring of the newest records, filled by its own subscription. Its
// queries keep 32 bytes for each record that they find, for at most 8 queries.
type Log struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when ingest has returned

	mu     sync.Mutex // a leaf
	ring   ring
	lost   uint64 // events: two for a whole record, one where only its start or its end was lost
	labels labels

	// queries serialises Requests; it is taken before mu.
	queries   sync.Mutex
	standing  []*standing // the last used first
	flight    []engine.RequestID
	window    []engine.RequestID
	candidate engine.Request // a record as it is now, for filters
	heads     engine.Heads   // of the candidate
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
		Kinds: engine.KindSet(engine.KindRequestStarted, engine.KindRequestFinished, engine.KindGreetingReceived),
		Slots: slots,
		Heads: true,
		Late:  true,
	})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l := &Log{cancel: cancel, done: make(chan struct{}), ring: newRing(min(o.Records, maxRecords), o.Bytes)}
	var s engine.Snapshot
	if err := e.Snapshot(ctx, &s); err == nil {
		for i := range s.Connections {
			l.labels.learn(s.Connections[i].Greeting)
		}
	}
	go l.ingest(batches)
	return l, nil
}

// Close ends the subscription; what is kept can still be read.
func (l *Log) Close() {
	l.cancel()
	<-l.done
}

// Request implements [engine.RequestLog].
func (l *Log) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	if err := ctx.Err(); err != nil {
		return engine.Request{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.ring.find(id)
	if !ok {
		return engine.Request{}, fmt.Errorf("record %v: %w", id, engine.ErrNotFound)
	}
	var r engine.Request
	l.ring.at(p).now(&r, new(engine.Heads), time.Now())
	return r, nil
}

// Content implements [engine.RequestLog].
func (*Log) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

// Events implements [engine.RequestLog].
func (*Log) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
