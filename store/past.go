package store

import (
	"slices"
	"sort"
	"time"

	"adit/engine"
	"adit/store/history"
)

const (
	// maxFound bounds what one query keeps of the history: 24 bytes for each, and
	// for some time twice that while lists are made one.
	maxFound = 1 << 20

	maxFoundText = 8 << 20 // bytes of the texts that records are ordered by
	recentFound  = 4096    // what is put into its place one by one before lists are made one
)

// A found stands for a record of the history in the order of a query.
type found struct {
	key  int64
	id   engine.RequestID
	text uint32 // of words; 0: the key says it all
}

// words are the texts that founds point to, each once.
type words struct {
	of    map[string]uint32
	list  []string // 0 is ""; what was appended is never changed
	bytes int
}

// index returns what t is found by, 0 where there is no more room for it: such
// records are in order of their first bytes.
func (w *words) index(t string) uint32 {
	if t == "" {
		return 0
	}
	if i, ok := w.of[t]; ok {
		return i
	}
	if w.bytes > maxFoundText {
		return 0
	}
	if w.of == nil {
		w.of, w.list = map[string]uint32{}, append(w.list, "")
	}
	w.bytes += len(t) + 48
	i := uint32(len(w.list))
	w.list = append(w.list, t)
	w.of[t] = i
	return i
}

// A past is what a query knows of the history: of what was looked at, what is
// selected. It is under Log.queries.
type past struct {
	// What was looked at: from down on and before the ring's floor, but for what
	// is from gapFrom on and before gapTo.
	down, gapFrom, gapTo engine.RequestID
	begun                bool // else nothing was looked at
	cut                  bool // there is more than is kept: down goes no further

	ids idSet // by arrival

	// Otherwise three lists in order, each record in one of them. main and middle
	// are replaced, never changed.
	words                words
	main, middle, recent []found

	top      engine.RequestID // the ring's floor when what it had pushed out was put in last
	late     uint64           // the number of the newest late record that was asked
	at       time.Time        // when it began to be looked at
	took     time.Duration
	labels   uint64 // the version of labels it was looked at with
	outdated bool   // looking again would find something else
	version  uint64 // changes with the lists
	below    below
	scratch  []found
}

// below is the lists without what came after a certain record.
type below struct {
	id      engine.RequestID
	version uint64
	lists   [3][]found
}

// complete reports whether everything has been looked at, as far as it is going to
// be.
func (p *past) complete() bool {
	return p.begun && (p.down == 0 || p.cut) && p.gapFrom == p.gapTo
}

// size is len as far as memory goes.
func (p *past) size() int { return p.ids.spans + len(p.main) + len(p.middle) + len(p.recent) }

// entry returns what x stands for.
func entryOfFound(x found, texts []string) entry {
	e := entry{key: x.key, id: x.id}
	if x.text > 0 {
		e.text = texts[x.text]
	}
	return e
}

func compareFound(a, b found, texts []string) int {
	switch {
	case a.key != b.key:
		if a.key < b.key {
			return -1
		}
		return 1
	case a.text != b.text:
		return compare(entryOfFound(a, texts), entryOfFound(b, texts))
	case a.id < b.id:
		return -1
	case a.id > b.id:
		return 1
	}
	return 0
}

// place returns where x stands in a list, or would.
func place(list []found, x found, texts []string) (int, bool) {
	i := sort.Search(len(list), func(i int) bool { return compareFound(list[i], x, texts) >= 0 })
	return i, i < len(list) && list[i].id == x.id
}

// put puts one record in that is selected.
func (p *past) put(e entry, o engine.RequestOrder) {
	if o == engine.ByArrival {
		p.ids.add(e.id)
		return
	}
	x := found{key: e.key, id: e.id, text: p.words.index(e.text)}
	for _, list := range [...][]found{p.main, p.middle} {
		if _, there := place(list, x, p.words.list); there {
			return
		}
	}
	if i, there := place(p.recent, x, p.words.list); !there {
		p.recent = slices.Insert(p.recent, i, x)
		p.version++
	}
}

// putAll puts many in.
func (p *past) putAll(list []entry, o engine.RequestOrder) {
	if len(list) <= 64 || o == engine.ByArrival {
		for _, e := range list {
			p.put(e, o)
		}
		return
	}
	more := p.scratch[:0]
	for _, e := range list {
		more = append(more, found{key: e.key, id: e.id, text: p.words.index(e.text)})
	}
	texts := p.words.list
	slices.SortFunc(more, func(a, b found) int { return compareFound(a, b, texts) })
	p.scratch = more
	more = absent(absent(more, p.main, texts), p.middle, texts)
	p.recent = absent(p.recent, more, texts)
	// The last one first: what stands before them is not moved.
	i := len(p.recent)
	p.recent = append(p.recent, more...)
	for j := len(more) - 1; j >= 0; j-- {
		at, _ := place(p.recent[:i], more[j], texts)
		copy(p.recent[at+j+1:], p.recent[at:i])
		p.recent[at+j], i = more[j], at
	}
	p.version++
}

// lists returns the three lists, without what came after until.
func (p *past) lists(until engine.RequestID, floor engine.RequestID) [3][]found {
	all := [3][]found{p.main, p.middle, p.recent}
	if until == 0 || until+1 >= floor {
		return all
	}
	if p.below.id != until || p.below.version != p.version {
		p.below.id, p.below.version = until, p.version
		for i, list := range all {
			to := p.below.lists[i][:0]
			for _, x := range list {
				if x.id <= until {
					to = append(to, x)
				}
			}
			p.below.lists[i] = to
		}
	}
	return p.below.lists
}

// union returns what stands in two lists that are in order, in order and each
// once.
func union(a, b []found, texts []string) []found {
	all := make([]found, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := compareFound(a[0], b[0], texts); {
		case c < 0:
			all, a = append(all, a[0]), a[1:]
		case c > 0:
			all, b = append(all, b[0]), b[1:]
		default:
			a = a[1:]
		}
	}
	return append(append(all, a...), b...)
}

// absent returns what of list does not stand in another one, in list's memory.
func absent(list, other []found, texts []string) []found {
	return slices.DeleteFunc(list, func(x found) bool {
		_, there := place(other, x, texts)
		return there
	})
}

// entryOfRow is [entryOf] for what a search of the history tells.
func entryOfRow(x *history.Entry, o engine.RequestOrder) entry {
	e := entry{id: x.ID}
	switch o {
	case engine.ByArrival:
	case engine.ByDuration:
		e.key = durationKey(time.Duration(x.Key))
	case engine.ByClient, engine.ByPath:
		e.key, e.text = textKey(x.Text)
	default:
		e.key = x.Key
	}
	return e
}

// durationKey is a duration as the history keeps it: records are in the same order
// wherever they are.
func durationKey(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return int64(d.Truncate(time.Microsecond))
}

// textKey returns the beginning of a text, and the text where that does not say
// it all.
func textKey(t string) (int64, string) {
	if len(t) <= 8 {
		return beginning(t), ""
	}
	return beginning(t), t
}
