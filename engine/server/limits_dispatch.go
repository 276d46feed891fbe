package server

import "strconv"

// full reports whether the client of l has as many exchanges in flight as it may
// have. Most clients have too few connections to reach the bound: then nothing is
// counted. Callers that come at the same moment may exceed it by as many.
func (d *dispatcher) full(l *link) bool {
	most := d.maxInFlight.Load()
	if most <= 0 {
		return false
	}
	list := l.own.slots()
	if d.perLink > 0 && int64(len(list))*d.perLink <= most {
		return false
	}
	n := int64(0)
	for i := range list {
		n += int64(list[i].l.conn.InFlight())
	}
	return n >= most
}

// A fullness asks full of many connections, and of those of the newest client that
// is full only once.
type fullness struct {
	d  *dispatcher
	of *pool
}

func (f *fullness) at(l *link) bool {
	if l.own != f.of && f.d.full(l) {
		f.of = l.own
	}
	return l.own == f.of
}

// busy reports whether there are connections in p, and all of clients that have
// as many exchanges in flight as they may have.
func (d *dispatcher) busy(p *pool) bool {
	list := p.slots()
	full := fullness{d: d}
	for i := range list {
		if !full.at(list[i].l) {
			return false
		}
	}
	return len(list) > 0
}

// tell says which limit callers of to have run into; p is the pool of that.
func (d *dispatcher) tell(id limitID, to destination, p *pool) {
	if d.reached == nil {
		return
	}
	client := ""
	if to.kind == toClient {
		client = to.name
	} else if p != nil {
		if list := p.slots(); len(list) > 0 {
			client = list[0].l.client
		}
	}
	reason := "as many exchanges as one client may have are in flight"
	if id == limitWaiting {
		switch reason = "as many callers wait as may"; to.kind {
		case toHost:
			reason += " for the name " + to.name
		case toPort:
			reason += " for the port " + strconv.Itoa(int(to.port))
		}
	}
	d.reached(id, client, reason)
}
