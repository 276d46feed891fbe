package measure

import (
	"context"
	"sync"
	"time"
)

// settle is the pause that ends the first paint.
const settle = 150 * time.Millisecond

// A screen counts what is written to it.
type screen struct {
	mu      sync.Mutex
	bytes   int
	writes  int
	paint   int // bytes of the first paint
	last    time.Time
	changed chan struct{} // closed by the next write
}

func newScreen() *screen { return &screen{changed: make(chan struct{})} }

// Write implements [io.Writer].
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.writes == 0 || s.paint == s.bytes && now.Sub(s.last) < settle {
		s.paint += len(p)
	}
	s.last = now
	s.bytes += len(p)
	s.writes++
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

// next returns a channel that the next write closes.
func (s *screen) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *screen) counts() (bytes, writes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes, s.writes
}

func (s *screen) first() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paint
}

// await waits until something was written.
func (s *screen) await(ctx context.Context, wait time.Duration) bool {
	late := time.NewTimer(wait)
	defer late.Stop()
	for {
		changed := s.next()
		if bytes, _ := s.counts(); bytes > 1000 {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
