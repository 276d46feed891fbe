package store

import (
	"context"
	"runtime"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// remembered is how many of the newest events are kept in memory.
const remembered = 4096

// rememberedTurn is how many of them are looked at while the ingest waits.
const rememberedTurn = 128

// A memory is the newest events but those of requests, under Log.mu.
type memory struct {
	events []engine.Event
	keys   []uint64
	next   uint64 // the number of the one to come; one of number n is at n % remembered
	last   uint64 // the newest key of the history, or of here where there is none
}

// add keeps an event. Its key is 0 where the history has not taken it.
func (m *memory) add(e *engine.Event, key uint64) {
	m.last = max(m.last, key, 1)
	if key == 0 {
		key = m.last
	}
	if len(m.events) < remembered {
		m.events, m.keys = append(m.events, engine.Event{}), append(m.keys, 0)
	}
	i := m.next % remembered
	m.events[i], m.keys[i] = *e, key
	m.next++
}

// Events implements [engine.RequestLog]: the newest come from memory, what is
// older from the history.
func (l *Log) Events(ctx context.Context, q engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := filter.Parse(filter.Events, q.Filter)
	if err != nil {
		return err
	}
	q.Count = min(max(q.Count, 0), maxCount)
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	oldest := l.recent(&q, f, into)
	if l.file == nil || into.More {
		return nil
	}
	if q.Before == 0 || q.Before > oldest {
		q.Before = oldest
	}
	room := q.Count - len(into.Events)
	q.Count = max(room, 1) // else to see whether there is more
	var older engine.EventPage
	if err := l.file.Events(ctx, q, &older); err != nil {
		return err
	}
	if room == 0 {
		into.More = len(older.Events) > 0
		return nil
	}
	into.Events = append(into.Events, older.Events...)
	into.Keys = append(into.Keys, older.Keys...)
	into.More = older.More
	return nil
}

// recent fills into from memory and returns the oldest key there, else the one to
// come.
func (l *Log) recent(q *engine.EventQuery, f *filter.Filter, into *engine.EventPage) uint64 {
	c := filter.Context{Now: q.Now}
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &l.memory
	oldest := m.last + 1
	for n := m.next; n > 0 && m.next-n < uint64(len(m.events)); n-- {
		if n%rememberedTurn == 0 {
			l.mu.Unlock()
			runtime.Gosched()
			l.mu.Lock()
			if m.next-n >= uint64(len(m.events)) {
				break
			}
		}
		i := (n - 1) % remembered
		oldest = m.keys[i]
		if q.Before > 0 && m.keys[i] >= q.Before || !f.Event(&m.events[i], &c) {
			continue
		}
		if len(into.Events) == q.Count {
			into.More = true
			break
		}
		into.Events = append(into.Events, m.events[i])
		into.Keys = append(into.Keys, m.keys[i])
	}
	return oldest
}
