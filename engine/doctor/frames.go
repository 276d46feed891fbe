package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/wire"
)

const (
	samples   = 20        // round trips that are measured
	largest   = 64 << 10  // bytes of a message as the tunnel writes it
	flowBytes = 16 << 20  // that throughput is measured with at most
	flowPiece = 256 << 10 // of a message of these
)

// frameSteps bound all messages to one server but those of throughput, in steps.
const frameSteps = 8

// sizes are the payloads at which the length of a frame is written otherwise, and
// what the tunnel and content need.
func sizes(quick bool) []int {
	all := []int{0, 1, 125, 126, 65535, 65536, wire.ProbeMessage}
	if quick {
		return all[:len(all)-1]
	}
	return all
}

// frames asks whether messages of all sizes come back as they went: as text and
// binary, in one frame and in many, and pings; and how long that takes. Bounds: 8
// steps (40 s), then 2 s of throughput.
func (w *way) frames(ctx context.Context, whole *opened) {
	w.c.progress("sending messages of all sizes")
	deadline := time.Now().Add(frameSteps * w.c.o.pace.step)
	trips, fault := w.trips(ctx, whole)
	if fault == nil {
		fault = w.allSizes(ctx, whole, false, deadline)
	}
	if fault == nil {
		pieces := w.open(ctx, w.u, pieceBuffer)
		if fault = w.again(pieces); fault == nil {
			fault = w.allSizes(ctx, pieces, true, deadline)
		}
		pieces.close()
	}
	if ctx.Err() != nil {
		return
	}
	if fault != nil {
		w.found(fault.finding())
		return
	}
	slices.Sort(trips)
	most := "1 MiB"
	if w.c.o.Quick {
		most = "64 KiB"
	}
	f := Finding{Check: "frames", Severity: OK, Found: fmt.Sprintf("messages of 0 bytes to %s come back unchanged, text and binary, whole and in pieces, pings too; a round trip takes %v, at worst %v",
		most, round(trips[len(trips)/2]), round(trips[len(trips)-1]))}
	if !w.c.o.Quick {
		if rate := w.flow(ctx, whole); rate > 0 {
			f.Found += fmt.Sprintf("; about %s each way at once", rateText(rate))
		}
	}
	w.found(f)
}

// A frameFault is a message that did not come back as it was.
type frameFault struct {
	size    int
	kind    int  // of the message; ping: of a ping
	pieces  bool // it went in many frames
	changed int  // first byte that differs; -1: it did not come back
	code    int  // that the connection was closed with; 0: otherwise
	how     string
}

func (x *frameFault) finding() Finding {
	f := Finding{Check: "frames", Severity: Failure}
	what := fmt.Sprintf("a binary message of %d bytes", x.size)
	switch {
	case x.kind == websocket.TextMessage:
		what = fmt.Sprintf("a text message of %d bytes", x.size)
	case x.kind == websocket.PingMessage:
		what = fmt.Sprintf("a ping with %d bytes", x.size)
	}
	if x.pieces {
		what += " in pieces"
	}
	switch {
	case x.kind == websocket.PingMessage:
		f.Found = what + " is not answered as it should: " + x.how
		f.Means = "something on the way answers or swallows pings: connections are taken for dead, or dead ones for alive"
		f.Change = "have it pass WebSockets on untouched"
	case x.changed >= 0:
		f.Found = fmt.Sprintf("%s comes back changed, from byte %d on", what, x.changed)
		f.Means = "something on the way rewrites the content of WebSockets: requests and responses would be damaged, or the tunnel ends with 1002"
		f.Change = "use wss://, which it can't look into, or take it out of the way"
		f.Settings = []string{"server"}
	case x.code == websocket.CloseMessageTooBig:
		f.Found = what + " is refused with 1009: something on the way limits messages to less"
		f.Means = "requests and responses above that end the connection"
		f.Change = "raise the size of WebSocket messages (or frames) there to 1 MiB at least; the tunnel writes messages of 64 KiB"
	default:
		f.Found = what + " does not come back: " + x.how
		f.Means = "something on the way does not pass it"
		f.Change = "have it pass WebSockets on untouched, with messages of 1 MiB at least"
	}
	if x.size > largest && x.changed < 0 {
		f.Severity = Warning
		f.Means = "the tunnel writes messages of 64 KiB, which pass; what exceeds that, a large head, ends the connection"
	}
	return f
}

// again reads the hello of a further probe.
func (w *way) again(o *opened) *frameFault {
	if o.ws == nil {
		how := "a second connection is not let in"
		if o.err != nil {
			how += ": " + errorText(o.err)
		}
		return &frameFault{kind: websocket.BinaryMessage, pieces: true, changed: -1, how: how}
	}
	if _, _, err := o.ws.ReadMessage(); err != nil {
		return &frameFault{kind: websocket.BinaryMessage, pieces: true, changed: -1, how: messageText(err, w.c.o.pace.step)}
	}
	return nil
}

