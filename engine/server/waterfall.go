package server

import (
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// heads fills h with the heads as they went through the tunnel, and reports
// whether any did: of a byte stream none.
func (c *call) heads(h *engine.Heads) bool {
	if c.on == nil || c.sent.Method == "" {
		return false
	}
	h.Request, h.Cut = wire.Lines(c.sent.Authority, c.sent.Fields, engine.MaxHead)
	if c.resp != nil {
		var cut bool
		h.Response, cut = wire.Lines("", c.resp.Fields, engine.MaxHead)
		h.Cut = h.Cut || cut
	}
	return true
}

// waterfall notes the times of the final response head. A byte stream (r has
// no FirstByte then) gets its first byte later.
func (c *call) waterfall(ex tunnel.Exchange, r *wire.Response) {
	if at := ex.SentAt(); !at.IsZero() {
		c.rec.Sent = at.Sub(c.rec.Arrived)
	}
	told := c.rec.Protocol == engine.ProtocolNative && c.rec.Sent >= 0
	if told && (r.Connect > 0 || r.FirstByte > 0) {
		c.rec.Connect = 0
		if r.Connect > 0 {
			c.rec.Connect = c.rec.Sent + micros(r.Connect)
		}
	}
	switch {
	case told && r.FirstByte > 0:
		c.rec.FirstByte = c.rec.Sent + micros(r.FirstByte)
	case c.rec.Way != engine.WayConnect && c.rec.Way != engine.WayTCP:
		c.rec.FirstByte = time.Since(c.rec.Arrived)
	}
}

// micros converts what a peer claims; more than a day is not believed.
func micros(n uint64) time.Duration {
	const day = uint64(24 * time.Hour / time.Microsecond)
	return time.Duration(min(n, day)) * time.Microsecond
}
