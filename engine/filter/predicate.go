package filter

import (
	"math"
	"slices"
)

// A form is what a field's values look like and mean.
type form uint8

const (
	formText form = iota + 1
	formNumber
	formStatus
	formConnectionID
	formRequestID
	formDuration
	formSize
	formTime
	formChoice // one of Field.Values, or several of them
	formLevel  // one of Field.Values, which are in order
)

// described is what the parser has to know of a field.
type described struct {
	Field
	form form
}

// A field reads one thing of a subject. Of its functions it has the one that
// fits its form.
type field[S any] struct {
	described
	needs  Needs
	number func(s *S, c *Context) (int64, bool) // false: not known
	text   func(s *S, c *Context) string
	named  func(s *S, c *Context, name string, m []matcher) bool // of a field that ends in a dot: any of m
	choice func(s *S, c *Context) uint64                         // bit i: it is Values[i]
}

// A span is a [Range] of which bounds are known.
type span struct {
	low, high         int64
	lowBase, highBase Base
}

// A predicate is a node, ready to be asked.
type predicate[S any] struct {
	kind   NodeKind
	none   bool
	cost   int
	parts  []predicate[S]
	field  *field[S]
	name   string // what follows the dot
	spans  []span
	texts  []matcher
	choice uint64
}

func (p *predicate[S]) selects(s *S, c *Context) bool {
	switch p.kind {
	case And:
		for i := range p.parts {
			if !p.parts[i].selects(s, c) {
				return false
			}
		}
		return true
	case Or:
		for i := range p.parts {
			if p.parts[i].selects(s, c) {
				return true
			}
		}
		return false
	case Not:
		return !p.parts[0].selects(s, c)
	}
	switch {
	case p.field.number != nil:
		// What is not known is neither one thing nor another.
		n, ok := p.field.number(s, c)
		return ok && p.within(n, c)
	case p.field.text != nil:
		return anyMatches(p.texts, p.field.text(s, c)) != p.none
	case p.field.choice != nil:
		return p.field.choice(s, c)&p.choice != 0 != p.none
	}
	return p.field.named(s, c, p.name, p.texts) != p.none
}

func (p *predicate[S]) within(n int64, c *Context) bool {
	for i := range p.spans {
		x := &p.spans[i]
		low, high := x.low, x.high
		if x.lowBase|x.highBase != Zero {
			var ok bool
			if low, ok = based(low, x.lowBase, c); !ok {
				return false
			}
			if high, ok = based(high, x.highBase, c); !ok {
				return false
			}
		}
		if low <= n && n <= high {
			return !p.none
		}
	}
	return p.none
}

// based returns a bound as a time since the epoch.
func based(n int64, b Base, c *Context) (int64, bool) {
	switch b {
	case Now:
		from, ok := c.now()
		return from + n, ok
	case Midnight:
		return c.clock(n)
	}
	return n, true
}

func anyMatches(m []matcher, s string) bool {
	for i := range m {
		if m[i].matches(s) {
			return true
		}
	}
	return false
}

// compile makes n ready and adds what it depends on to needs. The parser has
// seen that every field exists and takes its values.
func compile[S any](n *Node, fields []field[S], needs *Needs) *predicate[S] {
	p := &predicate[S]{kind: n.Kind, none: n.None}
	for _, child := range n.Nodes {
		part := compile(child, fields, needs)
		p.cost += part.cost
		p.parts = append(p.parts, *part)
	}
	if n.Kind != Clause {
		// What is cheap to ask is asked first.
		slices.SortStableFunc(p.parts, func(a, b predicate[S]) int { return a.cost - b.cost })
		return p
	}
	name, rest := splitName(n.Field)
	for i := range fields {
		if fields[i].Name == name {
			p.field, p.name = &fields[i], rest
		}
	}
	before := *needs
	*needs |= p.field.needs
	for _, v := range n.Values {
		switch {
		case p.field.choice != nil:
		case v.Match == Range:
			p.spans = append(p.spans, span{v.Low, v.High, v.LowBase, v.HighBase})
			if v.LowBase|v.HighBase != Zero {
				*needs |= NeedsNow
			}
		default:
			p.texts = append(p.texts, newMatcher(v))
		}
	}
	if p.field.choice != nil {
		p.choice = chosen(p.field.Values, n.Values)
		if i := slices.Index(p.field.Values, "marked"); i < 0 || p.choice>>i&1 == 0 {
			*needs &^= p.field.needs & NeedsMarked &^ before
		}
	}
	p.cost = 1 + costOf(p)
	return p
}

// costOf guesses what asking a clause costs, in no unit.
func costOf[S any](p *predicate[S]) int {
	cost := 0
	for i := range p.texts {
		switch p.texts[i].Match {
		case Exact:
			cost += 2
		case Pattern:
			cost += 100
		default:
			cost += 10
		}
	}
	if p.field.choice != nil {
		return 0
	}
	if p.field.named != nil || p.field.needs != 0 {
		cost += 50
	}
	return cost
}

// chosen returns the set of names that any of values means.
func chosen(names []string, values []Value) uint64 {
	var set uint64
	for _, v := range values {
		for i, name := range names {
			if v.Match == Range && v.Low <= int64(i) && int64(i) <= v.High {
				set |= 1 << i
			}
			if v.Match != Range {
				if m := newMatcher(v); m.matches(name) {
					set |= 1 << i
				}
			}
		}
	}
	return set
}

const (
	least    = math.MinInt64
	greatest = math.MaxInt64
)
