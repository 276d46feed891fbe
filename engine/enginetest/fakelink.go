package enginetest

import (
	"context"
	"sync"
	"time"

	"adit/engine"
)

// A FakeLinked is a [Fake] in another process: the test says how its link is.
type FakeLinked struct {
	*Fake
	mu      sync.Mutex
	link    engine.Link
	known   engine.Snapshot // what was last known when the link was lost
	retries int
}

var _ engine.Linked = (*FakeLinked)(nil)

// NewFakeLinked returns one that is attached since now. Of the other end's state
// s is the first.
func NewFakeLinked(s engine.Snapshot, now time.Time) *FakeLinked {
	return &FakeLinked{Fake: NewFake(s), link: engine.Link{Address: "/run/adit/server-" + s.Name + ".sock", Name: "root",
		Attached: 1, Since: now, LastData: now, Instance: "1"}}
}

// SetLink changes the link. When it is lost by that, what Snapshot returns stands
// still.
func (f *FakeLinked) SetLink(change func(*engine.Link)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := f.link.Lost
	change(&f.link)
	if f.link.Lost && !was {
		_ = f.Fake.Snapshot(context.Background(), &f.known)
	}
}

// Lose cuts the link at a moment.
func (f *FakeLinked) Lose(cause string, at time.Time) {
	f.SetLink(func(l *engine.Link) {
		l.Lost, l.Since, l.LastData, l.Cause, l.Attempt, l.RetryAt = true, at, at, cause, 0, at.Add(time.Second)
	})
}

// Recover mends the link at a moment; another instance is a restart.
func (f *FakeLinked) Recover(instance string, at time.Time) {
	f.SetLink(func(l *engine.Link) {
		if l.Instance != instance {
			l.Instance = instance
			l.Restarts++
		}
		l.Gaps++
		l.Lost, l.Stuck, l.Since, l.LastData, l.Cause, l.Attempt, l.RetryAt = false, false, at, at, "", 0, time.Time{}
	})
}

// Retries returns how often Retry was called.
func (f *FakeLinked) Retries() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.retries
}

// Link implements [engine.Linked].
func (f *FakeLinked) Link() engine.Link {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.link
}

// Retry implements [engine.Linked].
func (f *FakeLinked) Retry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retries++
}

// Snapshot implements [engine.Engine]: while the link is lost, what was last
// known; nothing before the first data.
func (f *FakeLinked) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.link.LastData.IsZero():
		copySnapshot(into, &engine.Snapshot{})
		return ctx.Err()
	case f.link.Lost:
		copySnapshot(into, &f.known)
		return ctx.Err()
	}
	return f.Fake.Snapshot(ctx, into)
}

// lost is what actions fail with.
func (f *FakeLinked) lost() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.link.Lost:
		return engine.ErrLost
	case f.link.ReadOnly:
		return engine.ErrReadOnly
	}
	return nil
}

// CloseConnection implements [engine.Engine].
func (f *FakeLinked) CloseConnection(ctx context.Context, id engine.ConnectionID, code engine.CloseCode, by engine.Operator) error {
	if err := f.lost(); err != nil {
		return err
	}
	return f.Fake.CloseConnection(ctx, id, code, by)
}

// SetCapture implements [engine.Engine].
func (f *FakeLinked) SetCapture(ctx context.Context, c engine.Capture, by engine.Operator) error {
	if err := f.lost(); err != nil {
		return err
	}
	return f.Fake.SetCapture(ctx, c, by)
}

// A FakePlayer is a [Fake] that is a recording. Its time moves when the test says
// so.
type FakePlayer struct {
	*Fake
	mu       sync.Mutex
	playback engine.Playback
}

var _ engine.Player = (*FakePlayer)(nil)

// NewFakePlayer returns a recording of a time that stands at its beginning.
func NewFakePlayer(s engine.Snapshot, from, to time.Time) *FakePlayer {
	f := &FakePlayer{Fake: NewFake(s), playback: engine.Playback{From: from, To: to, At: from, Speed: 1, Path: "incident.db"}}
	f.Refuse(engine.ErrRecorded)
	return f
}

// Playback implements [engine.Player].
func (f *FakePlayer) Playback() engine.Playback {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.playback
}

// Pause implements [engine.Player].
func (f *FakePlayer) Pause(paused bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.playback.Paused = paused
}

// Seek implements [engine.Player].
func (f *FakePlayer) Seek(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &f.playback
	switch {
	case at.Before(p.From):
		at = p.From
	case at.After(p.To):
		at = p.To
	}
	p.At = at
	f.Update(func(s *engine.Snapshot) { s.Time = at })
}

// SetSpeed implements [engine.Player].
func (f *FakePlayer) SetSpeed(speed float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.playback.Speed = min(max(speed, 1.0/16), 3600)
}

// Passes moves the time on by what passes of a clock, as far as it is not paused.
func (f *FakePlayer) Passes(d time.Duration) {
	p := f.Playback()
	if !p.Paused {
		f.Seek(p.At.Add(time.Duration(float64(d) * p.Speed)))
	}
}
