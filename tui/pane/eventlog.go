package pane

import (
	"strconv"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/tui/format"
)

// An EventLog is the ring of the newest events that the dashboard was told.
// It belongs to the dashboard's goroutine.
type EventLog struct {
	rows    []Row  // a ring: the row at position p is rows[p % cap]
	next    uint64 // position after the newest
	dropped uint64 // events that were not told, since the start
	scratch []byte

	greetings int    // bytes of the greetings that rows hold, about
	greeted   uint64 // no row before this position holds one
}

// maxGreetings bounds what the greetings of all rows take, in bytes: peers write
// them, up to 64 KiB each. The oldest go first; their rows stay.
const maxGreetings = 8 << 20

// greetingBytes returns what a greeting takes, about: as text, and read.
func greetingBytes(g *engine.Greeting) int {
	if g == nil {
		return 0
	}
	return 512 + len(g.Raw) + 3*g.Size
}

// NewEventLog returns one that keeps the newest n.
func NewEventLog(n int) *EventLog { return &EventLog{rows: make([]Row, 0, max(n, 1))} }

// Add takes a batch. What was dropped before it becomes a row of its own.
func (l *EventLog) Add(b engine.Batch) {
	if b.Dropped > 0 {
		l.dropped += b.Dropped
		row := l.push()
		*row = Row{Level: observe.LevelWarn, Source: "dashboard", Dropped: b.Dropped,
			Text: strconv.FormatUint(b.Dropped, 10) + " events not shown: they came faster than they were taken; totals are exact"}
		if len(b.Events) > 0 {
			row.Event.Time = b.Events[0].Time
		}
	}
	for i := range b.Events {
		e := &b.Events[i]
		row := l.push()
		*row = Row{Event: *e, Level: observe.LevelOf(e)}
		l.weigh(e.Greeting)
		l.scratch = observe.AppendSource(l.scratch[:0], e)
		row.Source = string(l.scratch)
		l.scratch = observe.AppendMessage(l.scratch[:0], e)
		row.Text = string(l.scratch)
	}
}

// Gap adds a row for a time of which there is no data.
func (l *EventLog) Gap(g Gap) {
	l.scratch = append(format.AppendAge(l.scratch[:0], g.To.Sub(g.From)), " without data"...)
	if g.Restarted {
		l.scratch = append(l.scratch, "; the engine was restarted, counters are new"...)
	}
	l.interrupt(string(l.scratch), g.To)
}

// Run adds a row between the last event of one run and the first of the next.
func (l *EventLog) Run(began time.Time) { l.interrupt("another run begins", began) }

func (l *EventLog) interrupt(text string, at time.Time) {
	*l.push() = Row{Event: engine.Event{Time: at}, Level: observe.LevelWarn, Source: "dashboard", Text: text, Break: true}
}

// Clear forgets all rows. Positions go on.
func (l *EventLog) Clear() {
	clear(l.rows)
	l.rows = l.rows[:0]
	n := uint64(cap(l.rows))
	l.next = (l.next + n - 1) / n * n
	l.greetings, l.greeted = 0, l.next
}

// Fault adds what the dashboard itself could not do: a note has no room for
// all of it.
func (l *EventLog) Fault(text string, at time.Time) {
	*l.push() = Row{Event: engine.Event{Kind: engine.KindNotice, Time: at, Reason: text},
		Level: observe.LevelError, Source: "dashboard", Text: text}
}

// push makes room for one more row.
func (l *EventLog) push() *Row {
	i := int(l.next % uint64(cap(l.rows)))
	l.next++
	if i == len(l.rows) {
		l.rows = l.rows[:i+1]
	}
	row := &l.rows[i]
	l.greetings -= greetingBytes(row.Event.Greeting)
	return row
}

// weigh takes the greeting of the newest row into account, and lets the oldest go
// where there are too many.
func (l *EventLog) weigh(g *engine.Greeting) {
	l.greetings += greetingBytes(g)
	for l.greeted = max(l.greeted, l.First()); l.greetings > maxGreetings && l.greeted < l.next; l.greeted++ {
		old := &l.At(l.greeted).Event
		l.greetings -= greetingBytes(old.Greeting)
		old.Greeting = nil
	}
}

// Len returns the number of rows kept, First the position of the oldest:
// positions count all rows since the start.
func (l *EventLog) Len() int      { return len(l.rows) }
func (l *EventLog) First() uint64 { return l.next - uint64(len(l.rows)) }

// Next returns the position that the next row will have.
func (l *EventLog) Next() uint64 { return l.next }

// Dropped returns how many events were not told, since the start.
func (l *EventLog) Dropped() uint64 { return l.dropped }

// At returns the row at a position that is kept, nil for any other. The caller
// does not keep it.
func (l *EventLog) At(position uint64) *Row {
	if position < l.First() || position >= l.next {
		return nil
	}
	return &l.rows[position%uint64(cap(l.rows))]
}
