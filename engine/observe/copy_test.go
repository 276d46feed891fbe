package observe

import (
	"testing"
	"time"

	"adit/engine"
)

// What a paused screen shows must not move with the meter that goes on.
func TestCopyStandsStill(t *testing.T) {
	at := time.Date(2026, 11, 22, 15, 4, 12, 0, time.UTC)
	m := NewMeter()
	add := func(i int) {
		s := engine.Snapshot{Time: at.Add(time.Duration(i) * time.Second), Started: at}
		s.Totals.BytesIn = uint64(i * i * 10)
		c := engine.Connection{ID: 3, Opened: at, RTT: time.Duration(i) * time.Millisecond}
		c.BytesIn, c.FramesIn.Pong = uint64(i*i*10), uint64(i)
		s.Connections = []engine.Connection{c}
		m.Add(&s)
	}
	for i := range 5 {
		add(i)
	}
	c := m.Copy()
	total, one := *c.Total(), *c.Connection(0)
	samples := one.RTT.Values(nil, 10)
	for i := 5; i < 400; i++ {
		add(2 * i)
	}
	if m.Total().BytesIn == total.BytesIn {
		t.Fatal("the meter itself stands still")
	}
	if got := c.Total(); got.BytesIn != total.BytesIn || got.In != total.In {
		t.Errorf("the copy's total moved: %v, was %v", got.BytesIn, total.BytesIn)
	}
	if got := c.Connection(0); got.BytesIn != one.BytesIn || got.In != one.In || got.RTT.Values(nil, 10)[0] != samples[0] {
		t.Errorf("the copy's connection moved: %v, was %v", got.BytesIn, one.BytesIn)
	}
}
