package history

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"adit/engine"
	"adit/engine/filter"
)

// An Entry is a row that a search found, and where it stands in the order.
type Entry struct {
	ID   engine.RequestID
	Key  int64  // of the order, as the ring's
	Text string // of ByClient and ByPath
}

// Search looks at the requests from a certain id on and before another one, the
// newest first, and calls found with those that the filter selects, in batches:
// from down on everything has been looked at. It calls it with an empty batch too,
// so that down moves on at least each 50 ms. It returns when there is no more, ctx
// ends, or found returns false. A nil or empty filter selects everything; by
// arrival that is a matter of ids alone. c is used by the calling goroutine only.
func (f *File) Search(ctx context.Context, fl *filter.Filter, c *filter.Context, order engine.RequestOrder, from, before engine.RequestID, found func(batch []Entry, down engine.RequestID) bool) error {
	var batch []Entry
	err := f.Read(ctx, func(db *sql.Conn) error {
		return scan(ctx, db, "SELECT "+requestColumns+" FROM requests WHERE id >= ? AND id < ? ORDER BY id DESC", func(row []driver.Value) error {
			var r engine.Request
			requestOf(row, &r)
			if fl == nil || fl.Request(&r, c) {
				batch = append(batch, Entry{ID: r.ID})
			}
			return nil
		}, int64(from), int64(min(before, 1<<63-1)))
	})
	if err == nil {
		found(batch, from)
	}
	return err
}
