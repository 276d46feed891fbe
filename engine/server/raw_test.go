package server

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// echoRaw accepts a CONNECT or an upgrade and echoes until the caller's FIN,
// after which it says bye.
func echoRaw(in tunnel.Incoming) {
	status := &wire.Response{Status: 200}
	if r := in.Request(); r != nil {
		status = &wire.Response{Status: 101, Fields: []wire.Field{{Name: "Upgrade", Value: "echo"}, {Name: "X-Kept", Value: "1"}}}
	}
	in.WriteResponse(status, false)
	for {
		p, err := in.Next()
		if err == io.EOF {
			in.Write([]byte("bye"))
			in.CloseWrite(nil)
			return
		}
		if err != nil {
			return
		}
		in.Write(p)
	}
}

type halfCloser interface{ CloseWrite() error }

// converse echoes a line, ends its side and expects the rest.
func converse(t *testing.T, conn net.Conn, r *bufio.Reader, early string) {
	t.Helper()
	if early != "" {
		got := make([]byte, len(early))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != early {
			t.Fatalf("early data came back as %q, %v", got, err)
		}
	}
	io.WriteString(conn, "hello\n")
	if line, err := r.ReadString('\n'); line != "hello\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	conn.(halfCloser).CloseWrite()
	if rest, err := io.ReadAll(r); string(rest) != "bye" || err != nil {
		t.Fatalf("after half-close got %q, %v", rest, err)
	}
}

func TestConnectCarriesBytesBothWays(t *testing.T) {
	targets := make(chan wire.Connect, 2)
	b := exposed(t, func(in tunnel.Incoming) {
		c, _ := in.Connect()
		targets <- c
		echoRaw(in)
	})
	for _, early := range []string{"", "early"} {
		c := b.raw("CONNECT DB.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n" + early)
		head, err := http.ReadResponse(c.r, &http.Request{Method: "CONNECT"})
		if err != nil || head.StatusCode != 200 || len(head.TransferEncoding) > 0 || head.Header.Get("Content-Length") != "" {
			t.Fatalf("%+v %v", head, err)
		}
		if got := <-targets; got.Route != 0 || got.Target != "db.internal:5432" {
			t.Errorf("client saw %+v", got)
		}
		converse(t, c.Conn, c.r, early)
	}
	rec := b.finished(2)
	if rec.ID != 2 { // the first may end after it: its caller had all before
		rec = b.finished(1)
	}
	if rec.Way != engine.WayConnect || !rec.Upgraded || rec.Outcome != engine.OutcomeCompleted ||
		rec.RequestBytes != 11 || rec.ResponseBytes != 14 || rec.Target != "db.internal:5432" {
		t.Errorf("record %+v", rec)
	}
}

// The answer to a CONNECT says how long the connection took, and is not the
// origin's first byte.
func TestTimesOfAStream(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200, Connect: 5000}, false)
		body, _ := content(in)
		if c, _ := in.Connect(); c.Target == "loud.internal:1" {
			in.Write(body)
		}
		in.CloseWrite(nil)
	})
	for i, host := range []string{"silent.internal:1", "loud.internal:1"} {
		c := b.raw("CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n\r\nhello")
		http.ReadResponse(c.r, &http.Request{Method: "CONNECT"})
		c.Conn.(halfCloser).CloseWrite()
		io.ReadAll(c.r)
		rec := b.finished(i + 1)
		if rec.Connect != rec.Sent+5*time.Millisecond {
			t.Errorf("%s: connect %v, sent %v", host, rec.Connect, rec.Sent)
		}
		if silent := i == 0; silent != (rec.FirstByte < 0) || rec.FirstByte > rec.LastByte {
			t.Errorf("%s: first byte %v of %v", host, rec.FirstByte, rec.LastByte)
		}
	}
}

func TestConnectThatIsDenied(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) { in.Reset(wire.ResetDenied, "rule 7 of edge") })
	resp, body := b.raw("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n").response(t, "GET")
	if resp.StatusCode != 403 || strings.Contains(body, "rule 7") {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

func TestUpgradeSwitchesProtocols(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		if wire.Get(in.Request().Fields, "upgrade") != "echo" {
			t.Errorf("client saw %v", in.Request().Fields)
		}
		echoRaw(in)
	})
	c := b.raw("GET /ws HTTP/1.1\r\nHost: app.t.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n" + "early")
	head, err := http.ReadResponse(c.r, &http.Request{Method: "GET"})
	if err != nil || head.StatusCode != 101 || head.Header.Get("Upgrade") != "echo" ||
		!strings.EqualFold(head.Header.Get("Connection"), "upgrade") || head.Header.Get("X-Kept") != "1" {
		t.Fatalf("%+v %v", head, err)
	}
	converse(t, c.Conn, c.r, "early")
	if rec := b.finished(1); !rec.Upgraded || rec.Status != 101 || rec.Outcome != engine.OutcomeCompleted || rec.Way != engine.WayHost {
		t.Errorf("record %+v", rec)
	}
}

func TestUpgradeThatIsNotTaken(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) { respond(in, 426, "no") })
	resp, body := b.raw("GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").response(t, "GET")
	if resp.StatusCode != 426 || body != "no" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

