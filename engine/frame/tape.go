package frame

import (
	"sync"
	"time"

	"adit/engine"
)

const (
	// TapeFrames is how many frames a tape keeps.
	TapeFrames = 64
	// TapeTime is how long a tape goes on after somebody asked for it.
	TapeTime = 5 * time.Second
	// Peek is the most of a payload that a Note gets to see.
	Peek = 24
)

// A Note says in a few words what a frame carries; "" if that is not known.
// first is the beginning of its payload, unmasked, at most [Peek] bytes and valid
// during the call; f.Note is not set yet. nth counts the frames of this opcode
// in this direction from 1. It is called by the goroutine that reads or writes.
type Note func(f *engine.FrameRecord, first []byte, nth uint64) string

// A tape keeps the newest frames of one connection.
type tape struct {
	note  Note
	parts [2]glimpse // in and out, each of the goroutine of its direction

	mu     sync.Mutex // a leaf, held for a copy of at most 64 records
	until  time.Time
	over   bool // until has passed: nothing is noted any more
	frames [TapeFrames]engine.FrameRecord
	n      uint64 // written so far
}

// A glimpse is the frame that is passing in one direction.
type glimpse struct {
	length uint64 // of the payload
	nth    uint64
	want   int // bytes to look at, masking key included
	got    int
	bytes  [4 + Peek]byte
}

// Tape appends the newest frames, oldest first, at most [TapeFrames], to into,
// and has frames noted for the next [TapeTime]. The first time there are none
// yet. While nobody asks, a frame costs one atomic load more.
func (c *Counters) Tape(into []engine.FrameRecord, note Note) []engine.FrameRecord {
	c.asking.Lock()
	defer c.asking.Unlock()
	for _, d := range [...]*direction{&c.in, &c.out} {
		if tp := d.tape.Load(); tp != nil {
			if all, ok := tp.extend(into); ok {
				c.in.tape.Store(tp)
				c.out.tape.Store(tp)
				return all
			}
		}
	}
	tp := &tape{note: note, until: time.Now().Add(TapeTime)}
	c.in.tape.Store(tp)
	c.out.tape.Store(tp)
	return into
}

// extend lets the tape go on and appends what it has; not when it is over.
func (tp *tape) extend(into []engine.FrameRecord) ([]engine.FrameRecord, bool) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	now := time.Now()
	if tp.over || now.After(tp.until) {
		tp.over = true
		return into, false
	}
	tp.until = now.Add(TapeTime)
	for i := tp.n - min(tp.n, TapeFrames); i < tp.n; i++ {
		into = append(into, tp.frames[i%TapeFrames])
	}
	return into, true
}

func (tp *tape) part(t *tap) *glimpse {
	if t.out {
		return &tp.parts[1]
	}
	return &tp.parts[0]
}

// begin is called when a header was read; t.left is the length of the payload.
// It returns tp where the payload is to be looked at before the frame is noted.
func (tp *tape) begin(d *direction, t *tap) *tape {
	g := tp.part(t)
	i, _ := slot(t.opcode)
	g.length, g.got, g.nth = t.left, 0, d.frames[i].Load()
	g.want = int(min(t.left, Peek))
	if t.masked {
		g.want += 4
	}
	if t.left == 0 {
		tp.add(d, t, nil)
		return nil
	}
	return tp
}

// peek looks at the beginning of a payload, and notes the frame when it has seen
// enough. It returns nil then.
func (tp *tape) peek(d *direction, t *tap, chunk []byte) *tape {
	g := tp.part(t)
	g.got += copy(g.bytes[g.got:g.want], chunk)
	if g.got < g.want {
		return tp
	}
	first := g.bytes[:g.want]
	if t.masked {
		key := first[:4]
		first = first[4:]
		for i := range first {
			first[i] ^= key[i&3]
		}
	}
	tp.add(d, t, first)
	return nil
}

// add notes a frame, unless the tape is over: then it lets go of it.
func (tp *tape) add(d *direction, t *tap, first []byte) {
	g := tp.part(t)
	f := engine.FrameRecord{Time: time.Now(), Out: t.out, Opcode: t.opcode, Fin: t.fin, Length: g.length}
	if tp.note != nil {
		f.Note = tp.note(&f, first, g.nth)
	}
	tp.mu.Lock()
	if tp.over = tp.over || f.Time.After(tp.until); !tp.over {
		tp.frames[tp.n%TapeFrames] = f
		tp.n++
	}
	over := tp.over
	tp.mu.Unlock()
	if over {
		d.tape.CompareAndSwap(tp, nil)
	}
}
