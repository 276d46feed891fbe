package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RequestLog is what was recorded of exchanges, those in flight included. A
// local store and a remote attachment implement it alike. Its methods may be
// called from any goroutine and never slow the tunnel.
type RequestLog interface {
	// Requests fills into with a window of what q selects, reusing its slices.
	// A filter that does not parse is an error of engine/filter.
	Requests(ctx context.Context, q RequestQuery, into *RequestPage) error

	// Request returns one record with its heads, if they are still kept.
	// [ErrNotFound] if it is not kept.
	Request(ctx context.Context, id RequestID) (Request, error)

	// Content fills into with what is kept of the content of an exchange, reusing
	// its slices. [ErrNotFound] if nothing is.
	Content(ctx context.Context, id RequestID, into *Content) error

	// Events fills into with past events but those of requests, the newest
	// first. A filter that does not parse is an error of engine/filter.
	Events(ctx context.Context, q EventQuery, into *EventPage) error
}

// An EventQuery selects past events.
type EventQuery struct {
	Filter string    // language of engine/filter, of events; "" everything
	Before uint64    // only those whose Key is less; 0 all
	Count  int       // at most 1,000
	Now    time.Time // what the times of Filter count from, in a recording; zero: the clock
}

// An EventPage is what a query for events found.
type EventPage struct {
	Events []Event
	Keys   []uint64 // of each: grows with time, also from run to run of one history, as Seq does not
	More   bool     // there are older ones
}

// A RequestOrder is an order of records.
type RequestOrder uint8

const (
	ByArrival RequestOrder = iota // by RequestID, which follows arrival
	ByDuration
	BySize // request and response content together
	ByStatus
	ByClient
	ByPath
)

var orderNames = [...]string{"arrival", "duration", "size", "status", "client", "path"}

func (o RequestOrder) String() string { return nameOf(orderNames[:], int(o)) }

// ParseRequestOrder is the reverse of [RequestOrder.String].
func ParseRequestOrder(text string) (RequestOrder, error) {
	if i := slices.Index(orderNames[:], text); i >= 0 {
		return RequestOrder(i), nil
	}
	return 0, fmt.Errorf("order %q is unknown; want %s", Bound(text), strings.Join(orderNames[:], ", "))
}

// A RequestQuery selects a window. Standing queries (the same Filter, Order and
// Ascending, again and again) cost what is new, not what is kept.
type RequestQuery struct {
	Filter    string // language of engine/filter; "" everything
	Order     RequestOrder
	Ascending bool        // false: newest, longest, largest first
	Until     RequestID   // only records up to this one, as a paused screen shows them; 0 all
	Now       time.Time   // what the times of Filter count from, in a recording; zero: the clock
	Marked    []RequestID // what is:marked means, in ascending order
	Complete  bool        // wait until the history has been searched, or ctx ends; false: answer at once with what is found so far

	// The window: the records from Offset on in the chosen order, or, where At
	// is not 0, around the record At so that Offset records stand before it
	// (fewer at the beginning). A record At that is gone counts as where it
	// would stand in ByArrival, else as 0.
	At     RequestID
	Offset int
	Count  int // at most 1,000
}

// A RequestPage is what a query found. Its records are copies without Heads, those
// of the history among them: a window may reach from the log into the history.
type RequestPage struct {
	Requests []Request
	Offset   int       // of the first record among the Matched
	Matched  int       // records that the filter selects
	Kept     int       // records in the log
	Oldest   RequestID // kept
	Newest   RequestID // kept; 0 none
	After    int       // records that arrived after Until

	// What stands behind the log, where there is a history: records that were
	// pushed out, and those of former runs.
	Stored    int           // records in the history that are not among Kept
	Searching bool          // the history is still being searched: Matched will grow
	Cut       bool          // the history has more that match than are looked for: the newest are counted
	Problem   string        // why nothing is written to the history now, and what to do; "" it is
	Lost      uint64        // records that the log was too slow for, since the start
	Capacity  int           // records that the log keeps at most
	Took      time.Duration // what finding them took, the search of the history included
}

// A LogState is what a log and the history behind it say of themselves, without
// looking anything up.
type LogState struct {
	Records int    // in memory
	Missing uint64 // records that memory was too slow for, since the start

	History bool   // there is one; else what follows is empty
	Stored  int64  // requests in it, those of former runs too
	Lost    uint64 // events of this run that it has a gap for
	Problem string // why nothing is written to it now, and what to do; "" it is
}
