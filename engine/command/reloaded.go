package command

import (
	"context"
	"sync"
	"sync/atomic"

	"adit/engine"
)

// followSettings asks for the settings of a run again after each of its reloads.
// now returns them, nil before the first one; end joins.
func (s *session) followSettings(ctx context.Context) (now func() []engine.Setting, end func()) {
	var latest atomic.Pointer[[]engine.Setting]
	now = func() []engine.Setting {
		if settings := latest.Load(); settings != nil {
			return *settings
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	batches, err := s.remote.Subscribe(ctx, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindOperatorAction), Slots: 64})
	if err != nil {
		cancel()
		return now, func() {}
	}
	var joined sync.WaitGroup
	joined.Go(func() {
		for b := range batches {
			reloaded := b.Dropped > 0
			for i := range b.Events {
				reloaded = reloaded || b.Events[i].Action == engine.ActionReload
			}
			if !reloaded {
				continue
			}
			bounded, done := context.WithTimeout(ctx, reachWait)
			if settings, _, err := s.remote.About(bounded); err == nil {
				latest.Store(&settings)
			}
			done()
		}
	})
	return now, func() {
		cancel()
		joined.Wait()
	}
}
