package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"adit/engine"
)

// Options of a File.
type Options struct {
	Role, Name, Version string
	Instance            string // of the process, as snapshots tell it; "" not known

	Captures bool // heads and content of exchanges are written too, credentials masked
	Samples  bool // counters of each connection once a second: a recording

	// Beside says that a former process may write to the database until it ends:
	// then both do, and this one leaves retention to it. First are ids that it has
	// left to this one; 0: those that follow in the database.
	Beside          bool
	FirstRequest    engine.RequestID
	FirstConnection engine.ConnectionID

	// Retention; 0: no bound.
	Age   time.Duration
	Rows  int64 // of requests
	Bytes int64 // of the database and its log together

	Notice func(text string) // told when writing stops and when it goes on; by the writer's goroutine, and by Open of a damaged file
	Logger *slog.Logger

	// For tests.
	retry  time.Duration       // the first wait after a failure; 0: minRetry
	opened func(c *conn) error // called with each connection that writes
}

// A File is one database.
type File struct {
	path string
	o    Options

	queue   queue
	lock    *conn // nil where nothing is written, and while a former process has it; then the writer's
	writer  *writer
	readers atomic.Pointer[sql.DB]

	// Of a file that is only read.
	inPlace   atomic.Bool  // readers take it as one that nobody writes to
	leftover  bool         // an empty log beside it is nobody's
	schema    atomic.Int64 // its version when it was opened
	reopening sync.Mutex

	firstRequest    engine.RequestID
	firstConnection engine.ConnectionID

	readable atomic.Uint64
	oldest   atomic.Uint64
	rows     atomic.Int64 // requests
	problem  atomic.Pointer[string]
	sole     atomic.Bool            // nobody else may write
	beside   atomic.Bool            // a search has a second goroutine
	instance atomic.Pointer[string] // to be written with the next batch
}

// closing is for how long Close writes what is queued.
const closing = 2 * time.Second

// Open opens the database at path for writing, makes it if there is none, and
// brings it to the newest schema. ErrInUse where another process writes to it,
// unless that is the former one (Options.Beside).
func Open(path string, o Options) (*File, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if o.retry == 0 {
		o.retry = minRetry
	}
	path = real(path)
	lock, err := take(path)
	if err != nil && (!o.Beside || !errors.Is(err, ErrInUse)) {
		return nil, fmt.Errorf("open the history %s: %w", path, err)
	}
	f := &File{path: path, o: o, lock: lock, queue: newQueue()}
	f.sole.Store(lock != nil)
	f.writer = newWriter(f)
	if err := f.writer.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the history %s: %w", path, err), f.writer.close(), f.unlock())
	}
	go f.writer.serve()
	return f, nil
}

