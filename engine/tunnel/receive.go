package tunnel

import (
	"io"
	"time"

	"adit/engine/wire"
)

// gotContent takes a DATA record: what it violates (1002), or what is invalid
// in good framing (RESET 8). Where msg is not nil, p is what *msg ends with,
// which is kept if that is better than to copy p: nil is left in its place. The
// conn's mutex is held.
func (x *exchange) gotContent(p []byte, end bool, msg **chunk) (violation, invalid string) {
	n := int64(len(p))
	switch {
	case x.c.server && !x.final:
		return "content before the response", ""
	case x.inEnd:
		return "content after its end", ""
	case n > x.inCredit:
		return "content beyond credit", ""
	case n == 0 && !end:
		return "empty content", ""
	}
	x.inCredit -= n
	if x.raw {
		x.active += uint64(n)
	}
	if x.inLeft >= 0 {
		if n > x.inLeft || end && n < x.inLeft {
			return "", "content contradicts content-length"
		}
		x.inLeft -= n
	}
	if msg != nil && x.in.keep(*msg, len(p)) {
		*msg = nil
	} else if rest := x.in.fits(p); len(rest) > 0 {
		k := newChunk(len(rest))
		k.data = append(k.data, rest...)
		x.in.push(k)
	}
	if end {
		x.inEndedLocked()
	} else {
		signal(x.readable)
	}
	return "", ""
}

// gotTrailers takes a TRAILERS record; err is why its fields are not valid.
func (x *exchange) gotTrailers(fields []wire.Field, err error) (violation, invalid string) {
	switch {
	case x.c.server && !x.final, x.raw, x.connect:
		return "trailers where there can be none", ""
	case x.inEnd:
		return "trailers after the end", ""
	case err != nil:
		return "", err.Error()
	case x.inLeft > 0:
		return "", "content contradicts content-length"
	}
	x.inTrailers = fields
	x.inEndedLocked()
	return "", ""
}

// inEndedLocked follows the peer's END. A response's END ends the whole
// exchange, request unfinished or not; a raw one is over when both ended.
func (x *exchange) inEndedLocked() {
	x.inEnd = true
	if x.raw && x.outEnded || !x.raw && x.c.server {
		x.c.overLocked(x)
	}
	signal(x.readable)
}

// Next returns the next piece of content.
func (x *exchange) Next() ([]byte, error) {
	x.held.free()
	x.held = nil
	c := x.c
	for {
		c.mu.Lock()
		if k := x.in.pop(); k != nil {
			wake := x.consumeLocked(len(k.data))
			c.mu.Unlock()
			if wake {
				c.rouse()
			}
			x.held = k
			return k.data, nil
		}
		var err error
		switch {
		case x.err != nil:
			err = x.err
		case x.inEnd:
			err = io.EOF
		case x.over: // the client has answered in full and wants no more
			err = errOver
		}
		if err != nil {
			c.mu.Unlock()
			return nil, err
		}
		x.starved = true
		if err := x.wait(&x.readable, nil); err != nil {
			return nil, err
		}
	}
}

// Read is Next as an io.Reader.
func (x *exchange) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for x.held == nil || len(x.held.data) == 0 {
		if _, err := x.Next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, x.held.data)
	x.held.data = x.held.data[n:]
	return n, nil
}

// Buffered reports whether Next would not wait.
func (x *exchange) Buffered() bool {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	return x.in.size > 0 || x.inEnd || x.over
}

// Trailers returns the peer's trailer section, after io.EOF.
func (x *exchange) Trailers() []wire.Field {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	return x.inTrailers
}

// consumeLocked counts n bytes as read, and grants as much as was read once that
// is worth a record: half of a small window, an eighth of a large one, for what
// is read and not granted is lost to the peer for a round trip. It reports
// whether the writer has to be woken.
func (x *exchange) consumeLocked(n int) bool {
	if x.inEnd || x.over {
		return false
	}
	x.consumed += int64(n)
	if x.consumed < min(x.window/2, max(x.window/8, 256<<10)) {
		return false
	}
	x.grant += x.consumed
	if x.limitsLocked(x.consumed) {
		x.grant += x.growLocked()
	}
	x.consumed = 0
	if x.granting {
		return false
	}
	x.granting = true
	x.c.out.grants = append(x.c.out.grants, x)
	return true
}

// growthPace is how fast half a window must be read for it to be too small. A
// window beyond that is of no use: what it lets in waits in memory, and small
// answers wait behind it.
func (c *conn) growthPace() time.Duration {
	rtt := time.Duration(c.rttMin.Load())
	if rtt == 0 {
		return 5 * time.Millisecond
	}
	return max(2*rtt, time.Millisecond)
}

const maxWindow = 8 << 20

// limitsLocked counts n bytes as read and reports, each time that makes half a
// window, whether the window can be seen to be what limits the peer: that half
// came fast, and the reader has still had to wait.
func (x *exchange) limitsLocked(n int64) bool {
	if x.read += n; x.read < x.window/2 {
		return false
	}
	now := time.Now()
	limits := x.starved && !x.looked.IsZero() && now.Sub(x.looked) < x.c.growthPace()
	x.read, x.looked, x.starved = 0, now, false
	return limits
}

// growLocked doubles the window if the budgets allow and returns by how much.
func (x *exchange) growLocked() int64 {
	c := x.c
	more := min(x.window, maxWindow-x.window)
	if more <= 0 || c.growth == nil || c.grown+more > c.growth.limit/4 || !c.growth.take(more) {
		return 0
	}
	c.grown += more
	x.grown += more
	x.window += more
	return more
}
