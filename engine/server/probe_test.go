package server

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/wire"
)

// probeAs opens a probe with a credential.
func (b *bench) probeAs(token string) (*websocket.Conn, *http.Response, error) {
	header := http.Header{}
	if token != "" {
		header.Set("X-Secret-Key", token)
	}
	d := websocket.Dialer{Subprotocols: []string{wire.ProbeSubprotocol, wire.Subprotocol}, HandshakeTimeout: patience, WriteBufferSize: 20000}
	ws, resp, err := d.Dial("ws://"+b.addr+"/register", header)
	if err == nil {
		b.t.Cleanup(func() { _ = ws.Close() })
		_ = ws.SetReadDeadline(time.Now().Add(patience))
	}
	return ws, resp, err
}

func (b *bench) probe(token string) (*websocket.Conn, *wire.Probe) {
	b.t.Helper()
	ws, resp, err := b.probeAs(token)
	if err != nil {
		b.t.Fatal(err)
	}
	if ws.Subprotocol() != wire.ProbeSubprotocol || len(resp.Header.Values("Sec-Websocket-Extensions")) > 0 {
		b.t.Fatalf("selected %q", ws.Subprotocol())
	}
	kind, text, err := ws.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		b.t.Fatalf("kind %d, %v", kind, err)
	}
	hello, err := wire.ParseProbe(text)
	if err != nil {
		b.t.Fatal(err)
	}
	return ws, hello
}

func closeOf(t *testing.T, ws *websocket.Conn) (int, string) {
	t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	for {
		_, _, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code, closed.Text
		}
		if err != nil {
			t.Fatalf("no Close frame: %v", err)
		}
	}
}

// A probe hears what it may, gets every message back as it was, and is nobody's
// client: no connection, no greeting, no record.
func TestProbeIsEchoAndNoClient(t *testing.T) {
	t.Parallel()
	set := newTokenSet(t)
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	token := set.add("pi", policy.TokenClient, policy.Scope{IDs: []string{"pi-*"}, Hosts: []string{"app"}}, end)
	b := serve(t, Options{Live: set.live(false), Domain: domain, Version: "1.2.3", TCPFirst: 20000, TCPLast: 20010})
	ws, hello := b.probe(token)
	if hello.Server != "test" || hello.Version != "1.2.3" || hello.Credential != "pi" || !hello.Expires.Equal(end) ||
		strings.Join(hello.IDs, " ") != "pi-*" || strings.Join(hello.Hosts, " ") != "app" || hello.Domain != domain ||
		hello.TCPFirst != 20000 || hello.PingInterval != 20*time.Second || time.Since(hello.Time).Abs() > time.Minute ||
		hello.Peer != ws.LocalAddr().String() || len(hello.Protocols) != 2 {
		t.Errorf("%+v", hello)
	}
	if n := b.s.greeting.Load(); n != 0 {
		t.Errorf("it takes the place of %d clients that register", n)
	}
	pongs := make(chan string, 1)
	ws.SetPongHandler(func(data string) error { pongs <- data; return nil })
	for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, wire.ProbeMessage} {
			content := bytes.Repeat([]byte("0123456789abcdef "), size/17+1)[:size]
			if err := ws.WriteMessage(kind, content); err != nil { // fragmented above 20,000 bytes
				t.Fatal(err)
			}
			got, back, err := ws.ReadMessage()
			if err != nil || got != kind || !bytes.Equal(back, content) {
				t.Fatalf("kind %d of %d bytes: kind %d of %d bytes, %v", kind, size, got, len(back), err)
			}
		}
	}
	if err := errors.Join(ws.WriteControl(websocket.PingMessage, []byte("payload"), time.Now().Add(patience)),
		ws.WriteMessage(websocket.TextMessage, nil)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	if data := <-pongs; data != "payload" {
		t.Errorf("pong %q", data)
	}
	var snap engine.Snapshot
	if err := b.s.Snapshot(t.Context(), &snap); err != nil {
		t.Fatal(err)
	}
	if len(snap.Connections) != 0 || len(b.seen(engine.KindConnectionOpened))+len(b.seen(engine.KindGreetingReceived)) != 0 {
		t.Errorf("%d connections", len(snap.Connections))
	}
	if e := b.await(engine.KindNotice, 1); !strings.Contains(e.Reason, `probes the way (credential "pi")`) {
		t.Errorf("%q", e.Reason)
	}
	if err := ws.WriteMessage(websocket.TextMessage, make([]byte, wire.ProbeMessage+1)); err != nil {
		t.Fatal(err)
	}
	if code, _ := closeOf(t, ws); code != websocket.CloseMessageTooBig {
		t.Errorf("closed with %d", code)
	}
}

// Who would be refused as a client is refused as a probe, by the same words.
func TestProbeIsAdmittedLikeAClient(t *testing.T) {
	t.Parallel()
	set := newTokenSet(t)
	token := set.add("pi", policy.TokenClient, policy.Scope{})
	gone := set.add("gone", policy.TokenClient, policy.Scope{}, time.Now().Add(-time.Hour))
	b := serve(t, Options{Live: set.live(false)})
	for _, wrong := range []string{"", "wrong", gone} {
		if _, resp, err := b.probeAs(wrong); err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	// A place is given back.
	for range 3 * maxProbesOfOne {
		ws, _ := b.probe(token)
		if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		closeOf(t, ws)
		_ = ws.Close()
	}
	for deadline := time.Now().Add(patience); b.probing() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d probes are left", b.probing())
		}
	}
	for range maxProbesOfOne {
		b.probe(token)
	}
	if _, resp, err := b.probeAs(token); err == nil || resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("probe number %d: %v", maxProbesOfOne+1, err)
	}
	if n := b.s.limits.sockets.Load(); n > maxProbesOfOne+3 {
		t.Errorf("%d sockets are counted", n)
	}
}

func (b *bench) probing() int {
	b.s.probes.mu.Lock()
	defer b.s.probes.mu.Unlock()
	return len(b.s.probes.all)
}

// A probe ends with its credential, and with its server.
func TestProbeEnds(t *testing.T) {
	t.Parallel()
	set := newTokenSet(t)
	gone, stays := set.add("gone", policy.TokenClient, policy.Scope{}), set.add("stays", policy.TokenClient, policy.Scope{})
	b := serve(t, Options{Live: set.live(false)})
	revoked, _ := b.probe(gone)
	left, _ := b.probe(stays)
	b.s.Update(set.live(false, "gone"), operator)
	if code, text := closeOf(t, revoked); code != int(engine.ClosePolicy) || text != "credential revoked: gone" {
		t.Errorf("closed with %d %q", code, text)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); b.s.Close() }()
	if code, text := closeOf(t, left); code != int(engine.CloseGoingAway) || text == "" {
		t.Errorf("closed with %d %q", code, text)
	}
	within(t, "the end of the server", stopped)
}

// Who does not read what comes back must not hold up the end of the server.
func TestProbeThatDoesNotRead(t *testing.T) {
	t.Parallel()
	b := serve(t, Options{})
	ws, _ := b.probe("")
	_ = ws.SetWriteDeadline(time.Now().Add(time.Second))
	for range 40 {
		if ws.WriteMessage(websocket.BinaryMessage, make([]byte, wire.ProbeMessage)) != nil {
			break // its windows are full
		}
	}
	began := time.Now()
	b.s.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
}
