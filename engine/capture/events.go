package capture

import (
	"bytes"

	"adit/engine"
)

// events finds server-sent events: what stands between blank lines (HTML,
// §9.2.5), whose ends are CR, LF or CRLF.
type events struct {
	data   []byte // the beginning of the event that comes
	size   int64  // of it so far
	last   int64  // size without the end of the newest line
	inLine bool   // the line that comes is not blank
	cr     bool   // the byte before was CR: an LF belongs to it
	cut    bool   // its beginning was given up
}

func (e *events) held() int { return cap(e.data) }

func (e *events) forget() {
	e.data = nil
	e.cut = e.size > 0
}

func (e *events) end(s *stream) { e.tell(s) }

func (e *events) read(p []byte, s *stream) {
	for len(p) > 0 {
		if e.cr {
			e.cr = false
			if p[0] == '\n' {
				if e.size > 0 {
					e.add(p[:1])
				}
				p = p[1:]
				continue
			}
		}
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			e.add(p)
			e.inLine = true
			return
		}
		if i > 0 {
			e.add(p[:i])
			e.inLine = true
		}
		e.cr = p[i] == '\r'
		if !e.inLine {
			e.tell(s)
		} else {
			e.last, e.inLine = e.size, false
			e.add(p[i : i+1])
		}
		p = p[i+1:]
	}
}

func (e *events) add(p []byte) {
	e.size += int64(len(p))
	if room := engine.MaxMessage - len(e.data); room > 0 && !e.cut {
		e.data = append(e.data, p[:min(room, len(p))]...)
	}
}

// tell ends the event that came, if there was one.
func (e *events) tell(s *stream) {
	if e.inLine {
		e.last = e.size
	}
	if e.last > 0 {
		s.add(engine.MessageEvent, false, e.data[:min(int64(len(e.data)), e.last)], e.last)
	}
	e.data, e.size, e.last, e.inLine, e.cut = e.data[:0], 0, 0, false, false
}
