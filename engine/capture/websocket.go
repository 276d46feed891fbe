package capture

import (
	"encoding/binary"

	"adit/engine"
)

// A webSocket finds the messages of one direction of a WebSocket (RFC 6455 §5):
// fragments are joined, masks taken off, control frames told where they came.
// After what is no valid frame everything is bytes.
type webSocket struct {
	extended bool // an extension was agreed on: it may use RSV1

	invalid bool
	head    [14]byte
	nhead   int    // bytes of head that came
	left    uint64 // of the payload of this frame; meaningless in a head
	inBody  bool
	fin     bool
	opcode  byte
	masked  bool
	mask    [4]byte
	at      uint64 // of the payload that passed

	message assembly // of data
	control assembly
}

// An assembly is a message that comes.
type assembly struct {
	kind       engine.MessageKind // 0 none
	compressed bool
	cut        bool // its beginning was given up
	data       []byte
	size       int64
}

func newWebSocket(extended bool) *webSocket { return &webSocket{extended: extended} }

func (w *webSocket) held() int { return cap(w.message.data) + cap(w.control.data) }

func (w *webSocket) forget() {
	for _, a := range []*assembly{&w.message, &w.control} {
		a.data, a.cut = nil, a.size > 0
	}
}

func (w *webSocket) read(p []byte, s *stream) {
	for len(p) > 0 && !w.invalid {
		if !w.inBody {
			p = p[w.readHead(p):]
			if w.invalid {
				break
			}
		}
		if w.inBody {
			n := int(min(uint64(len(p)), w.left))
			w.payload(p[:n])
			p = p[n:]
			if w.left == 0 {
				w.inBody = false
				w.ended(s)
			}
		}
	}
	if w.invalid {
		w.end(s)
		if len(p) > 0 {
			pieces{}.read(p, s)
		}
	}
}

// readHead takes bytes of a frame's head and returns how many. Those of a head
// that is no valid one are not taken where they can be left.
func (w *webSocket) readHead(p []byte) int {
	taken := 0
	for taken < len(p) {
		w.head[w.nhead] = p[taken]
		w.nhead++
		taken++
		if need := w.headLength(); w.nhead == need {
			w.begin()
			break
		}
	}
	return taken
}

// headLength returns the length of the head, as far as is known.
func (w *webSocket) headLength() int {
	if w.nhead < 2 {
		return 2
	}
	n := 2
	switch w.head[1] & 0x7F {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if w.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// begin reads a head that came in full.
func (w *webSocket) begin() {
	h := w.head[:w.nhead]
	w.fin, w.opcode, w.masked = h[0]&0x80 != 0, h[0]&0x0F, h[1]&0x80 != 0
	reserved := h[0] & 0x70
	length := uint64(h[1] & 0x7F)
	rest := h[2:]
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
	case 127:
		length = binary.BigEndian.Uint64(rest)
		rest = rest[8:]
	}
	if w.masked {
		copy(w.mask[:], rest)
	}
	control := w.opcode >= 8
	switch {
	case length>>63 != 0,
		control && (!w.fin || length > 125 || w.opcode > 10 || reserved != 0),
		!control && w.opcode > 2,
		w.opcode == 0 && (w.message.kind == 0 || reserved != 0),
		(w.opcode == 1 || w.opcode == 2) && w.message.kind != 0,
		reserved != 0 && (!w.extended || reserved != 0x40):
		w.invalid = true
		return
	}
	w.inBody, w.left, w.at = true, length, 0
	switch w.opcode {
	case 1:
		w.message.begin(engine.MessageText, reserved != 0)
	case 2:
		w.message.begin(engine.MessageBinary, reserved != 0)
	case 8:
		w.control.begin(engine.MessageClose, false)
	case 9:
		w.control.begin(engine.MessagePing, false)
	case 10:
		w.control.begin(engine.MessagePong, false)
	}
}

func (a *assembly) begin(kind engine.MessageKind, compressed bool) {
	*a = assembly{kind: kind, compressed: compressed, data: a.data[:0]}
}

func (w *webSocket) assembly() *assembly {
	if w.opcode >= 8 {
		return &w.control
	}
	return &w.message
}

// payload takes bytes of a frame's payload.
func (w *webSocket) payload(p []byte) {
	a := w.assembly()
	a.size += int64(len(p))
	w.left -= uint64(len(p))
	if room := engine.MaxMessage - len(a.data); room > 0 && !a.cut {
		from := len(a.data)
		a.data = append(a.data, p[:min(room, len(p))]...)
		if w.masked {
			for i := from; i < len(a.data); i++ {
				a.data[i] ^= w.mask[(w.at+uint64(i-from))&3]
			}
		}
	}
	w.at += uint64(len(p))
}

// ended follows the end of a frame.
func (w *webSocket) ended(s *stream) {
	w.nhead = 0
	if a := w.assembly(); w.fin {
		s.add(a.kind, a.compressed, a.data, a.size)
		a.kind = 0
	}
}

func (w *webSocket) end(s *stream) {
	for _, a := range []*assembly{&w.message, &w.control} {
		if a.kind != 0 && a.size > 0 {
			s.add(engine.MessageBytes, a.compressed, a.data, a.size)
		}
		*a = assembly{}
	}
	if !w.inBody && w.nhead > 0 {
		s.add(engine.MessageBytes, false, w.head[:w.nhead], int64(w.nhead))
	}
	w.inBody, w.nhead = false, 0
}
