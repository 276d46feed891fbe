package store

import (
	"context"
	"database/sql"
	"fmt"

	"adit/engine"
	"adit/store/history"
)

// Reading returns the log of a database that nothing comes into: its ring is empty,
// everything is history. Close ends the searches; whoever opened f closes it, after
// the log.
func Reading(f *history.File) (*Log, error) {
	var newest int64
	err := f.Read(context.Background(), func(db *sql.Conn) error {
		return db.QueryRowContext(context.Background(), "SELECT ifnull(max(id), 0) FROM requests").Scan(&newest)
	})
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l := newLog(Options{Records: 1, Bytes: 1})
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.open(f)
	l.ring.floor = engine.RequestID(newest) + 1
	l.shelf.down = l.ring.floor
	close(l.done)
	return l, nil
}
