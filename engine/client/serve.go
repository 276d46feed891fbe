package client

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/origin"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// An exchange is one request that came through a connection, while the handler
// serves it.
type exchange struct {
	n        *connection
	in       tunnel.Incoming
	id       engine.RequestID
	operator atomic.Bool // an operator cancelled it
	force    *force      // what was in force when it came

	// Of the record.
	requestBytes  int64 // written by the goroutine that reads content, which is joined first
	responseBytes int64
	status        int
	headOut       bool
	upgraded      bool
	connect       time.Duration
	firstByte     time.Duration
	tee           *capture.Tee // nil where its content is not kept
	heads         *engine.Heads
	rec           *engine.Request // nil where nobody wants it
	traceparent   string          // to go on with in place of what the request has; "" that stays
	live          *engine.Live    // the same

	// Guarded by connection.mu.
	older, newer *exchange
	untold       bool // its start is announced when it has run for some time
	swept        bool // it, and all that began before, need not be announced any more

	// Parts of it, so that an exchange is one allocation.
	moving  engine.Live
	out     origin.Request
	content requestContent
	answer  wire.Response
	shown   engine.Answered
}

// serve is the connection's tunnel.Handler.
func (n *connection) serve(in tunnel.Incoming) {
	n.awaitRegistered()
	n.accept(in, engine.RequestID(n.c.requestIDs.Add(1))).run()
}

// accept makes an exchange known.
func (n *connection) accept(in tunnel.Incoming, id engine.RequestID) *exchange {
	x := &exchange{n: n, in: in, id: id, connect: -1, firstByte: -1}
	bus := n.c.o.Bus
	now, late := bus.Wants(engine.KindRequestStarted), bus.WantsLate()
	if now || late || bus.Wants(engine.KindRequestFinished) {
		x.rec = x.record()
		x.trace()
		x.capture(x.rec)
	}
	if now || late {
		x.live = &x.moving
		x.live.Connection.Store(uint64(n.id))
		if kept := x.rec.Captured; kept != nil {
			x.live.Captured.Store(&kept)
		}
	}
	x.untold = late && !now
	n.add(x)
	switch {
	case now:
		x.announce()
	case late:
		n.c.late.Arm()
	}
	return x
}

// run serves the exchange to its end.
func (x *exchange) run() {
	err := errPanicked
	defer func() {
		x.n.remove(x)
		x.finish(err)
	}()
	if to, ok := x.in.Connect(); ok {
		err = x.serveConnect(to)
	} else {
		err = x.serveRequest(x.in.Request())
	}
}

// capture begins to keep its content, if that is wanted. What has no record is
// seen by nobody.
func (x *exchange) capture(rec *engine.Request) {
	if x.tee = x.n.c.keeper.Begin(rec, rec.Replay); x.tee == nil {
		return
	}
	rec.Captured = x.tee.Captured()
	if _, connect := x.in.Connect(); !connect && !x.in.HasContent() {
		x.tee.EndRequest()
	}
}

var errPanicked = errors.New("internal error")

func (n *connection) event(k engine.Kind, r *engine.Request) engine.Event {
	return engine.Event{Kind: k, Connection: n.id, Client: n.c.o.ID, Protocol: n.session.Protocol(), Request: r}
}

// finish gives the exchange its one outcome.
func (x *exchange) finish(err error) {
	outcome, why := x.outcome(err)
	if x.live != nil {
		x.live.Over.Store(true)
	}
	lived := time.Since(x.in.Arrived())
	ended := engine.Request{Outcome: outcome, Status: x.status, Queued: -1, FirstByte: x.firstByte, LastByte: lived}
	x.n.c.totals.RequestEnded(&ended)
	if ended.HasFailed() {
		x.n.failed.Add(1)
	}
	rec := x.rec
	if rec == nil {
		return
	}
	rec.Status, rec.Upgraded = x.status, x.upgraded
	rec.RequestBytes, rec.ResponseBytes = x.requestBytes, x.responseBytes
	rec.Connect, rec.FirstByte = x.connect, x.firstByte
	rec.LastByte = lived
	rec.Outcome, rec.Reason = outcome, engine.Bound(why)
	if x.wantsHeads() {
		rec.Heads = x.requestHead()
	}
	x.n.c.o.Bus.Publish(x.n.event(engine.KindRequestFinished, rec))
}

func (x *exchange) outcome(err error) (engine.Outcome, string) {
	if err == nil {
		return engine.OutcomeCompleted, ""
	}
	if x.operator.Load() {
		return engine.OutcomeOf(engine.ReasonOperator), engine.ReasonOperator.String()
	}
	reason := engine.ReasonOf(err)
	if reason == engine.ReasonCallerGone && x.in.Context().Err() != nil {
		// The context says that the exchange is over, its reader says why.
		var own *engine.Error
		if _, because := x.in.Next(); errors.As(because, &own) {
			reason, err = own.Reason, own
		}
	}
	outcome := engine.OutcomeOf(reason)
	if outcome == engine.OutcomeOriginFailed && x.headOut {
		outcome = engine.OutcomeTruncated
	}
	if !x.headOut {
		x.status = reason.Status()
	}
	return outcome, err.Error()
}

