package store

import (
	"hash/maphash"
	"strings"
	"time"

	"adit/engine"
)

// A record is one request in the ring. What it says in words stands together
// with that of others in a few large pieces of memory: to the collector a
// hundred thousand records are a few hundred objects.
type record struct {
	ID         engine.RequestID
	connection engine.ConnectionID
	arrived    time.Time

	queued, sent, connect, firstByte, lastByte time.Duration
	requestBytes, responseBytes                int64

	live     *engine.Live    // while it is in flight
	captured engine.Captured // content; nil where none is kept

	text              string    // client, caller, method, target, reason
	ends              [4]uint32 // of all but the last
	request, response string    // heads

	settled  uint64 // when it came to rest, as a number of the journal; 0 in flight
	flight   int32  // where it stands in ring.flight while it is
	size     int32  // bytes, heads included
	headSize int32  // of these, bytes that its heads have added
	status   int32
	way      engine.Way
	protocol engine.Protocol
	outcome  engine.Outcome
	flags    flags
}

type flags uint8

const (
	upgraded flags = 1 << iota
	replay
	withHeads
	headsCut
	endUnseen // the reason is endNotSeen
	stored    // the history has taken it
)

func (r *record) has(f flags) bool { return r.flags&f != 0 }

func (r *record) set(f flags, on bool) {
	if r.flags &^= f; on {
		r.flags |= f
	}
}

// fill makes x the record of r but for its heads and its place in the ring.
func (g *ring) fill(x *record, r *engine.Request) {
	x.ID, x.connection, x.arrived, x.live = r.ID, r.Connection, r.Arrived, r.Live
	x.queued, x.sent, x.connect, x.firstByte, x.lastByte = r.Queued, r.Sent, r.Connect, r.FirstByte, r.LastByte
	x.requestBytes, x.responseBytes = r.RequestBytes, r.ResponseBytes
	x.status, x.way, x.protocol, x.outcome = int32(r.Status), r.Way, r.Protocol, r.Outcome
	x.set(upgraded, r.Upgraded)
	x.set(replay, r.Replay)
	x.set(endUnseen, false)
	x.captured = r.Captured
	if !x.says(r) {
		x.text, x.ends = g.texts.join(r.Client, r.Caller, r.Method, r.Target, r.Reason)
	}
}

// headBytes is what keeping heads takes beside their texts.
const headBytes = 48

func headsSize(h *engine.Heads) int { return headBytes + len(h.Request) + len(h.Response) }

// keep gives x heads.
func (g *ring) keep(x *record, h *engine.Heads) {
	var more int
	x.headSize = headBytes
	x.request, more = g.fields.once(h.Request)
	x.headSize += int32(more)
	x.response, more = g.fields.once(h.Response)
	x.headSize += int32(more)
	x.set(withHeads, true)
	x.set(headsCut, h.Cut)
}

// drop takes the heads of x away.
func (x *record) drop() {
	x.request, x.response, x.headSize = "", "", 0
	x.flags &^= withHeads | headsCut
}

// says reports whether x has the words of r already, as those of a request that
// ends mostly are.
func (x *record) says(r *engine.Request) bool {
	client, caller, method, target, reason := x.words()
	return x.text != "" && client == r.Client && caller == r.Caller && method == r.Method && target == r.Target && reason == r.Reason
}

func (x *record) words() (client, caller, method, target, reason string) {
	t, e := x.text, &x.ends
	return t[:e[0]], t[e[0]:e[1]], t[e[1]:e[2]], t[e[2]:e[3]], t[e[3]:]
}