// trips measures round trips of small messages, and asks for a pong.
func (w *way) trips(ctx context.Context, o *opened) ([]time.Duration, *frameFault) {
	pongs := make(chan string, 4)
	o.ws.SetPongHandler(func(data string) error {
		select {
		case pongs <- data:
		default:
		}
		return nil
	})
	var all []time.Duration
	for range samples {
		began := time.Now()
		if fault := w.echo(ctx, o, websocket.BinaryMessage, 125, time.Time{}); fault != nil {
			return nil, fault
		}
		all = append(all, time.Since(began))
	}
	for _, size := range []int{0, 125} {
		payload := string(payloadOf(websocket.TextMessage, size))
		err := o.ws.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(w.c.o.pace.step))
		fault := &frameFault{kind: websocket.PingMessage, size: size, changed: -1, how: "no pong comes"}
		if err != nil {
			fault.how = errorText(err)
			return nil, fault
		}
		// The pong comes before the echo of what follows the ping.
		if other := w.echo(ctx, o, websocket.BinaryMessage, 1, time.Time{}); other != nil {
			return nil, other
		}
		select {
		case data := <-pongs:
			if data != payload {
				fault.how = "the pong carries something else"
				return nil, fault
			}
		default:
			return nil, fault
		}
	}
	return all, nil
}

func (w *way) allSizes(ctx context.Context, o *opened, pieces bool, deadline time.Time) *frameFault {
	for _, size := range sizes(w.c.o.Quick) {
		for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
			if fault := w.echo(ctx, o, kind, size, deadline); fault != nil {
				fault.pieces = pieces
				return fault
			}
		}
	}
	return nil
}

// payloadOf returns content that no two runs share: a cache could answer else.
func payloadOf(kind, size int) []byte {
	content := make([]byte, size)
	for i := range content {
		if content[i] = byte(rand.Uint32()); kind == websocket.TextMessage {
			content[i] = ' ' + content[i]%95
		}
	}
	return content
}

// echo sends one message and compares what comes back. Without a deadline it has
// one step.
func (w *way) echo(ctx context.Context, o *opened, kind, size int, deadline time.Time) *frameFault {
	if deadline.IsZero() {
		deadline = time.Now().Add(w.c.o.pace.step)
	}
	stop := context.AfterFunc(ctx, func() { _ = o.ws.NetConn().Close() })
	defer stop()
	_ = o.ws.SetReadDeadline(deadline)
	_ = o.ws.SetWriteDeadline(deadline)
	content := payloadOf(kind, size)
	written := make(chan error, 1)
	go func() { written <- o.ws.WriteMessage(kind, content) }()
	fault := &frameFault{size: size, kind: kind, changed: -1}
	got, back, err := o.ws.ReadMessage()
	if err != nil {
		// What is not read any more would hold up the writer.
		_ = o.ws.NetConn().Close()
	}
	wrote := <-written
	switch {
	case err == nil && got == kind && bytes.Equal(back, content) && wrote == nil:
		return nil
	case err == nil && got != kind:
		fault.how, fault.changed = "as another kind", 0
	case err == nil && wrote == nil:
		fault.changed = 0
		for fault.changed < min(len(back), len(content)) && back[fault.changed] == content[fault.changed] {
			fault.changed++
		}
	default:
		var closed *websocket.CloseError
		if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
			fault.code = closed.Code
		}
		if err == nil {
			err = wrote
		}
		fault.how = messageText(err, w.c.o.pace.step)
	}
	return fault
}

// flow measures throughput, both ways at once, in bytes a second; 0 where it could
// not.
func (w *way) flow(ctx context.Context, o *opened) float64 {
	stop := context.AfterFunc(ctx, func() { _ = o.ws.NetConn().Close() })
	defer stop()
	content := payloadOf(websocket.BinaryMessage, flowPiece)
	began := time.Now()
	until := began.Add(w.c.o.pace.flow)
	_ = o.ws.SetReadDeadline(until.Add(w.c.o.pace.step))
	_ = o.ws.SetWriteDeadline(until.Add(w.c.o.pace.step))
	sent := make(chan int, 1)
	go func() {
		n := 0
		for n < flowBytes/flowPiece && (n == 0 || time.Now().Before(until)) && o.ws.WriteMessage(websocket.BinaryMessage, content) == nil {
			n++
		}
		if o.ws.WriteMessage(websocket.TextMessage, nil) != nil { // the last one
			_ = o.ws.NetConn().Close()
		}
		sent <- n
	}()
	back := 0
	for {
		kind, content, err := o.ws.ReadMessage()
		if err != nil {
			_ = o.ws.NetConn().Close()
			<-sent
			return 0
		}
		if kind == websocket.TextMessage {
			break
		}
		back += len(content)
	}
	<-sent
	return float64(back) / max(time.Since(began).Seconds(), 1e-3)
}

func rateText(rate float64) string {
	switch {
	case rate >= 1<<20:
		return fmt.Sprintf("%.0f MiB/s", rate/(1<<20))
	case rate >= 1<<10:
		return fmt.Sprintf("%.0f KiB/s", rate/(1<<10))
	}
	return fmt.Sprintf("%.0f bytes/s", rate)
}
