package enginetest

import (
	"bufio"
	"crypto/sha1" // RFC 6455 §4.2.2 asks for it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Opcodes of RFC 6455 §5.2.
const (
	OpContinuation byte = 0x0
	OpText         byte = 0x1
	OpBinary       byte = 0x2
	OpClose        byte = 0x8
	OpPing         byte = 0x9
	OpPong         byte = 0xA
)

// A Frame is one WebSocket frame (RFC 6455 §5.2), valid or not.
type Frame struct {
	Fin     bool
	Rsv     byte // RSV1 is 4, RSV2 2, RSV3 1
	Opcode  byte
	Masked  bool
	Key     [4]byte // masking key
	Payload []byte  // unmasked

	// Declared is the payload length in the header where it is not
	// len(Payload).
	Declared uint64
	// LengthBytes chooses the form of the length: 1, 3 or 9 bytes; 0 is the
	// shortest.
	LengthBytes int
}

// AppendFrame appends the bytes of f.
func AppendFrame(dst []byte, f Frame) []byte {
	b := f.Rsv<<4 | f.Opcode
	if f.Fin {
		b |= 0x80
	}
	var mask byte
	if f.Masked {
		mask = 0x80
	}
	n := uint64(len(f.Payload))
	if f.Declared != 0 {
		n = f.Declared
	}
	form := f.LengthBytes
	if form == 0 {
		switch {
		case n < 126:
			form = 1
		case n < 1<<16:
			form = 3
		default:
			form = 9
		}
	}
	dst = append(dst, b)
	switch form {
	case 1:
		dst = append(dst, mask|byte(n&0x7F))
	case 3:
		dst = append(dst, mask|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, mask|127)
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	if !f.Masked {
		return append(dst, f.Payload...)
	}
	dst = append(dst, f.Key[:]...)
	for i, c := range f.Payload {
		dst = append(dst, c^f.Key[i&3])
	}
	return dst
}

// A Handshake is what a [Peer] says in its opening handshake (RFC 6455 §4).
type Handshake struct {
	Host         string   // client: Host; default "server.test"
	Path         string   // client: target; default "/register"
	Subprotocols []string // client: offered; server: the first is selected whether offered or not
	Header       http.Header
}

// A Peer speaks WebSocket by single frames over any connection, as a client or
// a server, and obeys no rule but what it is told. It is written from RFC 6455
// and shares nothing with the library under test. One goroutine reads, one
// writes; it starts none.
type Peer struct {
	Conn net.Conn
	// Timeout bounds every read and write; default 10 s.
	Timeout time.Duration
	// Masks says whether WriteMessage and the like mask: a client's do.
	Masks bool
	// MaxPayload bounds what ReadFrame takes; default 32 MiB.
	MaxPayload uint64

	r *bufio.Reader
}

// DialPeer performs the opening handshake as a client. The response is returned
// with an error too when the server refused; its body is then the first 64 KiB
// of the content. The connection stays the caller's.
func DialPeer(conn net.Conn, h Handshake) (*Peer, *http.Response, error) {
	p := newPeer(conn, true)
	host, path := h.Host, h.Path
	if host == "" {
		host = "server.test"
	}
	if path == "" {
		path = "/register"
	}
	const key = "dGhlIHNhbXBsZSBub25jZQ==" // RFC 6455 §1.3; a test needs no secrecy
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", path, host, key)
	if len(h.Subprotocols) > 0 {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", strings.Join(h.Subprotocols, ", "))
	}
	_ = h.Header.Write(&b)
	b.WriteString("\r\n")
	if err := p.WriteRaw([]byte(b.String())); err != nil {
		return nil, nil, fmt.Errorf("write opening handshake: %w", err)
	}
	p.limit()
	resp, err := http.ReadResponse(p.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, nil, fmt.Errorf("read opening handshake: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		content, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		resp.Body = io.NopCloser(strings.NewReader(string(content)))
		return nil, resp, fmt.Errorf("opening handshake: status %d", resp.StatusCode)
	}
	if got, want := resp.Header.Get("Sec-WebSocket-Accept"), acceptKey(key); got != want {
		return nil, resp, fmt.Errorf("opening handshake: accept key %q, want %q", got, want)
	}
	return p, resp, nil
}

// AcceptPeer performs the opening handshake as a server. The request is
// returned as the client sent it.
func AcceptPeer(conn net.Conn, h Handshake) (*Peer, *http.Request, error) {
	p := newPeer(conn, false)
	req, err := p.ReadRequest()
	if err != nil {
		return nil, nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n", acceptKey(req.Header.Get("Sec-WebSocket-Key")))
	if len(h.Subprotocols) > 0 {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", h.Subprotocols[0])
	}
	_ = h.Header.Write(&b)
	b.WriteString("\r\n")
	if err := p.WriteRaw([]byte(b.String())); err != nil {
		return nil, req, fmt.Errorf("write opening handshake: %w", err)
	}
	return p, req, nil
}

// NewServerPeer returns a peer before its opening handshake, for a test that
// answers it by hand: ReadRequest, then WriteRaw.
func NewServerPeer(conn net.Conn) *Peer { return newPeer(conn, false) }

// ReadRequest reads the head of a request.
func (p *Peer) ReadRequest() (*http.Request, error) {
	p.limit()
	req, err := http.ReadRequest(p.r)
	if err != nil {
		return nil, fmt.Errorf("read opening handshake: %w", err)
	}
	return req, nil
}

func newPeer(conn net.Conn, client bool) *Peer {
	return &Peer{Conn: conn, Timeout: 10 * time.Second, Masks: client, MaxPayload: 32 << 20, r: bufio.NewReader(conn)}
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (p *Peer) limit() { _ = p.Conn.SetDeadline(time.Now().Add(p.Timeout)) }

// WriteRaw writes bytes as they are.
func (p *Peer) WriteRaw(b []byte) error {
	_ = p.Conn.SetWriteDeadline(time.Now().Add(p.Timeout))
	_, err := p.Conn.Write(b)
	return err
}

// WriteFrame writes f in one Write.
func (p *Peer) WriteFrame(f Frame) error { return p.WriteRaw(AppendFrame(nil, f)) }

// WriteMessage writes a whole message as one frame, masked as the role asks.
func (p *Peer) WriteMessage(opcode byte, payload []byte) error {
	return p.WriteFrame(p.frame(true, opcode, payload))
}

// WriteFragments writes one message as one frame for each piece.
func (p *Peer) WriteFragments(opcode byte, pieces ...[]byte) error {
	for i, piece := range pieces {
		if err := p.WriteFrame(p.frame(i == len(pieces)-1, opcode, piece)); err != nil {
			return err
		}
		opcode = OpContinuation
	}
	return nil
}

// WriteClose writes a Close frame; code 0 sends no body.
func (p *Peer) WriteClose(code uint16, reason string) error {
	var body []byte
	if code != 0 {
		body = append(binary.BigEndian.AppendUint16(nil, code), reason...)
	}
	return p.WriteMessage(OpClose, body)
}

func (p *Peer) frame(fin bool, opcode byte, payload []byte) Frame {
	return Frame{Fin: fin, Opcode: opcode, Masked: p.Masks, Key: [4]byte{0x37, 0xfa, 0x21, 0x3d}, Payload: payload}
}

// ErrPayload is what ReadFrame returns for a frame above MaxPayload.
var ErrPayload = errors.New("frame payload above the peer's bound")

// ReadFrame reads one frame, of any kind, its payload unmasked. It answers
// nothing. io.EOF only between frames.
func (p *Peer) ReadFrame() (Frame, error) {
	_ = p.Conn.SetReadDeadline(time.Now().Add(p.Timeout))
	var h [8]byte
	if _, err := io.ReadFull(p.r, h[:1]); err != nil {
		return Frame{}, err
	}
	f := Frame{Fin: h[0]&0x80 != 0, Rsv: h[0] >> 4 & 7, Opcode: h[0] & 0xF}
	if _, err := io.ReadFull(p.r, h[:1]); err != nil {
		return f, unexpected(err)
	}
	f.Masked = h[0]&0x80 != 0
	n := uint64(h[0] & 0x7F)
	f.LengthBytes = 1
	switch n {
	case 126:
		f.LengthBytes = 3
		if _, err := io.ReadFull(p.r, h[:2]); err != nil {
			return f, unexpected(err)
		}
		n = uint64(binary.BigEndian.Uint16(h[:2]))
	case 127:
		f.LengthBytes = 9
		if _, err := io.ReadFull(p.r, h[:8]); err != nil {
			return f, unexpected(err)
		}
		n = binary.BigEndian.Uint64(h[:8])
	}
	f.Declared = n
	if n > p.MaxPayload {
		return f, ErrPayload
	}
	if f.Masked {
		if _, err := io.ReadFull(p.r, f.Key[:]); err != nil {
			return f, unexpected(err)
		}
	}
	f.Payload = make([]byte, n)
	if _, err := io.ReadFull(p.r, f.Payload); err != nil {
		return f, unexpected(err)
	}
	if f.Masked {
		for i := range f.Payload {
			f.Payload[i] ^= f.Key[i&3]
		}
	}
	return f, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A CloseError is a Close frame where a message was expected.
type CloseError struct {
	Code   uint16 // 1005 if the frame had none
	Reason string
}

func (e *CloseError) Error() string { return fmt.Sprintf("close %d %s", e.Code, e.Reason) }

// ParseClose reads the body of a Close frame.
func ParseClose(payload []byte) *CloseError {
	if len(payload) < 2 {
		return &CloseError{Code: 1005}
	}
	return &CloseError{Code: binary.BigEndian.Uint16(payload), Reason: string(payload[2:])}
}

// ReadMessage reads a whole message, putting fragments together and answering
// pings. A Close frame is a [*CloseError].
func (p *Peer) ReadMessage() (opcode byte, payload []byte, err error) {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return opcode, payload, err
		}
		switch f.Opcode {
		case OpPing:
			if err := p.WriteMessage(OpPong, f.Payload); err != nil {
				return opcode, payload, err
			}
			continue
		case OpPong:
			continue
		case OpClose:
			return opcode, payload, ParseClose(f.Payload)
		case OpContinuation:
		default:
			opcode = f.Opcode
		}
		payload = append(payload, f.Payload...)
		if f.Fin {
			return opcode, payload, nil
		}
	}
}

// ReadClose reads and discards up to a Close frame or the end of the connection
// and returns the Close frame, nil if none came. Only running into Timeout is
// an error.
func (p *Peer) ReadClose() (*CloseError, error) {
	for {
		f, err := p.ReadFrame()
		var ne net.Error
		switch {
		case err == nil && f.Opcode == OpClose:
			return ParseClose(f.Payload), nil
		case errors.As(err, &ne) && ne.Timeout():
			return nil, fmt.Errorf("wait for close: %w", err)
		case err != nil:
			return nil, nil
		}
	}
}