// show fills into with the record but for what moves; heads are put into h, and
// left out where it is nil.
func (x *record) show(into *engine.Request, h *engine.Heads) {
	*into = engine.Request{
		ID: x.ID, Connection: x.connection, Arrived: x.arrived,
		Queued: x.queued, Sent: x.sent, Connect: x.connect, FirstByte: x.firstByte, LastByte: x.lastByte,
		RequestBytes: x.requestBytes, ResponseBytes: x.responseBytes,
		Status: int(x.status), Way: x.way, Protocol: x.protocol, Outcome: x.outcome,
		Upgraded: x.has(upgraded), Replay: x.has(replay), Live: x.live,
	}
	into.Client, into.Caller, into.Method, into.Target, into.Reason = x.words()
	if x.has(endUnseen) {
		into.Reason = endNotSeen
	}
	if h != nil && x.has(withHeads) {
		*h = engine.Heads{Request: x.request, Response: x.response, Cut: x.has(headsCut)}
		into.Heads = h
	}
}

// now fills into with the record as it is at t.
func (x *record) now(into *engine.Request, h *engine.Heads, t time.Time) {
	x.show(into, h)
	live := x.live
	if live == nil {
		return
	}
	seen(into, live)
	into.LastByte = max(t.Sub(into.Arrived), 0)
}

// seen fills r with what moves.
func seen(r *engine.Request, live *engine.Live) {
	if c := live.Connection.Load(); c != 0 {
		r.Connection = engine.ConnectionID(c)
	}
	if s := live.Status.Load(); s != 0 {
		r.Status = int(s)
	}
	r.RequestBytes = max(r.RequestBytes, live.RequestBytes.Load())
	r.ResponseBytes = max(r.ResponseBytes, live.ResponseBytes.Load())
}

// content returns what is kept of its content, nil where nothing is.
func (x *record) content() engine.Captured {
	if x.live != nil {
		if c := x.live.Captured.Load(); c != nil {
			return *c
		}
	}
	return x.captured
}

// stop notes what moved, as it was last.
func (x *record) stop() {
	var r engine.Request
	x.now(&r, nil, x.arrived)
	x.connection, x.status = r.Connection, int32(r.Status)
	x.requestBytes, x.responseBytes = r.RequestBytes, r.ResponseBytes
}

func (x *record) measure() int32 { return recordSize + int32(len(x.text)) + x.headSize }

const (
	piece  = 32 << 10 // bytes that are allocated together
	recent = 64       // texts that are looked for, a power of two
)

// A packer puts texts one behind the other into pieces of memory. A piece lives
// as long as any text in it.
type packer struct {
	piece strings.Builder
	seed  maphash.Seed
	seen  [recent]string // texts of the piece
}

// room makes room for n bytes, in a new piece if there is none.
func (p *packer) room(n int) {
	if p.piece.Cap()-p.piece.Len() >= n {
		return
	}
	if p.piece = (strings.Builder{}); n > piece/4 {
		// One that is large gets a piece of its own: else it could leave as much
		// unused.
		p.piece.Grow(n)
	} else {
		p.piece.Grow(piece)
	}
	clear(p.seen[:])
}

// join returns the texts as one, and where all but the last end.
func (p *packer) join(texts ...string) (all string, ends [4]uint32) {
	n := 0
	for _, t := range texts {
		n += len(t)
	}
	p.room(n)
	from := p.piece.Len()
	for i, t := range texts {
		p.piece.WriteString(t)
		if i < len(ends) {
			ends[i] = uint32(p.piece.Len() - from)
		}
	}
	return p.piece.String()[from:], ends
}

// once returns t as it is kept, and by how much what is kept has grown: heads
// mostly say what others have said just before.
func (p *packer) once(t string) (kept string, added int) {
	if t == "" {
		return "", 0
	}
	if p.seed == (maphash.Seed{}) {
		p.seed = maphash.MakeSeed()
	}
	slot := maphash.String(p.seed, t) % recent
	if p.seen[slot] == t {
		return p.seen[slot], 0
	}
	p.room(len(t))
	from := p.piece.Len()
	p.piece.WriteString(t)
	kept = p.piece.String()[from:]
	p.seen[slot] = kept
	return kept, len(t)
}
