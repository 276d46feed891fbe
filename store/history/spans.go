package history

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"adit/engine"
)

// few is how many ids are asked for one by one where there are gaps between them.
const few = 512

// Spans calls found with the ids of requests before a certain one, as ranges from
// one on and before another, the newest first, until there is no more, ctx ends or
// found returns false. It counts rows instead of reading them.
func (f *File) Spans(ctx context.Context, before engine.RequestID, found func(from, to engine.RequestID) bool) error {
	return f.Read(ctx, func(db *sql.Conn) error {
		s := spans{ctx: ctx, db: db, found: found}
		for at := int64(before); !s.enough; {
			var newest sql.NullInt64
			if err := db.QueryRowContext(ctx, "SELECT max(id) FROM requests WHERE id < ?", at).Scan(&newest); err != nil || !newest.Valid {
				return err
			}
			at = max(newest.Int64+1-slice, 0)
			if err := s.look(at, newest.Int64+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// spans is one way down through the ids.
type spans struct {
	ctx    context.Context
	db     *sql.Conn
	found  func(from, to engine.RequestID) bool
	enough bool
}

// look tells what is from one id on and before another.
func (s *spans) look(from, to int64) error {
	var n int64
	if err := s.db.QueryRowContext(s.ctx, "SELECT count(*) FROM requests WHERE id >= ? AND id < ?", from, to).Scan(&n); err != nil {
		return err
	}
	switch {
	case s.enough || n == 0:
		return nil
	case n == to-from:
		s.enough = !s.found(engine.RequestID(from), engine.RequestID(to))
		return nil
	case to-from > few:
		middle := from + (to-from)/2
		if err := s.look(middle, to); err != nil {
			return err
		}
		return s.look(from, middle)
	}
	return scan(s.ctx, s.db, "SELECT id FROM requests WHERE id >= ? AND id < ? ORDER BY id DESC", func(row []driver.Value) error {
		if id := engine.RequestID(integer(row[0])); !s.enough {
			s.enough = !s.found(id, id+1)
		}
		return nil
	}, from, to)
}
