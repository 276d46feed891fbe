package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/wire"
)

const (
	// probePiece is what of a message a probe holds at once: a longer one goes
	// back in frames of it.
	probePiece = 32 << 10
	// probeCost is what each message and each ping counts at least, in bytes: many
	// empty ones are no cheaper than a few.
	probeCost = 64
	// probeWrite bounds one write to who does not read.
	probeWrite = 30 * time.Second
)

// IsProbe reports whether an opening handshake asks for a probe (wire.Probe).
func IsProbe(r *http.Request) bool {
	return slices.Contains(websocket.Subprotocols(r), wire.ProbeSubprotocol)
}

// A Probe is a WebSocket at the server that sends back what comes.
type Probe struct {
	ws   *websocket.Conn
	conn *probeConn // below ws
	left int64      // bytes that may still come; of Echo
	till time.Time

	asked atomic.Pointer[ending] // that another goroutine has called for
}

// AcceptProbe performs the opening handshake of a probe that the server has
// admitted, and sends hello. On error everything has been answered and closed.
func AcceptProbe(w http.ResponseWriter, r *http.Request, hello *wire.Probe) (*Probe, error) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: DefaultLimits().Greeting,
		ReadBufferSize:   wideReadBuffer,
		WriteBufferSize:  probePiece,
		Subprotocols:     []string{wire.ProbeSubprotocol},
		// The server has refused browsers before it called.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	hijack := &probeHijacker{ResponseWriter: w}
	ws, err := upgrader.Upgrade(hijack, r, nil)
	if err != nil {
		return nil, &OpeningError{Err: err}
	}
	p := &Probe{ws: ws, conn: hijack.conn, left: wire.ProbeBytes, till: time.Now().Add(wire.ProbeTime)}
	_ = ws.SetReadDeadline(p.till)
	ws.SetReadLimit(wire.ProbeMessage)
	ws.SetPingHandler(p.ping)
	_ = ws.SetWriteDeadline(p.writeBy())
	if err := ws.WriteMessage(websocket.TextMessage, wire.AppendProbe(nil, hello)); err != nil {
		_ = ws.Close()
		return nil, &OpeningError{Err: fmt.Errorf("probe: %w", err)}
	}
	return p, nil
}

// errProbeSpent is the end of a probe that has cost what it may.
var errProbeSpent = errors.New("the probe has carried all that it may")

func (p *Probe) spend(n int) error {
	if p.left -= int64(max(n, probeCost)); p.left < 0 {
		return errProbeSpent
	}
	return nil
}

// writeBy returns when a write that begins now has to be over.
func (p *Probe) writeBy() time.Time {
	by := time.Now().Add(probeWrite)
	if p.till.Before(by) {
		return p.till
	}
	return by
}

func (p *Probe) ping(data string) error {
	if err := p.spend(len(data)); err != nil {
		return err
	}
	err := p.ws.WriteControl(websocket.PongMessage, []byte(data), p.writeBy())
	if errors.Is(err, websocket.ErrCloseSent) {
		return nil // it ends
	}
	return err
}

// Echo sends back what comes until the probe ends, and closes it. It returns at
// most wire.ProbeTime and a moment for the Close frame after the handshake.
func (p *Probe) Echo() {
	buf := make([]byte, probePiece)
	var err error
	for err == nil {
		err = p.echo(buf)
	}
	end := ending{code: engine.CloseAbnormal}
	var closed *websocket.CloseError
	var network interface{ Timeout() bool }
	switch asked := p.asked.Load(); {
	case asked != nil:
		end = *asked
	case errors.Is(err, errProbeSpent):
		end = ending{code: engine.ClosePolicy, text: err.Error()}
	case errors.Is(err, websocket.ErrReadLimit):
		p.linger() // the library has answered
	case errors.As(err, &closed): // likewise
	case errors.As(err, &network) && network.Timeout() && !time.Now().Before(p.till):
		end = ending{code: engine.ClosePolicy, text: "a probe lasts " + wire.ProbeTime.String() + " at most"}
	}
	if end.code != engine.CloseAbnormal {
		p.say(end, p.asked.Load() == nil)
	}
	_ = p.ws.Close()
}

// echo sends one message back.
func (p *Probe) echo(buf []byte) error {
	kind, content, err := p.ws.NextReader()
	if err != nil {
		return err
	}
	if err := p.spend(probeCost); err != nil {
		return err
	}
	back, err := p.ws.NextWriter(kind)
	if err != nil {
		return err
	}
	for {
		n, err := content.Read(buf)
		if n > 0 {
			if err := p.spend(n); err != nil {
				return err
			}
			_ = p.ws.SetWriteDeadline(p.writeBy())
			if _, err := back.Write(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			_ = p.ws.SetWriteDeadline(p.writeBy())
			return back.Close()
		}
		if err != nil {
			return err
		}
	}
}

// say sends a Close frame, and reads on for a moment, so that closing TCP with
// unread bytes does not destroy it on its way.
func (p *Probe) say(end ending, linger bool) {
	p.conn.speakLast()
	err := p.ws.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(int(end.code), closeReason(strings.ToValidUTF8(end.text, "?"))), time.Now().Add(closeWait))
	if err != nil || !linger {
		return
	}
	p.linger()
}

func (p *Probe) linger() {
	_ = p.conn.SetReadDeadline(time.Now().Add(closeWait))
	_, _ = io.CopyN(io.Discard, p.conn, lingerBytes)
}

// End has Echo end the probe with a close code. It may be called from any
// goroutine and does not wait.
func (p *Probe) End(code engine.CloseCode, reason string) {
	if p.asked.CompareAndSwap(nil, &ending{code: code, text: reason}) {
		p.conn.cutShort()
	}
}

// A probeConn is the connection of a probe: once it was cut short nothing waits for
// the peer any more, whatever deadline the library sets after that.
type probeConn struct {
	net.Conn
	mu   sync.Mutex
	over bool
	last bool // the Close frame may be written still
}

func (c *probeConn) cutShort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	_ = c.Conn.SetDeadline(time.Unix(1, 0))
}

func (c *probeConn) speakLast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = true
}

func (c *probeConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over && !c.last {
		t = time.Unix(1, 0)
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *probeConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		t = time.Unix(1, 0)
	}
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline is what net/http and the library call before the probe stands.
func (c *probeConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// probeHijacker hands the library the connection that can be cut short.
type probeHijacker struct {
	http.ResponseWriter
	conn *probeConn
}

func (h *probeHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &probeConn{Conn: c}
	return h.conn, rw, nil
}
