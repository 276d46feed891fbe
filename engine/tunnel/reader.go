package tunnel

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/wire"
)

// readLoop is the only reader of the socket. It buffers, marks and closes; it
// never waits for anything but bytes.
func (c *conn) readLoop() {
	defer close(c.readDone)
	defer recovered(c.onPanic, c.finish)
	end := c.readMessages()
	c.finish(end)
	if !end.remote && end.code != engine.CloseAbnormal {
		c.linger()
	}
}

// readMessages reads until the connection ends, and says how it did.
func (c *conn) readMessages() ending {
	for {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			return endingOf(err)
		}
		c.touch()
		msg, err := c.readMessage(r)
		if err != nil {
			return endingOf(err)
		}
		var end ending
		var ok bool
		if kind == websocket.TextMessage {
			end, ok = c.gotText(msg.data)
		} else {
			end, ok = c.gotBinary(&msg)
		}
		msg.free()
		if !ok {
			return end
		}
	}
}

// readMessage reads a whole message into a buffer of the pool or, where that is
// too small, into memory of its own: the peer decides its size, up to
// wire.MaxMessage.
func (c *conn) readMessage(r io.Reader) (*chunk, error) {
	k := newChunk(messageSize)
	for {
		if len(k.data) == len(k.buf) {
			larger := newChunk(min(2*len(k.buf), wire.MaxMessage) + 1)
			larger.data = append(larger.data, k.data...)
			k.free()
			k = larger
		}
		n, err := r.Read(k.buf[len(k.data):])
		k.data = k.buf[:len(k.data)+n]
		if n > 0 {
			c.touch()
		}
		if errors.Is(err, io.EOF) {
			return k, nil
		}
		if err != nil {
			k.free()
			return nil, err
		}
	}
}

func (c *conn) gotText(text []byte) (ending, bool) {
	if len(text) > wire.MaxTextMessage {
		return ending{code: engine.CloseTooBig, text: "text message too big", reason: engine.ReasonTunnelFailed}, false
	}
	if !utf8.Valid(text) {
		return ending{code: engine.CloseInvalidText, text: "text message is not utf-8", reason: engine.ReasonTunnelFailed}, false
	}
	kind, reason, err := wire.ParseText(text)
	if err != nil {
		return protocolError("%v", err), false
	}
	if kind == "drain" {
		c.gotDrain(reason)
	}
	return ending{}, true
}

// gotBinary takes the records of a message. Where the content of the last one
// keeps the message's buffer, nil is left in its place.
func (c *conn) gotBinary(msg **chunk) (ending, bool) {
	left := (*msg).data
	if len(left) == 0 {
		return protocolError("empty binary message"), false
	}
	for len(left) > 0 {
		rec, rest, err := wire.NextRecord(left)
		if err != nil {
			return protocolError("%v", err), false
		}
		var last **chunk
		if len(rest) == 0 {
			last = msg // nobody looks at it any more
		}
		if violation := c.gotRecord(rec, last); violation != "" {
			return protocolError("%s", violation), false
		}
		left = rest
	}
	return ending{}, true
}

// gotRecord handles one record as the tables of protocol.md §2.2 say, and
// returns what it violates. msg is gotContent's.
func (c *conn) gotRecord(rec wire.Record, msg **chunk) (violation string) {
	switch rec.Type {
	case wire.TypeRequest, wire.TypeConnect:
		if c.server {
			return "request from a client"
		}
		return c.gotOpening(rec)
	case wire.TypeResponse:
		if !c.server {
			return "response from a server"
		}
		return c.gotHead(rec)
	case wire.TypeData:
		return c.gotData(rec, msg)
	case wire.TypeTrailers:
		return c.gotTrailers(rec)
	case wire.TypeWindow:
		credit, err := wire.ParseWindow(rec.Payload)
		if err != nil {
			return err.Error()
		}
		return c.gotWindow(rec.Exchange, int64(credit))
	default:
		code, reason, err := wire.ParseReset(rec.Payload)
		if err != nil {
			return err.Error()
		}
		return c.gotResetRecord(rec.Exchange, code, reason)
	}
}

// lookup finds the exchange of a record. A record for one that is over is
// dropped and counted: x is nil then. The mutex is held on return if x is not.
func (c *conn) lookup(id uint64) (x *exchange, violation string) {
	c.mu.Lock()
	x = c.exchanges[id]
	if x != nil {
		return x, ""
	}
	unknown := id == 0 || id > c.highest
	c.mu.Unlock()
	if unknown {
		return nil, fmt.Sprintf("record for exchange %d, which was never opened", id)
	}
	c.late.Add(1)
	return nil, ""
}

