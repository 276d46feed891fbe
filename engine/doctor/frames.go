package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/wire"
)

const (
	samples    = 20        // round trips that are measured
	fewSamples = 3         // where one takes long
	tripBytes  = 125       // of such a message
	largest    = 64 << 10  // bytes of a message as the tunnel writes it
	flowBytes  = 16 << 20  // that throughput is measured with at most
	flowPiece  = 256 << 10 // of a message of these
)

// All messages to one server but those of throughput have these many steps.
const (
	frameSteps      = 8
	frameStepsQuick = 2
)

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
// steps (40 s; 10 s in a hurry), one to open a connection, then 2 s of throughput.
// What there was no time for is said.
func (w *way) frames(ctx context.Context, whole *opened) {
	w.c.progress("sending messages of all sizes")
	steps := frameSteps
	if w.c.o.Quick {
		steps = frameStepsQuick
	}
	w.deadline = time.Now().Add(time.Duration(steps) * w.c.o.pace.step)
	trips, fault := w.trips(ctx, whole)
	passed := -1 // size of the greatest message that has passed
	if fault == nil {
		passed, fault = w.allSizes(ctx, whole, false)
	}
	if fault == nil && !w.late() {
		pieces := w.open(ctx, w.u, pieceBuffer)
		if fault = w.again(pieces); fault == nil {
			_, fault = w.allSizes(ctx, pieces, true)
		}
		pieces.close()
	}
	if ctx.Err() != nil {
		return
	}
	if fault != nil && (!fault.short || len(trips) == 0) {
		w.found(w.judgeFault(ctx, fault))
		return
	}
	slices.Sort(trips)
	f := Finding{Check: "frames", Severity: OK, Found: fmt.Sprintf("messages of 0 bytes to %s come back unchanged, text and binary, whole and in pieces, pings too; a round trip takes %v, at worst %v",
		sizeText(passed), round(trips[len(trips)/2]), round(trips[len(trips)-1]))}
	switch {
	case w.late():
		f.Severity = Note
		f.Found = fmt.Sprintf("messages of up to %s come back unchanged; there was no time for others: a round trip takes %v, at worst %v",
			sizeText(max(passed, tripBytes)), round(trips[len(trips)/2]), round(trips[len(trips)-1]))
		f.Means = "the way is slow, and each request waits for it"
		if w.c.o.Quick {
			f.Change = "leave --quick out to know more"
		}
	case !w.c.o.Quick:
		if rate := w.flow(ctx, whole); rate > 0 {
			f.Found += fmt.Sprintf("; about %s each way at once", rateText(rate))
		}
	}
	w.found(f)
}

// late reports whether there is no time for a further message.
func (w *way) late() bool { return time.Until(w.deadline) <= 0 }

func sizeText(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", (n+1)>>10)
	}
	return fmt.Sprintf("%d bytes", max(n, 0))
}

// judgeFault says why a message did not come back. Where the connection has ended
// with it, the server may have too, which is asked.
func (w *way) judgeFault(ctx context.Context, fault *frameFault) Finding {
	if fault.ended {
		ctx, cancel := context.WithTimeout(ctx, w.c.o.pace.step)
		defer cancel()
		o := w.open(ctx, w.u, pieceBuffer)
		defer o.close()
		if o.ws == nil {
			return w.gone("frames", fault.how, o)
		}
	}
	return fault.finding()
}

// gone is the finding that the server was there, and is not any more.
func (w *way) gone(check, how string, o *opened) Finding {
	now := fmt.Sprintf("it answers %d", o.status)
	if o.status == 0 {
		now = dialText(o.err, w.c.o.pace.step)
	}
	return Finding{Check: check, Severity: Failure, Found: "the server was lost in the midst: " + how + ", and since then: " + now,
		Means:  "it has ended, or the network to it has; what is on the way was not probed to its end",
		Change: "look whether the server runs, and try again"}
}

