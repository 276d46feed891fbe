package history

import (
	"database/sql/driver"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"adit/engine/filter"
)

// A selection is a filter as SQL. What SQL can't say for every row the filter
// itself is asked: then rows come with the columns that it needs.
type selection struct {
	where string // never leaves out what is selected
	args  []driver.Value

	// sure is true only for what is selected, "0" where SQL can't say so of any. It is
	// where if that is exact.
	sure     string
	sureArgs []driver.Value

	// odd is true for rows where SQLite's notion of texts may be another than the
	// filter's, because they are not plain ASCII. where does not count for them.
	odd   []string
	exact bool // for all rows but the odd ones where says it all

	columns map[string]bool // that the filter needs
	heads   bool
}

// compile returns a filter as SQL, at the time and for the day of c.
func compile(fl *filter.Filter, c *filter.Context) *selection {
	s := &selection{exact: true, columns: map[string]bool{}}
	if fl == nil || fl.Empty() {
		s.where, s.sure = "1", "1"
		return s
	}
	k := compiler{s: s, fields: filter.Fields(filter.Requests)}
	if c != nil {
		k.now = c.Now
	}
	s.where = k.node(fl.Tree(), false)
	s.args, k.args = k.args, nil
	k.sure = true
	s.sure = k.node(fl.Tree(), false)
	s.sureArgs = k.args
	return s
}

// condition is what WHERE has beside the range of ids.
func (s *selection) condition() string {
	return "(" + strings.Join(append([]string{s.where}, s.odd...), " OR ") + ")"
}

type compiler struct {
	s      *selection
	fields []filter.Field
	now    time.Time
	args   []driver.Value
	sure   bool // rather too few rows than too many
}

// node writes n, or its contrary. What is not known to SQL (NULL) is not selected;
// it is by the contrary.
func (k *compiler) node(n *filter.Node, not bool) string {
	switch n.Kind {
	case filter.Not:
		return k.node(n.Nodes[0], !not)
	case filter.And, filter.Or:
		join, all, nothing := " AND ", "0", "1"
		if (n.Kind == filter.Or) != not {
			join, all, nothing = " OR ", "1", "0"
		}
		mark, decided, parts := len(k.args), false, []string{}
		// All of them, for the columns that they need.
		for _, child := range n.Nodes {
			switch part := k.node(child, not); part {
			case all:
				decided = true
			case nothing:
			default:
				parts = append(parts, part)
			}
		}
		switch {
		case decided:
			k.args = k.args[:mark]
			return all
		case len(parts) == 0:
			return nothing
		}
		return "(" + strings.Join(parts, join) + ")"
	}
	if n.None && k.ofText(n) {
		// What is said of the contrary may be more.
		positive := *n
		positive.None = false
		return k.node(&positive, !not)
	}
	mark := len(k.args)
	where, exact := k.clause(n)
	if !exact {
		k.s.exact = false
		if k.sure != not || where == "1" {
			// What is known says nothing in this direction.
			k.args = k.args[:mark]
			if k.sure {
				return "0"
			}
			return "1"
		}
	}
	if not {
		return "(" + where + ") IS NOT TRUE"
	}
	return "(" + where + ")"
}

// ofText reports whether a clause asks for a text, which is never NULL.
func (k *compiler) ofText(n *filter.Node) bool {
	switch n.Field {
	case "", "f", "host", "path", "query", "method", "client", "caller", "credential", "reason":
		return true
	}
	return false
}

// clause writes one clause, and reports whether it says all.
func (k *compiler) clause(n *filter.Node) (where string, exact bool) {
	name, _, dotted := strings.Cut(n.Field, ".")
	if dotted {
		if name == "label" {
			k.need("client")
		} else {
			k.s.heads = true
		}
		return "1", false
	}
	switch name {
	case "", "f":
		return k.text(n, "target", true)
	case "host", "path", "query":
		return k.text(n, "target", false)
	case "method", "client", "caller", "credential", "reason":
		return k.text(n, name, true)
	case "status":
		where, exact = k.number(n, "status", 1)
		return "status > 0 AND " + where, exact
	case "dur":
		return k.number(n, "last_byte_us", 1000)
	case "ttfb":
		return k.number(n, "first_byte_us", 1000)
	case "wait":
		return k.number(n, "queued_us", 1000)
	case "in":
		return k.number(n, "request_bytes", 1)
	case "out":
		return k.number(n, "response_bytes", 1)
	case "size":
		k.need("request_bytes", "response_bytes")
		return k.number(n, "request_bytes + response_bytes", 1)
	case "conn", "id":
		return k.number(n, name, 1)
	case "time":
		where, exact = k.number(n, "arrived", 1)
		return "arrived <> 0 AND " + where, exact
	case "age":
		return k.age(n)
	case "way", "protocol", "outcome":
		return k.choice(n, name), true
	case "is":
		return k.is(n)
	case "type":
		k.s.heads = true
	default:
		k.need(strings.Split(requestColumns, ", ")...)
	}
	return "1", false
}

