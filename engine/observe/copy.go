package observe

import "slices"

// Copy returns a meter that has seen the same and, as long as nothing is added
// to it, shows it: for a screen that stands still while the meter goes on.
func (m *Meter) Copy() *Meter {
	c := *m
	c.total = *m.total.copy()
	c.connections, c.spare, c.free = make([]*track, len(m.connections)), nil, nil
	for i, t := range m.connections {
		c.connections[i] = t.copy()
	}
	return &c
}

func (t *track) copy() *track {
	c := *t
	c.gauge.RTT.values = slices.Clone(t.gauge.RTT.values)
	return &c
}
