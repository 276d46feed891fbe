// Package capture keeps the beginning of what passes through exchanges: a
// bounded tee beside the copy of content, which never waits, never holds a
// piece back and never grows beyond its budget.
package capture

import (
	"adit/engine"
	"adit/engine/filter"
)

// DefaultLimit is the budget in bytes where Options do not say.
const DefaultLimit = 64 << 20

// Options of a Keeper.
type Options struct {
	Capture engine.Capture
	Limit   int64 // bytes of content in memory, of all exchanges together; 0 DefaultLimit
}

// A Keeper decides whose content is kept, and drops the oldest where all of it
// together is above the limit. It has no goroutine.
type Keeper struct {
	filters []*filter.Filter // of Capture.Content
}

// New returns a keeper. The error is that of a filter.
func New(o Options) (*Keeper, error) { return &Keeper{}, nil }

// Set changes what is kept from now on.
func (k *Keeper) Set(c engine.Capture) error { return nil }

// State fills s, reusing its slices.
func (k *Keeper) State(s *engine.CaptureState) {}

// Heads reports whether heads are to be kept.
func (k *Keeper) Heads() bool { return true }

// Begin returns the tee of an exchange, nil where its content is not kept:
// every method of a nil *Tee does nothing. r is the record as it is when the
// request is sent; always says that it is kept whatever else (a replay).
func (k *Keeper) Begin(r *engine.Request, always bool) *Tee { return nil }

// A Tee takes in the content of one exchange. The directions may be told by
// different goroutines. What it is given it copies at once.
type Tee struct{}

// Head tells the head of the final response before its content: whether it
// upgrades, to what protocol, and its media type decide how content is read.
func (t *Tee) Head(status int, field func(name string) string) {}

// Request and Response take what passed. End says that the direction is at its
// true end.
func (t *Tee) Request(p []byte)  {}
func (t *Tee) Response(p []byte) {}
func (t *Tee) EndRequest()       {}
func (t *Tee) EndResponse()      {}

// Captured returns what others read, nil for a nil *Tee.
func (t *Tee) Captured() engine.Captured { return nil }
