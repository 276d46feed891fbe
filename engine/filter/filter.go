package filter

import (
	"slices"
	"time"

	"adit/engine"
)

// A Subject is what a filter selects from; fields differ.
type Subject uint8

const (
	Requests Subject = iota + 1
	Connections
	Events
)

// MaxLength is the bound, in bytes, of a text that [Parse] takes.
const MaxLength = 4096

// An Error says what is wrong with a text and where.
type Error struct {
	Column int // of the first byte at fault, from 0
	Length int // bytes at fault, at least 1; the byte after the end where something is missing
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Needs are what an answer depends on beside its subject: who keeps an answer
// asks again when one of them has changed.
type Needs uint8

const (
	NeedsNow    Needs = 1 << iota // Context.Now: an age, a time of day, a time before now
	NeedsMarked                   // Context.Marked
	NeedsLabels                   // Context.Labels
	NeedsHeads                    // Request.Heads, which may be dropped
)

// A Filter is a parsed text. It is never changed, and safe for use by any
// number of goroutines.
type Filter struct {
	text        string
	tree        *Node // nil where everything is selected
	needs       Needs
	requests    *predicate[engine.Request]
	connections *predicate[engine.Connection]
	events      *predicate[engine.Event]
}

// Parse reads text; its error is an [*Error]. The empty text selects everything.
func Parse(s Subject, text string) (*Filter, error) {
	f := &Filter{text: text}
	var err error
	switch s {
	case Requests:
		f.requests, err = parse(f, requestFields())
	case Connections:
		f.connections, err = parse(f, connectionFields())
	default:
		f.events, err = parse(f, eventFields())
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// parse reads f.text, keeps its tree in f and compiles it.
func parse[S any](f *Filter, fields []field[S]) (*predicate[S], error) {
	index := make([]described, len(fields))
	for i := range fields {
		index[i] = fields[i].described
	}
	p := parser{text: f.text, fields: index}
	if err := p.run(); err != nil {
		return nil, err
	}
	if f.tree = p.tree; f.tree == nil {
		return nil, nil
	}
	return compile(f.tree, fields, &f.needs), nil
}

// String returns the text.
func (f *Filter) String() string { return f.text }

// Empty reports whether everything is selected.
func (f *Filter) Empty() bool { return f.tree == nil }

// Tree returns what the text means, which nobody may change; nil where
// everything is selected.
func (f *Filter) Tree() *Node { return f.tree }

// Needs returns what answers depend on beside their subject.
func (f *Filter) Needs() Needs { return f.needs }

// Clauses returns what must all hold, in the order of the text. The String of
// each is a filter of its own.
func (f *Filter) Clauses() []*Node {
	switch {
	case f.tree == nil:
		return nil
	case f.tree.Kind == And:
		return f.tree.Nodes
	}
	return []*Node{f.tree}
}

// Narrowest returns the index of the smallest count, the first of several: given
// how many each of [Filter.Clauses] selects alone, the one that excludes most.
// It is -1 without counts.
func Narrowest(counts []int) int {
	if len(counts) == 0 {
		return -1
	}
	return slices.Index(counts, slices.Min(counts))
}

// A Context is what a predicate has to know beside its subject. The zero value
// will do: then nothing is marked, nobody has labels and, since nothing is known
// of the time, no age and no time of day matches. It belongs to one goroutine.
type Context struct {
	Now    time.Time // what time:-5m.. and age: count from; its location has the day of time:15:04
	Marked func(id uint64) bool
	Labels func(client string) map[string]string

	day     time.Time // Now as midnight was found for
	midnite int64     // nanoseconds since the epoch of the last midnight before day
	shifted bool      // clocks are changed on that day
	scratch []byte    // for texts that an event has to be asked for
}

// now returns Now in nanoseconds since the epoch, false where it is not known.
func (c *Context) now() (int64, bool) {
	if c == nil || c.Now.IsZero() {
		return 0, false
	}
	return c.Now.UnixNano(), true
}

// clock returns when clocks show n, nanoseconds after midnight, on the day of
// Now, in nanoseconds since the epoch.
func (c *Context) clock(n int64) (int64, bool) {
	if c == nil || c.Now.IsZero() {
		return 0, false
	}
	if c.day != c.Now {
		begin := c.onDay(0)
		_, before := begin.Zone()
		_, after := c.onDay(int64(24 * time.Hour)).Zone()
		c.day, c.midnite, c.shifted = c.Now, begin.UnixNano(), before != after
	}
	if c.shifted {
		return c.onDay(n).UnixNano(), true
	}
	return c.midnite + n, true
}

// onDay is clock as the calendar has it.
func (c *Context) onDay(n int64) time.Time {
	y, m, d := c.Now.Date()
	return time.Date(y, m, d, 0, 0, int(n/int64(time.Second)), int(n%int64(time.Second)), c.Now.Location())
}

func (c *Context) marked(id uint64) bool {
	return c != nil && c.Marked != nil && c.Marked(id)
}

func (c *Context) label(client, name string) (string, bool) {
	if c == nil || c.Labels == nil || client == "" {
		return "", false
	}
	value, ok := c.Labels(client)[name]
	return value, ok
}

// Request reports whether r is selected. It allocates nothing.
func (f *Filter) Request(r *engine.Request, c *Context) bool {
	return f.requests == nil || f.requests.selects(r, c)
}

// Connection reports whether x is selected. It allocates nothing but for
// expose: where x exposes TCP ports.
func (f *Filter) Connection(x *engine.Connection, c *Context) bool {
	return f.connections == nil || f.connections.selects(x, c)
}

// Event reports whether e is selected.
func (f *Filter) Event(e *engine.Event, c *Context) bool {
	return f.events == nil || f.events.selects(e, c)
}

// A Field is a word that may stand before a colon.
type Field struct {
	Name    string // "status"; "label." and "header." end in a dot
	Help    string
	Example string
	Values  []string // all that it can be, where they are few
}

// Fields returns those of a subject in the order of the documentation.
func Fields(s Subject) []Field {
	switch s {
	case Requests:
		return publicFields(requestFields())
	case Connections:
		return publicFields(connectionFields())
	}
	return publicFields(eventFields())
}

func publicFields[S any](fields []field[S]) []Field {
	all := make([]Field, 0, len(fields))
	for _, f := range fields {
		if f.Name != "" {
			all = append(all, f.Field)
		}
	}
	return all
}