// gotOpening takes REQUEST and CONNECT, at the client.
func (c *conn) gotOpening(rec wire.Record) (violation string) {
	c.mu.Lock()
	if c.draining.marked {
		c.mu.Unlock()
		return "request after drain"
	}
	if rec.Exchange <= c.highest {
		c.mu.Unlock()
		return fmt.Sprintf("exchange %d opened after %d", rec.Exchange, c.highest)
	}
	c.highest = rec.Exchange
	ended, flooded := c.end != nil, c.floodedLocked()
	c.mu.Unlock()
	if ended {
		return ""
	}
	if flooded {
		c.finish(ending{code: engine.CloseTryLater, text: "too many unwritten answers", reason: engine.ReasonTunnelFailed})
		return ""
	}
	var request *wire.Request
	var target wire.Connect
	var err error
	if rec.Type == wire.TypeRequest {
		request, err = wire.ParseRequest(rec.Payload)
	} else {
		target, err = wire.ParseConnect(rec.Payload)
	}
	if err == nil && request != nil && rec.End && wire.ContentLength(request.Fields) > 0 {
		err = fmt.Errorf("%w: content shorter than content-length", wire.ErrHTTP)
	}
	if errors.Is(err, wire.ErrHTTP) {
		c.mu.Lock()
		c.out.resets = append(c.out.resets, outReset{id: rec.Exchange,
			payload: wire.AppendReset(nil, wire.ResetMalformed, wireReason(err.Error()))})
		c.mu.Unlock()
		c.rouse()
		return ""
	}
	if err != nil {
		return err.Error()
	}
	c.accept(rec.Exchange, request, target, rec.End)
	return ""
}

// gotHead takes RESPONSE, at the server.
func (c *conn) gotHead(rec wire.Record) (violation string) {
	r, err := wire.ParseResponse(rec.Payload)
	if err != nil && !errors.Is(err, wire.ErrHTTP) {
		return err.Error()
	}
	x, violation := c.lookup(rec.Exchange)
	if x == nil {
		return violation
	}
	if err != nil {
		return c.settle(x, "", err.Error())
	}
	violation, invalid := x.gotResponse(r, rec.End)
	return c.settle(x, violation, invalid)
}

func (c *conn) gotData(rec wire.Record, msg **chunk) (violation string) {
	x, violation := c.lookup(rec.Exchange)
	if x == nil {
		return violation
	}
	violation, invalid := x.gotContent(rec.Payload, rec.End, msg)
	return c.settle(x, violation, invalid)
}

func (c *conn) gotTrailers(rec wire.Record) (violation string) {
	fields, err := wire.ParseTrailers(rec.Payload)
	if err != nil && !errors.Is(err, wire.ErrHTTP) {
		return err.Error()
	}
	x, violation := c.lookup(rec.Exchange)
	if x == nil {
		return violation
	}
	violation, invalid := x.gotTrailers(fields, err)
	return c.settle(x, violation, invalid)
}

// settle lets the mutex go and resets the exchange of what is invalid HTTP in
// good framing.
func (c *conn) settle(x *exchange, violation, invalid string) string {
	ended := false
	if violation == "" && invalid != "" {
		ended = x.resetLocked(wire.ResetMalformed, invalid, engine.Fail("content", engine.ReasonTunnelFailed, resetCause(invalid)))
	}
	c.mu.Unlock()
	if ended {
		x.stopped()
	}
	return violation
}

func (c *conn) gotWindow(id uint64, credit int64) (violation string) {
	x, violation := c.lookup(id)
	if x == nil {
		return violation
	}
	defer c.mu.Unlock()
	if x.credit+credit > wire.MaxCredit {
		return "credit beyond its limit"
	}
	if x.credit < leastCredit {
		signal(x.writable)
	}
	x.credit += credit
	return ""
}

func (c *conn) gotResetRecord(id uint64, code wire.ResetCode, reason string) (violation string) {
	x, violation := c.lookup(id)
	if x == nil {
		return violation
	}
	x.gotReset(code, reason)
	c.mu.Unlock()
	x.stopped()
	return ""
}

// gotPing queues the pong; only the newest ping is answered (RFC 6455 §5.5.3).
func (c *conn) gotPing(data string) error {
	c.touch()
	c.mu.Lock()
	c.out.pong = append(c.out.pong[:0], data...)
	c.out.ponging = true
	c.mu.Unlock()
	c.rouse()
	return nil
}

// gotPong takes the round-trip time of the ping that it answers.
func (c *conn) gotPong(data string) error {
	c.touch()
	c.mu.Lock()
	sent, ok := c.out.answered(data)
	if ok && c.out.probe != nil && !c.out.asked {
		close(c.out.probe)
		c.out.probe = nil
	}
	c.mu.Unlock()
	if !ok {
		return nil
	}
	rtt := max(time.Since(sent), time.Nanosecond)
	c.rtt.Store(int64(rtt))
	if least := c.rttMin.Load(); least == 0 || int64(rtt) < least {
		c.rttMin.Store(int64(rtt))
	}
	return nil
}
