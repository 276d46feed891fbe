package control

import (
	"strconv"
	"time"
	"unicode/utf8"

	"adit/engine"
	"adit/engine/inspect"
	"adit/engine/observe"
)

func zeroTime() time.Time { return time.Time{} }

// event writes e as its line, with what lines do not tell beside that, so that
// the other end has the event itself.
func (e *encoder) event(v *engine.Event, heads, secrets bool) {
	e.b = observe.AppendEvent(e.b, v)
	e.b = e.b[:len(e.b)-1]
	switch v.Kind {
	case engine.KindRequestStarted, engine.KindRequestFinished:
		if v.Request != nil {
			e.time("arrived", v.Request.Arrived, zeroTime())
			if v.Kind == engine.KindRequestStarted {
				e.b = observe.AppendMarks(e.b, v.Request)
			}
			if heads {
				e.heads(v.Request.Heads, secrets)
			}
		}
	case engine.KindGreetingReceived, engine.KindGreetingRejected:
		if v.Greeting != nil {
			e.greetingMore(v.Greeting)
		}
	case engine.KindAdmissionRefused:
		if v.Way != 0 {
			e.text("way", v.Way.String(), "")
		}
	case engine.KindStopped:
		if t := v.Totals; t != nil {
			e.frames("frames_in", t.FramesIn, engine.Frames{})
			e.frames("frames_out", t.FramesOut, engine.Frames{})
			e.counts("statuses", t.Statuses[:])
		}
	}
	e.raw("}")
}

func (e *encoder) heads(h *engine.Heads, secrets bool) {
	if h == nil {
		return
	}
	if !secrets {
		h = inspect.MaskHeads(h)
	}
	e.name("heads")
	e.raw("{")
	e.bytes("request", h.Request)
	e.bytes("response", h.Response)
	e.bool("cut", h.Cut, false)
	e.raw("}")
}

// record writes one record, with its heads if it has them, and as far as it is
// where it runs.
func (e *encoder) record(r *engine.Request, secrets bool) {
	now := *r
	if live := r.Live; live != nil && !live.Over.Load() {
		live.Fill(&now)
	}
	e.b = observe.AppendRequest(e.b, &now)
	if r.Heads != nil {
		e.b = e.b[:len(e.b)-1]
		e.heads(r.Heads, secrets)
		e.raw("}")
	}
}

// page writes what a query for records found.
func (e *encoder) page(p *engine.RequestPage) {
	e.raw(`{"requests":[`)
	for i := range p.Requests {
		e.item()
		e.record(&p.Requests[i], false)
	}
	e.raw("]")
	e.int("offset", int64(p.Offset), 0)
	e.int("matched", int64(p.Matched), 0)
	e.int("kept", int64(p.Kept), 0)
	e.text("oldest", p.Oldest.String(), "")
	e.text("newest", p.Newest.String(), "")
	e.int("after", int64(p.After), 0)
	e.int("stored", int64(p.Stored), 0)
	e.bool("searching", p.Searching, false)
	e.bool("cut", p.Cut, false)
	e.text("problem", p.Problem, "")
	e.uint("lost", p.Lost, 0)
	e.int("capacity", int64(p.Capacity), 0)
	e.int("took_us", p.Took.Microseconds(), 0)
	e.raw("}")
}

// past writes what a query for events found.
func (e *encoder) past(p *engine.EventPage) {
	e.raw(`{"events":[`)
	for i := range p.Events {
		e.item()
		e.event(&p.Events[i], false, false)
		if i < len(p.Keys) {
			e.b = e.b[:len(e.b)-1]
			e.uint("key", p.Keys[i], 0)
			e.raw("}")
		}
	}
	e.raw("]")
	e.bool("more", p.More, false)
	e.raw("}")
}

// content writes what is kept of the content of an exchange.
func (e *encoder) content(c *engine.Content) {
	e.raw("{")
	for _, x := range []struct {
		name string
		part *engine.Part
	}{{"request", &c.Request}, {"response", &c.Response}} {
		e.name(x.name)
		e.raw("{")
		e.base64("data", x.part.Data)
		e.int("size", x.part.Size, 0)
		e.bool("over", x.part.Over, false)
		e.raw("}")
	}
	e.messages(c)
	e.raw("}")
}

// messages writes the messages of a content: text where they are UTF-8.
func (e *encoder) messages(c *engine.Content) {
	e.name("messages")
	e.raw("[")
	for i := range c.Messages {
		m := &c.Messages[i]
		e.item()
		e.raw("{")
		e.time("time", m.Time, zeroTime())
		e.bool("from_caller", m.FromCaller, false)
		e.text("type", m.Kind.String(), "")
		e.bool("compressed", m.Compressed, false)
		if !m.Compressed && utf8.Valid(m.Data) {
			e.text("text", string(m.Data), "")
		} else {
			e.base64("data", m.Data)
		}
		e.int("size", m.Size, 0)
		e.raw("}")
	}
	e.raw("]")
	e.uint("messages_lost", c.MessagesLost, 0)
}

// tape writes frames of a connection.
func (e *encoder) tape(frames []engine.FrameRecord) {
	e.raw(`{"frames":[`)
	for i := range frames {
		f := &frames[i]
		e.item()
		e.raw("{")
		e.time("time", f.Time, zeroTime())
		e.bool("out", f.Out, false)
		e.name("opcode")
		e.b = strconv.AppendUint(e.b, uint64(f.Opcode), 10)
		e.bool("fin", f.Fin, false)
		e.uint("length", f.Length, 0)
		e.text("note", f.Note, "")
		e.raw("}")
	}
	e.raw("]}")
}
