package store

import (
	"hash/maphash"
	"math"
	"strings"
	"time"

	"adit/engine"
)

// A record is one request in the ring. It holds no pointer, so that the collector
// of memory has nothing to look at in a hundred thousand of them: what it says in
// words stands in a few large pieces of memory, what it points to aside.
type record struct {
	ID         engine.RequestID
	connection engine.ConnectionID
	arrived    int64 // since 1970, ns; noTime: not known

	queued, sent, connect, firstByte, lastByte time.Duration
	requestBytes, responseBytes                int64

	text              ref       // client, caller, method, target, reason
	ends              [4]uint32 // of all but the last
	request, response ref       // heads

	settled  uint64 // when it came to rest, as a number of the journal; 0 in flight
	aside    uint32 // 1 + where in ring.asides what it points to stands; 0 nothing
	flight   int32  // where it stands in ring.flight while it is
	size     int32  // bytes, heads included
	headSize int32  // of these, bytes that its heads have added
	status   int32
	way      engine.Way
	protocol engine.Protocol
	outcome  engine.Outcome
	flags    flags
}

const noTime = math.MinInt64

// An aside is what few records have.
type aside struct {
	live     *engine.Live    // while it is in flight
	captured engine.Captured // content; nil where none is kept
	arrived  time.Time       // with what a clock that is set does not change
}

// live returns what moves of x, nil where nothing does.
func (g *ring) live(x *record) *engine.Live {
	if x.aside == 0 {
		return nil
	}
	return g.asides[x.aside-1].live
}

// point makes x point to these.
func (g *ring) point(x *record, live *engine.Live, captured engine.Captured, arrived time.Time) {
	if live == nil && captured == nil {
		g.unpoint(x)
		return
	}
	if x.aside == 0 {
		if n := len(g.noAside); n > 0 {
			x.aside = g.noAside[n-1]
			g.noAside = g.noAside[:n-1]
		} else {
			g.asides = append(g.asides, aside{})
			x.aside = uint32(len(g.asides))
		}
	}
	g.asides[x.aside-1] = aside{live, captured, arrived}
}

func (g *ring) unpoint(x *record) {
	if x.aside != 0 {
		g.asides[x.aside-1] = aside{}
		g.noAside = append(g.noAside, x.aside)
		x.aside = 0
	}
}

// rest takes away what moves of x.
func (g *ring) rest(x *record) {
	if x.aside != 0 {
		a := &g.asides[x.aside-1]
		g.point(x, nil, a.captured, a.arrived)
	}
}

type flags uint8

const (
	upgraded flags = 1 << iota
	replay
	withHeads
	headsCut
	endUnseen // the reason is endNotSeen
	stored    // the history has taken it
	proven    // a credential admitted its caller: its name stands behind the reason
)

func (r *record) has(f flags) bool { return r.flags&f != 0 }

func (r *record) set(f flags, on bool) {
	if r.flags &^= f; on {
		r.flags |= f
	}
}

// fill makes x the record of r but for its heads and its place in the ring.
func (g *ring) fill(x *record, r *engine.Request) {
	x.ID, x.connection, x.arrived = r.ID, r.Connection, noTime
	if !r.Arrived.IsZero() {
		x.arrived = r.Arrived.UnixNano()
	}
	x.queued, x.sent, x.connect, x.firstByte, x.lastByte = r.Queued, r.Sent, r.Connect, r.FirstByte, r.LastByte
	x.requestBytes, x.responseBytes = r.RequestBytes, r.ResponseBytes
	x.status, x.way, x.protocol, x.outcome = int32(r.Status), r.Way, r.Protocol, r.Outcome
	x.set(upgraded, r.Upgraded)
	x.set(replay, r.Replay)
	x.set(endUnseen, false)
	g.point(x, r.Live, r.Captured, r.Arrived)
	if !g.says(x, r) {
		g.texts.release(x.text)
		x.set(proven, r.Credential != "")
		if x.has(proven) {
			x.text, x.ends = g.texts.join(r.Client, r.Caller, r.Method, r.Target, r.Reason, behind, strings.ReplaceAll(r.Credential, behind, "?"))
		} else {
			x.text, x.ends = g.texts.join(r.Client, r.Caller, r.Method, r.Target, r.Reason)
		}
	}
}

