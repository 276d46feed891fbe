package connections

import (
	"math"
	"slices"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/tui/pane"
)

// clientBit marks row ids that name a client; the others are ids of connections.
const clientBit = 1 << 63

// While there are more connections than manyRows, and none comes or goes, they
// are brought into order once in orderEvery: nobody reads what moves faster.
const (
	manyRows   = 2000
	orderEvery = time.Second
)

// A row is one line of the table.
type row struct {
	id     uint64
	client int32 // index into Rows.Clients
	conn   int32 // index into Snapshot.Connections; -1: the line of the client itself
}

// A clientLine is what the table remembers of one client from frame to frame.
type clientLine struct {
	id     uint64
	folded bool
	place  float64 // of its line in the last listing
	seen   uint64  // generation of the listing that last had it
}

// A sortable is a row on its way into order.
type sortable struct {
	key float64
	row row
}

// A listing is the order of connections that the table shows: grouped by client
// or flat, sorted, filtered. It is built at most once for each snapshot, and less often
// where there are many.
type listing struct {
	by        sortKey
	ascending bool
	flat      bool
	filter    *filter.Filter

	rows    []row
	matched int // connections that the filter selects
	of      int // connections
	took    time.Duration

	clients    map[string]*clientLine
	names      map[uint64]string // of clients, by the id of their line
	next       uint64            // of client ids
	generation uint64

	at    time.Time // of the snapshot that rows are of
	dirty bool      // something other than the snapshot has changed

	ids     []engine.ConnectionID // of the last snapshot, ascending
	clientN []int32               // by index: the client in Rows
	places  []float64             // by index: place in rows; +Inf none
	hits    []bool                // by index: the filter selects it
	groups  []sortable
	scratch []sortable
}

func newListing() *listing {
	return &listing{clients: map[string]*clientLine{}, names: map[uint64]string{}, by: byOut, dirty: true}
}

