package tunnel

import (
	"slices"

	"adit/engine/wire"
)

// fairPiece is the most content that one exchange puts into a message while
// others have a head or less content than that to send. Those with more take
// turns with a message each.
const fairPiece = 16 << 10

// leastPiece is the room in a message below which content waits for the next
// one rather than being cut into crumbs.
const leastPiece = 1 << 10

// leastCredit is the credit below which content waits for more, unless it is all
// of it: crumbs cost as much as pieces. It is a part of the smallest window, of
// which the peer grants the next half before it is so far down.
const leastCredit = 4 << 10

// smallPiece is the content that is copied, so that its producer need not wait
// for the writer. It fits the smallest chunk.
const smallPiece = 2 << 10

// An outbox is what waits to be written, in the order of protocol.md §2.3:
// control frames, then RESET and WINDOW, then heads and text, then content by
// turns. It is guarded by the conn's mutex.
type outbox struct {
	pong    []byte // payload of the newest ping
	ponging bool   // it is to be answered
	ping    ping
	asked   bool          // a ping is to be written, even if one is outstanding
	probe   chan struct{} // closed, and nil again, when one that was asked for is answered
	resets  []outReset
	grants  []*exchange // with credit to grant
	heads   []outHead
	ready   ring // exchanges with an end or content up to fairPiece to send
	bulk    ring // exchanges with more
	stale   int  // exchanges that were reset since abandoned last looked
}

// An outReset is a RESET to be written.
type outReset struct {
	id      uint64
	payload []byte
	refusal bool // counts against the limit of unwritten refusals
}

// An outHead is a head, or a text message where text is set.
type outHead struct {
	x       *exchange
	kind    wire.Type
	end     bool
	payload *chunk
	text    []byte
	drain   bool // text is this end's drain
}

// empty reports whether nothing but control frames could be written.
func (o *outbox) empty() bool { return o.len() == 0 }

// len returns how many entries wait, control frames apart.
func (o *outbox) len() int {
	return len(o.resets) + len(o.grants) + len(o.heads) + o.ready.n + o.bulk.n
}

// abandoned notes that an exchange was reset. What it had queued is dropped at
// the latest when reset exchanges may be half of a queue: behind a writer that
// is stuck they would pile up, and their slots are free.
func (o *outbox) abandoned() {
	o.stale++
	if o.stale < 64 || 2*o.stale < o.len() {
		return
	}
	o.stale = 0
	o.heads = slices.DeleteFunc(o.heads, func(h outHead) bool {
		if h.x == nil || !h.x.over {
			return false
		}
		h.payload.free()
		return true
	})
	o.grants = slices.DeleteFunc(o.grants, func(x *exchange) bool {
		if x.over {
			x.granting = false
		}
		return x.over
	})
	o.ready.abandoned()
	o.bulk.abandoned()
}

// A ring is a queue of exchanges that grows and never shrinks.
type ring struct {
	buf   []*exchange
	first int
	n     int
}

func (r *ring) push(x *exchange) {
	if r.n == len(r.buf) {
		grown := make([]*exchange, max(8, 2*len(r.buf)))
		for i := range r.n {
			grown[i] = r.buf[(r.first+i)%len(r.buf)]
		}
		r.buf, r.first = grown, 0
	}
	r.buf[(r.first+r.n)%len(r.buf)] = x
	r.n++
}

func (r *ring) pop() *exchange {
	x := r.buf[r.first]
	r.buf[r.first] = nil
	r.first = (r.first + 1) % len(r.buf)
	r.n--
	return x
}

// abandoned takes out what was reset.
func (r *ring) abandoned() {
	for range r.n {
		if x := r.pop(); x.over {
			x.queued = false
		} else {
			r.push(x)
		}
	}
}

// A part is a stretch of one message: bytes of the writer's scratch, then bytes
// of a payload that is copied while no lock is held.
type part struct {
	header  int // end of this part's header in the scratch
	payload []byte
	x       *exchange // its piece is being taken
	opens   *exchange // its head is being written
	chunk   *chunk    // to free once copied
}

