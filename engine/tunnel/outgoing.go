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
	var fired <-chan time.Time
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	expired := false
	for {
		h, since, err := x.nextHead()
		if h != nil || err != nil {
			return h, err
		}
		if since.IsZero() {
			since = begin
		}
		if timer == nil {
			timer = time.NewTimer(c.limits.Head)
			fired = timer.C
		} else if expired {
			left := c.limits.Head - time.Since(since)
			if left <= 0 {
				x.Reset(wire.ResetTimedOut, "no response head")
				return nil, errTimer
			}
			timer.Reset(left)
			expired = false
		}
		if err := x.wait(x.readable, fired); err == errTimer {
			expired = true
		} else if err != nil {
			return nil, err
		}
	}
}

// nextHead takes the next head if one came, and says when the request last moved.
func (x outgoing) nextHead() (h *wire.Response, since time.Time, err error) {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	if len(x.heads) > 0 {
		h = x.heads[0]
		x.heads = shift(x.heads, 1)
		return h, since, nil
	}
	if x.err != nil {
		return nil, since, x.err
	}
	since = x.sent
	if x.moved.After(since) {
		since = x.moved
	}
	return nil, since, nil
}

// Close gives the slot back.
func (x outgoing) Close() {
	x.Reset(wire.ResetCancelled, "")
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
	x.heads = append(x.heads, r)
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
}

// A resetCause is the reason that a RESET gave, for logs only.
type resetCause string

func (r resetCause) Error() string {
	if r == "" {
		return "no reason given"
	}
	return string(r)
}
