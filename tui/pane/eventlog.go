package pane

import "adit/engine"

// An EventLog is the ring of the newest events that the dashboard was told.
// It belongs to the dashboard's goroutine.
type EventLog struct{}

// NewEventLog returns one that keeps the newest n.
func NewEventLog(n int) *EventLog { return &EventLog{} }

// Add takes a batch. What was dropped before it becomes a row of its own.
func (l *EventLog) Add(b engine.Batch) {}

// Len returns the number of rows kept, First the position of the oldest:
// positions count all rows since the start.
func (l *EventLog) Len() int      { return 0 }
func (l *EventLog) First() uint64 { return 0 }

// At returns the row at a position that is kept. The caller does not keep it.
func (l *EventLog) At(position uint64) *Row { return nil }
