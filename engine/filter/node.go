package filter

import (
	"regexp"
	"strings"
)

// A NodeKind says what a [Node] does.
type NodeKind uint8

const (
	And    NodeKind = iota + 1 // every one of Nodes
	Or                         // any of Nodes
	Not                        // not Nodes[0]
	Clause                     // any of Values
)

// A Node is a part of a filter. Nobody changes it.
type Node struct {
	Kind  NodeKind
	Nodes []*Node

	// Of a Clause.
	Field  string // "status", "label.region"; "" the main text, which bare words search
	None   bool   // none of Values: "!="
	Values []Value

	Column, Length int // where it stands in the text, bytes

	source string // of a clause, as it was written
}

// String returns the node as a text that means the same.
func (n *Node) String() string {
	var b strings.Builder
	n.write(&b, false)
	return b.String()
}

// write appends n; inside says that n is part of another node.
func (n *Node) write(b *strings.Builder, inside bool) {
	join := " "
	switch n.Kind {
	case Clause:
		b.WriteString(n.source)
		return
	case Not:
		b.WriteByte('-')
		n.Nodes[0].write(b, true)
		return
	case Or:
		join = " OR "
	}
	if inside {
		b.WriteByte('(')
	}
	for i, child := range n.Nodes {
		if i > 0 {
			b.WriteString(join)
		}
		child.write(b, true)
	}
	if inside {
		b.WriteByte(')')
	}
}

// Chosen returns which of the values of a field of few values, as [Fields] lists
// them, a clause of it means: bit i is the i-th.
func (n *Node) Chosen(values []string) uint64 { return chosen(values, n.Values) }

// A Match is a way in which a [Value] is met.
type Match uint8

const (
	Substring Match = iota + 1
	Exact
	Glob    // the whole text; * any run of characters, ? one character
	Pattern // a regular expression, anywhere in the text
	Fuzzy   // every character, in order
	Range   // a number
)

// A Base is what a bound of a [Range] counts from.
type Base uint8

const (
	Zero     Base = iota // nothing: for times, the epoch
	Now                  // the time of asking
	Midnight             // the beginning of the day of asking, local time
)

// A Value is one of the alternatives of a clause.
type Value struct {
	Match Match
	Text  string // of a text, without quotes and slashes
	Fold  bool   // without regard to case

	// Of a Range, both inclusive; the least and the greatest int64 where it is
	// open. Durations and times are nanoseconds, sizes bytes, ids numbers.
	Low, High         int64
	LowBase, HighBase Base

	pattern *regexp.Regexp // of a Pattern
}
