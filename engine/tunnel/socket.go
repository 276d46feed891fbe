package tunnel

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/wire"
)

const (
	// messageSize is the payload of one message as this end writes it, and so
	// the size of the library's write buffer: a message is one frame in one
	// write. protocol.md §4 says why it must be set and pooled.
	messageSize = 64 << 10
	// PieceSize is the most content that fits one message: who copies by pieces
	// of it has every piece written at once.
	PieceSize = messageSize - wire.MaxRecordHeader
	// readBufferSize must not be 0, or the library reuses the reader of the
	// HTTP server and reads around the frame tap. At the server of a native
	// connection it holds a control frame: the buffer that counts is tcp.Rest's,
	// which an idle connection does not own.
	readBufferSize = 128
	// wideReadBuffer shows the tap all that has come, and passes tcp.Rest by: by
	// that a classic connection knows that a small message has come whole.
	wideReadBuffer = 4 << 10
	// closeWait bounds the closing handshake.
	closeWait = 2 * time.Second
	// lingerBytes bounds what is read and thrown away after a Close frame, so
	// that closing TCP with unread bytes does not destroy it on its way.
	lingerBytes = 4 << 20
)

// writeBuffers holds the library's write buffers between messages: an idle
// connection owns none.
var writeBuffers sync.Pool

// A socket is an open WebSocket before either protocol has taken it over.
type socket struct {
	ws       *websocket.Conn
	tap      *frame.Conn     // below ws: ws.NetConn()
	counters *frame.Counters // of tap
	peer     string          // address
	server   bool            // this end is the server
	limits   Limits
	opened   time.Time
}

// writeClose sends a Close frame (RFC 6455 §5.5.1) and returns at most after
// closeWait. A code that must not stand in a frame sends an empty one.
func (s *socket) writeClose(code engine.CloseCode, reason string) error {
	var payload []byte
	if code != engine.CloseAbnormal && code != websocket.CloseNoStatusReceived && code != 0 {
		payload = websocket.FormatCloseMessage(int(code), closeReason(reason))
	}
	return s.ws.WriteControl(websocket.CloseMessage, payload, time.Now().Add(closeWait))
}

// linger reads what still comes after this end has said Close, until the peer
// ends, lingerBytes came or closeWait is over.
func (s *socket) linger() {
	_ = s.tap.SetReadDeadline(time.Now().Add(closeWait))
	scratch := make([]byte, 4<<10) // not on the stack, which an idle reader keeps
	for left := lingerBytes; left > 0; {
		n, err := s.tap.Read(scratch)
		if err != nil {
			return
		}
		left -= n
	}
}

// refuse ends a socket whose goroutines were never started.
func (s *socket) refuse(code engine.CloseCode, reason string) {
	if s.writeClose(code, reason) == nil {
		s.linger()
	}
	_ = s.tap.Close()
}

// goodbye answers the peer's Close and ends the socket at once: nothing follows.
func (s *socket) goodbye(code engine.CloseCode) {
	_ = s.writeClose(code, "")
	_ = s.tap.Close()
}

// closeReason bounds a reason to what fits a Close frame beside its code.
func closeReason(reason string) string {
	const most = 123
	if len(reason) <= most {
		return reason
	}
	end := most
	for end > 0 && reason[end]&0xC0 == 0x80 {
		end--
	}
	return reason[:end]
}

// An ending is why a connection ends: the close code that is sent or was
// received (1006: none), a reason for people, what its exchanges failed for,
// and whether the peer said it first.
type ending struct {
	code   engine.CloseCode
	text   string
	reason engine.Reason
	remote bool
}

// endingOf reads an error of the library's reader.
func endingOf(err error) ending {
	var ce *websocket.CloseError
	switch {
	case errors.As(err, &ce):
		e := ending{code: engine.CloseCode(ce.Code), text: engine.Bound(ce.Text), reason: engine.ReasonTunnelFailed, remote: true}
		if ce.Code == websocket.CloseAbnormalClosure {
			// The library makes this one of an EOF inside a message.
			e.text, e.remote = "connection lost", false
		}
		return e
	case errors.Is(err, websocket.ErrReadLimit):
		return ending{code: engine.CloseTooBig, text: "message too big", reason: engine.ReasonTunnelFailed}
	case strings.HasPrefix(err.Error(), "websocket: "):
		return ending{code: engine.CloseProtocolError, text: strings.TrimPrefix(err.Error(), "websocket: "), reason: engine.ReasonTunnelFailed}
	}
	return ending{code: engine.CloseAbnormal, text: "connection lost: " + netText(err), reason: engine.ReasonTunnelFailed}
}

// netText is the cause of a network error without the addresses, which every
// record has already.
func netText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// RetryAfter reads the "retry-after=SECONDS;" that a close reason may begin with;
// 0 without one.
func RetryAfter(reason string) time.Duration {
	rest, ok := strings.CutPrefix(reason, "retry-after=")
	if !ok {
		return 0
	}
	digits, _, ok := strings.Cut(rest, ";")
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// recovered turns a panic of a connection's goroutine into the end of that
// connection: it tells the hook, or lets the panic go on where there is none.
func recovered(hook func(any), end func(ending)) {
	v := recover()
	if v == nil {
		return
	}
	if hook == nil {
		panic(v)
	}
	hook(v)
	end(ending{code: engine.CloseInternal, text: "internal error", reason: engine.ReasonInternal})
}

// protocolError is the ending for broken framing, order or limits.
func protocolError(format string, args ...any) ending {
	return ending{code: engine.CloseProtocolError, text: fmt.Sprintf(format, args...), reason: engine.ReasonTunnelFailed}
}