// A frameFault is a message that did not come back as it was.
type frameFault struct {
	size    int
	kind    int  // of the message; ping: of a ping
	pieces  bool // it went in many frames
	changed int  // first byte that differs; -1: it did not come back
	came    int  // bytes that came back until the time was over; 0 none
	within  time.Duration
	short   bool // there was less than its time left: that says nothing
	passed  int  // size of the greatest message before, that has passed
	ended   bool // the connection did, without a Close frame
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
	case f.over(x.code, x.how):
		return f
	case x.came > 0:
		f.Severity = Warning
		f.Found = fmt.Sprintf("the way is slow: of %s %d came back within %v", what, x.came, round(x.within))
		f.Means = "requests and responses take their time too; whether larger messages pass was not found out"
		f.Change = "look what else uses this network, and that of the server"
		return f
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
	case x.lost():
		f.Found = fmt.Sprintf("%s does not come back: %s, and those of %d bytes do", what, x.how, x.passed)
		f.Means = "packets of full size get lost on the way (a VPN, PPPoE or another tunnel with a smaller MTU, and a firewall that drops the ICMP which says so), or something holds large messages back"
		f.Change = "try with a smaller MTU here (ip link set dev DEVICE mtu 1280); let ICMP \"fragmentation needed\" through, or clamp the MSS at the router"
	case x.ended:
		f.Found = what + " does not come back: " + x.how
		f.Means = "something on the way cuts the connection, or the server was started anew"
		f.Change = "try again; if it is the same, have what is on the way pass WebSockets on untouched, with messages of 1 MiB at least"
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

// lost reports whether it was a large message that vanished without a word, where
// small ones pass.
func (x *frameFault) lost() bool { return !x.ended && x.code == 0 && x.size > 1<<10 && x.passed > 0 }

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
		return &frameFault{kind: websocket.BinaryMessage, pieces: true, changed: -1, code: closeCode(err), how: w.messageText(err)}
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
	first := time.Now()
	for range samples {
		if len(all) > 0 && w.late() || len(all) >= fewSamples && time.Since(first) > w.c.o.pace.slow {
			break
		}
		began := time.Now()
		if fault := w.echo(ctx, o, websocket.BinaryMessage, tripBytes); fault != nil {
			return all, fault
		}
		all = append(all, time.Since(began))
	}
	for _, size := range []int{0, 125} {
		if w.late() {
			break
		}
		payload := string(payloadOf(websocket.TextMessage, size))
		err := o.ws.WriteControl(websocket.PingMessage, []byte(payload), time.Now().Add(w.c.o.pace.step))
		fault := &frameFault{kind: websocket.PingMessage, size: size, changed: -1, how: "no pong comes"}
		if err != nil {
			fault.how = errorText(err)
			return nil, fault
		}
		// The pong comes before the echo of what follows the ping.
		if other := w.echo(ctx, o, websocket.BinaryMessage, 1); other != nil {
			return all, other
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

// allSizes sends messages while there is time, the small ones first, and returns
// the size of the greatest that has passed both as text and binary.
func (w *way) allSizes(ctx context.Context, o *opened, pieces bool) (passed int, fault *frameFault) {
	for _, size := range sizes(w.c.o.Quick) {
		for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
			if w.late() {
				return passed, nil
			}
			if fault := w.echo(ctx, o, kind, size); fault != nil {
				fault.pieces, fault.passed = pieces, passed
				return passed, fault
			}
		}
		passed = size
	}
	return passed, nil
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

// echo sends one message and compares what comes back. It has one step, and one
// more for each 256 KiB.
func (w *way) echo(ctx context.Context, o *opened, kind, size int) *frameFault {
	began := time.Now()
	deadline := began.Add(w.c.o.pace.step * time.Duration(1+size/(4*largest)))
	short := !w.deadline.IsZero() && w.deadline.Before(deadline)
	if short {
		deadline = w.deadline
	}
	stop := context.AfterFunc(ctx, func() { _ = o.ws.NetConn().Close() })
	defer stop()
	_ = o.ws.SetReadDeadline(deadline)
	_ = o.ws.SetWriteDeadline(deadline)
	content := payloadOf(kind, size)
	written := make(chan error, 1)
	go func() { written <- o.ws.WriteMessage(kind, content) }()
	fault := &frameFault{size: size, kind: kind, changed: -1}
	got, reader, err := o.ws.NextReader()
	var back []byte
	if err == nil {
		back, err = io.ReadAll(reader)
	}
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
		fault.code = closeCode(err)
		if err == nil {
			err = wrote
		}
		if isTimeout(err) && bytes.HasPrefix(content, back) {
			fault.came, fault.within = len(back), time.Since(began)
		}
		fault.short = short && isTimeout(err)
		fault.ended = fault.code == 0 && !isTimeout(err) && !errors.Is(err, websocket.ErrReadLimit)
		fault.how = w.messageText(err)
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
