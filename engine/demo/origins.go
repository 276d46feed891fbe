package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxEvents  = 6000 // of one stream: ten minutes
	maxMessage = 64 << 10
	echoIdle   = time.Minute
)

// origins are what the clients lead to: one HTTP server whose paths behave
// differently, and a TCP echo.
type origins struct {
	web   net.Listener
	echo  net.Listener
	http  *http.Server
	fault atomic.Uint64 // requests to /faulty: decides what goes wrong

	ctx    context.Context // ends when the origins close
	cancel context.CancelFunc
	served sync.WaitGroup // serve loops and what they accepted beyond net/http's care
}

func newOrigins() (*origins, error) {
	web, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, err
	}
	echo, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		web.Close()
		return nil, err
	}
	o := &origins{web: web, echo: echo}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", hello)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/faulty", o.faulty)
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/chat", o.chat)
	mux.HandleFunc("/upload", upload)
	mux.HandleFunc("/download", download)
	mux.HandleFunc("/api/", shop)
	mux.HandleFunc("/static/", shop)
	mux.HandleFunc("/old-shop", shop)
	o.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext:       func(net.Listener) context.Context { return o.ctx },
	}
	return o, nil
}

func (o *origins) httpAddr() string { return o.web.Addr().String() }
func (o *origins) echoAddr() string { return o.echo.Addr().String() }

// serve accepts until close.
func (o *origins) serve() {
	o.served.Go(func() { o.http.Serve(o.web) })
	o.served.Go(func() {
		for {
			c, err := o.echo.Accept()
			if err != nil {
				return
			}
			o.served.Go(func() { o.echoBack(c) })
		}
	})
}

// close ends everything and returns when every goroutine has ended.
func (o *origins) close() {
	o.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if o.http.Shutdown(ctx) != nil {
		o.http.Close()
	}
	o.echo.Close()
	o.served.Wait()
}

// release closes listeners that were never served.
func (o *origins) release() {
	o.cancel()
	o.web.Close()
	o.echo.Close()
}

// echoBack answers every byte with itself until the other side has no more.
func (o *origins) echoBack(c net.Conn) {
	defer context.AfterFunc(o.ctx, func() { c.Close() })()
	defer c.Close()
	buf := make([]byte, 4<<10)
	for {
		c.SetDeadline(time.Now().Add(echoIdle))
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello from behind the tunnel, asked for as %s\n", r.Host)
}

func slow(w http.ResponseWriter, r *http.Request) {
	pause(r.Context(), 400*time.Millisecond)
	io.WriteString(w, "late, but here\n")
}

func upload(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, "%d bytes\n", n)
}

// faulty works every fourth time; else it answers 500, hangs up instead of
// answering, or hangs up in the middle.
func (o *origins) faulty(w http.ResponseWriter, r *http.Request) {
	switch o.fault.Add(1) % 4 {
	case 1:
		io.WriteString(w, "this time it works\n")
	case 2:
		http.Error(w, "broken on purpose", http.StatusInternalServerError)
	case 3:
		panic(http.ErrAbortHandler)
	default:
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "this is less than promised\n")
		http.NewResponseController(w).Flush()
		pause(r.Context(), 50*time.Millisecond)
		panic(http.ErrAbortHandler)
	}
}

// events streams server-sent events: ?count=N of them, else for long.
func events(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.Atoi(r.FormValue("count"))
	if err != nil || count < 0 || count > maxEvents {
		count = maxEvents
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := http.NewResponseController(w)
	for i := range count {
		if _, err := io.WriteString(w, price(i)); err != nil {
			return
		}
		if flusher.Flush() != nil {
			return
		}
		pause(r.Context(), 100*time.Millisecond)
		if r.Context().Err() != nil {
			return
		}
	}
}

// chat answers WebSocket messages.
func (o *origins) chat(w http.ResponseWriter, r *http.Request) {
	o.served.Add(1)
	defer o.served.Done()
	upgrader := websocket.Upgrader{HandshakeTimeout: 5 * time.Second}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer context.AfterFunc(o.ctx, func() { ws.Close() })()
	defer ws.Close()
	ws.SetReadLimit(maxMessage)
	for {
		ws.SetReadDeadline(time.Now().Add(echoIdle))
		kind, message, err := ws.ReadMessage()
		if err != nil {
			return
		}
		ws.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if err := ws.WriteMessage(kind, reply(message)); err != nil {
			return
		}
	}
}
