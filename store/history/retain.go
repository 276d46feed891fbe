package history

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

const (
	// Retention takes away at most stepRows rows at a time, each time in a
	// transaction of its own, and at most trimSteps times between two batches.
	stepRows  = 500
	trimSteps = 20

	trimEvery = time.Second // how often ages are looked at

	// maxLog bounds the database's log where Options.Bytes says nothing: it grows
	// while another program does not end reading.
	maxLog = 512 << 20

	// logSlack is by how much the log may be larger before that is a fault.
	logSlack = 16 << 20

	// vacuumPages is how many free pages are given back at a time.
	vacuumPages = 64
)

// errPinned says that the database's log can't be taken into it.
var errPinned = errors.New("another program reads the database without end")

// logBound returns how large the database's log may be.
func (o *Options) logBound() int64 {
	if o.Bytes <= 0 {
		return maxLog
	}
	return max(o.Bytes/4, 4<<20)
}

// checkpointPages returns how many pages the log has when it is taken into the
// database.
func (o *Options) checkpointPages() int64 {
	return min(2000, max(o.logBound()/2/pageSize, 100))
}

// trim lets retention take a few steps. It is called after each batch.
func (w *writer) trim() error {
	o := &w.f.o
	if err := w.checkpoint(); err != nil || w.beside() {
		return err
	}
	if o.Rows > 0 {
		for range trimSteps {
			if w.kept <= o.Rows {
				break
			}
			if n, err := w.forget(min(w.kept-o.Rows, stepRows), math.MaxInt64); err != nil || n == 0 {
				return err
			}
		}
	}
	if err := w.trimBytes(); err != nil {
		return err
	}
	// At once: in a second a fast writer makes it several times as large.
	if err := w.checkLog(); err != nil {
		return err
	}
	now := time.Now()
	if now.Sub(w.trimmed) < trimEvery {
		return nil
	}
	w.trimmed = now
	return w.trimAge(w.age.at(now, now.Sub(w.began)))
}

func (w *writer) trimAge(now time.Time) error {
	if w.f.o.Age <= 0 {
		return nil
	}
	before := now.Add(-w.f.o.Age).UnixNano()
	for range trimSteps {
		requests, err := w.forget(stepRows, before)
		if err != nil {
			return err
		}
		others, err := w.forgetOthers(before)
		if err != nil {
			return err
		}
		if requests == 0 && others == 0 {
			break
		}
	}
	return nil
}

// checkpoint takes the database's log into it once it has grown enough. SQLite would
// do it by itself, but never say that the disk fails.
func (w *writer) checkpoint() error {
	var grown int64
	err := w.c.query("PRAGMA wal_checkpoint(noop)", func(row []driver.Value) error {
		grown = integer(row[1]) - integer(row[2])
		return nil
	})
	if err != nil || grown < w.f.o.checkpointPages() {
		return err
	}
	if err := w.c.exec("PRAGMA wal_checkpoint(passive)"); err != nil || grown*pageSize <= w.f.o.logBound()+logSlack {
		return err
	}
	return w.checkLog()
}

// checkLog looks at how large the database's log is.
func (w *writer) checkLog() error {
	if log, err := os.Stat(w.f.path + "-wal"); err == nil && log.Size() > w.f.o.logBound()+logSlack {
		// Only reading that does not end leaves it that large.
		if err := w.c.exec("PRAGMA wal_checkpoint(truncate)"); err != nil && !isBusy(err) {
			return err
		}
		if log, err := os.Stat(w.f.path + "-wal"); err == nil && log.Size() > w.f.o.logBound()+logSlack {
			return errPinned
		}
	}
	return nil
}

// trimBytes keeps what is used of the database below three quarters of the bound:
// the rest is for its log.
func (w *writer) trimBytes() error {
	if w.f.o.Bytes <= 0 {
		return nil
	}
	bound := w.f.o.Bytes / 4 * 3
	for range trimSteps {
		pages, err := w.c.number("PRAGMA page_count")
		if err != nil {
			return err
		}
		free, err := w.c.number("PRAGMA freelist_count")
		if err != nil {
			return err
		}
		if pages*pageSize > bound && free > vacuumPages {
			if err := w.c.exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages)); err != nil {
				return err
			}
		}
		if (pages-free)*pageSize <= bound {
			return nil
		}
		requests, err := w.forget(stepRows, math.MaxInt64)
		if err != nil {
			return err
		}
		before, err := w.others(requests > 0)
		if err != nil {
			return err
		}
		others, err := w.forgetOthers(before)
		if err != nil || requests+others == 0 {
			return err
		}
	}
	return nil
}

