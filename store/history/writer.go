package history

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"time"

	"adit/engine"
)

const (
	// delay is for how long the first row of a batch waits for others. With what
	// writing takes it is how much a kill may lose: 250 ms.
	delay = 150 * time.Millisecond

	// look is how often retention and the file are looked at while nothing comes.
	look = 10 * time.Second

	minRetry, maxRetry = time.Second, 30 * time.Second

	// lostIDs is how many ids a run may have given out that it did not write
	// before it was killed.
	lostIDs = 10_000
)

// A writer is the only one that writes to a database. All but stop is its
// goroutine's.
type writer struct {
	f        *File
	c        *conn // nil after a failure that needs a new one
	opened   os.FileInfo
	insert   inserts
	stopping chan struct{}
	done     chan struct{}

	run     int64 // runs.id
	began   time.Time
	items   []item    // taken from the queue
	next    int       // the first of them that is not written
	key     uint64    // of the newest of those that are
	gaps    []gap     // to be written with the next batch
	kept    int64     // rows of requests
	trimmed time.Time // when age and bytes were looked at
	age     ageClock
	err     error     // why writing is suspended
	former  int64     // run of the former process that writes as well; 0 none
	asked   time.Time // when its lock was asked for
}

func newWriter(f *File) *writer {
	return &writer{f: f, began: time.Now(), stopping: make(chan struct{}), done: make(chan struct{})}
}

// open opens the database and lists this run in it.
func (w *writer) open() error {
	suspect := isCorrupt(w.err)
	err := w.openOnce(suspect)
	if !suspect && isCorrupt(err) {
		w.drop()
		err = w.openOnce(true)
	}
	return err
}

func (w *writer) openOnce(suspect bool) error {
	c, moved, err := openWriter(w.f.path, suspect, time.Now())
	if err != nil {
		return err
	}
	w.c = c
	if moved != "" {
		w.f.notice("the history was damaged: it is now " + moved + ", a new one was begun")
	}
	now, err := os.Stat(w.f.path)
	if err != nil {
		return err
	}
	if w.opened == nil || !os.SameFile(now, w.opened) {
		if err := w.f.openReaders(false); err != nil {
			return err
		}
		w.opened = now
	}
	if err := c.exec(fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", 2*w.f.o.checkpointPages())); err != nil {
		return err
	}
	if w.f.o.opened != nil {
		if err := w.f.o.opened(c); err != nil {
			return err
		}
	}
	if err := w.insert.prepare(c); err != nil {
		return err
	}
	if w.kept, err = c.number("SELECT requests FROM kept"); err != nil {
		return err
	}
	w.f.rows.Store(w.kept)
	if err := w.enlist(); err != nil {
		return err
	}
	return w.noteOldest()
}

func (w *writer) noteOldest() error {
	oldest, err := w.c.number("SELECT min(id) FROM requests")
	w.f.oldest.Store(uint64(oldest))
	return err
}

// enlist makes the row of this run, unless there is one, and on the first call
// finds the ids that it may use.
func (w *writer) enlist() error {
	began := w.began.UnixNano()
	known, err := w.c.number("SELECT id FROM runs WHERE started = ? AND id = ?", began, w.run)
	if err != nil || known != 0 {
		return err
	}
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := w.enlistIn(began); err != nil {
		return errors.Join(err, undo(w.c))
	}
	return w.c.exec("COMMIT")
}

