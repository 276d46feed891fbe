package capture

import (
	"strings"
	"sync"

	"adit/engine"
)

// teeCost is what an exchange costs beside its content, in bytes, about.
const teeCost = 512

// A Tee takes in the content of one exchange. The directions may be told by
// different goroutines. What it is given it copies at once.
type Tee struct {
	k    *Keeper
	next *Tee // guarded by Keeper.mu
	raw  bool // a byte stream from its beginning: CONNECT, TCP

	mu       sync.Mutex // guards what follows; a leaf
	gone     bool       // dropped to make room, and no message came since
	unlisted bool       // likewise, and nothing is kept
	charged  int64      // to the keeper
	request  direction
	response direction
}

// A direction is what went one way.
type direction struct {
	part   engine.Part
	most   int     // of part.Data; 0 engine.MaxContent
	stream *stream // nil where content is one whole
}

// Head tells the head of the final response before its content: whether it
// upgrades, to what protocol, and its media type decide how content is read.
func (t *Tee) Head(status int, field func(name string) string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.raw:
	case status == 101 && strings.EqualFold(field("upgrade"), "websocket"):
		extended := field("sec-websocket-extensions") != ""
		t.request.follow(newWebSocket(extended), 0)
		t.response.follow(newWebSocket(extended), 0)
	case status == 101:
		t.raw = true
	case isEventStream(field("content-type")) && isIdentity(field("content-encoding")):
		t.response.follow(new(events), halfContent)
	}
}

func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

func isIdentity(coding string) bool {
	return coding == "" || strings.EqualFold(strings.TrimSpace(coding), "identity")
}

// Request and Response take what passed. End says that the direction is at its
// true end.
func (t *Tee) Request(p []byte)  { t.take(p, true) }
func (t *Tee) Response(p []byte) { t.take(p, false) }
func (t *Tee) EndRequest()       { t.end(true) }
func (t *Tee) EndResponse()      { t.end(false) }

func (t *Tee) direction(fromCaller bool) *direction {
	if fromCaller {
		return &t.request
	}
	return &t.response
}

func (t *Tee) take(p []byte, fromCaller bool) {
	if t == nil || len(p) == 0 {
		return
	}
	t.mu.Lock()
	d := t.direction(fromCaller)
	if t.raw && d.stream == nil {
		d.follow(pieces{}, halfContent)
	}
	d.part.Size += int64(len(p))
	var more int64
	if !t.gone {
		more = d.keep(p)
	}
	t.told(d, p, fromCaller, more)
}

// told has messages found in p, or at the end, and accounts for what is kept more
// with them and before. It unlocks mu.
func (t *Tee) told(d *direction, p []byte, fromCaller bool, more int64) {
	back := false
	if s := d.stream; s != nil {
		more += s.take(p, fromCaller)
		if back = t.unlisted && more > 0; back {
			more += teeCost
			t.unlisted = false
		}
		t.gone = t.gone && len(s.messages) == 0
	}
	t.charged += more
	t.mu.Unlock()
	if back {
		t.k.list(t)
	}
	if more != 0 {
		t.k.charge(more)
	}
}

func (t *Tee) end(fromCaller bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	d := t.direction(fromCaller)
	if d.part.Over {
		t.mu.Unlock()
		return
	}
	d.part.Over = true
	t.told(d, nil, fromCaller, 0)
}

// keep appends what there is room for of p, which is counted, and returns by how
// many bytes it grew. What follows a gap is no beginning.
func (d *direction) keep(p []byte) int64 {
	if d.part.Size-int64(len(p)) != int64(len(d.part.Data)) {
		return 0
	}
	most := d.most
	if most == 0 {
		most = engine.MaxContent
	}
	data := d.part.Data
	n := min(len(p), most-len(data))
	if n <= 0 {
		return 0
	}
	before := cap(data)
	if need := len(data) + n; need > before {
		grown := make([]byte, len(data), min(max(need, 2*before), most))
		copy(grown, data)
		data = grown
	}
	d.part.Data = append(data, p[:n]...)
	return int64(cap(d.part.Data) - before)
}

// drop gives up all content and returns how many bytes that were. A stream is
// followed on: its next message is kept again.
func (t *Tee) drop() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	freed := t.charged
	t.gone, t.unlisted, t.charged = true, true, 0
	for _, d := range []*direction{&t.request, &t.response} {
		d.part.Data, d.most = nil, onlyMessages
		if s := d.stream; s != nil {
			s.lost += uint64(len(s.messages))
			s.messages, s.bytes = nil, 0
			s.reader.forget()
		}
	}
	return freed
}

// Captured returns what others read, nil for a nil *Tee.
func (t *Tee) Captured() engine.Captured {
	if t == nil {
		return nil
	}
	return t
}

// Content implements [engine.Captured].
func (t *Tee) Content(into *engine.Content) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.request.copy(&into.Request)
	t.response.copy(&into.Response)
	into.MessagesLost = t.request.stream.dropped() + t.response.stream.dropped()
	n := 0
	a, b := t.request.stream.list(), t.response.stream.list()
	for len(a)+len(b) > 0 {
		from := &a
		if len(a) == 0 || len(b) > 0 && b[0].Time.Before(a[0].Time) {
			from = &b
		}
		if n == len(into.Messages) {
			into.Messages = append(into.Messages, engine.Message{})
		}
		m := &into.Messages[n]
		data := append(m.Data[:0], (*from)[0].Data...)
		*m = (*from)[0]
		m.Data = data
		*from = (*from)[1:]
		n++
	}
	into.Messages = into.Messages[:n]
	return !t.gone
}

func (d *direction) copy(into *engine.Part) {
	into.Data = append(into.Data[:0], d.part.Data...)
	into.Size, into.Over = d.part.Size, d.part.Over
}