// others returns up to when events and samples go together with requests: as far
// as the oldest request or, where there is none, a few of them.
func (w *writer) others(requests bool) (int64, error) {
	if requests {
		return w.c.number("SELECT arrived FROM requests ORDER BY id LIMIT 1")
	}
	var before int64
	err := w.c.query(`SELECT ifnull(max(time), 0) + 1 FROM (SELECT time FROM events ORDER BY id LIMIT ?)
		UNION ALL SELECT ifnull(max(time), 0) + 1 FROM (SELECT time FROM samples ORDER BY time LIMIT ?)`, func(row []driver.Value) error {
		before = max(before, integer(row[0]))
		return nil
	}, int64(stepRows), int64(stepRows))
	return before, err
}

// forget takes the oldest requests away, at most so many and of those only that
// arrived before a time, and returns how many.
func (w *writer) forget(most, before int64) (int64, error) {
	last, err := w.c.number(`SELECT id FROM (SELECT id, arrived FROM requests ORDER BY id LIMIT ?)
		WHERE arrived < ? ORDER BY id DESC LIMIT 1`, most, before)
	if err != nil || last == 0 {
		return 0, err
	}
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	gone, err := w.forgetTo(last)
	if err == nil {
		err = w.c.exec("COMMIT")
	}
	if err != nil {
		return 0, errors.Join(err, undo(w.c))
	}
	w.kept = max(w.kept-gone, 0)
	w.f.rows.Store(w.kept)
	return gone, errors.Join(w.noteOldest(), w.checkpoint())
}

func (w *writer) forgetTo(last int64) (int64, error) {
	gone, err := w.remove("DELETE FROM requests WHERE id <= ?", last)
	for _, query := range []string{"DELETE FROM captures WHERE id <= ?", "DELETE FROM messages WHERE request <= ?"} {
		if err == nil {
			_, err = w.remove(query, last)
		}
	}
	if err == nil {
		err = w.c.exec("UPDATE kept SET requests = max(requests - ?, 0)", gone)
	}
	return gone, err
}

// forgetOthers takes a few of everything else away that is older than a time, and
// returns how many.
func (w *writer) forgetOthers(before int64) (int64, error) {
	const few = int64(stepRows)
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, err
	}
	var gone int64
	var err error
	for _, query := range []string{
		"DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT ?) AND time < ?",
		"DELETE FROM samples WHERE (time, conn) IN (SELECT time, conn FROM samples ORDER BY time, conn LIMIT ?) AND time < ?",
		"DELETE FROM totals WHERE time IN (SELECT time FROM totals ORDER BY time LIMIT ?) AND time < ?",
		"DELETE FROM gaps WHERE id IN (SELECT id FROM gaps ORDER BY id LIMIT ?) AND coalesce(to_time, from_time, (SELECT started FROM runs WHERE runs.id = run), 0) < ?",
		// Of those that a run left open nobody will say any more that they are closed.
		"DELETE FROM connections WHERE id IN (SELECT id FROM connections WHERE closed IS NOT NULL OR id < (SELECT max(first_conn) FROM runs) ORDER BY id LIMIT ?) AND ifnull(closed, ifnull(opened, 0)) < ?",
		"DELETE FROM runs WHERE id IN (SELECT id FROM runs ORDER BY id LIMIT ?) AND started < ? AND id < (SELECT max(id) FROM runs)",
	} {
		var n int64
		if n, err = w.remove(query, few, before); err != nil {
			break
		}
		gone += n
	}
	if err == nil {
		err = w.c.exec("COMMIT")
	}
	if err != nil {
		return 0, errors.Join(err, undo(w.c))
	}
	return gone, w.checkpoint()
}

// remove runs a statement and returns how many rows it took away.
func (w *writer) remove(query string, args ...driver.Value) (int64, error) {
	if err := w.c.exec(query, args...); err != nil {
		return 0, err
	}
	var n int64
	err := w.c.query("SELECT changes()", func(row []driver.Value) error {
		n = integer(row[0])
		return io.EOF
	})
	return n, err
}