// update builds the rows of f's snapshot. While frozen, rows keep the order they
// have, what is new comes last, and only what is gone goes.
func (l *listing) update(f *pane.Frame, frozen bool, c *filter.Context) {
	s := f.Snapshot
	if !l.dirty && s.Time.Equal(l.at) && len(s.Connections) == len(l.ids) {
		return
	}
	if n := len(s.Connections); n > manyRows && !l.dirty && n == len(l.ids) && sameIDs(s, l.ids) {
		if since := s.Time.Sub(l.at); since >= 0 && since < orderEvery {
			return
		}
	}
	start := time.Now()
	frozen = frozen && !l.dirty
	l.at, l.dirty = s.Time, false
	l.generation++
	if frozen {
		l.carryPlaces(s)
	}
	l.of, l.matched = len(s.Connections), 0
	l.hits = resize(l.hits, len(s.Connections))
	all := l.filter == nil || l.filter.Empty()
	for i := range s.Connections {
		l.hits[i] = all || l.filter.Connection(&s.Connections[i], c)
		if l.hits[i] {
			l.matched++
		}
	}
	l.clientN = resize(l.clientN, len(s.Connections))
	for i := range f.Rows.Clients {
		for _, n := range f.Rows.Clients[i].Connections {
			l.clientN[n] = int32(i)
		}
	}
	l.rows = l.rows[:0]
	if l.flat {
		l.listFlat(f, frozen)
	} else {
		l.listTree(f, frozen, all)
	}
	l.remember(s)
	l.took = time.Since(start)
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// carryPlaces makes places, which are by index of the last snapshot, those by
// index of s. Both are in order of id, so one pass will do.
func (l *listing) carryPlaces(s *engine.Snapshot) {
	if len(s.Connections) == len(l.ids) && sameIDs(s, l.ids) {
		return
	}
	old := l.places
	moved := make([]float64, 0, len(s.Connections))
	j := 0
	for i := range s.Connections {
		id := s.Connections[i].ID
		for j < len(l.ids) && l.ids[j] < id {
			j++
		}
		if j < len(l.ids) && l.ids[j] == id {
			moved = append(moved, old[j])
		} else {
			moved = append(moved, math.Inf(1))
		}
	}
	l.places = moved
}

func sameIDs(s *engine.Snapshot, ids []engine.ConnectionID) bool {
	for i := range ids {
		if s.Connections[i].ID != ids[i] {
			return false
		}
	}
	return true
}

// remember notes where every connection and client stands.
func (l *listing) remember(s *engine.Snapshot) {
	l.ids = resize(l.ids, len(s.Connections))
	l.places = resize(l.places, len(s.Connections))
	for i := range s.Connections {
		l.ids[i] = s.Connections[i].ID
		l.places[i] = math.Inf(1)
	}
	for i, r := range l.rows {
		if r.conn >= 0 {
			l.places[r.conn] = float64(i)
		}
	}
	if len(l.clients) > 4*len(l.rows)+1024 {
		for name, c := range l.clients {
			if c.seen != l.generation {
				delete(l.clients, name)
				delete(l.names, c.id)
			}
		}
	}
}

func (l *listing) listFlat(f *pane.Frame, frozen bool) {
	l.groups = l.groups[:0]
	for i := range f.Snapshot.Connections {
		if l.hits[i] {
			l.groups = append(l.groups, l.sortable(f, i, frozen))
		}
	}
	l.sort(l.groups, frozen)
	for _, g := range l.groups {
		l.rows = append(l.rows, g.row)
	}
}

func (l *listing) listTree(f *pane.Frame, frozen, all bool) {
	l.groups = l.groups[:0]
	for i := range f.Rows.Clients {
		c := &f.Rows.Clients[i]
		line := l.line(c.Name)
		if !all && !slices.ContainsFunc(c.Connections, func(n int) bool { return l.hits[n] }) {
			line.place = math.Inf(1)
			continue
		}
		key := line.place
		if !frozen {
			key = l.by.ofClient(f, c)
		}
		l.groups = append(l.groups, sortable{key, row{line.id, int32(i), -1}})
	}
	l.sort(l.groups, frozen)
	for _, g := range l.groups {
		c := &f.Rows.Clients[g.row.client]
		line := l.clients[c.Name]
		line.place = float64(len(l.rows))
		l.rows = append(l.rows, g.row)
		if line.folded {
			continue
		}
		l.scratch = l.scratch[:0]
		for _, n := range c.Connections {
			if l.hits[n] {
				l.scratch = append(l.scratch, l.sortable(f, n, frozen))
			}
		}
		l.sort(l.scratch, frozen)
		for _, s := range l.scratch {
			l.rows = append(l.rows, s.row)
		}
	}
}

// line returns what is remembered of a client, new if nothing is.
func (l *listing) line(name string) *clientLine {
	c := l.clients[name]
	if c == nil {
		l.next++
		c = &clientLine{id: clientBit | l.next, place: math.Inf(1)}
		l.clients[name] = c
		l.names[c.id] = name
	}
	c.seen = l.generation
	return c
}

func (l *listing) sortable(f *pane.Frame, i int, frozen bool) sortable {
	s := sortable{row: row{uint64(f.Snapshot.Connections[i].ID), l.clientN[i], int32(i)}}
	if frozen {
		s.key = l.places[i]
	} else {
		s.key = l.by.ofConnection(f, i)
	}
	return s
}

// sort puts rows in order: the greatest key first, or the smallest. Ties are in
// order of client and id, whichever way the key goes, unless there is no key:
// then that order itself is reversed.
func (l *listing) sort(rows []sortable, frozen bool) {
	if !l.ascending && !frozen {
		for i := range rows {
			rows[i].key = -rows[i].key
		}
	}
	slices.SortFunc(rows, before)
	if l.by == byName && !l.ascending && !frozen {
		slices.Reverse(rows)
	}
}

// before compares by key, which is always a number, then by client and id.
func before(a, b sortable) int {
	switch {
	case a.key < b.key:
		return -1
	case a.key > b.key:
		return 1
	case a.row.client != b.row.client:
		return int(a.row.client) - int(b.row.client)
	}
	return int(a.row.conn) - int(b.row.conn)
}

// find returns the position of a row, -1 if it is not listed.
func (l *listing) find(id uint64) int {
	return slices.IndexFunc(l.rows, func(r row) bool { return r.id == id })
}