func (k *compiler) need(columns ...string) {
	for _, c := range columns {
		k.s.columns[c] = true
	}
}

func (k *compiler) arg(v driver.Value) string {
	k.args = append(k.args, v)
	return "?"
}

// number writes a clause of a column that counts in units of the filter's.
func (k *compiler) number(n *filter.Node, column string, unit int64) (string, bool) {
	if !strings.Contains(column, " ") {
		k.need(column)
	}
	parts := []string{}
	for i := range n.Values {
		low, lowKnown := k.bound(n.Values[i].Low, n.Values[i].LowBase)
		high, highKnown := k.bound(n.Values[i].High, n.Values[i].HighBase)
		if !lowKnown || !highKnown {
			// Without the time of asking there is no answer.
			k.need("arrived")
			return "1", false
		}
		if unit != 1 {
			low, high = ceiling(low, unit), floor(high, unit)
		}
		parts = append(parts, column+" BETWEEN "+k.arg(low)+" AND "+k.arg(high))
	}
	return k.any(n, parts), true
}

// any joins the alternatives of a clause.
func (k *compiler) any(n *filter.Node, parts []string) string {
	where := "(" + strings.Join(parts, " OR ") + ")"
	if n.None {
		return "NOT " + where
	}
	return where
}

func floor(n, unit int64) int64 {
	q := n / unit
	if n%unit < 0 {
		q--
	}
	return q
}

func ceiling(n, unit int64) int64 {
	q := n / unit
	if n%unit > 0 {
		q++
	}
	return q
}

// bound returns one end of a range, counted from nothing.
func (k *compiler) bound(n int64, base filter.Base) (int64, bool) {
	if base == filter.Zero {
		return n, true
	}
	if k.now.IsZero() {
		return 0, false
	}
	if base == filter.Now {
		return k.now.UnixNano() + n, true
	}
	y, m, d := k.now.Date()
	return time.Date(y, m, d, 0, 0, int(n/int64(time.Second)), int(n%int64(time.Second)), k.now.Location()).UnixNano(), true
}

// age writes ranges of ages as ranges of times.
func (k *compiler) age(n *filter.Node) (string, bool) {
	k.need("arrived")
	if k.now.IsZero() {
		return "1", false
	}
	now := k.now.UnixNano()
	back := func(age int64) int64 {
		switch at := now - age; {
		case age > 0 && at > now:
			return math.MinInt64
		case age < 0 && at < now:
			return math.MaxInt64
		default:
			return at
		}
	}
	parts := []string{}
	for i := range n.Values {
		parts = append(parts, "arrived BETWEEN "+k.arg(back(n.Values[i].High))+" AND "+k.arg(back(n.Values[i].Low)))
	}
	return "arrived <> 0 AND " + k.any(n, parts), true
}

func (k *compiler) values(field string) []string {
	for _, f := range k.fields {
		if f.Name == field {
			return f.Values
		}
	}
	return nil
}

func (k *compiler) choice(n *filter.Node, column string) string {
	k.need(column)
	chosen := n.Chosen(k.values(column))
	parts := []string{}
	for i, value := range k.values(column) {
		if chosen>>i&1 != 0 {
			parts = append(parts, k.arg(value))
		}
	}
	where := "ifnull(" + column + ", '') IN (" + strings.Join(parts, ", ") + ")"
	if n.None {
		return "NOT " + where
	}
	return where
}

// is writes states. Nothing in the history is in flight.
func (k *compiler) is(n *filter.Node) (string, bool) {
	k.need("id", "status", "outcome", "upgraded", "replay")
	states := k.values("is")
	chosen := n.Chosen(states)
	parts, exact := []string{"0"}, true
	for i, state := range states {
		if chosen>>i&1 == 0 {
			continue
		}
		switch state {
		case "inflight":
		case "ended":
			parts = append(parts, "outcome IS NOT NULL")
		case "failed":
			parts = append(parts, "status >= 500", "ifnull(outcome, 'completed') NOT IN ('completed', 'caller_gone')")
		case "aborted":
			parts = append(parts, "ifnull(outcome, '') IN ('caller_gone', 'truncated')")
		case "upgraded":
			parts = append(parts, "upgraded IS NOT NULL")
		case "replay":
			parts = append(parts, "replay IS NOT NULL")
		case "unseen":
			parts = append(parts, "outcome IS NULL")
		default:
			exact = false
		}
	}
	if !exact {
		return "1", false
	}
	return k.any(n, parts), true
}

