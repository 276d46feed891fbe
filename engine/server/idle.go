package server

import (
	"time"

	"adit/engine"
)

// sweepIdle closes wsp connections that have been idle for Options.IdleTimeout
// where their client has more of them idle than its pool size, as wsp did.
func (s *Server) sweepIdle() {
	defer s.work.Done()
	defer s.caught()
	ticker := time.NewTicker(max(s.o.IdleTimeout/4, 10*time.Millisecond))
	defer ticker.Stop()
	seen := map[*link]idleMark{}
	for {
		select {
		case <-s.base.Done():
			return
		case now := <-ticker.C:
			seen = s.sweep(now, seen)
		}
	}
}

// An idleMark is since when a connection has served nothing.
type idleMark struct {
	exchanges uint64
	since     time.Time
}

func (s *Server) sweep(now time.Time, before map[*link]idleMark) map[*link]idleMark {
	marks := make(map[*link]idleMark)
	idle := make(map[string]int)
	var old []*link
	for _, l := range s.links.list() {
		if !l.registered.Load() || l.native {
			continue
		}
		var c engine.Connection
		l.conn.Status(&c)
		if c.State != engine.StateIdle {
			continue
		}
		idle[l.client]++
		mark, known := before[l]
		if !known || mark.exchanges != c.Exchanges {
			mark = idleMark{c.Exchanges, now}
		}
		marks[l] = mark
		if now.Sub(mark.since) >= s.o.IdleTimeout {
			old = append(old, l)
		}
	}
	for _, l := range old {
		if idle[l.client] <= l.greeting.PoolSize {
			continue
		}
		// A reserved connection serves nobody else.
		if l.conn.Reserve() {
			idle[l.client]--
			s.spawn(func() { l.conn.Close(engine.CloseNormal, "idle") })
		}
	}
	return marks
}
