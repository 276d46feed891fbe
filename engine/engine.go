package engine

import "context"

// Engine is what a front end may know of a running tunnel endpoint. A local
// engine and a remote attachment implement it alike. Its methods may be called
// from any goroutine and never slow the tunnel.
type Engine interface {
	// Snapshot fills into, reusing its slices.
	Snapshot(ctx context.Context, into *Snapshot) error

	// Subscribe delivers events from now on. The channel is closed when ctx
	// ends or, after everything published was delivered, when the engine is
	// done. A subscriber that does not read loses the oldest events, counted in
	// Batch.Dropped; it never holds up anything. A Batch belongs to the
	// receiver until it receives the next one.
	Subscribe(ctx context.Context, o SubscribeOptions) (<-chan Batch, error)

	// CloseConnection ends one connection, with its exchanges, by a closing
	// handshake with code and reason (at most 123 bytes, RFC 6455 §5.5.1).
	// [ErrNotFound] if there is none.
	CloseConnection(ctx context.Context, id ConnectionID, code CloseCode, by Operator) error

	// Ban refuses a client id from now on and closes its connections with 4001.
	Ban(ctx context.Context, client string, by Operator) error

	// Unban takes a ban back. [ErrNotFound] if there is none.
	Unban(ctx context.Context, client string, by Operator) error

	// CancelExchange ends one exchange. [ErrNotFound] if it is over.
	CancelExchange(ctx context.Context, id RequestID, by Operator) error

	// Drain stops taking new exchanges, on one connection or, for 0, on all and
	// then ends the engine: it returns as soon as draining has begun.
	Drain(ctx context.Context, id ConnectionID, by Operator) error

	// FrameTape appends the newest frames of one connection, oldest first, at
	// most 64, to into. Nothing is recorded before somebody asks: asking arms
	// the tape for the next 5 s. [ErrNotFound] if there is no such connection.
	FrameTape(ctx context.Context, id ConnectionID, into []FrameRecord) ([]FrameRecord, error)

	// Replay sends a request, to its end without anybody, and returns its id as
	// soon as it has one: its record says Replay, and its content is captured
	// whatever is captured else. [ErrTooMuch] where its content, or what runs
	// already, is above the bound.
	Replay(ctx context.Context, r Replay, by Operator) (RequestID, error)

	// SetCapture changes what is kept of exchanges from now on. A filter that
	// does not parse is an error of engine/filter.
	SetCapture(ctx context.Context, c Capture, by Operator) error

	// Done is closed when the engine has ended.
	Done() <-chan struct{}
}

// An Operator is who asked for an action, and why; both are for the audit
// event.
type Operator struct {
	Name   string // "local", "signal", or a name from a credential
	Reason string
}

// SubscribeOptions choose what a subscription delivers.
type SubscribeOptions struct {
	Kinds Kinds // 0 means [KindsAll]
	Slots int   // ring size in events; 0 means 4,096; at most 65,536
	Heads bool  // records of requests come with their Heads, but for some while the subscriber is slow

	// Filter selects requests (engine/filter) where that saves a way: an engine in
	// another process sends no event of a request that it does not select. One in
	// this process delivers all, so who asks selects too.
	Filter string

	// Late allows that the start of an exchange is told up to 20 ms late, and that
	// of one that is over by then not at all: most cost less so.
	Late bool
}
