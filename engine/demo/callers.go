package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// callWait bounds one call.
const callWait = 15 * time.Second

// errEcho says that an echo answered something else.
var errEcho = errors.New("echo differs")

// callers ask for things by every way in, a few times a second.
type callers struct {
	front   string // address of the server
	port    string // its port
	origin  string // URL of the HTTP origin
	echo    string // address of the TCP origin
	tcpPort uint16
	grace   time.Duration
	log     *slog.Logger

	direct  *http.Client // host names and /request: whatever the name, it dials the server
	browser *http.Client // the same, and it follows no redirect
	proxy   *http.Client // the server as forward proxy
}

func newCallers(d *Demo, grace time.Duration) *callers {
	c := &callers{
		front:   d.listener.Addr().String(),
		origin:  "http://" + d.origins.httpAddr(),
		echo:    d.origins.echoAddr(),
		tcpPort: d.tcpPort,
		grace:   grace,
		log:     d.options.Logger.With("end", "caller"),
	}
	_, c.port, _ = net.SplitHostPort(c.front)
	c.direct = &http.Client{Transport: &http.Transport{DialContext: c.dialFront}}
	c.browser = &http.Client{
		Transport:     c.direct.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.proxy = &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: c.front}),
	}}
	return c
}

func (c *callers) dialFront(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", c.front)
}

// run calls until ctx ends; a call that runs then has the grace period to end.
func (c *callers) run(ctx context.Context) {
	calls := []struct {
		every time.Duration
		call  func(ctx context.Context) error
	}{
		{150 * time.Millisecond, c.get("fast", "/hello")},
		{300 * time.Millisecond, c.get("slow", "/slow")},
		{400 * time.Millisecond, c.get("faulty", "/faulty")},
		{600 * time.Millisecond, c.get("flapping", "/hello")},
		{800 * time.Millisecond, c.get("stream", "/events?count=8")},
		{700 * time.Millisecond, c.chat},
		{500 * time.Millisecond, c.tcp},
		{900 * time.Millisecond, c.connect},
		{700 * time.Millisecond, c.upload},
		{350 * time.Millisecond, c.request("classic", "/hello")},
		{450 * time.Millisecond, c.forward},
		{70 * time.Millisecond, c.visitShop("shop")},
		{110 * time.Millisecond, c.visitShop("shop")},
		{1500 * time.Millisecond, c.request("classic", "/download?bytes=2000000")},
		{4 * time.Second, c.download},
		{2500 * time.Millisecond, c.forbidden},
		{6 * time.Second, c.stranger},
	}
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var each sync.WaitGroup
	for _, call := range calls {
		each.Go(func() {
			for ctx.Err() == nil {
				bounded, done := context.WithTimeout(lasting, callWait)
				if err := call.call(bounded); err != nil {
					c.log.Debug("call", "err", err)
				}
				done()
				pause(ctx, call.every)
			}
		})
	}
	<-ctx.Done()
	late := time.AfterFunc(c.grace, cancel)
	each.Wait()
	late.Stop()
	c.direct.CloseIdleConnections()
	c.proxy.CloseIdleConnections()
}

// get calls a path by a host name.
func (c *callers) get(name, path string) func(context.Context) error {
	target := "http://" + name + "." + domain + ":" + c.port + path
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return err
		}
		return drain(c.direct.Do(r))
	}
}

// upload sends content by a host name.
func (c *callers) upload(ctx context.Context) error {
	target := "http://fast." + domain + ":" + c.port + "/upload"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(make([]byte, 100<<10)))
	if err != nil {
		return err
	}
	return drain(c.direct.Do(r))
}

// request calls a path by wsp's own way in.
func (c *callers) request(client, path string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.front+"/request", nil)
		if err != nil {
			return err
		}
		r.Header.Set("X-PROXY-DESTINATION", c.origin+path)
		r.Header.Set("X-PROXY-CLIENT", client)
		return drain(c.direct.Do(r))
	}
}

// forward calls by the forward proxy.
func (c *callers) forward(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.origin+"/hello", nil)
	if err != nil {
		return err
	}
	return drain(c.proxy.Do(r))
}

// drain reads a response to its end.
func drain(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// chat exchanges a few WebSocket messages and says goodbye.
func (c *callers) chat(ctx context.Context) error {
	dialer := websocket.Dialer{NetDialContext: c.dialFront, HandshakeTimeout: 5 * time.Second}
	ws, _, err := dialer.DialContext(ctx, "ws://stream."+domain+":"+c.port+"/chat", nil)
	if err != nil {
		return fmt.Errorf("dial chat: %w", err)
	}
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	if err := ws.WriteControl(websocket.PingMessage, []byte("still there?"), time.Now().Add(time.Second)); err != nil {
		return err
	}
	for _, t := range talk {
		if err := ws.WriteMessage(websocket.TextMessage, said("visitor", t[0])); err != nil {
			return err
		}
		_, got, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if !bytes.Equal(got, said("shop", t[1])) {
			return errEcho
		}
	}
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "thank you")
	if err := ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, _, err = ws.ReadMessage()
	if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return nil
	}
	return err
}

// tcp speaks to the echo through the exposed port.
func (c *callers) tcp(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(int(c.tcpPort))))
	if err != nil {
		return err
	}
	return speak(ctx, conn, bufio.NewReader(conn))
}

// connect speaks to the echo through the forward proxy's CONNECT.
func (c *callers) connect(ctx context.Context) error {
	conn, err := c.dialFront(ctx, "", "")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", c.echo); err != nil {
		conn.Close()
		return err
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("connect: %s", resp.Status)
	}
	if err != nil {
		conn.Close()
		return err
	}
	return speak(ctx, conn, r)
}

// speak sends lines to an echo, reads them back, and closes conn.
func speak(ctx context.Context, conn net.Conn, r *bufio.Reader) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for i := range 3 {
		want := "line " + strconv.Itoa(i) + "\n"
		if _, err := io.WriteString(conn, want); err != nil {
			return err
		}
		got, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(got) != strings.TrimSpace(want) {
			return errEcho
		}
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := tcp.CloseWrite(); err != nil {
			return err
		}
	}
	_, err := r.ReadByte()
	if err == io.EOF {
		return nil
	}
	return err
}
