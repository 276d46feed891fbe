package store

import (
	"time"

	"adit/engine"
)

// maxAloft bounds the records in flight that are kept beside the ring.
const maxAloft = 4096

// aloft are records that the ring pushed out while they were in flight: a stream
// outlives a hundred thousand requests, and whoever looks at it goes on. Lists do
// not have them until they end.
type aloft map[engine.RequestID]engine.Request

// keep notes a record that the ring pushes out in flight, if it tells of its end
// by itself.
func (a *aloft) keep(g *ring, x *record) {
	live := g.live(x)
	if live == nil || live == g.unmoved || live.Over.Load() || len(*a) >= maxAloft {
		return
	}
	if *a == nil {
		*a = aloft{}
	}
	var r engine.Request
	g.show(x, &r, nil)
	r.Captured = g.content(x)
	(*a)[x.ID] = r
}

// now returns a record as it is at t, with its heads.
func (a aloft) now(id engine.RequestID, t time.Time) (engine.Request, bool) {
	r, ok := a[id]
	if !ok {
		return r, false
	}
	r.Live.Fill(&r)
	if known := r.Live.Answered.Load(); known != nil {
		r.Heads = known.Heads
	}
	if kept := r.Live.Captured.Load(); kept != nil {
		r.Captured = *kept
	}
	r.LastByte = max(t.Sub(r.Arrived), 0)
	return r, true
}

// distrust forgets those of which the end may be lost, or all.
func (a aloft) distrust(all bool) {
	for id, r := range a {
		if all || r.Live.Over.Load() {
			delete(a, id)
		}
	}
}
