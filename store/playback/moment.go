package playback

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"sort"
	"sync"
	"time"

	"adit/engine"
)

// A moment is where the tables are at a time: the newest row of each.
type moment struct {
	at, before time.Time // it is true from at on and before before
	request    engine.RequestID
	event      uint64 // key
	sample     int64  // time; 0 none
}

// moments finds them. One that is true still is not looked for again.
type moments struct {
	mu   sync.Mutex // held while the database is read
	last moment
}

// moment returns where the tables are at a time.
func (r *Recording) moment(ctx context.Context, at time.Time) (moment, error) {
	r.moments.mu.Lock()
	defer r.moments.mu.Unlock()
	if m := r.moments.last; !m.at.IsZero() && !at.Before(m.at) && at.Before(m.before) {
		return m, nil
	}
	m := moment{at: at}
	err := r.file.Read(ctx, func(db *sql.Conn) error {
		n := at.UnixNano()
		if !at.Before(r.to) {
			n = math.MaxInt64 // all, also what a clock that was set back has from later
		}
		next := int64(1<<63 - 1)
		request, after, err := newest(ctx, db, "requests", "arrived", n)
		if err != nil {
			return err
		}
		m.request, next = engine.RequestID(request), min(next, after)
		event, after, err := newest(ctx, db, "events", "time", n)
		if err != nil {
			return err
		}
		m.event, next = uint64(event), min(next, after)
		var sample, later sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT (SELECT max(time) FROM totals WHERE time <= ?1), (SELECT min(time) FROM totals WHERE time > ?1)", n).Scan(&sample, &later); err != nil {
			return err
		}
		m.sample = sample.Int64
		if later.Valid {
			next = min(next, later.Int64)
		}
		m.before = time.Unix(0, next)
		return nil
	})
	if err != nil {
		return moment{}, err
	}
	r.moments.last = m
	return m, nil
}

// newest returns the id of the last row of a table whose time is at or before n, 0
// where there is none, and until when that is so. Rows are in order of time but for
// some that are near one another, and where the clock was set back: of these rows it
// is not said at which moment within they come, but as n grows the id never goes
// back, so that each comes once.
func newest(ctx context.Context, db *sql.Conn, table, column string, n int64) (id, next int64, err error) {
	var low, high sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT min(id) FROM "+table).Scan(&low); err != nil || !low.Valid {
		return 0, 1<<63 - 1, err
	}
	if err := db.QueryRowContext(ctx, "SELECT max(id) FROM "+table).Scan(&high); err != nil {
		return 0, 0, err
	}
	from, err := db.PrepareContext(ctx, "SELECT id, "+column+" FROM "+table+" WHERE id >= ? ORDER BY id LIMIT 1")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = from.Close() }() // nothing was written
	span := int(high.Int64 - low.Int64 + 1)
	next = 1<<63 - 1
	i := sort.Search(span, func(i int) bool {
		var at, row int64
		if err != nil {
			return true
		}
		switch e := from.QueryRowContext(ctx, low.Int64+int64(i)).Scan(&row, &at); {
		case errors.Is(e, sql.ErrNoRows):
			return true
		case e != nil:
			err = e
			return true
		}
		if at > n {
			next = min(next, at)
			return true
		}
		return false
	})
	if err != nil || i == 0 {
		return 0, next, err
	}
	var row sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT max(id) FROM "+table+" WHERE id < ?", low.Int64+int64(i)).Scan(&row); err != nil {
		return 0, 0, err
	}
	return row.Int64, next, nil
}

// A tally is the sum of requests up to some of them, where there are no samples.
type tally struct {
	mu     sync.Mutex // a leaf
	marks  []mark
	over   bool
	drains []drain
}

// A mark is the sum of the requests up to one.
type mark struct {
	id     engine.RequestID
	totals engine.Totals
}

// A drain is a ban, its end, or that draining began.
type drain struct {
	key    uint64
	run    int64
	kind   engine.Kind
	action engine.Action
	target string
}

// markEvery is how many requests there are between two marks.
const markEvery = 1000

// survey sums up what takes a look at every row, beside.
func (r *Recording) survey(ctx context.Context) {
	_ = r.file.Read(ctx, func(db *sql.Conn) error { // what it can't read is not known
		r.surveyEvents(ctx, db)
		if !r.sampled {
			r.surveyRequests(ctx, db)
		}
		return nil
	})
}

func (r *Recording) surveyEvents(ctx context.Context, db *sql.Conn) {
	rows, err := db.QueryContext(ctx, "SELECT id, run, kind, ifnull(action, ''), ifnull(target, '') FROM events WHERE kind = 'draining' OR kind = 'operator_action' AND action IN ('ban', 'unban') ORDER BY id")
	if err != nil {
		return
	}
	defer func() { _ = rows.Close() }() // what was read is enough
	var all []drain
	for rows.Next() {
		var x drain
		var kind string
		if rows.Scan(&x.key, &x.run, &kind, &x.action, &x.target) != nil {
			return
		}
		if x.kind = engine.KindOperatorAction; kind == engine.KindDraining.String() {
			x.kind = engine.KindDraining
		}
		all = append(all, x)
	}
	r.totals.mu.Lock()
	defer r.totals.mu.Unlock()
	r.totals.drains = all
}

func (r *Recording) surveyRequests(ctx context.Context, db *sql.Conn) {
	rows, err := db.QueryContext(ctx, "SELECT id, status, ifnull(outcome, '') != 'completed' FROM requests ORDER BY id")
	if err != nil {
		return
	}
	defer func() { _ = rows.Close() }() // what was read is enough
	var x mark
	for n := 1; rows.Next(); n++ {
		var status int
		var failed bool
		if rows.Scan(&x.id, &status, &failed) != nil {
			return
		}
		x.totals.Requests++
		if failed {
			x.totals.Failed++
		}
		if class := status / 100; class >= 0 && class < len(x.totals.Statuses) {
			x.totals.Statuses[class]++
		}
		if n%markEvery == 0 {
			r.totals.add(x)
		}
	}
	r.totals.mu.Lock()
	defer r.totals.mu.Unlock()
	r.totals.marks, r.totals.over = append(r.totals.marks, x), rows.Err() == nil
}

func (t *tally) add(x mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.marks = append(t.marks, x)
}

// upTo returns the last mark at a request or before, and whether what stands after
// it has been summed up.
func (t *tally) upTo(id engine.RequestID) (mark, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].id > id })
	known := t.over || i < len(t.marks)
	if i == 0 {
		return mark{}, known
	}
	return t.marks[i-1], known
}
