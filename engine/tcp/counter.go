package tcp

import "sync/atomic"

const (
	// largeCall is the number of bytes from which a system call is large.
	largeCall = 16 << 10
	// alarmEvery is after how many large calls the alarm is raised.
	alarmEvery = 16
)

// A Counter counts the large system calls of a process.
type Counter struct {
	n     atomic.Uint64
	alarm chan struct{} // capacity 1, never closed
}

// large is that of this process: what it is for, the number of processors, is
// a matter of the whole process too.
var large = NewCounter()

// Large counts the reads and writes of 16 KiB and more of wrapped connections;
// nil where Wrap does nothing.
func Large() *Counter {
	if !counts {
		return nil
	}
	return large
}

// NewCounter returns a counter at zero.
func NewCounter() *Counter { return &Counter{alarm: make(chan struct{}, 1)} }

// Load returns the number of calls so far.
func (c *Counter) Load() uint64 { return c.n.Load() }

// Alarm is signalled when large calls are made, by every sixteenth of them.
func (c *Counter) Alarm() <-chan struct{} { return c.alarm }

// Rearm takes back what was signalled.
func (c *Counter) Rearm() {
	select {
	case <-c.alarm:
	default:
	}
}

// Add counts a call that moved so many bytes, if it is large.
func (c *Counter) Add(bytes int) {
	if bytes < largeCall || c.n.Add(1)%alarmEvery != 0 {
		return
	}
	select {
	case c.alarm <- struct{}{}:
	default:
	}
}