// behind parts a reason and the name of a credential, which has none.
const behind = "\x00"

// headBytes is what keeping heads takes beside their texts.
const headBytes = 48

func headsSize(h *engine.Heads) int { return headBytes + len(h.Request) + len(h.Response) }

// keep gives x heads.
func (g *ring) keep(x *record, h *engine.Heads) {
	var more int
	g.drop(x)
	x.headSize = headBytes
	x.request, more = g.fields.once(h.Request)
	x.headSize += int32(more)
	x.response, more = g.fields.once(h.Response)
	x.headSize += int32(more)
	x.set(withHeads, true)
	x.set(headsCut, h.Cut)
}

// drop takes the heads of x away.
func (g *ring) drop(x *record) {
	g.fields.release(x.request)
	g.fields.release(x.response)
	x.request, x.response, x.headSize = ref{}, ref{}, 0
	x.flags &^= withHeads | headsCut
}

// says reports whether x has the words of r already, as those of a request that
// ends mostly are.
func (g *ring) says(x *record, r *engine.Request) bool {
	client, caller, method, target, reason, credential := g.words(x)
	return x.text.size > 0 && credential == r.Credential && client == r.Client && caller == r.Caller && method == r.Method && target == r.Target && reason == r.Reason
}

func (g *ring) words(x *record) (client, caller, method, target, reason, credential string) {
	t, e := g.texts.text(x.text), &x.ends
	reason = t[e[3]:]
	if x.has(proven) {
		i := strings.LastIndex(reason, behind)
		reason, credential = reason[:i], reason[i+len(behind):]
	}
	return t[:e[0]], t[e[0]:e[1]], t[e[1]:e[2]], t[e[2]:e[3]], reason, credential
}

// show fills into with the record but for what moves; heads are put into h, and
// left out where it is nil.
func (g *ring) show(x *record, into *engine.Request, h *engine.Heads) {
	*into = engine.Request{
		ID: x.ID, Connection: x.connection,
		Queued: x.queued, Sent: x.sent, Connect: x.connect, FirstByte: x.firstByte, LastByte: x.lastByte,
		RequestBytes: x.requestBytes, ResponseBytes: x.responseBytes,
		Status: int(x.status), Way: x.way, Protocol: x.protocol, Outcome: x.outcome,
		Upgraded: x.has(upgraded), Replay: x.has(replay),
	}
	if x.aside != 0 {
		a := &g.asides[x.aside-1]
		into.Live, into.Arrived = a.live, a.arrived
	} else if x.arrived != noTime {
		into.Arrived = time.Unix(0, x.arrived)
	}
	into.Client, into.Caller, into.Method, into.Target, into.Reason, into.Credential = g.words(x)
	if x.has(endUnseen) {
		into.Reason = endNotSeen
	}
	if h != nil && x.has(withHeads) {
		*h = engine.Heads{Request: g.fields.text(x.request), Response: g.fields.text(x.response), Cut: x.has(headsCut)}
		into.Heads = h
	}
}

// now fills into with the record as it is at t.
func (g *ring) now(x *record, into *engine.Request, h *engine.Heads, t time.Time) {
	g.show(x, into, h)
	live := into.Live
	if live == nil {
		return
	}
	live.Fill(into)
	if a := live.Answered.Load(); h != nil && into.Heads == nil && a != nil {
		into.Heads = a.Heads
	}
	into.LastByte = max(t.Sub(into.Arrived), 0)
}

// content returns what is kept of its content, nil where nothing is.
func (g *ring) content(x *record) engine.Captured {
	if x.aside == 0 {
		return nil
	}
	a := &g.asides[x.aside-1]
	if a.live != nil {
		if c := a.live.Captured.Load(); c != nil {
			return *c
		}
	}
	return a.captured
}

