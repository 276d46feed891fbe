package connection

import (
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/tui/pane"
)

// samplesKept is how many round-trip times of a connection outlive it.
const samplesKept = 256

// A past is what is known of one connection: as it was in the last snapshot that
// had it, and what events tell of its beginning and end.
type past struct {
	id    engine.ConnectionID
	last  engine.Connection
	gauge observe.Gauge // RTT is not kept in it, but in rtt
	rtt   []float32     // ms
	index int           // in the snapshot of this frame; -1: gone
	known bool          // last has been filled

	scanned uint64 // events before this position have been looked at
	closed  bool
	code    engine.CloseCode
	reason  string
	at      time.Time // of the close
	by      string    // operator who ended it, and why; "" nobody
	refused string    // why its greeting was; "" it was not
}

// look brings p up to the frame.
func (p *past) look(f *pane.Frame, id engine.ConnectionID) {
	if p.id != id {
		*p = past{id: id, rtt: p.rtt[:0]}
	}
	p.index = f.Snapshot.Index(id)
	if p.index >= 0 {
		p.last, p.known = f.Snapshot.Connections[p.index], true
		gauge := f.Meter.Connection(p.index)
		p.gauge = *gauge
		p.gauge.RTT = observe.Samples{}
		p.rtt = gauge.RTT.Values(p.rtt[:0], samplesKept)
		return
	}
	if !p.closed {
		p.scan(f.Events)
	}
}

// scan reads the events that came since the last time.
func (p *past) scan(log *pane.EventLog) {
	if log == nil {
		return
	}
	first := log.First()
	end := first + uint64(log.Len())
	name := p.id.String()
	for at := max(first, p.scanned); at < end; at++ {
		if r := log.At(at); r != nil && (r.Event.Connection == p.id || r.Event.Kind == engine.KindOperatorAction && r.Event.Target == name) {
			p.learn(&r.Event)
		}
	}
	p.scanned = end
}

func (p *past) learn(e *engine.Event) {
	x := &p.last
	if !p.known {
		x.ID = p.id
		if e.Client != "" {
			x.Client = e.Client
		}
		if e.Peer != "" {
			x.Peer = e.Peer
		}
		if e.Protocol != 0 {
			x.Protocol = e.Protocol
		}
	}
	switch e.Kind {
	case engine.KindConnectionOpened:
		x.Opened = e.Time
	case engine.KindGreetingReceived:
		if x.Greeting == nil {
			x.Greeting, x.GreetingReady = e.Greeting, e.Time
		}
	case engine.KindGreetingRejected:
		if x.Greeting == nil {
			x.Greeting = e.Greeting
		}
		p.refused = e.Reason
		if p.refused == "" {
			p.refused = engine.CloseCode(e.Code).Text()
		}
	case engine.KindOperatorAction:
		p.by = string(e.Action) + " by " + e.Operator
		if e.Reason != "" {
			p.by += ": " + e.Reason
		}
	case engine.KindConnectionClosed:
		p.closed, p.at = true, e.Time
		p.code, p.reason = engine.CloseCode(e.Code), e.Reason
		if e.Closed != nil {
			x.Traffic = *e.Closed
		}
		if x.Opened.IsZero() && e.Duration > 0 {
			x.Opened = e.Time.Add(-e.Duration)
		}
		x.InFlight = 0
		p.known = true
	}
}
