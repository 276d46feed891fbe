package enginetest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

func TestPeersTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer a.Close()
		defer b.Close()
		type accepted struct {
			p   *Peer
			req *http.Request
			err error
		}
		got := make(chan accepted, 1)
		go func() {
			p, req, err := AcceptPeer(b, Handshake{Subprotocols: []string{"adit.v1"}})
			got <- accepted{p, req, err}
		}()
		c, resp, err := DialPeer(a, Handshake{Subprotocols: []string{"x", "adit.v1"}, Header: http.Header{"X-Secret-Key": {"k"}}})
		if err != nil {
			t.Fatal(err)
		}
		s := <-got
		if s.err != nil || s.req.URL.Path != "/register" || s.req.Header.Get("X-Secret-Key") != "k" ||
			s.req.Header.Get("Sec-Websocket-Protocol") != "x, adit.v1" || resp.Header.Get("Sec-Websocket-Protocol") != "adit.v1" {
			t.Fatalf("server saw %+v, %v; client saw %v", s.req, s.err, resp.Header)
		}
		for _, n := range []int{0, 1, 125, 126, 65535, 65536, 200_000} {
			want := bytes.Repeat([]byte{0xA5}, n)
			go c.WriteMessage(OpBinary, want)
			op, p, err := s.p.ReadMessage()
			if err != nil || op != OpBinary || !bytes.Equal(p, want) {
				t.Fatalf("%d bytes: opcode %d, %d bytes, %v", n, op, len(p), err)
			}
		}
		go func() {
			_ = s.p.WriteMessage(OpPing, []byte("p"))
			_ = s.p.WriteFragments(OpText, []byte("one "), nil, []byte("two"))
			_ = s.p.WriteClose(1002, "why")
		}()
		op, p, err := c.ReadMessage()
		if err != nil || op != OpText || string(p) != "one two" {
			t.Fatalf("fragments: %d %q %v", op, p, err)
		}
		var closed *CloseError
		if _, _, err = c.ReadMessage(); !errors.As(err, &closed) || closed.Code != 1002 || closed.Reason != "why" {
			t.Fatalf("close: %v", err)
		}
		if f, err := s.p.ReadFrame(); err != nil || f.Opcode != OpPong || string(f.Payload) != "p" || !f.Masked {
			t.Fatalf("pong: %+v %v", f, err)
		}
	})
}

func TestFrameBytes(t *testing.T) {
	tests := []struct {
		name string
		f    Frame
		want string
	}{
		{"RFC 6455 §5.7 unmasked Hello", Frame{Fin: true, Opcode: OpText, Payload: []byte("Hello")}, "\x81\x05Hello"},
		{"RFC 6455 §5.7 masked Hello", Frame{Fin: true, Opcode: OpText, Masked: true, Key: [4]byte{0x37, 0xfa, 0x21, 0x3d}, Payload: []byte("Hello")}, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"},
		{"reserved bits", Frame{Rsv: 7, Opcode: 0xF}, "\x7f\x00"},
		{"declared 2^63", Frame{Fin: true, Opcode: OpBinary, Declared: 1 << 63}, "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"},
		{"length not in its shortest form", Frame{Fin: true, Opcode: OpBinary, Payload: []byte{1}, LengthBytes: 3}, "\x82\x7e\x00\x01\x01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := AppendFrame(nil, tt.f); string(got) != tt.want {
				t.Fatalf("% x, want % x", got, tt.want)
			}
		})
	}
}

// TestPeerAgainstGorilla holds the peer to an implementation it shares nothing
// with.
func TestPeerAgainstGorilla(t *testing.T) {
	ln := NewListener(80)
	up := websocket.Upgrader{Subprotocols: []string{"adit.v1"}, ReadBufferSize: 4096, WriteBufferSize: 4096}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			op, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(op, p) != nil {
				return
			}
		}
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	defer func() {
		_ = srv.Close()
		<-done
	}()
	conn, err := ln.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, resp, err := DialPeer(conn, Handshake{Subprotocols: []string{"adit.v1"}})
	if err != nil || resp.Header.Get("Sec-Websocket-Protocol") != "adit.v1" {
		t.Fatalf("%v %v", resp, err)
	}
	for _, n := range []int{0, 5, 126, 70_000} {
		want := bytes.Repeat([]byte("ab"), n)
		if err := p.WriteFragments(OpBinary, want[:n], want[n:]); err != nil {
			t.Fatal(err)
		}
		op, got, err := p.ReadMessage()
		if err != nil || op != OpBinary || !bytes.Equal(got, want) {
			t.Fatalf("%d: opcode %d, %d bytes, %v", n, op, len(got), err)
		}
	}
	if err := p.WriteFrame(Frame{Fin: true, Opcode: OpText, Payload: []byte("unmasked")}); err != nil {
		t.Fatal(err)
	}
	if closed, err := p.ReadClose(); err != nil || closed == nil || closed.Code != 1002 {
		t.Fatalf("an unmasked frame: %v, %v", closed, err)
	}
}

func TestDialPeerReportsRefusal(t *testing.T) {
	a, b := Pipe()
	defer a.Close()
	go func() {
		p := NewServerPeer(b)
		_, _ = p.ReadRequest()
		_ = p.WriteRaw([]byte("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"))
		_ = b.Close()
	}()
	_, resp, err := DialPeer(a, Handshake{})
	if err == nil || resp == nil || resp.StatusCode != 401 {
		t.Fatalf("%v %v", resp, err)
	}
	if body, _ := io.ReadAll(resp.Body); !strings.HasPrefix(string(body), "no") {
		t.Fatalf("body %q", body)
	}
}

func TestReadCloseTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer a.Close()
		p := NewServerPeer(b)
		p.Timeout = time.Minute
		if _, err := p.ReadClose(); err == nil {
			t.Fatal("no error though the peer is silent")
		}
		_ = a.Close()
		if closed, err := p.ReadClose(); closed != nil || err != nil {
			t.Fatalf("%v %v", closed, err)
		}
	})
}