// stop notes what moved, as it was last.
func (g *ring) stop(x *record) {
	var r engine.Request
	g.now(x, &r, nil, time.Time{})
	x.connection, x.status = r.Connection, int32(r.Status)
	x.requestBytes, x.responseBytes = r.RequestBytes, r.ResponseBytes
}

func (x *record) measure() int32 { return recordSize + int32(x.text.size) + x.headSize }

const (
	piece  = 32 << 10 // bytes that are allocated together
	recent = 64       // texts that are looked for, a power of two
)

// A ref is a text in a packer; none where size is 0.
type ref struct{ piece, at, size uint32 }

// A packer puts texts one behind the other into pieces of memory. A piece stays
// until every text in it was released.
type packer struct {
	pieces []packed
	free   []uint32 // pieces that are not used
	last   uint32   // of pieces: the one that text is added to
	room   strings.Builder
	seed   maphash.Seed
	seen   [recent]ref // texts of the last piece
}

type packed struct {
	text string
	uses int // texts in it
}

// text returns the text of r.
func (p *packer) text(r ref) string {
	if r.size == 0 {
		return ""
	}
	return p.pieces[r.piece].text[r.at : r.at+r.size]
}

// release takes back one use of a text.
func (p *packer) release(r ref) {
	if r.size == 0 {
		return
	}
	p.pieces[r.piece].uses--
	if r.piece != p.last {
		p.vacate(r.piece)
	}
}

// vacate lets go of a piece that has no texts any more.
func (p *packer) vacate(n uint32) {
	if p.pieces[n].uses == 0 {
		p.pieces[n] = packed{}
		p.free = append(p.free, n)
	}
}

// begin makes room for n bytes, in a new piece if there is none, and returns where
// they will stand.
func (p *packer) begin(n int) (at uint32) {
	if p.room.Cap()-p.room.Len() >= n && len(p.pieces) > 0 {
		return uint32(p.room.Len())
	}
	// One that is large gets a piece of its own: else it could leave as much
	// unused.
	size := piece
	if n > piece/4 {
		size = n
	}
	p.room = strings.Builder{}
	p.room.Grow(size)
	clear(p.seen[:])
	if len(p.pieces) > 0 {
		p.vacate(p.last)
	}
	if k := len(p.free); k > 0 {
		p.last = p.free[k-1]
		p.free = p.free[:k-1]
	} else {
		p.last = uint32(len(p.pieces))
		p.pieces = append(p.pieces, packed{})
	}
	return 0
}

// end returns the text that was written since begin.
func (p *packer) end(at uint32) ref {
	r := ref{p.last, at, uint32(p.room.Len()) - at}
	if r.size > 0 {
		l := &p.pieces[p.last]
		l.text = p.room.String()
		l.uses++
	}
	return r
}

// join returns the texts as one, and where all but the last end.
func (p *packer) join(texts ...string) (all ref, ends [4]uint32) {
	n := 0
	for _, t := range texts {
		n += len(t)
	}
	at := p.begin(n)
	for i, t := range texts {
		p.room.WriteString(t)
		if i < len(ends) {
			ends[i] = uint32(p.room.Len()) - at
		}
	}
	return p.end(at), ends
}

// once returns t as it is kept, and by how much what is kept has grown: heads
// mostly say what others have said just before.
func (p *packer) once(t string) (kept ref, added int) {
	if t == "" {
		return ref{}, 0
	}
	if p.seed == (maphash.Seed{}) {
		p.seed = maphash.MakeSeed()
	}
	slot := &p.seen[maphash.String(p.seed, t)%recent]
	if p.text(*slot) == t {
		p.pieces[slot.piece].uses++
		return *slot, 0
	}
	at := p.begin(len(t))
	p.room.WriteString(t)
	*slot = p.end(at)
	return *slot, len(t)
}
