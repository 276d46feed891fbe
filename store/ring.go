package store

import (
	"math/bits"

	"adit/engine"
)

const (
	chunk      = 512 // records that are allocated together
	recordSize = 184 // bytes that a record takes beside its texts; a test holds it to be true
	journalLen = 1 << 14
)

// A ring is the newest records in order of their ids. Positions grow for ever;
// those from first on and before next are taken.
type ring struct {
	capacity int
	limit    int // bytes

	texts  packer     // what records say in words
	fields packer     // their heads
	chunks [][]record // the slots
	free   []uint32
	used   uint32 // slots that were ever taken

	asides  []aside
	noAside []uint32 // of asides, those that are not used, from 1

	order       []uint32 // slots by position; a power of two
	first, next uint64
	bytes       int
	heads       uint64 // no record before this position has heads
	flight      []uint32

	begin   engine.RequestID // the oldest that was ever added
	end     engine.RequestID // the newest
	added   uint64
	gone    engine.RequestID // the newest that was pushed out
	floor   engine.RequestID // what is before it the ring does not take, any more: it is the history's
	evicted uint64
	dropped uint64 // heads

	// The journal has the ids of records in the order in which they came to rest.
	journal []engine.RequestID
	seq     uint64
	epoch   uint64 // changes when a record that rested moves again

	aloft aloft // in flight and pushed out

	unmoved *engine.Live // of records that are in flight and tell nothing; nobody writes to it

	leaving func(*ring, *record) // told of each record that is pushed out; nil: nobody
}

func newRing(capacity, limit int) ring {
	return ring{
		capacity: capacity,
		limit:    limit,
		order:    make([]uint32, 1<<bits.Len(uint(capacity-1))),
		journal:  make([]engine.RequestID, journalLen),
		unmoved:  new(engine.Live),
	}
}

func (g *ring) kept() int { return int(g.next - g.first) }

func (g *ring) slot(s uint32) *record { return &g.chunks[s/chunk][s%chunk] }

// at returns the record at a position, valid until the ring changes.
func (g *ring) at(p uint64) *record { return g.slot(g.order[p&uint64(len(g.order)-1)]) }

// oldest and newest return the ids at the ends; 0 where nothing is kept.
func (g *ring) oldest() engine.RequestID {
	if g.first == g.next {
		return 0
	}
	return g.at(g.first).ID
}

func (g *ring) newest() engine.RequestID {
	if g.first == g.next {
		return 0
	}
	return g.at(g.next - 1).ID
}

// find returns the position of id or, with false, the position of the first
// record after it. Ids mostly have no gaps, so it looks first where id would
// stand without.
func (g *ring) find(id engine.RequestID) (uint64, bool) {
	newest := g.newest()
	if id > newest {
		return g.next, false
	}
	low := g.first
	if back := uint64(newest - id); back < g.next-g.first {
		low = g.next - 1 - back
	}
	// Ids grow by one at least: what stands at low is not after id.
	high := g.next
	for step := uint64(1); low < high; step *= 2 {
		p := min(low+step-1, high-1)
		if found := g.at(p).ID; found == id {
			return p, true
		} else if found > id {
			high = p
			break
		}
		low = p + 1
	}
	for low < high {
		p := low + (high-low)/2
		if g.at(p).ID < id {
			low = p + 1
		} else {
			high = p
		}
	}
	return low, low < g.next && g.at(low).ID == id
}

// add makes room for r, which find has not found, and returns its record; nil
// if it is older than everything in a full ring, or than what was pushed out.
func (g *ring) add(r *engine.Request) *record {
	if r.ID < g.floor {
		return nil
	}
	p, _ := g.find(r.ID)
	if g.kept() == g.capacity {
		if p == g.first {
			g.floor = r.ID + 1
			return nil
		}
		g.evict()
	}
	if g.added == 0 {
		g.begin = r.ID
	}
	g.begin, g.end = min(g.begin, r.ID), max(g.end, r.ID)
	g.added++
	s := g.take()
	mask := uint64(len(g.order) - 1)
	for q := g.next; q > p; q-- {
		g.order[q&mask] = g.order[(q-1)&mask]
	}
	g.order[p&mask] = s
	g.next++
	x := g.slot(s)
	g.fill(x, r)
	g.headed(x, p, r.Heads)
	return x
}

// headed takes the heads of the record x, at p; nil changes nothing. Where heads
// were dropped of records after it, its own are the oldest: they are left out
// unless there is much room again, else trim would go all the way back for each
// of many exchanges that took long.
func (g *ring) headed(x *record, p uint64, h *engine.Heads) {
	switch {
	case h == nil:
		return
	case p >= g.heads:
	case g.bytes+headsSize(h) > g.limit-g.limit/16:
		g.drop(x)
		g.dropped++
		return
	default:
		g.heads = p
	}
	g.keep(x, h)
}

// missing returns how many ids there are of which nothing came, or not yet.
func (g *ring) missing() uint64 {
	if g.added == 0 {
		return 0
	}
	return uint64(g.end-g.begin) + 1 - g.added
}

// take returns a slot that nobody uses.
func (g *ring) take() uint32 {
	if n := len(g.free); n > 0 {
		s := g.free[n-1]
		g.free = g.free[:n-1]
		return s
	}
	s := g.used
	if int(s/chunk) == len(g.chunks) {
		g.chunks = append(g.chunks, make([]record, chunk))
	}
	g.used++
	return s
}

// evict pushes out the oldest record.
func (g *ring) evict() {
	s := g.order[g.first&uint64(len(g.order)-1)]
	r := g.slot(s)
	if r.settled == 0 {
		g.land(r)
		g.aloft.keep(g, r)
	}
	g.gone = max(g.gone, r.ID)
	g.floor = max(g.floor, r.ID+1)
	g.evicted++
	if g.leaving != nil {
		g.leaving(g, r)
	}
	g.bytes -= int(r.size)
	g.drop(r)
	g.texts.release(r.text)
	g.unpoint(r)
	*r = record{}
	g.free = append(g.free, s)
	g.first++
	g.heads = max(g.heads, g.first)
}

// fly lists r, of the slot s, as in flight.
func (g *ring) fly(r *record, s uint32) {
	r.settled, r.flight = 0, int32(len(g.flight))
	g.flight = append(g.flight, s)
}

// land takes r off that list.
func (g *ring) land(r *record) {
	last := len(g.flight) - 1
	moved := g.flight[last]
	g.flight[r.flight] = moved
	g.slot(moved).flight = r.flight
	g.flight = g.flight[:last]
}

// settle notes that r has come to rest.
func (g *ring) settle(r *record) {
	g.seq++
	r.settled = g.seq
	g.journal[g.seq%journalLen] = r.ID
}

// weigh takes the size of r into account.
func (g *ring) weigh(r *record) {
	g.bytes -= int(r.size)
	r.size = r.measure()
	g.bytes += int(r.size)
}

// trim makes the ring as small as it has to be: it drops heads, the oldest
// first, and then the oldest records, but never the last.
func (g *ring) trim() {
	for g.bytes > g.limit && g.kept() > 1 {
		if g.heads == g.next {
			g.evict()
			continue
		}
		if r := g.at(g.heads); r.has(withHeads) {
			g.bytes -= int(r.headSize)
			r.size -= r.headSize
			g.drop(r)
			g.dropped++
		}
		g.heads++
	}
}
