package tunnel

import (
	"context"
	"time"

	"adit/engine"
	"adit/engine/wire"
)

// incoming is the [Incoming] of a native connection: the client's end.
type incoming struct {
	*exchange
	request *wire.Request
	target  wire.Connect
	content bool
	arrived time.Time
	ctx     incomingContext
	own     exchange // what the first field points to
}

func (in *incoming) Request() *wire.Request        { return in.request }
func (in *incoming) Connect() (wire.Connect, bool) { return in.target, in.connect }
func (in *incoming) HasContent() bool              { return in.content }
func (in *incoming) Context() context.Context      { return &in.ctx }
func (in *incoming) Arrived() time.Time            { return in.arrived }

// WriteInformational sends a 1xx head.
func (in *incoming) WriteInformational(status int, fields []wire.Field) error {
	return in.queueHead(&wire.Response{Status: status, Fields: fields}, false)
}

// WriteResponse sends the final head.
func (in *incoming) WriteResponse(r *wire.Response, end bool) error {
	return in.queueHead(r, end)
}

func (in *incoming) queueHead(r *wire.Response, end bool) error {
	payload, err := encodeHead(r)
	if err != nil {
		return err
	}
	c := in.c
	c.mu.Lock()
	err = in.queueHeadLocked(r.Status, payload, end)
	c.mu.Unlock()
	if err != nil {
		payload.free()
		return err
	}
	c.rouse()
	return nil
}

// Respond sends the final head, all of the content and its end, so that the
// writer is woken once and finds all of it.
func (in *incoming) Respond(r *wire.Response, content []byte) (done bool, err error) {
	if len(content) == 0 || len(content) > smallPiece || r.Status < 200 || in.connect {
		return false, nil
	}
	payload, err := encodeHead(r)
	if err != nil {
		return false, err
	}
	c := in.c
	c.mu.Lock()
	enough := in.credit >= int64(len(content)) // else the window is odd indeed
	if enough {
		err = in.queueHeadLocked(r.Status, payload, false)
	}
	if !enough || err != nil {
		c.mu.Unlock()
		payload.free()
		return false, err
	}
	in.queueSmallLocked(content)
	in.outEnd = true
	c.mu.Unlock()
	c.rouse()
	return true, nil
}

func encodeHead(r *wire.Response) (*chunk, error) {
	if err := wire.CheckResponse(r); err != nil {
		return nil, headError("send response", err)
	}
	payload := newChunk(32 + fieldsSize(r.Fields))
	payload.data = wire.AppendResponse(payload.data, r)
	if len(payload.data) > wire.MaxHead {
		payload.free()
		return nil, headError("send response", wire.ErrTooBig)
	}
	return payload, nil
}

// queueHeadLocked takes payload if it returns nil.
func (in *incoming) queueHeadLocked(status int, payload *chunk, end bool) error {
	if err := in.writeErrLocked(); err != nil {
		return err
	}
	if in.final {
		return engine.Fail("send response", engine.ReasonInternal, engine.ErrClosed)
	}
	switch {
	case status == 101, in.connect:
		in.final, in.raw = true, true
	case status >= 200:
		in.final = true
		in.outEnd = end
	}
	in.c.out.heads = append(in.c.out.heads, outHead{x: in.exchange, kind: wire.TypeResponse, end: end, payload: payload})
	return nil
}

// serve runs the handler of one exchange and sees to it that the exchange ends.
func (c *conn) serve(in *incoming) {
	defer c.handlers.Done()
	defer func() {
		c.mu.Lock()
		ended := in.over || in.outEnd && (!in.raw || in.inEnd)
		c.contexts.remove(&in.ctx)
		c.mu.Unlock()
		if !ended {
			in.Reset(wire.ResetInternal, "")
		}
		in.ctx.end()
		in.release()
		c.finished.Add(1)
		c.slots.Add(-1)
		c.released()
	}()
	defer recovered(c.onPanic, c.finish)
	c.handler(in)
}

// accept begins an exchange that the server opened. It runs on the reader.
func (c *conn) accept(id uint64, r *wire.Request, target wire.Connect, end bool) {
	n := c.slots.Add(1)
	if n > c.capacity+c.capacity/10+1 {
		c.slots.Add(-1)
		c.refuse(id)
		return
	}
	in := &incoming{request: r, target: target, content: !end, arrived: time.Now()}
	x := &in.own
	x.init(c)
	x.id, x.stops = id, &in.ctx
	in.exchange = x
	if r != nil {
		x.head = r.Method == "HEAD"
		x.upgrade = wire.Get(r.Fields, "upgrade") != ""
		x.inLeft = wire.ContentLength(r.Fields)
		x.inEnd = end
	} else {
		x.connect, in.content = true, true
	}
	c.mu.Lock()
	if c.end != nil {
		c.mu.Unlock()
		c.slots.Add(-1)
		return
	}
	c.exchanges[id] = x
	c.contexts.add(&in.ctx)
	c.handlers.Add(1)
	c.mu.Unlock()
	go c.serve(in)
}

// floodedLocked reports whether the server has made this end queue more than a
// server that reads ever could: exchanges free their slots before their answers
// are written, so the slots alone bound nothing.
func (c *conn) floodedLocked() bool {
	const perExchange = wire.MaxInformational + 4 // heads, RESET, WINDOW, a turn
	return int64(c.out.len()) > maxRefusals+perExchange*c.capacity
}

// maxRefusals bounds the RESET 4 that wait to be written.
const maxRefusals = 1000

// refuse answers a request above the limit.
func (c *conn) refuse(id uint64) {
	c.mu.Lock()
	c.refusals++
	over := c.refusals > maxRefusals
	if !over {
		c.out.resets = append(c.out.resets, outReset{id: id, refusal: true,
			payload: wire.AppendReset(nil, wire.ResetRefused, "too many exchanges")})
	}
	c.mu.Unlock()
	if over {
		c.finish(ending{code: engine.CloseTryLater, text: "too many refused requests", reason: engine.ReasonTunnelFailed})
		return
	}
	c.rouse()
}
