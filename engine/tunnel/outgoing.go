package tunnel

import (
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// outgoing is the [Exchange] of a native connection: the server's end.
type outgoing struct{ *exchange }

// ReadResponse waits for the next head, at most Limits.Head after the request
// or its content last moved.
func (x outgoing) ReadResponse() (*wire.Response, error) {
	c := x.c
	begin := time.Now()
	var timer *time.Timer
	defer func() { c.putTimer(timer) }()
	expired := false
	for {
		c.mu.Lock()
		if h := x.nextHeadLocked(); h != nil {
			c.mu.Unlock()
			return h, nil
		}
		if x.err != nil {
			err := x.err
			c.mu.Unlock()
			return nil, err
		}
		if timer == nil {
			timer = c.getTimerLocked(c.limits.Head)
		} else if expired {
			left := c.limits.Head - time.Since(latest(begin, x.sent, x.moved))
			if left <= 0 {
				c.mu.Unlock()
				x.Reset(wire.ResetTimedOut, "no response head")
				return nil, errTimer
			}
			timer.Reset(left)
		}
		err := x.wait(&x.readable, timer.C)
		expired = err == errTimer
		if err != nil && !expired {
			return nil, err
		}
	}
}

// nextHeadLocked takes the next head, nil if none came.
func (x outgoing) nextHeadLocked() *wire.Response {
	h := x.response
	x.response = nil
	if len(x.heads) > 0 {
		x.response = x.heads[0]
		x.heads = shift(x.heads, 1)
	}
	return h
}

func latest(t time.Time, others ...time.Time) time.Time {
	for _, o := range others {
		if o.After(t) {
			t = o
		}
	}
	return t
}

// maxTimers is how many idle timers a connection keeps.
const maxTimers = 64

// getTimerLocked returns a timer for one wait: every response needs one.
func (c *conn) getTimerLocked(d time.Duration) *time.Timer {
	if n := len(c.timers); n > 0 {
		t := c.timers[n-1]
		c.timers = c.timers[:n-1]
		t.Reset(d)
		return t
	}
	return time.NewTimer(d)
}

// putTimer gives a timer back; since Go 1.23 a stopped one holds no stale tick.
func (c *conn) putTimer(t *time.Timer) {
	if t == nil {
		return
	}
	t.Stop()
	c.mu.Lock()
	if len(c.timers) < maxTimers {
		c.timers = append(c.timers, t)
	}
	c.mu.Unlock()
}

// Close gives the slot back. A raw stream that both sides have ended may still
// wait for the writer to take its last bytes: that is no reason to reset it.
func (x outgoing) Close() {
	x.c.mu.Lock()
	ended := x.raw && x.inEnd && x.outEnd
	x.c.mu.Unlock()
	if !ended {
		x.Reset(wire.ResetCancelled, "")
	}
	x.release()
	x.c.finished.Add(1)
	x.c.slots.Add(-1)
	x.c.released()
}

// Retryable reports that nothing reached an origin.
func (x outgoing) Retryable() bool {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	return x.err != nil && (!x.taken || x.reset == wire.ResetRefused)
}

// SentAt returns when the head was written.
func (x outgoing) SentAt() time.Time {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	return x.sent
}

// gotResponse takes a RESPONSE record. The conn's mutex is held.
func (x *exchange) gotResponse(r *wire.Response, end bool) (violation, invalid string) {
	switch {
	case x.final:
		return "response after the final response", ""
	case r.Status < 200 && r.Status != 101:
		if end {
			return "end on an informational response", ""
		}
		if x.connect {
			return "", "informational response to a connect"
		}
		if x.inform++; x.inform > wire.MaxInformational {
			return "", "too many informational responses"
		}
	case r.Status == 101:
		if end {
			return "end on a switch of protocols", ""
		}
		if !x.upgrade {
			return "", "switch of protocols that was not asked for"
		}
		x.final, x.raw = true, true
	case x.connect:
		if r.Status != 200 {
			return "", "a connect answered with another status than 200"
		}
		if end {
			return "end on the answer to a connect", ""
		}
		x.final, x.raw = true, true
	default:
		x.final = true
		x.inLeft = wire.ContentLength(r.Fields)
		if x.head || r.Status == 304 || r.Status == 204 {
			x.inLeft = 0
		} else if end && x.inLeft > 0 {
			return "", "content shorter than content-length"
		}
	}
	if x.response == nil {
		x.response = r
	} else {
		x.heads = append(x.heads, r)
	}
	if end {
		x.inEndedLocked()
	}
	signal(x.readable)
	return "", ""
}

// gotReset takes a RESET record. The conn's mutex is held.
func (x *exchange) gotReset(code wire.ResetCode, reason string) {
	x.reset = code
	x.failLocked(engine.Fail("peer reset", resetReason(code), resetCause(reason)))
	x.c.out.abandoned()
}

// A resetCause is the reason that a RESET gave, for logs only.
type resetCause string

func (r resetCause) Error() string {
	if r == "" {
		return "no reason given"
	}
	return string(r)
}
