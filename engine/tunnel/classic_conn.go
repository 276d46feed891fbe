package tunnel

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/wire"
)

// A classicConn is the server's end of a wsp connection: one exchange at a
// time. It goes back to idle only when the request's content was written to its
// end, the response's was read to its end and both goroutines of the exchange
// have returned. Any doubt closes it.
type classicConn struct {
	*classicLink
	onRelease func()
	headTimer *time.Timer // of the exchange that runs; nil before the first
	current   atomic.Pointer[classicExchange]
}

func newClassicConn(s *socket, g *engine.Greeting, o AcceptOptions) *classicConn {
	c := &classicConn{classicLink: newClassicLink(s, o.ID, g, o.OnPanic), onRelease: o.OnRelease}
	if o.OnEnd != nil {
		c.onEnd = o.OnEnd
	}
	c.start(c.read)
	return c
}

// Reserve takes the slot.
func (c *classicConn) Reserve() bool {
	if c.unfit() || !c.slots.CompareAndSwap(0, 1) {
		return false
	}
	// Whoever drains or closes looks at the slot after it has said so.
	if c.unfit() {
		c.Unreserve()
		return false
	}
	return true
}

func (c *classicConn) unfit() bool { return c.draining.Load() || c.isClosing() }

// Unreserve gives it back.
func (c *classicConn) Unreserve() {
	c.touch()
	c.slots.Store(0)
	if c.draining.Load() {
		c.drained()
	}
	if c.onRelease != nil {
		c.onRelease()
	}
}

// Open writes the head, which an idle socket takes at once.
func (c *classicConn) Open(ctx context.Context, r *wire.Request, end bool) (Exchange, error) {
	const op = "send request"
	head, err := classicRequest(r, end)
	if err != nil {
		return nil, err
	}
	if err := wire.CheckRequest(r); err != nil {
		return nil, headError(op, err)
	}
	text := wire.AppendClassicRequest(make([]byte, 0, 512), head)
	if len(text) > maxClassicText {
		return nil, headError(op, wire.ErrTooBig)
	}
	x := &classicExchange{
		c:     c,
		ctx:   ctx,
		head:  r.Method == "HEAD",
		left:  head.ContentLength,
		whole: true,
		reply: make(chan classicReply, 1),
	}
	x.body.l = c.classicLink
	x.ended.Store(end)
	x.moved.Store(int64(time.Since(c.opened)))
	if ctx.Err() != nil {
		return nil, x.fault(nil)
	}
	if !end || len(text) > classicKept { // else ReadResponse looks at ctx, and nothing waits before
		x.hold()
	}
	c.current.Store(x)
	if err := c.w.text(text, end, 2*c.limits.Ping); err != nil {
		x.letGo()
		c.current.Store(nil)
		if !c.isClosing() {
			c.abort("connection lost: "+netText(err), engine.ReasonTunnelFailed)
		}
		return nil, x.fault(c.cause())
	}
	x.sent = time.Now()
	return x, nil
}

// OpenConnect fails: wsp carries no TCP streams.
func (c *classicConn) OpenConnect(context.Context, uint64, string) (Exchange, error) {
	return nil, engine.Fail("open stream", engine.ReasonUnsupported, errors.New("wsp carries no TCP"))
}

// read is the reader. It waits for the next message all the time, so that the
// end of an idle connection is seen at once.
func (c *classicConn) read() bool {
	for {
		r, ok := c.message(websocket.TextMessage)
		if !ok {
			return false
		}
		x := c.current.Load()
		if x == nil || x.replied {
			c.finish(protocolError("an answer to no request"))
			return false
		}
		x.replied = true
		text, ok := c.text(r)
		if !ok || !c.receive(x, text) {
			return false
		}
	}
}

// receive takes the answer to x whose head is text. It reports whether the
// connection can carry another one.
func (c *classicConn) receive(x *classicExchange, text []byte) bool {
	response, ok := c.response(x, text)
	if !ok {
		return false
	}
	whole := c.atHand()
	if !whole && response != nil {
		x.body.stream()
		x.reply <- classicReply{response: response}
	}
	r, ok := c.message(websocket.BinaryMessage)
	switch {
	case !ok:
		return false
	case response == nil:
		c.explain(x, r)
		return false
	case whole:
		if !x.body.take(r) {
			return false
		}
		more := c.atHand()
		if more { // said before the connection can be taken again
			c.finish(protocolError("an answer to no request"))
		}
		x.answered()
		x.reply <- classicReply{response: response}
		return !more
	}
	x.body.ready <- r
	select {
	case <-x.body.done:
		x.answered()
		return true
	case <-c.closing:
		x.body.quit()
		return false
	}
}

// notPerformed is how a connection ends after a 527.
func notPerformed() ending {
	return ending{code: engine.CloseNormal, text: "a request was not performed", reason: engine.ReasonOriginFailed}
}

// response reads a response head; nil for a request that was not performed. It
// reports whether content can follow.
func (c *classicConn) response(x *classicExchange, text []byte) (*wire.Response, bool) {
	head, err := wire.ParseClassicResponse(text)
	if err != nil {
		c.finish(protocolError("%v", err))
		return nil, false
	}
	if head.StatusCode == statusNotPerformed {
		return nil, true
	}
	r, length, err := nativeResponse(head, x.head)
	if err != nil {
		c.finish(ending{code: engine.CloseProtocolError, text: err.Error(), reason: engine.ReasonOriginFailed})
		return nil, false
	}
	x.body.length = length
	if head.StatusCode >= 400 {
		// A real client that answers before it has read the request would go
		// on to read the socket from two goroutines, and die.
		x.answered()
	}
	return r, true
}

// explain reads why a request was not performed, and ends the connection:
// root-gg's client, having denied a request, performs it with the next one's
// head as its content, and answers twice.
func (c *classicConn) explain(x *classicExchange, r io.Reader) {
	x.answered()
	text := make([]byte, 0, 1024)
	for len(text) < cap(text) {
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err != nil {
			break
		}
	}
	reason := classicReason(text)
	x.refused.Store(true)
	x.reply <- classicReply{err: engine.Fail("perform request", engine.ReasonOriginFailed, errors.New(reason))}
	c.finish(notPerformed())
}
