package inspect

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// A Change says how the two sides of a [Row] differ.
type Change uint8

const (
	Same    Change = iota
	Noise          // they differ, as they do each time: Date, what it took
	Changed        // both are there
	Removed        // only the left one is there
	Added          // only the right one
)

var changeNames = [...]string{"same", "noise", "changed", "removed", "added"}

func (c Change) String() string {
	if int(c) < len(changeNames) {
		return changeNames[c]
	}
	return "unknown"
}

// A Row is two lines side by side.
type Row struct {
	Title       bool // Left is the title of what follows
	Change      Change
	Left, Right string
}

// A Comparison is two exchanges side by side.
type Comparison struct {
	Rows        []Row
	Differences int  // rows that differ, noise aside
	Partial     bool // of the content not everything is kept, or it was too different: it may differ where nothing is said
}

// Compare sets the answers of two exchanges side by side: status, header fields,
// content line by line (JSON laid out), sizes and times. Secrets that differ do
// so without being shown.
func Compare(a, b *Exchange, look Look) *Comparison {
	c := &Comparison{}
	c.title("Answer")
	c.pair("status", status(&a.Request), status(&b.Request), Changed)
	c.pair("outcome", outcome(&a.Request), outcome(&b.Request), Changed)
	c.pair("client", a.Request.Client, b.Request.Client, Noise)
	c.pair("took", took(&a.Request), took(&b.Request), Noise)
	c.pair("first byte", since(a.Request.FirstByte), since(b.Request.FirstByte), Noise)
	c.pair("content", size(int(max(a.Request.ResponseBytes, 0))), size(int(max(b.Request.ResponseBytes, 0))), Changed)
	c.heads(a.Request.Heads, b.Request.Heads, look)
	c.contents(a, b, look)
	return c
}

func (c *Comparison) title(s string) { c.Rows = append(c.Rows, Row{Title: true, Left: s}) }

func (c *Comparison) add(r Row) {
	if r.Change > Noise {
		c.Differences++
	}
	c.Rows = append(c.Rows, r)
}

// pair adds "name  value" on both sides; change is what it is where they differ.
func (c *Comparison) pair(name, left, right string, change Change) {
	if left == right {
		if left == "" {
			return
		}
		change = Same
	}
	pad := name + strings.Repeat(" ", max(12-len(name), 1))
	c.add(Row{Change: change, Left: pad + left, Right: pad + right})
}

func status(r *engine.Request) string {
	if r.Status == 0 {
		return "none"
	}
	return strconv.Itoa(r.Status)
}

func outcome(r *engine.Request) string {
	if r.Outcome == engine.OutcomeNone {
		if r.Reason == "" {
			return "in flight"
		}
		return r.Reason
	}
	return strings.TrimSpace(strings.ReplaceAll(r.Outcome.String(), "_", " ") + "  " + r.Reason)
}

func took(r *engine.Request) string { return since(r.LastByte) }

func since(d time.Duration) string {
	if d < 0 {
		return ""
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + " ms"
}

// noisy reports whether a field differs from answer to answer though nothing has
// changed.
func noisy(name string) bool {
	switch strings.ToLower(name) {
	case "date", "age", "expires", "x-request-id", "x-correlation-id", "x-amzn-requestid", "x-amzn-trace-id", "traceparent",
		"cf-ray", "x-runtime", "x-response-time", "server-timing", "x-served-by", "x-timer":
		return true
	}
	return false
}

func (c *Comparison) heads(a, b *engine.Heads, look Look) {
	c.title("Header fields")
	if a == nil || b == nil {
		c.Partial = true
		which := "the original's"
		if a != nil {
			which = "the replay's"
		}
		c.add(Row{Left: which + " are not here"})
		return
	}
	left, right := Fields(a.Response), Fields(b.Response)
	partner := make([]int, len(left)) // in right, from 1 on
	used := make([]bool, len(right))
	for _, exact := range [...]bool{true, false} {
		for i, f := range left {
			for j, g := range right {
				if partner[i] == 0 && !used[j] && strings.EqualFold(f.Name, g.Name) && (!exact || f.Value == g.Value) {
					partner[i], used[j] = j+1, true
				}
			}
		}
	}
	for i, f := range left {
		l := f.Name + ": " + Value(f.Name, f.Value, look.Secrets)
		if partner[i] == 0 {
			c.add(Row{Change: changeOf(f.Name, Removed), Left: l})
			continue
		}
		g := right[partner[i]-1]
		row := Row{Left: l, Right: g.Name + ": " + Value(g.Name, g.Value, look.Secrets)}
		if f.Value != g.Value {
			row.Change = changeOf(f.Name, Changed)
		}
		c.add(row)
	}
	for i, g := range right {
		if !used[i] {
			c.add(Row{Change: changeOf(g.Name, Added), Right: g.Name + ": " + Value(g.Name, g.Value, look.Secrets)})
		}
	}
}

func changeOf(name string, change Change) Change {
	if noisy(name) {
		return Noise
	}
	return change
}

func (c *Comparison) contents(a, b *Exchange, look Look) {
	c.title("Content")
	left, leftKept := responseView(a, look)
	right, rightKept := responseView(b, look)
	switch {
	case !leftKept && !rightKept:
		if a.Request.ResponseBytes > 0 || b.Request.ResponseBytes > 0 {
			c.Partial = true
			c.add(Row{Left: "not kept", Right: "not kept"})
		}
		return
	case !leftKept && a.Request.ResponseBytes > 0:
		c.Partial = true
		c.add(Row{Left: "not kept", Right: right.Title})
		return
	case !rightKept && b.Request.ResponseBytes > 0:
		c.Partial = true
		c.add(Row{Left: left.Title, Right: "not kept"})
		return
	}
	c.Partial = c.Partial || left.partial || right.partial
	rows, bounded := diff(left.Lines, right.Lines, left.Kind == KindJSON && right.Kind == KindJSON)
	c.Partial = c.Partial || bounded
	before := c.Differences
	for _, r := range rows {
		c.add(r)
	}
	if (left.Masked || right.Masked) && c.Differences == before {
		// What is masked is compared all the same.
		look.Secrets = true
		l, _ := responseView(a, look)
		r, _ := responseView(b, look)
		if !slices.Equal(l.Lines, r.Lines) {
			c.add(Row{Change: Changed, Left: "(values that are masked)", Right: "(are others here)"})
		}
	}
	for _, v := range [...]*View{left, right} {
		for _, n := range v.Notes {
			row := Row{Left: "(" + n + ")"}
			if v == right {
				row = Row{Right: "(" + n + ")"}
			}
			c.Rows = append(c.Rows, row)
		}
	}
}

// responseView returns the content of an answer, false if none of it was kept.
func responseView(x *Exchange, look Look) (*View, bool) {
	if x.Content == nil || x.Content.Response.Size == 0 && len(x.Content.Response.Data) == 0 {
		return &View{}, false
	}
	head := ""
	if x.Request.Heads != nil {
		head = x.Request.Heads.Response
	}
	return Read(head, &x.Content.Response, look), true
}