// OpenReadOnly opens a database to be read, whatever wrote it, or writes to it. One
// that was closed well is read in place, with nothing made beside it, until somebody
// begins to write to it.
func OpenReadOnly(path string) (*File, error) {
	f := &File{path: real(path), o: Options{Logger: slog.New(slog.DiscardHandler)}}
	err := f.openToRead(!f.written())
	if code(err) == sqlite3.SQLITE_CANTOPEN && !f.inPlace.Load() {
		// In a directory where nothing can be made: what a killed process left there
		// is as good, if there is nothing in its log.
		if f.leftover = true; !f.written() {
			err = f.openToRead(true)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return f, nil
}

func (f *File) openToRead(inPlace bool) error {
	if err := f.openReaders(inPlace); err != nil {
		return err
	}
	f.inPlace.Store(inPlace)
	if err := f.Read(context.Background(), f.check); err != nil {
		return errors.Join(err, f.readers.Load().Close())
	}
	return nil
}

// written reports whether somebody may write to the database: who does keeps a log
// beside it from before the first change on, which may be empty.
func (f *File) written() bool {
	log, err := os.Stat(f.path + "-wal")
	return err == nil && (!f.leftover || log.Size() > 0)
}

// errWritten ends what reads a file in place that somebody has begun to write to.
var errWritten = errors.New("another program begins to write to it")

// pool returns what readers take their connections from.
func (f *File) pool() (*sql.DB, error) {
	if f.inPlace.Load() && f.written() {
		f.reopening.Lock()
		defer f.reopening.Unlock()
		if f.inPlace.Load() {
			if err := f.openReaders(false); err != nil {
				return nil, err
			}
			f.inPlace.Store(false)
		}
	}
	return f.readers.Load(), nil
}

// check refuses what is not a history, and notes where it begins.
func (f *File) check(db *sql.Conn) error {
	var id, version int64
	ctx := context.Background()
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if id != applicationID {
		return errors.New("not a history or recording of adit")
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	if int(version) > len(files) {
		return errNewer
	}
	f.schema.Store(version)
	var oldest int64
	if err := db.QueryRowContext(ctx, "SELECT ifnull(min(id), 0) FROM requests").Scan(&oldest); err != nil {
		return err
	}
	f.oldest.Store(uint64(oldest))
	return nil
}

// requests returns what stands for the table of requests in a query: a file that is
// only read may be older than the newest column. Where it has it by now, that comes
// first.
func (f *File) requests() string {
	if f.writer == nil && f.schema.Load() < 2 {
		return "(SELECT *, NULL AS credential FROM requests) AS requests"
	}
	return "requests"
}

func (f *File) openReaders(inPlace bool) error {
	name, err := reader(f.path, inPlace)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(5) // two searches, one more goroutine of them, two others
	db.SetMaxIdleConns(2)
	db.SetConnMaxIdleTime(time.Minute)
	if old := f.readers.Swap(db); old != nil {
		// Of a file that is no longer there. Who reads it still may end.
		return old.Close()
	}
	return nil
}

// Identify says which process this is, as its snapshots tell it, where that was not
// known when the file was opened.
func (f *File) Identify(instance string) {
	if instance != "" {
		f.instance.Store(&instance)
	}
}

// Next returns the first ids that no former run has used.
func (f *File) Next() (engine.RequestID, engine.ConnectionID) {
	return f.firstRequest, f.firstConnection
}

// Add queues an event to be written, and returns at once. Of requests it takes
// the end only. It returns the event's key, which grows also from run to run (it
// is that of engine.EventPage), or 0 where the event is not one to be written or
// the queue has no room for it: then it becomes a gap.
func (f *File) Add(e *engine.Event) uint64 {
	switch {
	case f.writer == nil:
		return 0
	case e.Request != nil:
		f.queue.note(e.Request.ID, e.Request.Connection)
		if e.Kind != engine.KindRequestFinished || e.Request.ID == 0 {
			return 0
		}
		return f.queue.add(item{request: e.Request, bytes: int32(sizeOf(e.Request))}, e)
	}
	f.queue.note(0, e.Connection)
	event := *e
	n := 512 + len(e.Reason) + len(e.Target)
	if g := e.Greeting; g != nil {
		n += 1024 + len(g.Raw) + 128*(len(g.Labels)+len(g.Expose))
	}
	return f.queue.add(item{event: &event, bytes: int32(n)}, e)
}

// Readable returns the key up to which everything that was added can be read,
// or is known to be lost.
func (f *File) Readable() uint64 { return f.readable.Load() }

// Lost notes what was lost before a batch came here.
func (f *File) Lost(b engine.Batch) {
	if f.writer != nil && b.Dropped > 0 {
		f.queue.lost(&b, time.Now())
	}
}

// Rows returns how many requests the history has, as of its last transaction.
func (f *File) Rows() int64 { return f.rows.Load() }

// Gaps returns how many events of this run the history has a gap for.
func (f *File) Gaps() uint64 { return f.queue.gone() }

// Close writes what is queued, for at most 2 s, and closes the database.
func (f *File) Close() error {
	var err error
	if f.writer != nil {
		err = f.writer.stop()
	}
	err = errors.Join(err, f.readers.Load().Close())
	err = errors.Join(err, f.unlock())
	if err != nil {
		return fmt.Errorf("close the history %s: %w", f.path, err)
	}
	return nil
}

// Sole reports whether no former process writes as well.
func (f *File) Sole() bool { return f.writer == nil || f.sole.Load() }

// unlock lets another process write.
func (f *File) unlock() error {
	if f.lock == nil {
		return nil
	}
	return f.lock.Close()
}

// Problem says why nothing is written now, and what to do; "" it is.
func (f *File) Problem() string {
	if p := f.problem.Load(); p != nil {
		return *p
	}
	return ""
}

// Oldest returns the oldest request that is kept; retention moves it on. 0: none.
func (f *File) Oldest() engine.RequestID { return engine.RequestID(f.oldest.Load()) }

// Read calls f with a connection for reading, of those that never hold up the
// writer. Recordings are read so.
func (f *File) Read(ctx context.Context, read func(db *sql.Conn) error) error {
	for {
		db, err := f.pool()
		if err != nil {
			return fmt.Errorf("read the history %s: %w", f.path, err)
		}
		c, err := db.Conn(ctx)
		if err != nil && f.readers.Load() != db {
			continue // it was closed for a new one
		}
		if err != nil {
			return fmt.Errorf("read the history %s: %w", f.path, err)
		}
		err = read(c)
		return errors.Join(err, c.Close())
	}
}
