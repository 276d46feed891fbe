// Package playback shows a store database as an engine, as it was at a moment that
// moves on: a recording, or the history of a server. Where there are no samples,
// connections are reconstructed from when they were opened and closed, and totals
// from the requests; what is not known then is left out.
//
// Start with state.go for what a moment looks like, moment.go for how it is found
// in the database.
package playback

import (
	"context"
	"fmt"
	"sync"
	"time"

	"adit/engine"
	"adit/store"
	"adit/store/history"
)

// Bounds of the speed.
const (
	slowest = 1.0 / 16
	fastest = 3600
)

// A Recording is a database that is shown as if it happened now. One with samples
// begins at its beginning, any other at its end, paused.
type Recording struct {
	path string
	file *history.File
	log  *store.Log
	done chan struct{} // closed by Close

	stop    context.CancelFunc
	running sync.WaitGroup // subscriptions, the survey

	from, to time.Time
	sampled  bool // there are samples
	runs     []run
	lives    []life // of connections

	mu     sync.Mutex // a leaf: the clock
	base   time.Time  // what was shown
	since  time.Time  // at this time
	speed  float64
	paused bool
	seeks  uint64 // jumps so far

	moments moments
	totals  tally
	details details
}

var (
	_ engine.Player     = (*Recording)(nil)
	_ engine.RequestLog = (*Recording)(nil)
)

// Open opens the database at path. Close releases it.
func Open(path string) (*Recording, error) {
	file, err := history.OpenReadOnly(path)
	if err != nil {
		return nil, err
	}
	log, err := store.Reading(file)
	if err != nil {
		_ = file.Close() // it was only read
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Recording{path: path, file: file, log: log, done: make(chan struct{}), stop: stop, speed: 1, since: time.Now()}
	if err := r.load(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if r.base = r.from; !r.sampled {
		r.base, r.paused = r.to, true
	}
	r.running.Go(func() { r.survey(ctx) })
	return r, nil
}

// Close ends what runs and closes the database.
func (r *Recording) Close() {
	r.mu.Lock()
	select {
	case <-r.done:
		r.mu.Unlock()
		return
	default:
		close(r.done)
	}
	r.mu.Unlock()
	r.stop()
	r.running.Wait()
	r.log.Close()
	_ = r.file.Close() // it was only read
}

// Done implements [engine.Engine]: a recording ends when it is closed.
func (r *Recording) Done() <-chan struct{} { return r.done }

// at returns the moment that is shown. mu is held.
func (r *Recording) at(now time.Time) time.Time {
	at := r.base
	if !r.paused {
		// In float64 a year of nanoseconds is exact to some microseconds.
		at = at.Add(time.Duration(min(float64(now.Sub(r.since))*r.speed, float64(r.to.Sub(r.base)))))
	}
	return r.within(at)
}

func (r *Recording) within(t time.Time) time.Time {
	switch {
	case t.Before(r.from):
		return r.from
	case t.After(r.to):
		return r.to
	}
	return t
}

// now returns the moment that is shown, and how often it has jumped.
func (r *Recording) now() (time.Time, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at(time.Now()), r.seeks
}

// Playback implements [engine.Player].
func (r *Recording) Playback() engine.Playback {
	r.mu.Lock()
	defer r.mu.Unlock()
	return engine.Playback{From: r.from, To: r.to, At: r.at(time.Now()), Speed: r.speed, Paused: r.paused, Path: r.path}
}

// set changes how the moment moves on.
func (r *Recording) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.base, r.since = r.at(now), now
	change()
}

// Pause implements [engine.Player].
func (r *Recording) Pause(paused bool) { r.set(func() { r.paused = paused }) }

// Seek implements [engine.Player].
func (r *Recording) Seek(at time.Time) {
	r.set(func() {
		r.base = r.within(at)
		r.seeks++
	})
}

// SetSpeed implements [engine.Player].
func (r *Recording) SetSpeed(speed float64) {
	if speed != speed { // not a number
		return
	}
	r.set(func() { r.speed = min(max(speed, slowest), fastest) })
}

// CloseConnection implements [engine.Engine].
func (*Recording) CloseConnection(context.Context, engine.ConnectionID, engine.CloseCode, engine.Operator) error {
	return engine.ErrRecorded
}

// Ban implements [engine.Engine].
func (*Recording) Ban(context.Context, string, engine.Operator) error { return engine.ErrRecorded }

// Unban implements [engine.Engine].
func (*Recording) Unban(context.Context, string, engine.Operator) error { return engine.ErrRecorded }

// CancelExchange implements [engine.Engine].
func (*Recording) CancelExchange(context.Context, engine.RequestID, engine.Operator) error {
	return engine.ErrRecorded
}

// Drain implements [engine.Engine].
func (*Recording) Drain(context.Context, engine.ConnectionID, engine.Operator) error {
	return engine.ErrRecorded
}

// Replay implements [engine.Engine].
func (*Recording) Replay(context.Context, engine.Replay, engine.Operator) (engine.RequestID, error) {
	return 0, engine.ErrRecorded
}

// SetCapture implements [engine.Engine].
func (*Recording) SetCapture(context.Context, engine.Capture, engine.Operator) error {
	return engine.ErrRecorded
}

// FrameTape implements [engine.Engine]: frames are not recorded.
func (*Recording) FrameTape(_ context.Context, id engine.ConnectionID, into []engine.FrameRecord) ([]engine.FrameRecord, error) {
	return into, fmt.Errorf("frames of %v are not recorded: %w", id, engine.ErrNotFound)
}