// fail ends the exchange for err, as the server is to understand it, and
// returns err. It does nothing where the exchange is over.
func (x *exchange) fail(err error) error {
	code := wire.ResetInternal
	switch engine.ReasonOf(err) {
	case engine.ReasonOriginFailed:
		code = wire.ResetOriginFailed
	case engine.ReasonTimedOut:
		code = wire.ResetTimedOut
	case engine.ReasonDenied, engine.ReasonNoRoute:
		code = wire.ResetDenied
	case engine.ReasonCallerGone:
		code = wire.ResetCancelled
	case engine.ReasonMalformed:
		code = wire.ResetMalformed
	}
	x.in.Reset(code, engine.Bound(err.Error()))
	return err
}

// serveRequest performs one request at an origin. Whatever it starts has ended
// when it returns (R1).
func (x *exchange) serveRequest(r *wire.Request) error {
	if r == nil {
		return x.fail(engine.Fail("read request", engine.ReasonMalformed, nil))
	}
	x.force = x.n.c.now.Load()
	out, err := x.originRequest(r)
	if err != nil {
		return x.fail(err)
	}
	began := time.Since(x.in.Arrived())
	resp, err := x.force.origins.Send(x.in.Context(), out)
	if err != nil {
		x.fail(err)
		out.Join()
		return err
	}
	if resp.Connected > 0 {
		x.connect = began + resp.Connected
	} else {
		x.connect = 0
	}
	x.firstByte = began + resp.FirstByte
	err = x.respond(r, resp)
	if err != nil {
		x.fail(err)
	}
	resp.Content.Close()
	return err
}

// originRequest says where r goes, if it may.
func (x *exchange) originRequest(r *wire.Request) (*origin.Request, error) {
	out := &x.out
	*out = origin.Request{
		Scheme:        r.Scheme,
		Method:        r.Method,
		Host:          r.Authority,
		Path:          r.Path,
		Fields:        r.Fields,
		Upgrade:       wire.Get(r.Fields, "upgrade"),
		Informational: x.inform,
	}
	if x.traceparent != "" {
		out.Fields = append(slices.Clip(without(without(r.Fields, "traceparent"), "tracestate")), wire.Field{Name: "traceparent", Value: x.traceparent})
	}
	if err := x.place(r, out); err != nil {
		return nil, err
	}
	if x.in.HasContent() && out.Upgrade == "" {
		x.content.x = x
		out.Content = &x.content
		out.Length = wire.ContentLength(r.Fields)
		out.Trailers = x.in.Trailers
	}
	return out, nil
}

// inform passes a 1xx on.
func (x *exchange) inform(status int, fields []wire.Field) error {
	return x.originFault(x.in.WriteInformational(status, fields))
}

// place sets the origin of out: the exposed one, or what the caller chose and
// the rules allow.
func (x *exchange) place(r *wire.Request, out *origin.Request) error {
	c := x.n.c
	if r.Route > 0 {
		if r.Route > uint64(len(c.routes)) || c.routes[r.Route-1].scheme == "" {
			return engine.Fail("route request", engine.ReasonNoRoute, nil)
		}
		to := c.routes[r.Route-1]
		out.Scheme, out.Address = to.scheme, to.address
		if c.o.RewriteHost {
			out.Host = to.authority
		}
		return nil
	}
	out.Address = hostPort(r.Scheme, r.Authority)
	path := r.Path
	if path == "*" {
		path = ""
	}
	permit, err := x.check(&policy.Query{
		Method: r.Method,
		URL:    r.Scheme + "://" + r.Authority + path,
		Host:   out.Address,
		Fields: (*asked)(r),
	})
	out.Class = permit
	return err
}

// requestContent is the request's content, counted.
type requestContent struct{ x *exchange }

func (c *requestContent) Read(p []byte) (int, error) {
	n, err := c.x.in.Read(p)
	c.x.sent(p[:n])
	// Who knows the length reads no further.
	if err == io.EOF || c.x.out.Length == c.x.requestBytes {
		c.x.tee.EndRequest()
	}
	return n, err
}

// Buffered reports whether a Read would not wait: small content then shares the
// write of the head.
func (c *requestContent) Buffered() bool { return c.x.in.Buffered() }

