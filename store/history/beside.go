package history

import (
	"errors"
	"time"
)

const (
	// askLock is how often a process that writes beside its former one asks
	// whether that has ended.
	askLock = time.Second

	// keysBetween is how many keys the former process may still use: some hundred
	// thousand a second while it drains, at most.
	keysBetween = 10_000_000
)

// beside reports whether a former process may write too.
func (w *writer) beside() bool { return w.f.lock == nil }

// succeed takes the lock once the former process has let it go, and with it what
// only one may do.
func (w *writer) succeed() error {
	now := time.Now()
	if !w.beside() || now.Sub(w.asked) < askLock {
		return nil
	}
	w.asked = now
	lock, err := take(w.f.path)
	if errors.Is(err, ErrInUse) {
		return nil
	}
	if err != nil {
		return err
	}
	w.f.lock = lock
	if w.kept, err = w.c.number("SELECT requests FROM kept"); err != nil {
		return err
	}
	if w.former != 0 {
		if err := w.killed(w.former); err != nil { // unless it has said that it ended
			return err
		}
		w.former = 0
	}
	w.f.sole.Store(true)
	return w.noteOldest()
}
