package server

import (
	"context"
	"slices"
	"time"

	"adit/engine"
)

const (
	// probeWait is how long who holds an id has to answer a ping before another
	// instance gets the id. On a slow connection it is three round trips, at most
	// maxProbeWait.
	probeWait    = 500 * time.Millisecond
	maxProbeWait = 3 * time.Second

	idTaken = "this client id is held by another instance"
)

// takeID claims the id; under mu. Another process gets it only when the one
// that holds it shows no life: it may have died without its connections having
// been seen to end, and must then not be locked out of its own name for ever.
// It refuses with the connections to ask, or takes the id from those in silent.
func (c *claims) takeID(s *Server, l *link, silent []*link) (refused *refusal, holders []*link) {
	held := c.ids[l.client]
	if held != nil && held.instance == l.greeting.Instance {
		held.links = append(held.links, l)
		return nil, nil
	}
	if held != nil {
		for _, other := range held.links {
			if !other.leaves() && !slices.Contains(silent, other) {
				holders = append(holders, other)
			}
		}
		if len(holders) > 0 {
			return &refusal{engine.CloseIDTaken, idTaken}, holders
		}
		for _, other := range held.links {
			s.spawn(func() { other.end(engine.CloseIDTaken, "taken over by another instance") })
		}
	}
	c.ids[l.client] = &claim{instance: l.greeting.Instance, links: []*link{l}}
	return nil, nil
}

// leaves reports whether a connection has ended or is about to.
func (l *link) leaves() bool {
	if !l.registered.Load() {
		return false
	}
	select {
	case <-l.conn.Done():
		return true
	default:
	}
	var c engine.Connection
	l.conn.Status(&c)
	return c.State == engine.StateDraining || c.State == engine.StateClosing
}

// lives asks the peers of all these connections for a sign of life and reports
// whether one gave it: a pong, or bytes that still come when what was under way
// at first must have arrived.
func lives(holders []*link) bool {
	began, wait := time.Now(), probeWait
	answers := make([]<-chan struct{}, len(holders))
	for i, l := range holders {
		if !l.settles() {
			return true
		}
		var c engine.Connection
		l.conn.Status(&c)
		wait = min(max(wait, 3*c.RTT), maxProbeWait)
		answers[i] = l.conn.Ping()
	}
	half, stop := context.WithTimeout(context.Background(), wait/2)
	defer stop()
	if answered(half, holders, answers) {
		return true
	}
	seen := make([]uint64, len(holders))
	for i, l := range holders {
		seen[i] = l.counters.BytesIn()
	}
	rest, stop := context.WithTimeout(context.Background(), wait/2)
	defer stop()
	if answered(rest, holders, answers) {
		return true
	}
	for i, l := range holders {
		if !l.leaves() && l.counters.BytesIn() != seen[i] {
			return true
		}
	}
	return time.Since(began) > 2*wait // this process was stopped, and has not read what came
}

// settles reports whether a connection that has claimed its id a moment ago gets
// its welcome within probeWait.
func (l *link) settles() bool {
	if l.registered.Load() {
		return true
	}
	end := time.Now().Add(probeWait)
	again := time.NewTicker(probeWait / 100)
	defer again.Stop()
	for time.Now().Before(end) {
		<-again.C
		if l.registered.Load() {
			return true
		}
	}
	return false
}

// answered reports whether any peer has answered before ctx ended; it returns
// at once when all connections have ended.
func answered(ctx context.Context, holders []*link, answers []<-chan struct{}) bool {
	for i, l := range holders {
		select {
		case <-answers[i]:
			return true
		case <-l.conn.Done():
		case <-ctx.Done():
		}
	}
	for i := range holders { // of two that are ready select takes either
		select {
		case <-answers[i]:
			return true
		default:
		}
	}
	return false
}
