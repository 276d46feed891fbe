package frame

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine"
)

// recorder keeps what passes below the tap.
type recorder struct {
	net.Conn
	mu      sync.Mutex
	in, out []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.in = append(r.in, p[:n]...)
	return n, err
}

func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.Conn.Write(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = append(r.out, p[:n]...)
	return n, err
}

// want is what the second parser says of the recording.
func (r *recorder) want(read, write Start) engine.Traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t engine.Traffic
	t.BytesIn, t.FramesIn = reference(r.in, read)
	t.BytesOut, t.FramesOut = reference(r.out, write)
	return t
}

// hijacker hands out a tapped connection.
type hijacker struct {
	http.ResponseWriter
	counters *Counters
	recorder *recorder
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.recorder.Conn = conn
	return NewConn(h.recorder, h.counters, StartNow, StartAfterHead), rw, nil
}

// TestFragmentedMessagesOfGorillaAreCounted runs a real pair: what gorilla hides
// must be in the counts, and the counts must be those of the sockets.
func TestFragmentedMessagesOfGorillaAreCounted(t *testing.T) {
	const buffer, messages = 256, 5
	var atServer, atClient Counters
	var serverSocket, clientSocket recorder
	served := make(chan error, 1)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u := websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: buffer}
		ws, err := u.Upgrade(&hijacker{w, &atServer, &serverSocket}, r, nil)
		if err != nil {
			served <- err
			return
		}
		defer ws.Close()
		served <- echo(ws)
	}))
	defer server.Close()

	dialer := websocket.Dialer{
		WriteBufferSize: buffer,
		ReadBufferSize:  4096,
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			clientSocket.Conn = conn
			return NewConn(&clientSocket, &atClient, StartAfterHead, StartAfterHead), nil
		},
	}
	ws, response, err := dialer.Dial("ws"+server.URL[len("http"):], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	response.Body.Close()

	deadline := time.Now().Add(10 * time.Second)
	pongs := 0
	ws.SetPongHandler(func(string) error { pongs++; return nil })
	ws.SetReadDeadline(deadline)
	message := bytes.Repeat([]byte("x"), 4*buffer-24)
	for i := range messages {
		kind := websocket.BinaryMessage
		if i%2 == 0 {
			kind = websocket.TextMessage
		}
		if err := ws.WriteMessage(kind, message); err != nil {
			t.Fatal(err)
		}
		if err := ws.WriteControl(websocket.PingMessage, []byte("12345678"), deadline); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.ReadMessage(); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("echo: %d bytes, %v", len(got), err)
		}
	}
	if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), deadline); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, 1000) {
		t.Fatalf("close: %v", err)
	}
	if err := <-served; !websocket.IsCloseError(err, 1000) {
		t.Fatalf("server: %v", err)
	}

	sent := engine.Frames{Text: 3, Binary: 2, Continuation: 3 * messages, Ping: messages, Close: 1}
	client, peer := atClient.Traffic(), atServer.Traffic()
	if client.FramesOut != sent || peer.FramesIn != sent {
		t.Errorf("client sent %+v, server read %+v; want %+v", client.FramesOut, peer.FramesIn, sent)
	}
	if client.FramesIn != peer.FramesOut || client.FramesIn.Pong != messages || pongs != messages {
		t.Errorf("client read %+v, server sent %+v, %d pongs", client.FramesIn, peer.FramesOut, pongs)
	}
	if client.BytesOut != peer.BytesIn || client.BytesIn != peer.BytesOut {
		t.Errorf("bytes differ: client %+v, server %+v", client, peer)
	}
	if want := clientSocket.want(StartAfterHead, StartAfterHead); client != want {
		t.Errorf("client counted %+v, on its socket went %+v", client, want)
	}
	if want := serverSocket.want(StartNow, StartAfterHead); peer != want {
		t.Errorf("server counted %+v, on its socket went %+v", peer, want)
	}
}

// echo sends back every message until the peer closes.
func echo(ws *websocket.Conn) error {
	for {
		kind, p, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if err := ws.WriteMessage(kind, p); err != nil {
			return err
		}
	}
}
