package metrics

import (
	"maps"
	"strings"

	"adit/engine"
)

// followed returns the events that are counted here: those that no snapshot counts,
// and that few are of.
func followed() engine.Kinds {
	return engine.KindSet(engine.KindConnectionClosed, engine.KindGreetingRejected, engine.KindDialFailed,
		engine.KindAdmissionRefused, engine.KindOperatorAction)
}

// maxCodes bounds the values of labels that are numbers.
const maxCodes = 32

// A transfer is what went over the WebSockets of one client.
type transfer struct{ in, out uint64 }

// counts are what events have told.
type counts struct {
	rejected, refused map[int]uint64 // by code, status; at most maxCodes
	actions           map[engine.Action]uint64
	dials             uint64

	clients map[string]struct{} // those with a label of their own; at most maxClients
	ended   map[string]transfer // by label, of connections that ended
}

func newCounts() counts {
	return counts{
		rejected: map[int]uint64{}, refused: map[int]uint64{}, actions: map[engine.Action]uint64{},
		clients: map[string]struct{}{}, ended: map[string]transfer{},
	}
}

// clone returns a copy that events do not change, but for the labels.
func (c *counts) clone() counts {
	return counts{
		rejected: maps.Clone(c.rejected), refused: maps.Clone(c.refused), actions: maps.Clone(c.actions),
		dials: c.dials, clients: c.clients, ended: maps.Clone(c.ended),
	}
}

// label returns the value of the label client. Set.mu is held.
func (c *counts) label(client string) string {
	if _, known := c.clients[client]; known {
		return client
	}
	if client == "" || client == otherClients || len(c.clients) >= maxClients {
		return otherClients
	}
	client = strings.Clone(strings.ToValidUTF8(client, "?"))
	c.clients[client] = struct{}{}
	return client
}

// bump counts one more of a number, under 0 where it would be one too many.
func bump(of map[int]uint64, number int) { bumpBy(of, number, 1) }

func bumpBy(of map[int]uint64, number int, n uint64) {
	if _, known := of[number]; !known && len(of) >= maxCodes-1 {
		number = 0
	}
	of[number] += n
}

// follow counts events until there are none any more.
func (s *Set) follow(batches <-chan engine.Batch) {
	defer close(s.done)
	for b := range batches {
		s.mu.Lock()
		for i := range b.Events {
			s.counts.take(&b.Events[i])
		}
		s.mu.Unlock()
	}
}

func (c *counts) take(e *engine.Event) {
	switch e.Kind {
	case engine.KindConnectionClosed:
		if e.Closed != nil {
			at := c.label(e.Client)
			t := c.ended[at]
			c.ended[at] = transfer{t.in + e.Closed.BytesIn, t.out + e.Closed.BytesOut}
		}
	case engine.KindGreetingRejected:
		bump(c.rejected, int(e.Code))
	case engine.KindAdmissionRefused:
		bumpBy(c.refused, int(e.Code), uint64(max(e.Count, 1)))
	case engine.KindDialFailed:
		c.dials++
	case engine.KindOperatorAction:
		if _, known := c.actions[e.Action]; known || len(c.actions) < maxCodes {
			c.actions[e.Action]++
		}
	}
}
