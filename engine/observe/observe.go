// Package observe is how the engine is seen: the event bus, the totals of a
// run, records of requests as they become events, and their JSON. Nothing in it
// can slow the tunnel: a publisher makes no blocking send, no system call, no
// allocation, no log line and no callback.
package observe

import (
	"context"
	"io"

	"adit/engine"
)

// A Bus hands events to subscribers, each with a ring of its own whose oldest
// events are overwritten and counted. Its lock is a leaf.
type Bus struct { /* unexported */
}

func NewBus() *Bus { panic("in work") }

// Publish gives e its Seq (and Time if zero) and copies it into the rings of
// those who want its kind.
func (b *Bus) Publish(e engine.Event) { panic("in work") }

// Wants reports whether anybody subscribes to k: whoever would have to allocate
// for an event asks first.
func (b *Bus) Wants(k engine.Kind) bool { panic("in work") }

// Seq returns the newest sequence number.
func (b *Bus) Seq() uint64 { panic("in work") }

// Subscribe is engine.Engine's.
func (b *Bus) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	panic("in work")
}

// Close ends every subscription after it has delivered what was published (or
// its ctx ends) and returns when their goroutines have ended.
func (b *Bus) Close() { panic("in work") }

// Totals counts what ended in this process. Its methods may be called from any
// goroutine.
type Totals struct { /* unexported atomics */
}

// RequestEnded counts a request.
func (t *Totals) RequestEnded(o engine.Outcome) { panic("in work") }

// ConnectionEnded adds the traffic of a connection that ended.
func (t *Totals) ConnectionEnded(tr engine.Traffic) { panic("in work") }

// Load returns the sums; whoever takes a snapshot adds the open connections.
func (t *Totals) Load() engine.Totals { panic("in work") }

// Target returns what a record may hold of a request target: user information
// removed, query values masked whose names contain (in any case) token, key,
// secret, password, signature or code, at most engine.MaxText bytes. It does
// not allocate when there is nothing to change.
func Target(target string) string { panic("in work") }

// AppendEvent appends e as one JSON object with the names of product.md (JSON), without a newline.
func AppendEvent(dst []byte, e *engine.Event) []byte { panic("in work") }

// WriteEvents writes one line for every event and a "dropped" line for every
// gap, batching writes, until batches is closed or a write fails (that error).
func WriteEvents(w io.Writer, batches <-chan engine.Batch) error { panic("in work") }
