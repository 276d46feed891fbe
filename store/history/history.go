// Package history is the database behind the ring: one SQLite file with what
// was seen, written by one goroutine in batches, read by any number. It opens
// in any SQLite tool; migrations/ has its schema.
package history

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"adit/engine"
	"adit/engine/filter"
)

// Options of a File.
type Options struct {
	Role, Name, Version string
	Captures            bool // heads and content of exchanges are written too, credentials masked
	Samples             bool // counters of each connection once a second: a recording

	// Retention; 0: no bound.
	Age   time.Duration
	Rows  int64 // of requests
	Bytes int64 // of the database and its log together

	Notice func(text string) // told when writing stops and when it goes on; on the writer's goroutine
	Logger *slog.Logger
}

// A File is one database.
type File struct{}

// Open opens the database at path for writing, makes it if there is none, and
// brings it to the newest schema. ErrInUse where another process writes to it.
func Open(path string, o Options) (*File, error) { return nil, errors.New("not yet") }

// OpenReadOnly opens a database that nobody changes, whatever wrote it.
func OpenReadOnly(path string) (*File, error) { return nil, errors.New("not yet") }

// ErrInUse says that another process writes to the database.
var ErrInUse = errors.New("in use by another process")

// Next returns the first ids that no former run has used.
func (f *File) Next() (engine.RequestID, engine.ConnectionID) { return 1, 1 }

// Add queues an event to be written, and returns at once. Of requests it takes
// the end only. It returns the event's key, which grows also from run to run (it
// is that of engine.EventPage), or 0 where the event is not one to be written or
// the queue has no room for it: then it becomes a gap.
func (f *File) Add(e *engine.Event) uint64 { return 0 }

// Readable returns the key up to which everything that was added can be read,
// or is known to be lost.
func (f *File) Readable() uint64 { return 0 }

// Lost notes that n events were lost before they came here.
func (f *File) Lost(n uint64) {}

// Sample queues the counters of a snapshot: of a recording.
func (f *File) Sample(s *engine.Snapshot) {}

// Close writes what is queued, for at most 2 s, and closes the database.
func (f *File) Close() error { return nil }

// Problem says why nothing is written now, and what to do; "" it is.
func (f *File) Problem() string { return "" }

// Oldest returns the oldest request that is kept; retention moves it on. 0: none.
func (f *File) Oldest() engine.RequestID { return 0 }

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
	return nil
}

// Requests appends those of ids, which are in ascending order, that are there, in
// that order.
func (f *File) Requests(ctx context.Context, ids []engine.RequestID, into []engine.Request) ([]engine.Request, error) {
	return into, nil
}

// Request returns one with its heads, if they were written. engine.ErrNotFound.
func (f *File) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	return engine.Request{}, engine.ErrNotFound
}

// Content is engine.RequestLog's.
func (f *File) Content(ctx context.Context, id engine.RequestID, into *engine.Content) error {
	return engine.ErrNotFound
}

// Events is engine.RequestLog's.
func (f *File) Events(ctx context.Context, q engine.EventQuery, into *engine.EventPage) error {
	return nil
}

// Read calls f with a connection for reading, of those that never hold up the
// writer. Recordings are read so.
func (f *File) Read(ctx context.Context, read func(db *sql.Conn) error) error {
	return errors.New("not yet")
}
