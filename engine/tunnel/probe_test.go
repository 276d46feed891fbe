package tunnel

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
	"adit/engine/wire"
)

// probing serves one probe, which may carry so many bytes and last so long, and
// returns its other end. done is closed when Echo has returned.
func probing(t *testing.T, bytes int64, lasts time.Duration) (ws *websocket.Conn, probe *Probe, done chan struct{}) {
	t.Helper()
	opened := make(chan *Probe, 1)
	done = make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		p, err := AcceptProbe(w, r, &wire.Probe{Server: "test"})
		if err != nil {
			t.Error(err)
			return
		}
		p.left, p.till = bytes, time.Now().Add(lasts)
		_ = p.conn.SetReadDeadline(p.till)
		opened <- p
		p.Echo()
	}))
	t.Cleanup(s.Close)
	d := websocket.Dialer{Subprotocols: []string{wire.ProbeSubprotocol}}
	ws, _, err := d.Dial("ws"+strings.TrimPrefix(s.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close(); <-done })
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, _, err := ws.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	return ws, <-opened, done
}

// One that never ends would cost a server whatever its peer likes: in content, in
// empty messages, in pings, in time.
func TestProbeThatIsSpent(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		lasts time.Duration
		send  func(ws *websocket.Conn) error
	}{
		"content": {time.Minute, func(ws *websocket.Conn) error {
			return ws.WriteMessage(websocket.BinaryMessage, make([]byte, 10_000))
		}},
		"empty": {time.Minute, func(ws *websocket.Conn) error { return ws.WriteMessage(websocket.TextMessage, nil) }},
		"pings": {time.Minute, func(ws *websocket.Conn) error {
			return ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Minute))
		}},
		"time": {50 * time.Millisecond, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, _, done := probing(t, 64<<10, k.lasts)
			sent := make(chan int, 1)
			go func() {
				n := 0
				for k.send != nil && k.send(ws) == nil && n < 1500 {
					n++
				}
				sent <- n
			}()
			var err error
			for err == nil {
				_, _, err = ws.ReadMessage()
			}
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != int(engine.ClosePolicy) || closed.Text == "" {
				t.Errorf("%v after %d messages", err, len(sent))
			}
			_ = ws.Close()
			<-sent
			<-done
		})
	}
}

// A message takes as long as its sender does: only who does not read is cut off.
func TestProbeOfASlowSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			reader := bufio.NewReader(far)
			r, err := http.ReadRequest(reader)
			if err != nil {
				t.Error(err)
				return
			}
			p, err := AcceptProbe(&piped{far, reader}, r, &wire.Probe{Server: "test"})
			if err != nil {
				t.Error(err)
				return
			}
			p.Echo()
		}()
		d := websocket.Dialer{Subprotocols: []string{wire.ProbeSubprotocol}, WriteBufferSize: 64,
			NetDial: func(string, string) (net.Conn, error) { return near, nil }}
		ws, _, err := d.Dial("ws://test/register", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		go func() {
			w, err := ws.NextWriter(websocket.BinaryMessage)
			for range 4 {
				if err == nil {
					_, err = w.Write(make([]byte, probePiece))
				}
				time.Sleep(probeWrite / 2)
			}
			if err := errors.Join(err, w.Close()); err != nil {
				t.Error(err)
			}
		}()
		if _, back, err := ws.ReadMessage(); err != nil || len(back) != 4*probePiece {
			t.Errorf("%d bytes, %v", len(back), err)
		}
		_ = ws.Close()
		<-done
	})
}

// piped is the answer to a request that came through a pipe.
type piped struct {
	conn   net.Conn
	reader *bufio.Reader
}

func (p *piped) Header() http.Header       { return http.Header{} }
func (p *piped) Write([]byte) (int, error) { return 0, errors.New("it is answered, and not upgraded") }
func (p *piped) WriteHeader(int)           {}
func (p *piped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return p.conn, bufio.NewReadWriter(p.reader, bufio.NewWriter(p.conn)), nil
}

// The end of a server waits for nobody who does not read.
func TestProbeEndsWhileItWrites(t *testing.T) {
	t.Parallel()
	ws, probe, done := probing(t, 1<<30, time.Minute)
	_ = ws.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	for range 100 {
		if ws.WriteMessage(websocket.BinaryMessage, make([]byte, wire.ProbeMessage)) != nil {
			break // its windows are full: it writes and nobody reads
		}
	}
	probe.End(engine.CloseGoingAway, "over")
	probe.End(engine.CloseGoingAway, "over")
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("it waits")
	}
}
