package tunnel

import (
	"context"
	"errors"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/wire"
)

// A classicSession is the client's end of a wsp connection.
type classicSession struct {
	*classicLink
	handler Handler
}

func newClassicSession(s *socket, o DialOptions) *classicSession {
	c := &classicSession{
		classicLink: newClassicLink(s, o.ID, o.Greeting, o.OnPanic),
		handler:     o.Handler,
	}
	c.pingBusy = true
	c.start(c.read)
	return c
}

// Welcome returns nil: wsp has none.
func (c *classicSession) Welcome() *wire.Welcome { return nil }

// read is the reader. It reads while a handler runs too: an end of the
// connection is how wsp says that the caller went away.
func (c *classicSession) read() {
	var last *classicIncoming
	for {
		r, ok := c.message(websocket.TextMessage)
		if !ok {
			return
		}
		if last != nil {
			// A real server sends the next request when it has read our last
			// frame, which may be before the handler has returned.
			if !last.answered.Load() {
				c.finish(protocolError("a request before the last one was answered"))
				return
			}
			select {
			case <-last.over:
			case <-c.closing:
				return
			}
		}
		c.slots.Store(1)
		if c.draining.Load() {
			c.drained()
		}
		text, ok := c.text(r)
		if !ok || c.isClosing() {
			c.slots.Store(0)
			return
		}
		in, handler := c.request(text)
		if in == nil || in.length == 0 && !c.empty(in) {
			c.slots.Store(0)
			return
		}
		last = in
		c.handlers.Add(1)
		go c.serve(in, handler)
		ok = in.length == 0 || c.content(in)
		in.part()
		if !ok {
			return
		}
	}
}

// request reads a head. It returns nil for what is none, and ends the connection.
func (c *classicSession) request(text []byte) (*classicIncoming, Handler) {
	arrived := time.Now()
	head, err := wire.ParseClassicRequest(text)
	if errors.Is(err, wire.ErrFraming) {
		c.finish(protocolError("%v", err))
		return nil, nil
	}
	handler := c.handler
	length := int64(-1)
	var request *wire.Request
	if err == nil {
		length = head.ContentLength
		request, err = nativeRequest(head)
	}
	if err != nil {
		// Good framing, invalid HTTP: the connection is in order.
		length = -1
		request = nil
		handler = func(in Incoming) { in.Reset(wire.ResetMalformed, err.Error()) }
	}
	in := &classicIncoming{
		s:        c,
		request:  request,
		length:   length,
		arrived:  arrived,
		body:     newClassicBody(c.classicLink, length),
		finished: make(chan struct{}),
		over:     make(chan struct{}),
		left:     -1,
	}
	in.parts.Store(2)
	in.ctx, in.cancel = context.WithCancel(c.ctx)
	return in, handler
}

// empty reads the message that stands for no content before anything is done: a
// server that could not write it sends the request once more, elsewhere.
func (c *classicSession) empty(in *classicIncoming) bool {
	r, ok := c.message(websocket.BinaryMessage)
	if !ok {
		return false
	}
	in.body.ready <- r
	if in.body.discard(nil) {
		return true
	}
	in.body.quit()
	return false
}

// content sees to it that the content of a request is read to its end: by the
// handler, or, what its origin refuses, by nobody. It reports whether it was.
func (c *classicSession) content(in *classicIncoming) bool {
	r, ok := c.message(websocket.BinaryMessage)
	if !ok {
		in.body.quit()
		return false
	}
	in.body.ready <- r
	patience := time.NewTimer(classicPatience)
	defer patience.Stop()
	var write, moves uint64
	for {
		select {
		case <-in.body.done:
			return true
		case <-in.finished:
			if in.body.discard(nil) {
				return true
			}
			in.body.quit()
			return false
		case <-patience.C:
			if write != 0 && write == in.writing.Load() && in.body.discard(&moves) {
				return true
			}
			write, moves = in.writing.Load(), in.body.moves.Load()
			patience.Reset(classicPatience)
		case <-c.closing:
			in.body.quit()
			return false
		}
	}
}

// serve runs the handler and sees to it that the exchange ends.
func (c *classicSession) serve(in *classicIncoming, handler Handler) {
	defer c.handlers.Done()
	defer func() {
		if !in.answered.Load() {
			in.Reset(wire.ResetInternal, "")
		}
		in.cancel()
		close(in.finished)
		in.part()
	}()
	defer recovered(c.onPanic, c.finish)
	handler(in)
}

// idle follows the end of an exchange.
func (c *classicSession) idle() {
	c.rest()
	c.exchanges.Add(1)
	c.touch()
	c.slots.Store(0)
	if c.draining.Load() {
		c.drained()
	}
}
