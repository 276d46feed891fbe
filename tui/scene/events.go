package scene

import (
	"time"

	"adit/engine"
)

// Events returns the newest n events at the moment of the pictures, oldest
// first.
func (s *Scene) Events(n int) []engine.Event {
	all := make([]engine.Event, n)
	for i := range all {
		all[n-1-i] = s.event(i)
	}
	for i := range all {
		all[i].Seq = uint64(9800 - n + 1 + i)
	}
	return all
}

// event returns the n-th event, counted from the newest back.
func (s *Scene) event(n int) engine.Event {
	const kinds = 10
	sin, lab, iad, fra, kiosk := s.first("edge-sin-01"), s.first("lab-rpi4"), s.first("edge-iad-01"), s.first("edge-fra-02"), s.first("kiosk-berlin")
	e := engine.Event{Time: s.o.Origin.Add(-time.Millisecond - time.Duration(n)*13*time.Millisecond - time.Duration(n/kinds)*900*time.Millisecond)}
	about := func(c *connection) {
		e.Connection, e.Client, e.Peer, e.Protocol = c.id, c.client.name, c.peer, c.client.protocol
	}
	switch n % kinds {
	case 0:
		about(sin)
		r := s.Request(s.Upload(), false)
		e.Kind, e.Request, e.Reason = engine.KindRequestFinished, &r, r.Reason
	case 1:
		about(lab)
		e.Kind, e.Greeting = engine.KindGreetingReceived, lab.hello
	case 2:
		about(lab)
		e.Kind = engine.KindConnectionOpened
	case 3:
		about(iad)
		e.Kind, e.Reason = engine.KindNotice, "pong late 3.1s (limit 60s)"
	case 4:
		e.Kind, e.Action, e.Operator, e.Target, e.Reason = engine.KindOperatorAction, engine.ActionKill, "ops@laptop", fra.id.String(), "stuck upload"
	case 5:
		about(fra)
		e.Kind, e.Code, e.Reason, e.Duration = engine.KindConnectionClosed, 4000, "stuck upload", 44*time.Minute+12*time.Second
		e.Closed = &engine.Traffic{BytesIn: 18 << 20, BytesOut: 88 << 20}
	case 6:
		e.Kind, e.Target, e.Peer, e.Count, e.Reason = engine.KindLimitReached, "failure-rate", "203.0.113.200", 3, "too many wrong credentials"
	case 7:
		e.Kind, e.Peer, e.Code, e.Reason = engine.KindAdmissionRefused, "203.0.113.200:51120", 401, "bad secret"
	case 8:
		about(kiosk)
		e.Kind = engine.KindConnectionOpened
	case 9:
		about(kiosk)
		e.Kind, e.Greeting = engine.KindGreetingReceived, kiosk.hello
	}
	return e
}