// An upgrade with content, to h2c or over HTTP/1.0 is none: rules could not see
// what comes behind it, or RFC 9110 §7.8 forbids it.
func TestUpgradesThatAreRemoved(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		content(in)
		respond(in, 200, "upgrade: "+wire.Get(in.Request().Fields, "upgrade"))
	})
	for _, send := range []string{
		"POST / HTTP/1.1\r\nHost: app.t.example\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 1\r\n\r\nx",
		"GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHttp2-Settings: AA\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: upgrade\r\nUpgrade: echo, H2C/1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: app.t.example\r\nUpgrade: echo\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: app.t.example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
	} {
		if resp, body := b.raw(send).response(t, "GET"); resp.StatusCode != 200 || body != "upgrade: " {
			t.Errorf("%q: got %d %q", send, resp.StatusCode, body)
		}
	}
}

func TestOnlyWspClientsCarryNoUpgrade(t *testing.T) {
	b := serve(t, Options{Wait: 20 * time.Millisecond})
	if _, err := b.tryDial(greeting("old"), hello, classic); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("old")
	for _, send := range []string{
		"GET http://x.internal/ HTTP/1.1\r\nHost: x.internal\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
		"CONNECT x.internal:80 HTTP/1.1\r\nHost: x.internal:80\r\n\r\n",
		"POST http://x.internal/ HTTP/1.1\r\nHost: x.internal\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
	} {
		if resp, _ := b.raw(send).response(t, "GET"); resp.StatusCode != 501 {
			t.Errorf("%q: got %d", send, resp.StatusCode)
		}
	}
	resp, body := do(t, caller(t), "POST", b.url("/request"), "hi", "X-Proxy-Destination", "http://x.internal/a")
	if resp.StatusCode != 200 || body != "POST /a hi" {
		t.Errorf("plain request: %d %q", resp.StatusCode, body)
	}
	// With a client of ours beside it, what wsp would lose goes there.
	b.dial(greeting("new"), func(in tunnel.Incoming) {
		content(in)
		respond(in, 200, fmt.Sprint(fieldsOf(in.Trailers())))
	})
	for range 4 {
		resp, body := b.raw("POST http://x.internal/ HTTP/1.1\r\nHost: x.internal\r\nTransfer-Encoding: chunked\r\n"+
			"Trailer: X-Sum\r\n\r\n0\r\nX-Sum: 1\r\n\r\n").response(t, "POST")
		if resp.StatusCode != 200 || body != "[x-sum: 1]" {
			t.Errorf("trailers: %d %q", resp.StatusCode, body)
		}
	}
}

func withPorts(first, last uint16) Options {
	return Options{TCPFirst: first, TCPLast: last, TCPHost: "127.0.0.1", Wait: 50 * time.Millisecond, Domain: domain}
}

func (b *bench) dialPort(port uint16) (net.Conn, error) {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		conn.SetDeadline(time.Now().Add(patience))
		b.t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

func TestExposedPortIsBoundWhileExposed(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serve(t, withPorts(port, port))
	if _, err := b.dialPort(port); err == nil {
		t.Fatal("bound although nobody exposes it")
	}
	routes := make(chan wire.Connect, 10)
	serve := func(in tunnel.Incoming) {
		c, _ := in.Connect()
		routes <- c
		echoRaw(in)
	}
	first := b.dial(greeting("a", engine.Expose{Host: "app"}, engine.Expose{TCP: port}), serve)
	if w := first.Welcome(); len(w.URLs) != 2 || w.URLs[1] != fmt.Sprintf("tcp://127.0.0.1:%d", port) ||
		!strings.HasPrefix(w.URLs[0], "http://app.t.example:") {
		t.Errorf("urls %v", w.URLs)
	}
	second := b.dial(greeting("b", engine.Expose{TCP: port}), serve)
	for range 4 {
		conn, err := b.dialPort(port)
		if err != nil {
			t.Fatal(err)
		}
		converse(t, conn, bufio.NewReader(conn), "")
		if c := <-routes; c.Target != "" || c.Route != 1 && c.Route != 2 {
			t.Errorf("client saw %+v", c)
		}
	}
	rec := b.finished(4)
	if rec.Way != engine.WayTCP || rec.Status != 0 || rec.Outcome != engine.OutcomeCompleted ||
		rec.RequestBytes != 6 || rec.ResponseBytes != 9 {
		t.Errorf("record %+v", rec)
	}
	first.Close(engine.CloseNormal, "")
	b.await(engine.KindConnectionClosed, 1)
	if _, err := b.dialPort(port); err != nil {
		t.Errorf("unbound although one client still exposes it: %v", err)
	}
	second.Close(engine.CloseNormal, "")
	b.await(engine.KindConnectionClosed, 2)
	if _, err := b.dialPort(port); err == nil {
		t.Error("still bound although nobody exposes it")
	}
}

func TestResetReachesCallerOfPort(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serve(t, withPorts(port, port))
	b.dial(greeting("a", engine.Expose{TCP: port}), func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		in.Write([]byte("y"))
		in.Next()
		in.Reset(wire.ResetOriginFailed, "reset by origin")
	})
	conn, err := b.dialPort(port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Read(make([]byte, 1))
	io.WriteString(conn, "x")
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read ended with %v, not with a reset", err)
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeTruncated {
		t.Errorf("record %+v", rec)
	}
}

func TestCallerOfPortThatResets(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serve(t, withPorts(port, port))
	ended := make(chan error, 1)
	b.dial(greeting("a", engine.Expose{TCP: port}), func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		for {
			if _, err := in.Next(); err != nil {
				ended <- err
				return
			}
			in.Write([]byte("y"))
		}
	})
	conn, err := b.dialPort(port)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "x")
	conn.Read(make([]byte, 1))
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
	select {
	case err := <-ended:
		if err == io.EOF {
			t.Error("a reset looked like an end")
		}
	case <-time.After(patience):
		t.Error("the client was not told")
	}
	if rec := b.finished(1); rec.Outcome != engine.OutcomeCallerGone {
		t.Errorf("record %+v", rec)
	}
}

