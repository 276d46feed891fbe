package history

import (
	"encoding/json"
	"slices"
	"time"

	"adit/engine"
)

// A sample is what a snapshot says at one moment.
type sample struct {
	time        time.Time
	connections []engine.Connection
	totals      engine.Totals
	waiting     int
	state       []byte
}

// State is what a sample says beside its counters: the column totals.state.
type State struct {
	Instance  string              `json:"instance,omitempty"`
	Started   time.Time           `json:"started,omitzero"`
	Draining  bool                `json:"draining,omitempty"`
	Listen    []string            `json:"listen,omitempty"`
	Servers   []engine.Server     `json:"servers,omitempty"`
	Expose    []engine.Expose     `json:"expose,omitempty"`
	Banned    []string            `json:"banned,omitempty"`
	Closes    []engine.CloseCount `json:"closes,omitempty"`
	Limits    []engine.LimitCount `json:"limits,omitempty"`
	FramesIn  engine.Frames       `json:"frames_in"`
	FramesOut engine.Frames       `json:"frames_out"`
	Statuses  [6]uint64           `json:"statuses"`
}

// Sample queues the counters of a snapshot: of a recording.
func (f *File) Sample(s *engine.Snapshot) {
	if f.writer == nil || !f.o.Samples {
		return
	}
	state, err := json.Marshal(State{
		Instance: s.Instance, Started: s.Started, Draining: s.Draining, Listen: s.Listen, Servers: s.Servers, Expose: s.Expose,
		Banned: s.Banned, Closes: s.Closes, Limits: s.Limits, FramesIn: s.Totals.FramesIn, FramesOut: s.Totals.FramesOut, Statuses: s.Totals.Statuses,
	})
	if err != nil {
		f.o.Logger.Warn("history", "sample", err)
		return
	}
	x := &sample{time: s.Time, connections: slices.Clone(s.Connections), totals: s.Totals, waiting: s.Waiting, state: state}
	f.queue.add(item{sample: x, bytes: int32(min(256+len(state)+512*len(x.connections), maxBytes/4))}, nil)
}

func (in *inserts) sampled(x *sample) error {
	at := x.time.UnixNano()
	s := in.total
	t := &x.totals
	s.puts(at, int64(t.Requests), int64(t.Failed), int64(t.BytesIn), int64(t.BytesOut), int64(x.waiting), string(x.state))
	if _, err := s.run(); err != nil {
		return err
	}
	for i := range x.connections {
		c := &x.connections[i]
		s := in.sample
		s.puts(at, int64(c.ID), c.State.String(), int64(c.InFlight), int64(c.Exchanges), int64(c.Failed), numberOrNull(int(c.RTT.Microseconds())))
		s.traffic(&c.Traffic)
		if _, err := s.run(); err != nil {
			return err
		}
	}
	return nil
}
