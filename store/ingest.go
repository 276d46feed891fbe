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

// A doubt is about a record whose end may have been lost.
type doubt struct {
	id    engine.RequestID
	live  *engine.Live
	moved uint64 // what live said when the doubt arose
}

// trace changes whenever an exchange moves.
func trace(l *engine.Live) uint64 {
	return l.Connection.Load() + uint64(l.Status.Load())<<48 + uint64(l.RequestBytes.Load()) + uint64(l.ResponseBytes.Load())
}

// ingest puts what comes into the ring until nothing comes any more.
func (l *Log) ingest(batches <-chan engine.Batch) {
	defer close(l.done)
	for b := range batches {
		l.mu.Lock()
		if b.Dropped > 0 {
			l.lost += b.Dropped
			l.distrust()
		}
		for i := range b.Events {
			l.apply(&b.Events[i])
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.distrust()
	l.doubts, l.closed = nil, true
	l.mu.Unlock()
}

// apply takes in one event. mu is held.
func (l *Log) apply(e *engine.Event) {
	switch {
	case e.Kind == engine.KindGreetingReceived:
		l.labels.learn(e.Greeting)
	case e.Request == nil || e.Request.ID == 0:
	case e.Kind == engine.KindRequestStarted:
		l.started(e.Request)
	case e.Kind == engine.KindRequestFinished:
		l.finished(e.Request)
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
	if x.Live == nil {
		x.Live = g.unmoved
	}
	p, _ := g.find(r.ID)
	g.fly(x, g.order[p&uint64(len(g.order)-1)])
	g.weigh(x)
	g.trim()
}

func (l *Log) finished(r *engine.Request) {
	g := &l.ring
	var x *record
	if p, known := g.find(r.ID); !known {
		if x = g.add(r); x == nil {
			return
		}
	} else {
		x = g.at(p)
		switch {
		case x.settled == 0:
			g.land(x)
		case x.Outcome != engine.OutcomeNone:
			return
		default:
			g.epoch++
		}
		heads := x.Heads
		x.Request = *r
		if x.Heads == nil {
			x.Heads = heads
		}
		g.heads = min(g.heads, p)
	}
	x.Live = nil
	g.settle(x)
	g.weigh(x)
	g.trim()
}

// distrust says of every record in flight that its end was not seen: it may be
// among what was lost. Those that move again, or end, are believed again. mu is
// held.
func (l *Log) distrust() {
	for i := range l.doubts {
		l.doubts[i].moved = trace(l.doubts[i].live)
	}
	g := &l.ring
	for len(g.flight) > 0 {
		x := g.slot(g.flight[len(g.flight)-1])
		seen(&x.Request, x.Live)
		l.doubts = append(l.doubts, doubt{x.ID, x.Live, trace(x.Live)})
		g.land(x)
		x.Live, x.Reason, x.LastByte = nil, endNotSeen, -1
		g.weigh(x)
		g.settle(x)
	}
}

// believe takes back what was said of records that have moved since. mu is
// held.
func (l *Log) believe() {
	g := &l.ring
	kept := l.doubts[:0]
	for _, d := range l.doubts {
		p, ok := g.find(d.id)
		if !ok || g.at(p).Outcome != engine.OutcomeNone {
			continue
		}
		if trace(d.live) == d.moved {
			kept = append(kept, d)
			continue
		}
		x := g.at(p)
		x.Live, x.Reason = d.live, ""
		g.epoch++
		g.fly(x, g.order[p&uint64(len(g.order)-1)])
		g.weigh(x)
	}
	clear(l.doubts[len(kept):])
	l.doubts = kept
}

// labels are what clients said of themselves.
type labels struct {
	of      map[string]map[string]string
	clients []string // in the order in which they were first heard of, from oldest on
	oldest  int
	version uint64 // changes with of
}

// learn remembers what a greeting says, and forgets the oldest client when
// there are too many.
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
	if known {
		return
	}
	if len(b.clients) < maxLabelled {
		b.clients = append(b.clients, g.ID)
		return
	}
	delete(b.of, b.clients[b.oldest])
	b.clients[b.oldest] = g.ID
	b.oldest = (b.oldest + 1) % maxLabelled
}
