package playback

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"adit/engine"
)

// A run is one process that wrote here.
type run struct {
	id                  int64
	started, ended      int64
	role                engine.Role
	name, version       string
	instance            string
	firstConn, lastConn engine.ConnectionID
	firstRequest        engine.RequestID
}

// A life is when a connection was there.
type life struct {
	id             engine.ConnectionID
	opened, closed int64 // 0: before the history began; closed: as far as it is known
}

// load reads what is needed to know any moment.
func (r *Recording) load(ctx context.Context) error {
	return r.file.Read(ctx, func(db *sql.Conn) error {
		if err := r.loadRuns(ctx, db); err != nil {
			return err
		}
		if err := r.loadBounds(ctx, db); err != nil {
			return err
		}
		return r.loadLives(ctx, db)
	})
}

func (r *Recording) loadRuns(ctx context.Context, db *sql.Conn) error {
	rows, err := db.QueryContext(ctx, "SELECT id, started, ifnull(ended, 0), role, name, version, ifnull(instance, ''), first_conn, last_conn, first_request FROM runs ORDER BY id")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells
	for rows.Next() {
		var x run
		var role string
		if err := rows.Scan(&x.id, &x.started, &x.ended, &role, &x.name, &x.version, &x.instance, &x.firstConn, &x.lastConn, &x.firstRequest); err != nil {
			return err
		}
		if x.role = engine.RoleServer; role == engine.RoleClient.String() {
			x.role = engine.RoleClient
		}
		r.runs = append(r.runs, x)
	}
	return rows.Err()
}

// loadBounds finds out what time is covered.
func (r *Recording) loadBounds(ctx context.Context, db *sql.Conn) error {
	var first, last int64
	for _, q := range [...]string{
		"SELECT min(time), max(time) FROM totals",
		"SELECT (SELECT arrived FROM requests ORDER BY id LIMIT 1), (SELECT arrived + ifnull(last_byte_us, 0) * 1000 FROM requests ORDER BY id DESC LIMIT 1)",
		"SELECT (SELECT time FROM events ORDER BY id LIMIT 1), (SELECT time FROM events ORDER BY id DESC LIMIT 1)",
	} {
		var from, to sql.NullInt64
		if err := db.QueryRowContext(ctx, q).Scan(&from, &to); err != nil {
			return err
		}
		if to.Valid {
			last = max(last, to.Int64)
		}
		if !from.Valid || r.sampled {
			continue
		}
		if first == 0 {
			r.sampled = q[:10] == "SELECT min" // what is older happened before the recording
		}
		if first == 0 || from.Int64 < first {
			first = from.Int64
		}
	}
	for i := range r.runs {
		if first == 0 {
			first, last = r.runs[i].started, max(r.runs[i].started, r.runs[len(r.runs)-1].ended)
		}
		// How a connection ended that a run left open is not known: at the latest
		// the next one had none of it.
		if r.runs[i].ended = 1<<63 - 1; i+1 < len(r.runs) {
			r.runs[i].ended = r.runs[i+1].started
		}
	}
	r.from, r.to = time.Unix(0, first), time.Unix(0, max(first, last))
	return nil
}

func (r *Recording) loadLives(ctx context.Context, db *sql.Conn) error {
	rows, err := db.QueryContext(ctx, "SELECT id, ifnull(opened, 0), ifnull(closed, 0) FROM connections ORDER BY id")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err tells
	for rows.Next() {
		var x life
		if err := rows.Scan(&x.id, &x.opened, &x.closed); err != nil {
			return err
		}
		if x.closed == 0 {
			x.closed = r.runOf(x.id).ended
		}
		r.lives = append(r.lives, x)
	}
	return rows.Err()
}

// runOf returns the run that a connection was of: the last one that began with its
// id or before.
func (r *Recording) runOf(id engine.ConnectionID) *run {
	i, _ := slices.BinarySearchFunc(r.runs, id+1, func(x run, id engine.ConnectionID) int { return cmp.Compare(x.firstConn, id) })
	if i == 0 {
		return &run{ended: 1<<63 - 1}
	}
	return &r.runs[i-1]
}

// runAt returns the run of a moment: the last one that had begun.
func (r *Recording) runAt(at time.Time) *run {
	n := at.UnixNano()
	for i := len(r.runs) - 1; i >= 0; i-- {
		if r.runs[i].started <= n || i == 0 {
			return &r.runs[i]
		}
	}
	return &run{role: engine.RoleServer, started: r.from.UnixNano(), ended: r.to.UnixNano()}
}
