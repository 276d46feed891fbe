package store

import (
	"slices"
	"sort"

	"adit/engine"
)

// A span is the ids from one on and before another.
type span struct{ from, to engine.RequestID }

func (s span) len() int { return int(s.to - s.from) }

// blockSpans bounds the spans of a block: what an insertion moves.
const blockSpans = 512

// A block is spans in ascending order, never none.
type block struct {
	n     int // ids
	spans []span
}

func (b *block) from() engine.RequestID { return b.spans[0].from }
func (b *block) to() engine.RequestID   { return b.spans[len(b.spans)-1].to }

// An idSet is ids in ascending order. Ids mostly follow one another: a million of
// them are a few spans; at worst each takes 16 bytes.
type idSet struct {
	blocks []block
	n      int // ids
	spans  int // at most, about
}

// block returns the index of the last block that begins at id or before, -1 if
// there is none.
func (s *idSet) block(id engine.RequestID) int {
	return sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].from() > id }) - 1
}

// in returns the index of the last span that begins at id or before, -1 if there
// is none.
func (b *block) in(id engine.RequestID) int {
	return sort.Search(len(b.spans), func(i int) bool { return b.spans[i].from > id }) - 1
}

func (s *idSet) has(id engine.RequestID) bool {
	i := s.block(id)
	if i < 0 {
		return false
	}
	b := &s.blocks[i]
	return id < b.spans[b.in(id)].to
}

// add puts id in and reports whether it was new.
func (s *idSet) add(id engine.RequestID) bool {
	i := max(s.block(id), 0)
	if len(s.blocks) == 0 {
		s.blocks = append(s.blocks, block{spans: make([]span, 0, 8)})
	}
	b := &s.blocks[i]
	j := b.in(id)
	if j >= 0 && id < b.spans[j].to {
		return false
	}
	s.n++
	b.n++
	after := j >= 0 && b.spans[j].to == id
	before := j+1 < len(b.spans) && b.spans[j+1].from == id+1
	switch {
	case after && before:
		b.spans[j].to = b.spans[j+1].to
		b.spans = slices.Delete(b.spans, j+1, j+2)
		s.spans--
	case after:
		b.spans[j].to++
	case before:
		b.spans[j+1].from--
	default:
		s.spans++
		s.insert(i, j+1, span{id, id + 1})
	}
	return true
}

// insert puts x, which is counted, before the span j of the block i.
func (s *idSet) insert(i, j int, x span) {
	b := &s.blocks[i]
	if len(b.spans) < blockSpans {
		b.spans = slices.Insert(b.spans, j, x)
		return
	}
	b.n -= x.len()
	switch {
	case i == len(s.blocks)-1 && j == blockSpans:
		s.blocks = append(s.blocks, block{n: x.len(), spans: append(make([]span, 0, blockSpans), x)})
		return
	case i == 0 && j == 0:
		s.blocks = slices.Insert(s.blocks, 0, block{n: x.len(), spans: []span{x}})
		return
	}
	half := block{spans: append(make([]span, 0, blockSpans), b.spans[blockSpans/2:]...)}
	for _, x := range half.spans {
		half.n += x.len()
	}
	b.n -= half.n
	b.spans = b.spans[:blockSpans/2]
	s.blocks = slices.Insert(s.blocks, i+1, half)
	if j > blockSpans/2 {
		i, j = i+1, j-blockSpans/2
	}
	b = &s.blocks[i]
	b.n += x.len()
	b.spans = slices.Insert(b.spans, j, x)
}

// prepend puts a span in that stands before all others.
func (s *idSet) prepend(x span) {
	s.n += x.len()
	if len(s.blocks) > 0 && s.blocks[0].from() == x.to {
		s.blocks[0].spans[0].from = x.from
		s.blocks[0].n += x.len()
		return
	}
	s.spans++
	if len(s.blocks) == 0 {
		s.blocks = append(s.blocks, block{n: x.len(), spans: []span{x}})
		return
	}
	s.blocks[0].n += x.len()
	s.insert(0, 0, x)
}

// remove takes id out.
func (s *idSet) remove(id engine.RequestID) {
	i := s.block(id)
	if i < 0 {
		return
	}
	b := &s.blocks[i]
	j := b.in(id)
	x := b.spans[j]
	if id >= x.to {
		return
	}
	s.n--
	b.n--
	switch {
	case x.len() == 1:
		b.spans = slices.Delete(b.spans, j, j+1)
		s.spans--
		if len(b.spans) == 0 {
			s.blocks = slices.Delete(s.blocks, i, i+1)
		}
	case x.from == id:
		b.spans[j].from++
	case x.to == id+1:
		b.spans[j].to--
	default:
		b.spans[j].to = id
		rest := span{id + 1, x.to}
		s.spans++
		s.insert(i, j+1, rest)
	}
}

// trim takes out what is before id.
func (s *idSet) trim(id engine.RequestID) {
	for len(s.blocks) > 0 && s.blocks[0].from() < id {
		b := &s.blocks[0]
		if b.to() <= id {
			s.n -= b.n
			s.spans -= len(b.spans)
			s.blocks = slices.Delete(s.blocks, 0, 1)
			continue
		}
		j := 0
		for ; b.spans[j].to <= id; j++ {
			s.n -= b.spans[j].len()
			b.n -= b.spans[j].len()
		}
		s.spans -= j
		b.spans = slices.Delete(b.spans, 0, j)
		if x := &b.spans[0]; x.from < id {
			s.n -= int(id - x.from)
			b.n -= int(id - x.from)
			x.from = id
		}
	}
}

// rank returns how many ids are before id.
func (s *idSet) rank(id engine.RequestID) int {
	i, n := s.block(id), 0
	if i < 0 {
		return 0
	}
	for k := range s.blocks[:i] {
		n += s.blocks[k].n
	}
	for _, x := range s.blocks[i].spans {
		if x.to > id {
			if x.from < id {
				n += int(id - x.from)
			}
			break
		}
		n += x.len()
	}
	return n
}

// window appends the ids of rank from on and before to, in ascending order.
func (s *idSet) window(from, to int, into []engine.RequestID) []engine.RequestID {
	n := 0
	for i := range s.blocks {
		b := &s.blocks[i]
		if n >= to {
			break
		}
		if n+b.n <= from {
			n += b.n
			continue
		}
		for _, x := range b.spans {
			for k := max(from-n, 0); k < x.len() && n+k < to; k++ {
				into = append(into, x.from+engine.RequestID(k))
			}
			if n += x.len(); n >= to {
				break
			}
		}
	}
	return into
}
