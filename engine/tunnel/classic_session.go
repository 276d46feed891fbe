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
	serving *classicIncoming // of the reader: its handler runs on the reader's goroutine
	standIn *time.Timer      // starts a reader while it does
}

// classicWatch is how long a handler runs on the reader's goroutine before
// another one reads: the least time in which a caller's going away is noticed.
// Most exchanges are over by then, and cost no goroutine.
const classicWatch = 5 * time.Millisecond

func newClassicSession(s *socket, o DialOptions) *classicSession {
	c := &classicSession{
		classicLink: newClassicLink(s, o.ID, o.Greeting, o.OnPanic),
		handler:     o.Handler,
	}
	c.pingBusy = true
	c.standIn = time.AfterFunc(time.Hour, func() {
		c.reader(func() bool { return c.read(c.serving) })
	})
	c.standIn.Stop()
	c.start(func() bool { return c.read(nil) })
	return c
}

// Welcome returns nil: wsp has none.
func (c *classicSession) Welcome() *wire.Welcome { return nil }

// read is the reader; last is the exchange that runs, if any. It reads while a
// handler runs too: an end of the connection is how wsp says that the caller went
// away. It returns true when another reader has taken over.
func (c *classicSession) read(last *classicIncoming) (passed bool) {
	for {
		r, ok := c.message(websocket.TextMessage)
		if !ok {
			return false
		}
		if last != nil {
			// A real server sends the next request when it has read our last
			// frame, which may be before the handler has returned.
			if !last.answered.Load() {
				c.finish(protocolError("a request before the last one was answered"))
				return false
			}
			if !last.join() {
				return false
			}
		}
		c.slots.Store(1)
		if c.draining.Load() {
			c.drained()
		}
		text, ok := c.text(r)
		if !ok || c.isClosing() {
			c.slots.Store(0)
			return false
		}
		in, handler := c.request(text)
		if in == nil {
			c.slots.Store(0)
			return false
		}
		if in.length == 0 || c.atHand() {
			if !c.take(in) {
				c.slots.Store(0)
				return false
			}
			if c.atHand() {
				c.finish(protocolError("a request before the last one was answered"))
				c.slots.Store(0)
				return false
			}
			if c.serveHere(in, handler) {
				return true
			}
			last = nil
			continue
		}
		last = in
		in.finished = make(chan struct{})
		in.body.stream()
		in.parts.Store(2)
		c.handlers.Add(1)
		go c.serve(in, handler)
		ok = c.content(in)
		in.part()
		if !ok {
			return false
		}
	}
}

// serveHere runs the handler on the reader's goroutine. It returns true if it
// took so long that another reader has started.
func (c *classicSession) serveHere(in *classicIncoming, handler Handler) (passed bool) {
	in.parts.Store(1)
	c.handlers.Add(1)
	defer c.handlers.Done()
	c.serving = in
	c.standIn.Reset(classicWatch)
	c.handle(in, handler)
	// Before the exchange has ended: the other reader then serves the next.
	passed = !c.standIn.Stop()
	in.part()
	return passed
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
		s:       c,
		request: request,
		length:  length,
		arrived: arrived,
		left:    -1,
	}
	in.body.l, in.body.length = c.classicLink, length
	in.ctx, in.cancel = context.WithCancel(c.ctx)
	return in, handler
}

// take reads content that has come, and the message that stands for none, before
// anything is done: a server that could not write it sends the request once more,
// elsewhere.
func (c *classicSession) take(in *classicIncoming) bool {
	r, ok := c.message(websocket.BinaryMessage)
	return ok && in.body.take(r)
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

// serve is the goroutine of a handler that did not get the reader's.
func (c *classicSession) serve(in *classicIncoming, handler Handler) {
	defer c.handlers.Done()
	c.handle(in, handler)
	close(in.finished)
	in.part()
}

// handle runs the handler and sees to it that the answer ends.
func (c *classicSession) handle(in *classicIncoming, handler Handler) {
	defer func() {
		if !in.answered.Load() {
			in.Reset(wire.ResetInternal, "")
		}
		in.cancel()
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
