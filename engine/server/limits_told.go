package server

import (
	"sync"
	"time"

	"adit/engine"
	"adit/engine/limit"
)

const (
	tellEvery = time.Second // at least, between two events of what is told together
	maxTold   = 64          // peers, and what they did, that are told apart
)

// A digest tells what may happen any number of times a second: at once where it is
// new, else with all that happened within a second. K is what is told together.
type digest[K comparable] struct {
	s *Server

	mu     sync.Mutex
	told   map[K]*telling
	timer  *time.Timer
	closed bool
}

// A telling is what was told of a K.
type telling struct {
	last          time.Time    // when it was told
	first, newest time.Time    // of what is pending
	event         engine.Event // the newest; Count: how many are pending
	since         bool         // Duration is from the first to the newest of them
}

// note has an event told as one of k, or of rest where there is no room for another
// k; then its peer is not named.
func (d *digest[K]) note(k, rest K, e engine.Event, since bool) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	t := d.told[k]
	if t == nil && len(d.told) >= maxTold {
		k, e.Client, e.Peer = rest, "", ""
		t = d.told[k]
	}
	if t == nil {
		t = &telling{since: since}
		if d.told == nil {
			d.told = make(map[K]*telling)
		}
		d.told[k] = t
		if d.timer == nil {
			d.timer = time.AfterFunc(tellEvery, d.flush)
		} else if len(d.told) == 1 {
			d.timer.Reset(tellEvery)
		}
	}
	e.Count = t.event.Count + 1
	if t.event, t.newest = e, now; e.Count == 1 {
		t.first = now
	}
	if now.Sub(t.last) >= tellEvery {
		d.tell(t, now)
	}
}

// tell publishes; under mu, of which the bus's lock is a leaf below.
func (d *digest[K]) tell(t *telling, now time.Time) {
	e := t.event
	if t.since {
		e.Duration = t.newest.Sub(t.first)
	}
	d.s.publish(e)
	t.event.Count, t.last = 0, now
}

// flush tells what came since, and forgets who has kept quiet.
func (d *digest[K]) flush() {
	defer d.s.caught()
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	for k, t := range d.told {
		switch {
		case now.Sub(t.last) < tellEvery:
		case t.event.Count > 0:
			d.tell(t, now)
		default:
			delete(d.told, k)
		}
	}
	if len(d.told) > 0 {
		d.timer.Reset(tellEvery)
	}
}

// close tells what is pending, and nothing more.
func (d *digest[K]) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	now := time.Now()
	for _, t := range d.told {
		if t.event.Count > 0 {
			d.tell(t, now)
		}
	}
	if d.timer != nil {
		d.timer.Stop()
	}
}

// A bite is a limit and who ran into it.
type bite struct {
	id     limitID
	client string
	peer   limit.Key
	others bool // all those for whom there is no room
}

// reached counts that somebody ran into a limit and tells it. What tells him apart
// is the client id, else the address; beyond maxTold others are told as one.
func (x *limits) reached(id limitID, client string, peer limit.Key, reason string) {
	x.counts[id].Add(1)
	if client != "" {
		peer = limit.Key{}
	}
	x.told.note(bite{id: id, client: client, peer: peer}, bite{id: id, others: true}, engine.Event{
		Kind: engine.KindLimitReached, Target: id.String(), Client: client, Peer: peer.String(), Reason: engine.Bound(reason),
	}, false)
}

// A turnedAway is who was refused, and why: whoever guesses credentials, or comes
// back without one, would else push all other events out of what is kept of them.
type turnedAway struct {
	peer   limit.Key
	way    engine.Way
	code   uint16
	reason string
	others bool
}

// refused tells an admission_refused.
func (s *Server) refused(e engine.Event) {
	e.Kind = engine.KindAdmissionRefused
	key, _ := s.keyOf(e.Peer)
	s.limits.refusals.note(turnedAway{key, e.Way, e.Code, e.Reason, false}, turnedAway{way: e.Way, code: e.Code, others: true}, e, true)
}
