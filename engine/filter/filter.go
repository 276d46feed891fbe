// Package filter is the language that narrows requests, connections and events:
// parser, tree, predicates, and errors with the column.
package filter

import (
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

// An Error says what is wrong with a text and where.
type Error struct {
	Column int // of the first byte at fault, from 0
	Length int // bytes at fault, at least 1
	Text   string
}

func (e *Error) Error() string { return e.Text }

// A Filter is a parsed text. It is never changed, and safe for use by any
// number of goroutines.
type Filter struct{ text string }

// Parse reads text; its error is an [*Error]. The empty text selects everything.
func Parse(s Subject, text string) (*Filter, error) { return &Filter{text}, nil }

// String returns the text.
func (f *Filter) String() string { return f.text }

// Empty reports whether everything is selected.
func (f *Filter) Empty() bool { return f.text == "" }

// A Context is what a predicate has to know beside its subject. The zero value
// will do: then nothing is marked and nobody has labels.
type Context struct {
	Now    time.Time // what time:-5m.. and age: count from
	Marked func(id uint64) bool
	Labels func(client string) map[string]string
}

// Request reports whether r is selected. It allocates nothing.
func (f *Filter) Request(r *engine.Request, c *Context) bool { return true }

// Connection reports whether x is selected. It allocates nothing.
func (f *Filter) Connection(x *engine.Connection, c *Context) bool { return true }

// Event reports whether e is selected.
func (f *Filter) Event(e *engine.Event, c *Context) bool { return true }

// A Field is a word that may stand before a colon.
type Field struct {
	Name    string // "status"; "label." and "header." end in a dot
	Help    string
	Example string
	Values  []string // all that it can be, where they are few
}

// Fields returns those of a subject in the order of the documentation.
func Fields(s Subject) []Field { return nil }