// collect fills one message with what is ready, at most messageSize bytes but
// for a lone head. It marks the pieces it takes; taken undoes that when they
// are copied. The conn's mutex is held.
func (c *conn) collect(parts []part, scratch []byte) ([]part, []byte) {
	o := &c.out
	size := 0
	add := func(from int, p part) {
		p.header = len(scratch)
		size += len(scratch) - from + len(p.payload)
		parts = append(parts, p)
	}
	// turn adds what the first of a ring has to send, at most room bytes.
	turn := func(r *ring, room int) {
		x := r.pop()
		x.queued = false
		if x.over {
			return
		}
		n := min(len(x.piece), room-wire.MaxRecordHeader)
		whole := n == len(x.piece)
		end := whole && x.outEnd && x.outTrailers == nil
		if n > 0 || end {
			from := len(scratch)
			scratch = wire.AppendRecordHeader(scratch, wire.TypeData, end, x.id, n)
			p := part{payload: x.piece[:n], x: x}
			x.taking = true
			x.piece = x.piece[n:]
			add(from, p)
		}
		if whole && x.outTrailers != nil {
			if length := len(x.outTrailers.data); size == 0 || size+length+wire.MaxRecordHeader <= messageSize {
				from := len(scratch)
				scratch = wire.AppendRecordHeader(scratch, wire.TypeTrailers, true, x.id, length)
				add(from, part{payload: x.outTrailers.data, chunk: x.outTrailers})
				x.outTrailers = nil
				end = true
			} else {
				whole = false // they go with the next message
			}
		}
		switch {
		case end:
			c.endWritten(x)
		case !whole:
			x.queued = true
			r.push(x)
		}
	}
	const most = messageSize - 512 // leaves room for any RESET or WINDOW
	taken := 0
	for taken < len(o.resets) && size < most {
		r := &o.resets[taken]
		taken++
		if r.refusal {
			c.refusals--
		}
		from := len(scratch)
		scratch = wire.AppendRecordHeader(scratch, wire.TypeReset, false, r.id, len(r.payload))
		add(from, part{payload: r.payload})
	}
	o.resets = shift(o.resets, taken)
	taken = 0
	for taken < len(o.grants) && size < most {
		x := o.grants[taken]
		taken++
		x.granting = false
		if x.over {
			continue
		}
		credit := x.grant
		x.grant = 0
		x.inCredit += credit
		from := len(scratch)
		scratch = wire.AppendRecordHeader(scratch, wire.TypeWindow, false, x.id, uvarintSize(uint64(credit)))
		scratch = wire.AppendWindow(scratch, uint64(credit))
		add(from, part{})
	}
	o.grants = shift(o.grants, taken)
	taken = 0
	first := size // of what somebody waits for
	for taken < len(o.heads) && o.heads[taken].text == nil {
		h := &o.heads[taken]
		if h.x.over {
			h.payload.free()
			taken++
			continue
		}
		length := len(h.payload.data)
		if size > 0 && size+length+wire.MaxRecordHeader > messageSize {
			break
		}
		p := part{payload: h.payload.data, chunk: h.payload}
		if h.kind == wire.TypeRequest || h.kind == wire.TypeConnect {
			c.assignID(h.x)
			p.opens = h.x
		}
		from := len(scratch)
		scratch = wire.AppendRecordHeader(scratch, h.kind, h.end, h.x.id, length)
		add(from, p)
		if h.end && h.kind == wire.TypeResponse {
			c.endWritten(h.x)
		}
		taken++
	}
	o.heads = shift(o.heads, taken)
	if len(o.heads) > 0 {
		// The message is full, or a text message comes first, which stands alone.
		return parts, scratch
	}
	room := messageSize
	if o.bulk.n > 0 {
		room -= fairPiece // however much the others have to send
	}
	for turns := o.ready.n; turns > 0 && room-size >= leastPiece; turns-- {
		turn(&o.ready, room-size)
	}
	room = messageSize
	if size > first {
		room = min(room, size+fairPiece+wire.MaxRecordHeader)
	}
	for turns := o.bulk.n; turns > 0 && room-size >= leastPiece; turns-- {
		turn(&o.bulk, room-size)
	}
	return parts, scratch
}

// shift drops the first n of a queue and keeps its memory, unless it is large
// and now empty.
func shift[T any](q []T, n int) []T {
	if n == 0 {
		return q
	}
	left := copy(q, q[n:])
	clear(q[left:])
	if left == 0 && cap(q) > 64 {
		return nil
	}
	return q[:left]
}

// uvarintSize returns the length of v as a varint.
func uvarintSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// assignID gives an exchange its id, at the moment its head is written.
func (c *conn) assignID(x *exchange) {
	c.highest++
	x.id = c.highest
	x.taken = true
	c.exchanges[x.id] = x
}

// endWritten follows the writing of an exchange's END: at the client, unless it
// is raw, the exchange is over; a raw one is over when both sides have ended.
func (c *conn) endWritten(x *exchange) {
	x.outEnded = true
	if x.raw && x.inEnd || !x.raw && !c.server {
		c.overLocked(x)
	}
}