// respond passes the response on to its true end; an error means that it was
// not reached.
func (x *exchange) respond(r *wire.Request, resp *origin.Response) error {
	if resp.Raw != nil {
		return x.upgrade(resp)
	}
	end := resp.Length == 0 && resp.Trailers == nil
	head := x.head(resp)
	if resp.Status == http.StatusNoContent {
		head.Fields = without(head.Fields, "content-length") // RFC 9110 §8.6
	}
	if end {
		x.tee.EndResponse()
		return x.writeHead(head, true)
	}
	buf := x.n.c.buffers.Get().(*[copyBuffer]byte)
	defer x.n.c.buffers.Put(buf)
	n := 0
	var err error
	for resp.Ready && err == nil && n < len(buf) {
		var more int
		more, err = resp.Content.Read(buf[n:])
		n += more
	}
	if err == io.EOF && (resp.Length < 0 || resp.Length == int64(n)) && trailersOf(resp) == nil {
		done, err := x.in.Respond(head, buf[:n])
		if err != nil {
			return x.originFault(err)
		}
		if done {
			x.answered(head.Status)
			x.received(buf[:n])
			x.tee.EndResponse()
			return nil
		}
	}
	if err := x.writeHead(head, false); err != nil {
		return err
	}
	if err := x.copyContent(resp, buf[:], n, err); err != nil {
		return err
	}
	return x.originFault(x.in.CloseWrite(trailersOf(resp)))
}

// trailersOf returns the trailer section of a response read to its end.
func trailersOf(resp *origin.Response) []wire.Field {
	if resp.Trailers == nil {
		return nil
	}
	return resp.Trailers()
}

func (x *exchange) head(resp *origin.Response) *wire.Response {
	if x.tee != nil {
		x.tee.Head(resp.Status, func(name string) string { return wire.Get(resp.Fields, name) })
	}
	x.answer = wire.Response{
		Status:    resp.Status,
		Connect:   microseconds(x.connect),
		FirstByte: microseconds(x.firstByte),
		Fields:    resp.Fields,
	}
	if x.wantsHeads() {
		// Now: the fields are the origin connection's, which goes on to its next.
		x.heads = new(engine.Heads)
		x.heads.Response, x.heads.Cut = wire.Lines("", resp.Fields, engine.MaxHead)
	}
	if x.live != nil {
		if x.heads != nil {
			x.heads = x.requestHead() // nothing of it is written any more
		}
		r := x.rec
		x.shown = engine.Answered{Client: r.Client, Protocol: r.Protocol, Queued: -1, Sent: -1, Connect: x.connect, FirstByte: x.firstByte,
			Upgraded: resp.Raw != nil, Heads: x.heads}
		x.live.Answered.Store(&x.shown)
	}
	return &x.answer
}

func (x *exchange) wantsHeads() bool { return x.n.c.o.Bus.WantsHeads() && x.n.c.keeper.Heads() }

// requestHead completes the heads; nil for a byte stream.
func (x *exchange) requestHead() *engine.Heads {
	r := x.in.Request()
	if r == nil {
		return nil
	}
	h := x.heads
	if h != nil && h.Request != "" {
		return h
	}
	if h == nil {
		// A response head that nobody wanted when it went is one left out.
		h = &engine.Heads{Cut: x.headOut}
	}
	var cut bool
	h.Request, cut = wire.Lines(r.Authority, r.Fields, engine.MaxHead)
	h.Cut = h.Cut || cut
	return h
}

// sent takes in request content that came.
func (x *exchange) sent(p []byte) {
	x.tee.Request(p)
	x.requestBytes += int64(len(p))
	if x.live != nil {
		x.live.RequestBytes.Store(x.requestBytes)
	}
}

// received takes in response content that went.
func (x *exchange) received(p []byte) {
	x.tee.Response(p)
	x.responseBytes += int64(len(p))
	if x.live != nil {
		x.live.ResponseBytes.Store(x.responseBytes)
	}
}

// answered notes the final head.
func (x *exchange) answered(status int) {
	x.status, x.headOut = status, true
	if x.live != nil {
		x.live.Status.Store(int32(status))
	}
}

func (x *exchange) writeHead(head *wire.Response, end bool) error {
	if err := x.originFault(x.in.WriteResponse(head, end)); err != nil {
		return err
	}
	x.answered(head.Status)
	return nil
}

// copyContent writes each piece as it comes, first the n bytes of buf that were
// read before err.
func (x *exchange) copyContent(resp *origin.Response, buf []byte, n int, err error) error {
	for {
		if n > 0 {
			written, werr := x.in.Write(buf[:n])
			x.received(buf[:written])
			if werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		n, err = resp.Content.Read(buf)
	}
	if resp.Length >= 0 && x.responseBytes != resp.Length {
		return engine.Fail("read response", engine.ReasonOriginFailed, io.ErrUnexpectedEOF)
	}
	x.tee.EndResponse()
	return nil
}

// originFault turns the refusal of a head that the origin made, too big or
// invalid, into the origin's failure. Other errors of the tunnel stay.
func (x *exchange) originFault(err error) error {
	switch engine.ReasonOf(err) {
	case engine.ReasonHeadTooBig, engine.ReasonMalformed:
		return engine.Fail("send response", engine.ReasonOriginFailed, err)
	}
	return err
}

// without returns fields but those of that name. It does not change fields.
func without(fields []wire.Field, name string) []wire.Field {
	if wire.Get(fields, name) == "" {
		return fields
	}
	kept := make([]wire.Field, 0, len(fields))
	for _, f := range fields {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	return kept
}

func microseconds(d time.Duration) uint64 { return uint64(max(d, 0).Microseconds()) }
