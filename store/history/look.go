package history

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"
)

// A Look is what a look into a database has found.
type Look struct {
	Schema, Newest int       // version of the file, and the newest that this adit knows
	Size           int64     // with its log, bytes
	Requests       int64     // exact if Counted, else at most: ids leave gaps at every restart
	Counted        bool      // ctx left time to count them
	Last           time.Time // arrival of the newest; zero none
	Writer         int       // process that writes to it; 0 none, or not known
	Damage         string    // what the check has found; "" nothing
	Checked        bool      // all of it: ctx left time enough
}

// LookInto reads what the database at path is and checks its pages for as long as
// ctx lasts. It changes nothing, and who writes there is not held up; only its log
// can't be begun anew meanwhile.
func LookInto(ctx context.Context, path string) (Look, error) {
	l := Look{Size: sizeOnDisk(path), Writer: lockedBy(real(path) + ".lock")}
	if f, err := os.Open(path); err != nil {
		return l, err
	} else if err := f.Close(); err != nil {
		return l, err
	}
	file, err := OpenReadOnly(path)
	if err != nil {
		return l, err
	}
	files, err := migrations.ReadDir("migrations")
	l.Schema, l.Newest = int(file.schema.Load()), len(files)
	err = errors.Join(err, file.Read(ctx, func(db *sql.Conn) error { return l.read(ctx, db) }))
	if ctx.Err() != nil && l.Last != (time.Time{}) {
		err = nil // the check was not over
	}
	return l, errors.Join(err, file.Close())
}

func (l *Look) read(ctx context.Context, db *sql.Conn) error {
	var first, last, arrived int64
	err := db.QueryRowContext(ctx, "SELECT ifnull(min(id), 0), ifnull(max(id), 0) FROM requests").Scan(&first, &last)
	if err == nil && last > 0 {
		l.Requests = last - first + 1
		err = db.QueryRowContext(ctx, "SELECT arrived FROM requests WHERE id = ?", last).Scan(&arrived)
		l.Last = time.Unix(0, arrived)
	}
	if err != nil {
		return err
	}
	said := ""
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		if isCorrupt(err) {
			l.Damage, l.Checked = engineText(err), true
			return nil
		}
		return err
	}
	l.Checked = true
	if said != "ok" {
		l.Damage = said
		return nil
	}
	// The check has read every page, so that counting is cheap now.
	var n int64
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM requests").Scan(&n); err == nil {
		l.Requests, l.Counted = n, true
	}
	return nil
}

// sizeOnDisk returns what a database and its log take.
func sizeOnDisk(path string) (n int64) {
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(real(path) + suffix); err == nil {
			n += info.Size()
		}
	}
	return n
}