// h2c returns a client that speaks HTTP/2 in clear with prior knowledge.
func h2c(t testing.TB) *http.Client {
	var clear http.Protocols
	clear.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &clear, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func TestHTTP2CallersFullDuplexWithTrailers(t *testing.T) {
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Type", Value: "application/grpc"}}}, false)
		for {
			p, err := in.Next()
			if err != nil {
				break
			}
			in.Write(p)
		}
		in.CloseWrite([]wire.Field{{Name: "grpc-status", Value: "0"}})
	})
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", b.url("/svc/method"), pr)
	req.Host = appHost
	req.Header.Set("Te", "trailers")
	resp, err := h2c(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for range 10 {
		io.WriteString(pw, "ping\n")
		if line, err := r.ReadString('\n'); line != "ping\n" {
			t.Fatalf("%q %v", line, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if resp.Trailer.Get("Grpc-Status") != "0" || resp.ProtoMajor != 2 {
		t.Errorf("%s, trailers %v", resp.Proto, resp.Trailer)
	}
}

func TestHTTP2Connect(t *testing.T) {
	b := exposed(t, echoRaw)
	pr, pw := io.Pipe()
	req := &http.Request{Method: "CONNECT", URL: mustURL(b.url("")), Host: "db.internal:5432", Header: http.Header{}, Body: pr}
	resp, err := h2c(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.WriteString(pw, "hello")
	got := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "hello" {
		t.Fatalf("%q %v", got, err)
	}
	pw.Close()
	if rest, err := io.ReadAll(resp.Body); string(rest) != "bye" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}

func TestHTTP2TruncationResetsStream(t *testing.T) {
	die := make(chan struct{})
	b := exposed(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		in.Write([]byte("part"))
		<-die
		in.Reset(wire.ResetOriginFailed, "origin died")
	})
	req, _ := http.NewRequest("GET", b.url("/"), nil)
	req.Host = appHost
	resp, err := h2c(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(die)
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q was taken for the whole", body)
	}
}

// Who speaks first need not wait for the origin's dial, and who leaves during
// it ends it.
func TestCallerOfPortBeforeTheOriginAccepts(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serve(t, withPorts(port, port))
	early, cancelled := make(chan string, 1), make(chan struct{})
	b.dial(greeting("a", engine.Expose{TCP: port}), func(in tunnel.Incoming) {
		p, err := in.Next()
		if err != nil {
			t.Error(err)
		}
		early <- string(p)
		<-in.Context().Done()
		close(cancelled)
	})
	conn, err := b.dialPort(port)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "startup")
	if got := <-early; got != "startup" {
		t.Errorf("got %q", got)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
	within(t, "cancellation", cancelled)
	if rec := b.finished(1); rec.Outcome != engine.OutcomeCallerGone || rec.RequestBytes != 7 {
		t.Errorf("record %+v", rec)
	}
}

func TestRefusedPortIsTriedElsewhereOnce(t *testing.T) {
	port := enginetest.FreePort(t)
	b := serve(t, withPorts(port, port))
	for _, id := range []string{"a", "b", "c"} {
		b.dial(greeting(id, engine.Expose{TCP: port}), func(in tunnel.Incoming) {
			if id != "c" {
				in.Reset(wire.ResetRefused, "busy")
				return
			}
			echoRaw(in)
		})
	}
	refused := 0
	for range 9 {
		conn, err := b.dialPort(port)
		if errors.Is(err, syscall.ECONNRESET) {
			refused++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		// Nothing is sent before the answer, so nothing stands against a retry.
		conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, syscall.ECONNRESET) {
			refused++
			continue
		}
		// On a busy machine the second refusal may come later than that.
		conn.SetReadDeadline(time.Now().Add(patience))
		_, sent := io.WriteString(conn, "ping")
		_, got := io.ReadFull(conn, make([]byte, len("ping")))
		switch err := cmp.Or(got, sent); {
		case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			refused++
		case err != nil:
			t.Fatal(err)
		default:
			converse(t, conn, bufio.NewReader(conn), "")
		}
	}
	if refused == 9 {
		t.Error("never tried elsewhere")
	}
}