func (w *writer) enlistIn(began int64) error {
	request, err := w.c.number("SELECT max((SELECT ifnull(max(id), 0) FROM requests), (SELECT ifnull(max(last_request), 0) FROM runs))")
	if err != nil {
		return err
	}
	connection, err := w.c.number("SELECT max((SELECT ifnull(max(id), 0) FROM connections), (SELECT ifnull(max(last_conn), 0) FROM runs))")
	if err != nil {
		return err
	}
	key, err := w.c.number("SELECT max((SELECT ifnull(max(id), 0) FROM events), (SELECT ifnull(max(last_key), 0) FROM runs))")
	if err != nil {
		return err
	}
	last, err := w.c.number("SELECT id FROM runs WHERE ended IS NULL AND id = (SELECT max(id) FROM runs)")
	if err != nil {
		return err
	}
	switch {
	case last == 0:
	case w.beside():
		w.former = last
		request, connection, key = beyond(request), beyond(connection), key+keysBetween
	default:
		if err := w.killed(last); err != nil {
			return err
		}
		request, connection, key = beyond(request), beyond(connection), beyond(key)
	}
	if w.f.firstRequest == 0 {
		request = max(request, int64(w.f.o.FirstRequest)-1)
		connection = max(connection, int64(w.f.o.FirstConnection)-1)
		w.f.firstRequest, w.f.firstConnection = engine.RequestID(request+1), engine.ConnectionID(connection+1)
		w.key, w.f.queue.key = uint64(key), uint64(key)
		w.f.readable.Store(w.key)
	}
	o := &w.f.o
	err = w.c.exec("INSERT INTO runs (started, role, name, version, instance, first_request, last_request, first_conn, last_conn, last_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		began, text(o.Role), text(o.Name), text(o.Version), textOrNull(o.Instance),
		int64(w.f.firstRequest), int64(w.f.firstRequest)-1, int64(w.f.firstConnection), int64(w.f.firstConnection)-1, int64(w.key))
	if err != nil {
		return err
	}
	w.run, err = w.c.number("SELECT last_insert_rowid()")
	return err
}

// killed notes that a run has ended without saying so.
func (w *writer) killed(run int64) error {
	return w.c.exec(`INSERT INTO gaps (run, from_time, from_seq, why)
		SELECT id, (SELECT max(time) FROM events WHERE run = runs.id), (SELECT max(seq) FROM events WHERE run = runs.id), ?
		FROM runs WHERE id = ? AND ended IS NULL`, whyKilled, run)
}

// beyond returns what ids that may have been lost were not above.
func beyond(id int64) int64 { return (id/lostIDs+2)*lostIDs - 1 }

// serve writes what comes until stop.
func (w *writer) serve() {
	defer close(w.done)
	timer := time.NewTimer(look)
	defer timer.Stop()
	retry := w.f.o.retry
	for {
		if timer.Reset(look); w.beside() {
			timer.Reset(askLock)
		}
		select {
		case <-w.stopping:
			w.finish()
			return
		case <-w.f.queue.wake:
			timer.Reset(delay)
			select {
			case <-w.stopping:
				w.finish()
				return
			case <-w.f.queue.wake:
			case <-timer.C:
			}
		case <-timer.C:
		}
		for w.turn(time.Time{}) != nil {
			timer.Reset(retry)
			retry = min(2*retry, maxRetry)
			select {
			case <-w.stopping:
				w.finish()
				return
			case <-timer.C:
			}
		}
		retry = w.f.o.retry
	}
}

// turn writes everything that waits, before a deadline if there is one, and lets
// retention take a step. After an error writing is suspended.
func (w *writer) turn(deadline time.Time) error {
	err := w.reopen()
	if err == nil {
		err = w.succeed()
	}
	if err == nil {
		err = w.flush(deadline)
	}
	if err == nil {
		err = w.trim()
	}
	if err != nil {
		w.suspend(err)
	} else {
		w.resume()
	}
	return err
}

// reopen opens the database anew after a failure, or where it is no longer what
// stands at its path.
func (w *writer) reopen() error {
	if w.c != nil {
		now, err := os.Stat(w.f.path)
		if err == nil && os.SameFile(now, w.opened) {
			return nil
		}
		w.drop()
		return errGone
	}
	return w.open()
}

// drop closes a connection that can't be used any more.
func (w *writer) drop() {
	if w.c == nil {
		return
	}
	w.insert.close()
	if err := w.c.Close(); err != nil {
		w.f.o.Logger.Warn("history", "close", err)
	}
	w.c = nil
}

// flush writes what waits, in transactions of at most maxBatch rows.
func (w *writer) flush(deadline time.Time) error {
	for first := true; ; first = false {
		if w.next == len(w.items) {
			w.items, w.next = w.f.queue.take(w.items), 0
		}
		w.gaps = append(w.gaps, w.f.queue.losses()...)
		if len(w.items) == 0 && len(w.gaps) == 0 {
			return nil
		}
		if !first && !deadline.IsZero() && time.Now().After(deadline) {
			return fmt.Errorf("%d rows are left after %v", len(w.items)-w.next, closing)
		}
		batch := w.items[w.next:min(len(w.items), w.next+maxBatch)]
		if err := w.write(batch); err != nil {
			w.f.queue.restore(w.gaps)
			w.gaps = nil
			return err
		}
		w.gaps = nil
		w.next += len(batch)
		w.key += uint64(len(batch))
		w.f.queue.done(batch)
		w.f.readable.Store(w.key)
		if err := w.trim(); err != nil {
			return err
		}
	}
}

