package store

import (
	"log/slog"
	"time"

	"adit/engine"
	"adit/store/history"
)

// FileOptions say what is kept of a run, and where.
type FileOptions struct {
	Path                string // of the database; "" none: in memory only
	Role, Name, Version string
	Captures            bool          // heads and content go to the database too
	Age                 time.Duration // of what the database keeps; 0 without bound, like what follows
	Rows, Bytes         int64
	Beside              bool // a former process may write there until it ends
	FirstRequest        engine.RequestID
	FirstConnection     engine.ConnectionID
	Notice              func(text string) // told when writing stops and goes on; must not wait
	Logger              *slog.Logger
}

// A Kept is what is kept of one run: a log and, where there is a path, the
// history behind it.
type Kept struct {
	file *history.File // nil: none
	log  *Log          // nil before Keep
}

// OpenAt opens the database, if there is to be one.
func OpenAt(o FileOptions) (*Kept, error) {
	if o.Path == "" {
		return &Kept{}, nil
	}
	file, err := history.Open(o.Path, history.Options{
		Role: o.Role, Name: o.Name, Version: o.Version,
		Captures: o.Captures,
		Beside:   o.Beside, FirstRequest: o.FirstRequest, FirstConnection: o.FirstConnection,
		Age: o.Age, Rows: o.Rows, Bytes: o.Bytes,
		Notice: o.Notice, Logger: o.Logger,
	})
	if err != nil {
		return nil, err // it says of what
	}
	return &Kept{file: file}, nil
}

// Next returns the first ids that no former run of the same database used. The
// engine that is kept has to begin with them.
func (k *Kept) Next() (engine.RequestID, engine.ConnectionID) {
	if k.file == nil {
		return 1, 1
	}
	return k.file.Next()
}

// Keep opens the log of an engine that does not serve yet. It is called once.
func (k *Kept) Keep(e engine.Engine) (engine.RequestLog, error) {
	log, err := Open(e, Options{History: k.file})
	if err != nil {
		return nil, err
	}
	k.log = log
	return log, nil
}

// State returns what the log and the history say of themselves.
func (k *Kept) State() engine.LogState {
	var st engine.LogState
	if l := k.log; l != nil {
		l.mu.Lock()
		st.Records, st.Missing = l.ring.kept(), min(l.lost, l.ring.missing())
		l.mu.Unlock()
	}
	if f := k.file; f != nil {
		st.History, st.Stored, st.Lost, st.Problem = true, f.Rows(), f.Gaps(), f.Problem()
	}
	return st
}

// Close ends the log, writes what is left, for at most 2 s, and closes the
// database. What the engine still has to tell is told before: its bus is closed.
func (k *Kept) Close() {
	if k.log != nil {
		k.log.Close()
	}
	if k.file != nil {
		_ = k.file.Close() // what it could not write it has said by its notice
	}
}
