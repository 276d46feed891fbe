package store

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"adit/engine"
)

// cachedRows bounds the rows of the history that are kept in memory, in each of
// two halves.
const cachedRows = 2048

// rows are those of the history that were asked for last: what a screen shows is
// asked for ten times a second.
type rows struct {
	mu       sync.Mutex // a leaf
	new, old map[engine.RequestID]engine.Request
}

func (c *rows) get(id engine.RequestID, into *engine.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.new[id]
	if !ok {
		if r, ok = c.old[id]; !ok {
			return false
		}
		c.store(&r)
	}
	*into = r
	return true
}

func (c *rows) put(list []engine.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range list {
		c.store(&list[i])
	}
}

func (c *rows) store(r *engine.Request) {
	if c.new == nil || len(c.new) >= cachedRows {
		c.old, c.new = c.new, map[engine.RequestID]engine.Request{}
	}
	c.new[r.ID] = *r
}

// row returns a record of the history, and false where there is none.
func (l *Log) row(ctx context.Context, id engine.RequestID, into *engine.Request) bool {
	if l.rows.get(id, into) {
		return true
	}
	list, err := l.file.Requests(ctx, []engine.RequestID{id}, nil)
	if err != nil || len(list) == 0 {
		return false
	}
	l.rows.put(list)
	*into = list[0]
	return true
}

func rowByID(r engine.Request, id engine.RequestID) int { return cmp.Compare(r.ID, id) }

// unread reports whether nothing but the id of a record on a page is known yet.
func unread(r *engine.Request) bool {
	return r.Arrived.IsZero() && r.Outcome == engine.OutcomeNone && r.Live == nil
}

// fetch fills the records of a page that are of the history, and takes out those
// that are not there. added is the newest key that had been added when the page
// was made.
func (l *Log) fetch(ctx context.Context, added uint64, into *engine.RequestPage) error {
	var ids []engine.RequestID
	for i := range into.Requests {
		r := &into.Requests[i]
		if unread(r) && !l.rows.get(r.ID, r) {
			ids = append(ids, r.ID)
		}
	}
	if ids == nil {
		return nil
	}
	slices.Sort(ids)
	// What could be read before and is not there has gone; the rest may come.
	readable := l.file.Readable() >= added
	list, err := l.file.Requests(ctx, ids, nil)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		into.Problem = "the history can't be read: " + err.Error()
	default:
		l.rows.put(list)
	}
	into.Requests = slices.DeleteFunc(into.Requests, func(r engine.Request) bool {
		_, there := slices.BinarySearchFunc(list, r.ID, rowByID)
		return unread(&r) && !there
	})
	for i := range into.Requests {
		if r := &into.Requests[i]; unread(r) {
			at, _ := slices.BinarySearchFunc(list, r.ID, rowByID)
			*r = list[at]
		}
	}
	if readable && err == nil && len(list) < len(ids) {
		l.forgetGone(ids, list)
	}
	return nil
}

// forgetGone takes those of ids that are not in a list out of what is known of the
// history.
func (l *Log) forgetGone(ids []engine.RequestID, list []engine.Request) {
	l.queries.Lock()
	defer l.queries.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if len(list) > 0 && list[0].ID == id {
			list = list[1:]
			continue
		}
		l.shelf.ids.remove(id)
		for _, s := range l.standing {
			s.past.ids.remove(id)
			if s.order != engine.ByArrival {
				s.past.outdated = true
			}
		}
	}
}