// write writes one transaction.
func (w *writer) write(batch []item) error {
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	rows, lowest, err := w.insert.rows(w, batch)
	if err == nil {
		err = w.insert.gaps(w.run, w.gaps)
	}
	if err == nil {
		w.f.queue.mu.Lock()
		request, connection := w.f.queue.request, w.f.queue.conn
		w.f.queue.mu.Unlock()
		err = w.c.exec("UPDATE runs SET last_request = max(last_request, ?), last_conn = max(last_conn, ?), last_key = ?, instance = ifnull(?, instance) WHERE id = ?",
			int64(request), int64(connection), int64(w.key)+int64(len(batch)), w.f.identity(), w.run)
	}
	if err == nil && rows > 0 {
		err = w.c.exec("UPDATE kept SET requests = requests + ?", rows) // a former process adds its own
	}
	if err == nil {
		err = w.c.exec("COMMIT")
	}
	if err != nil {
		return errors.Join(err, undo(w.c))
	}
	w.kept += rows
	w.f.rows.Store(w.kept)
	if o := w.f.oldest.Load(); lowest != 0 && (o == 0 || uint64(lowest) < o) {
		w.f.oldest.Store(uint64(lowest))
	}
	return nil
}

// suspend says, once, that nothing is written for now.
func (w *writer) suspend(err error) {
	if !isBusy(err) {
		w.drop()
	}
	why, advice := cause(err, w.f.path)
	problem := fmt.Sprintf("%s; %s", why, advice)
	w.f.queue.reason(whySuspended + why)
	if before := w.f.Problem(); before != problem {
		w.f.problem.Store(&problem)
		w.f.notice("the history is suspended: " + problem)
		w.f.o.Logger.Warn("history suspended", "path", w.f.path, "error", err)
	}
	w.err = err
}

// resume says, once, that writing goes on.
func (w *writer) resume() {
	if w.err == nil {
		return
	}
	w.err = nil
	w.f.problem.Store(nil)
	w.f.queue.reason(whyOverflow)
	w.f.notice("the history goes on")
	w.f.o.Logger.Info("history goes on", "path", w.f.path)
}

// identity returns what Identify has said, NULL where it has not.
func (f *File) identity() driver.Value {
	if s := f.instance.Load(); s != nil {
		return text(*s)
	}
	return nil
}

func (f *File) notice(text string) { f.o.Notice(text) }

// finish writes what is left and ends the run.
func (w *writer) finish() {
	w.f.queue.mu.Lock()
	w.f.queue.closed = true
	w.f.queue.mu.Unlock()
	deadline := time.Now().Add(closing / 2)
	again := time.NewTicker(closing / 20)
	defer again.Stop()
	for w.err = w.turn(deadline); w.err != nil && time.Now().Before(deadline); w.err = w.turn(deadline) {
		<-again.C // a fault that passes must not cost what is left
	}
	if w.err == nil {
		w.err = w.c.exec("UPDATE runs SET ended = ?, instance = ifnull(?, instance) WHERE id = ?", time.Now().UnixNano(), w.f.identity(), w.run)
	}
	// The last one to close takes the log into the database, so that this is one file
	// again; those that only read can't.
	if err := w.f.readers.Load().Close(); w.err == nil {
		w.err = err
	}
	w.drop()
}

// stop ends the goroutine and returns why not everything was written.
func (w *writer) stop() error {
	close(w.stopping)
	timer := time.NewTimer(closing)
	defer timer.Stop()
	select {
	case <-w.done:
		return w.err
	case <-timer.C:
		return errors.New("the disk does not answer")
	}
}

// close ends a writer that does not run.
func (w *writer) close() error {
	w.drop()
	if db := w.f.readers.Load(); db != nil {
		return db.Close()
	}
	return nil
}
