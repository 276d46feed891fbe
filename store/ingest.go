package store

import (
	"maps"

	"adit/engine"
)

// endNotSeen is the reason of a record of which it is not known whether it has
// ended.
const endNotSeen = "its end was not seen"

// maxLabelled bounds the clients whose labels are remembered.
const maxLabelled = 65_536

// ingest puts what comes into the ring, and into the history, until nothing comes
// any more.
func (l *Log) ingest(batches <-chan engine.Batch) {
	defer close(l.done)
	var keys []uint64
	var newest uint64
	for b := range batches {
		keys = keys[:0]
		var readable uint64
		if l.file != nil {
			// First, and beside the lock: what the ring pushes out is in the history.
			if b.Dropped > 0 {
				l.file.Lost(b)
			}
			for i := range b.Events {
				key := l.file.Add(&b.Events[i])
				keys, newest = append(keys, key), max(newest, key)
			}
			readable = l.file.Readable()
		}
		l.mu.Lock()
		if l.shelf != nil {
			l.shelf.progress(readable)
		}
		if b.Dropped > 0 {
			l.lost += b.Dropped
			l.distrust(false)
		}
		for i := range b.Events {
			var key uint64
			if i < len(keys) {
				key = keys[i]
			}
			l.apply(&b.Events[i], key)
		}
		if l.shelf != nil {
			l.shelf.mark(newest, l.ring.seq)
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.distrust(true)
	l.mu.Unlock()
}

// apply takes in one event; key is the history's, 0 where it has not taken it. mu
// is held.
func (l *Log) apply(e *engine.Event, key uint64) {
	if engine.KindsLifecycle.Has(e.Kind) {
		if l.shelf == nil {
			key = l.memory.last + 1
		}
		l.memory.add(e, key)
	}
	l.memory.last = max(l.memory.last, key)
	switch {
	case e.Kind == engine.KindGreetingReceived:
		l.labels.learn(e.Greeting)
	case e.Request == nil || e.Request.ID == 0:
	case e.Kind == engine.KindRequestStarted:
		l.started(e.Request)
	case e.Kind == engine.KindRequestFinished:
		l.finished(e.Request, key > 0)
	}
}

func (l *Log) started(r *engine.Request) {
	g := &l.ring
	if _, known := g.find(r.ID); known {
		return
	}
	x := g.add(r)
	if x == nil {
		return
	}
	if g.live(x) == nil {
		g.point(x, g.unmoved, r.Captured, r.Arrived)
	}
	p, _ := g.find(r.ID)
	g.fly(x, g.order[p&uint64(len(g.order)-1)])
	g.weigh(x)
	g.trim()
}

// finished takes in an end; kept says that the history has taken it too.
func (l *Log) finished(r *engine.Request, kept bool) {
	g := &l.ring
	var x *record
	if p, known := g.find(r.ID); !known {
		delete(g.aloft, r.ID)
		if x = g.add(r); x == nil {
			if kept && l.shelf != nil {
				l.shelf.add(r)
			}
			return
		}
	} else {
		x = g.at(p)
		switch {
		case x.settled == 0:
			g.land(x)
		case x.outcome != engine.OutcomeNone:
			return
		default:
			g.epoch++
		}
		g.fill(x, r)
		g.headed(x, p, r.Heads)
	}
	g.rest(x)
	x.set(stored, kept)
	g.settle(x)
	g.weigh(x)
	g.trim()
}

// distrust says of records in flight that their end was not seen: of those that
// are over, for it may be among what was lost, or of all where nothing comes any
// more. An end that comes all the same is believed. mu is held.
func (l *Log) distrust(all bool) {
	g := &l.ring
	g.aloft.distrust(all)
	// The last first: who lands gives its place to the last.
	for i := len(g.flight) - 1; i >= 0; i-- {
		x := g.slot(g.flight[i])
		if live := g.live(x); !all && live != g.unmoved && !live.Over.Load() {
			continue
		}
		g.stop(x)
		g.land(x)
		g.rest(x)
		x.lastByte = -1
		x.set(endUnseen, true)
		g.weigh(x)
		g.settle(x)
	}
}

// maxLabelBytes bounds what their labels take.
const maxLabelBytes = 8 << 20

// labels are what clients said of themselves.
type labels struct {
	of      map[string]map[string]string
	clients []string // in the order in which they were first heard of
	bytes   int      // of all labels, about
	version uint64   // changes with of
}

// learn remembers what a greeting says, and forgets the clients first heard of
// when there are too many, or they say too much.
func (b *labels) learn(g *engine.Greeting) {
	if g == nil {
		return
	}
	before, known := b.of[g.ID]
	if !known && len(g.Labels) == 0 || known && maps.Equal(before, g.Labels) {
		return
	}
	b.version++
	if b.of == nil {
		b.of = map[string]map[string]string{}
	}
	b.of[g.ID] = g.Labels
	b.bytes += labelBytes(g.Labels) - labelBytes(before)
	if !known {
		b.clients = append(b.clients, g.ID)
	}
	for (len(b.clients) > maxLabelled || b.bytes > maxLabelBytes) && len(b.clients) > 1 {
		oldest := b.clients[0]
		b.bytes -= labelBytes(b.of[oldest])
		delete(b.of, oldest)
		b.clients[0] = ""
		b.clients = b.clients[1:]
	}
}

// labelBytes returns what labels take, about.
func labelBytes(of map[string]string) int {
	n := 0
	for name, value := range of {
		n += 64 + len(name) + len(value)
	}
	return n
}
