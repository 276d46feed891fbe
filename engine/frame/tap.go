package frame

// A phase is what a tap expects next.
type phase uint8

const (
	phaseHead     phase = iota // the end of the handshake's head
	phaseFirst                 // FIN, RSV1-3, opcode
	phaseLength                // MASK, payload length (7 bits)
	phaseExtended              // payload length (16 or 64 bits), high byte first
	phasePayload               // masking key and payload
	phaseOff                   // lost: bytes count, frames don't
)

// A tap is the state of the header parser in one direction between two chunks
// of the stream. It belongs to the goroutine that reads or writes.
type tap struct {
	left     uint64 // phasePayload: bytes to skip; phaseExtended: the length so far
	phase    phase
	opcode   byte
	fin      bool
	masked   bool
	extended uint8 // phaseExtended: bytes of length still to come
	matched  uint8 // phaseHead: bytes of CRLF CRLF seen
	out      bool
	messages uint64 // whose last byte was seen
	taping   *tape  // on which the frame that is passing is noted
}

func newTap(s Start) tap {
	if s == StartAfterHead {
		return tap{phase: phaseHead}
	}
	return tap{phase: phaseFirst}
}

// observe advances over the next bytes of the stream. A frame counts as soon as
// its length is known.
func (t *tap) observe(d *direction, chunk []byte) {
	if t.phase == phaseHead {
		chunk = t.skipHead(chunk)
	}
	if len(chunk) == 0 {
		return
	}
	d.bytes.Add(uint64(len(chunk)))
	for len(chunk) > 0 {
		switch t.phase {
		case phaseFirst:
			t.opcode, t.fin = chunk[0]&0x0F, chunk[0]&0x80 != 0
			t.phase = phaseLength
			if _, ok := slot(t.opcode); !ok {
				t.phase = phaseOff
			}
			chunk = chunk[1:]
		case phaseLength:
			t.masked = chunk[0]&0x80 != 0
			length := chunk[0] & 0x7F
			chunk = chunk[1:]
			t.left = 0
			switch length {
			case 126:
				t.phase, t.extended = phaseExtended, 2
			case 127:
				t.phase, t.extended = phaseExtended, 8
			default:
				t.left = uint64(length)
				t.enterPayload(d)
			}
		case phaseExtended:
			t.left = t.left<<8 | uint64(chunk[0])
			chunk = chunk[1:]
			if t.extended--; t.extended == 0 {
				t.enterPayload(d)
			}
		case phasePayload:
			n := min(t.left, uint64(len(chunk)))
			if t.taping != nil {
				t.taping = t.taping.peek(d, t, chunk[:n])
			}
			chunk = chunk[n:]
			if t.left -= n; t.left == 0 {
				t.leavePayload()
			}
		default:
			return
		}
	}
}

// enterPayload is called when the length of a frame is known, in left.
func (t *tap) enterPayload(d *direction) {
	if t.left>>63 != 0 { // RFC 6455 §5.2: the most significant bit MUST be 0
		t.phase = phaseOff
		return
	}
	i, _ := slot(t.opcode)
	d.note(i, t.opcode, t.fin, t.left)
	if tp := d.tape.Load(); tp != nil {
		t.taping = tp.begin(d, t)
	}
	if t.masked {
		t.left += 4
	}
	if t.phase = phasePayload; t.left == 0 {
		t.leavePayload()
	}
}

// leavePayload is called at the end of a frame.
func (t *tap) leavePayload() {
	t.phase = phaseFirst
	if t.fin && t.opcode < 8 {
		t.messages++
	}
}

// skipHead returns what follows the first CRLF CRLF.
func (t *tap) skipHead(chunk []byte) []byte {
	const end = "\r\n\r\n"
	for i, b := range chunk {
		switch {
		case b == end[t.matched]:
			t.matched++
		case b == '\r':
			t.matched = 1
		default:
			t.matched = 0
		}
		if int(t.matched) == len(end) {
			t.phase = phaseFirst
			return chunk[i+1:]
		}
	}
	return nil
}

// slot maps an opcode to its place in direction.frames; ok is false for a
// reserved one.
func slot(opcode byte) (i int, ok bool) {
	switch {
	case opcode <= 2:
		return int(opcode), true
	case opcode >= 8 && opcode <= 10:
		return int(opcode) - 5, true
	}
	return 0, false
}
