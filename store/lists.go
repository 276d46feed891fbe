package store

import (
	"slices"
	"sort"

	"adit/engine"
)

// lists are what a query selects: several ascending lists, read as one.
type lists struct {
	// By arrival the history's stand before all others.
	ids    *idSet
	before int // how many of ids

	past       [3][]found
	texts      []string
	rest, live []entry
}

const listCount = 5

func (m *lists) count(i int) int {
	switch i {
	case 0:
		return len(m.rest)
	case 1:
		return len(m.live)
	}
	return len(m.past[i-2])
}

func (m *lists) at(i, j int) entry {
	switch i {
	case 0:
		return m.rest[j]
	case 1:
		return m.live[j]
	}
	return entryOfFound(m.past[i-2][j], m.texts)
}

func (m *lists) len() int {
	n := m.before
	for i := range listCount {
		n += m.count(i)
	}
	return n
}

// rank returns how many entries stand before e, and whether e is one itself.
func (m *lists) rank(e entry) (int, bool) {
	if m.ids != nil && m.before > 0 {
		if n := m.ids.rank(e.id); n < m.before {
			return n, m.ids.has(e.id)
		}
	}
	n, there := m.before, false
	for i := range listCount {
		j, found := m.lower(i, e)
		n += j
		there = there || found
	}
	return n, there
}

// lower returns how many entries of one list stand before e, and whether e is in
// it.
func (m *lists) lower(i int, e entry) (int, bool) {
	switch i {
	case 0:
		return slices.BinarySearchFunc(m.rest, e, compare)
	case 1:
		return slices.BinarySearchFunc(m.live, e, compare)
	}
	list := m.past[i-2]
	j := sort.Search(len(list), func(j int) bool { return compare(m.at(i, j), e) >= 0 })
	return j, j < len(list) && list[j].id == e.id
}

// window appends the ids of a window, in ascending order.
func (m *lists) window(w window, into []engine.RequestID) []engine.RequestID {
	if w.from < m.before {
		into = m.ids.window(w.from, min(w.to, m.before), into)
	}
	from, n := max(w.from-m.before, 0), w.to-max(w.from, m.before)
	if n <= 0 {
		return into
	}
	next := m.starts(from)
	for range n {
		least := -1
		var e entry
		for i := range listCount {
			if next[i] == m.count(i) {
				continue
			}
			if x := m.at(i, next[i]); least < 0 || compare(x, e) < 0 {
				least, e = i, x
			}
		}
		if least < 0 {
			break
		}
		next[least]++
		into = append(into, e.id)
	}
	return into
}

// starts returns how many of each list stand before the entry of a rank, counted
// without ids.
func (m *lists) starts(rank int) (next [listCount]int) {
	if rank == 0 {
		return next
	}
	largest, sum := 0, 0
	for i := range listCount {
		if m.count(i) > m.count(largest) {
			largest = i
		}
	}
	for i := range listCount {
		if i == largest {
			continue
		}
		// Those of it whose rank is below.
		next[i] = sort.Search(m.count(i), func(j int) bool {
			e, n := m.at(i, j), 0
			for k := range listCount {
				before, _ := m.lower(k, e)
				n += before
			}
			return n >= rank
		})
		sum += next[i]
	}
	next[largest] = rank - sum
	return next
}