// text writes a clause of a text. whole says that the column is the text: else
// the text is a part of it.
func (k *compiler) text(n *filter.Node, column string, whole bool) (string, bool) {
	k.need(column)
	expr := column
	if column == "reason" || column == "credential" {
		expr = "ifnull(" + column + ", '')"
	}
	parts, exact, folds := []string{}, true, false
	mark := len(k.args)
	for i := range n.Values {
		v := &n.Values[i]
		folds = folds || v.Match == filter.Pattern || v.Fold && (v.Match != filter.Substring || !ascii(v.Text))
		part, all := k.match(expr, v, whole)
		exact = exact && all
		parts = append(parts, part)
	}
	if !exact && (n.None || slices.Contains(parts, "1")) {
		k.args = k.args[:mark]
		return "1", false
	}
	odd := "typeof(" + column + ") = 'blob'"
	if folds {
		odd += " OR octet_length(" + column + ") <> length(" + column + ")"
	}
	if !slices.Contains(k.s.odd, odd) {
		k.s.odd = append(k.s.odd, odd)
	}
	return k.any(n, parts), exact
}

// match writes how a text meets a value, and reports whether that says all.
func (k *compiler) match(expr string, v *filter.Value, whole bool) (string, bool) {
	if v.Fold && v.Match != filter.Pattern && !ascii(v.Text) {
		return "0", true // of what is not odd
	}
	if strings.IndexByte(v.Text, 0) >= 0 || !utf8.ValidString(v.Text) || len(v.Text) > 1000 {
		return "1", false
	}
	switch v.Match {
	case filter.Substring:
		if v.Fold {
			return expr + ` LIKE ` + k.arg("%"+likeText(v.Text)+"%") + ` ESCAPE '\'`, whole
		}
		return "instr(" + expr + ", " + k.arg(v.Text) + ") > 0", whole
	case filter.Exact:
		switch {
		case !whole && v.Fold:
			return expr + ` LIKE ` + k.arg("%"+likeText(v.Text)+"%") + ` ESCAPE '\'`, false
		case !whole:
			return "instr(" + expr + ", " + k.arg(v.Text) + ") > 0", false
		case v.Fold:
			return expr + " = " + k.arg(v.Text) + " COLLATE NOCASE", true
		}
		return expr + " = " + k.arg(v.Text), true
	case filter.Glob, filter.Fuzzy:
		return k.wild(expr, v, whole), whole
	case filter.Pattern:
		if part := required(v.Text); part != "" {
			return expr + ` LIKE ` + k.arg("%"+likeText(part)+"%") + ` ESCAPE '\'`, false
		}
	}
	return "1", false
}

// required returns the longest text that whatever matches a regular expression
// has, in any case of letters: "" where none is known. To look for it is much
// faster than to ask the expression.
func required(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return ""
	}
	return longest(re.Simplify())
}

func longest(re *syntax.Regexp) string {
	best := ""
	switch re.Op {
	case syntax.OpLiteral:
		if best = string(re.Rune); !ascii(best) || strings.IndexByte(best, 0) >= 0 {
			best = ""
		}
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		for _, sub := range re.Sub {
			if part := longest(sub); len(part) > len(best) {
				best = part
			}
		}
	}
	return best
}

// wild writes a pattern, or characters in order.
func (k *compiler) wild(expr string, v *filter.Value, whole bool) string {
	many, one, escape := "*", "?", func(r rune) string {
		if r == '*' || r == '?' || r == '[' {
			return "[" + string(r) + "]"
		}
		return string(r)
	}
	if v.Fold {
		many, one, escape = "%", "_", func(r rune) string { return likeText(string(r)) }
	}
	var b strings.Builder
	if !whole || v.Match == filter.Fuzzy {
		b.WriteString(many)
	}
	for _, r := range v.Text {
		switch {
		case v.Match == filter.Fuzzy:
			b.WriteString(escape(r) + many)
		case r == '*':
			b.WriteString(many)
		case r == '?':
			b.WriteString(one)
		default:
			b.WriteString(escape(r))
		}
	}
	if !whole {
		b.WriteString(many)
	}
	if v.Fold {
		return expr + " LIKE " + k.arg(b.String()) + ` ESCAPE '\'`
	}
	return expr + " GLOB " + k.arg(b.String())
}

func likeText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
