package doctor

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/server"
)

// What is done to messages on the way is told apart: changed, refused for their
// size, swallowed, pings that nobody answers.
func TestMessagesOnTheWay(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		f        func(ws *websocket.Conn)
		quick    bool
		severity Severity
		words    []string
	}{
		"changed": {f: func(ws *websocket.Conn) {
			echoes(ws, func(_ int, c []byte) []byte {
				if len(c) > 60000 {
					c[60000] ^= 1
				}
				return c
			})
		}, quick: true, severity: Failure, words: []string{"65535 bytes comes back changed, from byte 60000 on", "wss://"}},
		"shorter": {f: func(ws *websocket.Conn) {
			echoes(ws, func(_ int, c []byte) []byte { return c[:min(len(c), 65535)] })
		}, quick: true, severity: Failure, words: []string{"65536 bytes comes back changed, from byte 65535 on"}},
		"1009": {f: func(ws *websocket.Conn) {
			ws.SetReadLimit(65535)
			echoes(ws, same)
		}, quick: true, severity: Failure, words: []string{"65536 bytes is refused with 1009"}},
		"1009 above the tunnel's": {f: func(ws *websocket.Conn) {
			ws.SetReadLimit(100_000)
			echoes(ws, same)
		}, severity: Warning, words: []string{"1048576 bytes is refused with 1009", "64 KiB, which pass"}},
		"pings": {f: func(ws *websocket.Conn) {
			ws.SetPingHandler(func(string) error { return nil })
			echoes(ws, same)
		}, quick: true, severity: Failure, words: []string{"ping with 0 bytes", "no pong comes"}},
		"pongs of another": {f: func(ws *websocket.Conn) {
			ws.SetPingHandler(func(string) error {
				return ws.WriteControl(websocket.PongMessage, []byte("x"), time.Now().Add(time.Second))
			})
			echoes(ws, same)
		}, quick: true, severity: Failure, words: []string{"carries something else"}},
		"cut": {f: func(ws *websocket.Conn) {
			echoes(ws, func(_ int, c []byte) []byte {
				if len(c) > 200 {
					_ = ws.NetConn().Close()
				}
				return c
			})
		}, quick: true, severity: Failure, words: []string{"65535 bytes does not come back: the connection is cut"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, at("ws", probed(t, k.f)))
			o.Quick = k.quick
			o.pace.waits = []time.Duration{time.Millisecond}
			diagnose(t, o).want(t, "frames", k.severity, k.words...)
		})
	}
}

// One byte of a relay that is wrong, behind a true server, is found and placed; and
// fragments are really sent.
func TestRelayThatChangesBytes(t *testing.T) {
	t.Parallel()
	addr := relays(t, adit(t, server.Options{}), passes, func(to, from net.Conn) {
		buf := make([]byte, 32<<10)
		for total := 0; ; {
			n, err := from.Read(buf)
			if i := 40_000 - total; total <= 40_000 && i < n {
				buf[i] ^= 0x20
			}
			total += n
			if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	})
	all := diagnose(t, client(t, at("ws", addr)))
	all.worst(t, Failure)
	all.want(t, "frames", Failure, "65535 bytes comes back changed")

	var seen bytes.Buffer
	pieces := make(chan struct{})
	addr = relays(t, adit(t, server.Options{}), func(to, from net.Conn) {
		_, _ = io.Copy(io.MultiWriter(to, &seen), io.LimitReader(from, 1<<20))
		select {
		case <-pieces:
		default:
			close(pieces)
		}
		passes(to, from)
	}, passes)
	o := client(t, at("ws", addr))
	ctx := t.Context()
	c := &clientProbe{o: &o}
	o.Found = func(Finding) {}
	w, err := c.newWay(o.Servers[0])
	if err != nil {
		t.Fatal(err)
	}
	opened := w.open(ctx, w.u, pieceBuffer)
	if fault := w.again(opened); fault != nil {
		t.Fatal(fault)
	}
	if fault := w.echo(ctx, opened, websocket.BinaryMessage, 65536); fault != nil {
		t.Fatal(fault)
	}
	opened.close()
	<-pieces
	_, frames, _ := bytes.Cut(seen.Bytes(), []byte("\r\n\r\n"))
	if len(frames) < 2 || frames[0] != websocket.BinaryMessage { // without FIN
		t.Errorf("the message went in one frame: % x", frames[:min(len(frames), 4)])
	}
}
