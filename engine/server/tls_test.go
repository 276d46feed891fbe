package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"adit/engine"
	"adit/engine/certs"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A secured is what a bench over TLS is told.
type secured struct {
	*bench
	authority *enginetest.Authority
	source    *certs.Source
	dir       string
}

// secure starts a server with TLS and a client of it that exposes app.
func secure(t testing.TB, h tunnel.Handler, change ...func(*Options)) *secured {
	t.Helper()
	s := &secured{authority: enginetest.NewAuthority(t), dir: t.TempDir()}
	cert, key := enginetest.WriteCertificate(t, s.dir, "a", s.authority.Server("*.t.example", "127.0.0.1"))
	var err error
	if s.source, err = certs.New(certs.Options{Cert: []string{cert}, Key: []string{key}, HTTP2: true, AskPeer: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.source.Close)
	o := Options{Domain: domain, Wait: 50 * time.Millisecond, TLS: s.source.Config()}
	for _, c := range change {
		c(&o)
	}
	s.bench = serve(t, o)
	if h != nil {
		s.dialTLS(greeting("edge", engine.Expose{Host: "app"}), h)
	}
	return s
}

func (s *secured) dialTLS(g *engine.Greeting, h tunnel.Handler) tunnel.Session {
	s.t.Helper()
	session, err := s.tryDial(g, h, func(o *tunnel.DialOptions) {
		o.URL, o.TLS = "wss://"+s.addr+"/register", &tls.Config{RootCAs: s.authority.Pool}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.awaitMember(g.ID)
	return session
}

// caller returns a client over TLS, which asks for appHost.
func (s *secured) caller(version uint16, http2 bool) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	c := caller(s.t)
	tr := c.Transport.(*http.Transport)
	tr.Protocols = &protocols
	tr.TLSClientConfig = &tls.Config{RootCAs: s.authority.Pool, MinVersion: version, MaxVersion: version}
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	}
	return c
}

// secret connects over TLS and sends bytes.
func (s *secured) secret(send string) (*tls.Conn, *bufio.Reader) {
	s.t.Helper()
	c, err := tls.Dial("tcp", s.addr, &tls.Config{RootCAs: s.authority.Pool})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, send); err != nil {
		s.t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

func TestCallersOverTLS(t *testing.T) {
	var seen atomic.Pointer[wire.Request]
	s := secure(t, func(in tunnel.Incoming) {
		r := *in.Request()
		r.Fields = append([]wire.Field(nil), r.Fields...)
		seen.Store(&r)
		hello(in)
	})
	opened := s.await(engine.KindGreetingReceived, 1)
	if _, port, _ := net.SplitHostPort(s.addr); opened.Greeting.Expose[0].URL != "https://app.t.example:"+port {
		t.Errorf("the client is told %q", opened.Greeting.Expose[0].URL)
	}
	for _, c := range []struct {
		version uint16
		http2   bool
	}{{tls.VersionTLS12, false}, {tls.VersionTLS12, true}, {tls.VersionTLS13, false}, {tls.VersionTLS13, true}} {
		name := tls.VersionName(c.version) + " http2 " + strconv.FormatBool(c.http2)
		for range 3 {
			resp, text := do(t, s.caller(c.version, c.http2), "POST", "https://"+appHost+"/x?y", "content")
			if resp.StatusCode != 200 || text != "POST /x?y content" || resp.ProtoMajor == 2 != c.http2 || resp.TLS.Version != c.version {
				t.Errorf("%s: %s %s %q", name, resp.Proto, resp.Status, text)
			}
		}
		fields := seen.Load().Fields
		for field, want := range map[string]string{"X-Forwarded-Proto": "https", "Forwarded": `for=127.0.0.1;host="app.t.example";proto=https`} {
			if got := wire.Get(fields, field); got != want {
				t.Errorf("%s: %s: %s", name, field, got)
			}
		}
	}
	if got := s.finished(1); got.Target != "https://app.t.example/x?y" || got.Outcome != engine.OutcomeCompleted {
		t.Errorf("recorded: %s, %v", got.Target, got.Outcome)
	}
}

// TestHandshakeThatNeverEnds: who connects and says nothing is closed in time, and
// the deadline of a handshake is over with it.
func TestHandshakeThatNeverEnds(t *testing.T) {
	t.Parallel()
	const wait = 2 * time.Second // a handshake takes its time on a busy machine
	pieces := map[string]chan struct{}{"/h1": make(chan struct{}), "/h2": make(chan struct{})}
	s := secure(t, func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200}, false)
		for {
			select {
			case <-pieces[in.Request().Path]:
			case <-in.Context().Done():
				return
			}
			if _, err := in.Write([]byte("x")); err != nil {
				return
			}
		}
	}, func(o *Options) { o.Caps.HeaderTimeout = wait })
	slow := s.raw("")
	s.raw("GET / HTTP/1.1\r\n\r\n").response(t, "GET") // and who speaks in clear is told so
	began := time.Now()
	if n, err := slow.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("something came")
	} else if took := time.Since(began); took > soon {
		t.Errorf("closed after %v", took)
	}

	for path, piece := range pieces {
		h2 := path == "/h2"
		resp, err := s.caller(tls.VersionTLS13, h2).Get("https://" + appHost + path)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(wait / 2)
			select {
			case piece <- struct{}{}:
			case <-time.After(patience):
				t.Fatalf("http2 %v: the stream ended with the handshake's deadline", h2)
			}
			if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
				t.Fatalf("http2 %v: a stream after the handshake's deadline: %v", h2, err)
			}
		}
		resp.Body.Close()
		s.eventually("the exchange to end", func() bool { return s.s.calls.running() == 0 })
	}
}

func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestLinksOverTLS: a WebSocket over TLS is as one in clear: its deadlines are the
// tunnel's, its frames are counted above TLS, an operator can end it.
func TestLinksOverTLS(t *testing.T) {
	t.Parallel()
	const wait = 500 * time.Millisecond // also a write may have to wait for the processor
	const head = 3 * time.Second        // a handshake takes its time on a busy machine
	s := secure(t, hello, func(o *Options) { o.Caps.HeaderTimeout, o.Caps.Stall = head, wait })
	time.Sleep(head + 2*wait)
	c := s.caller(tls.VersionTLS13, false)
	for range 3 {
		if _, text := do(t, c, "GET", "https://"+appHost+"/", ""); text != "GET / " {
			t.Errorf("%q", text)
		}
		time.Sleep(wait + wait/2)
	}
	var snapshot engine.Snapshot
	if err := s.s.Snapshot(t.Context(), &snapshot); err != nil || len(snapshot.Connections) != 1 {
		t.Fatalf("%v, %d connections", err, len(snapshot.Connections))
	}
	link := snapshot.Connections[0]
	if link.TLS.Version != "1.3" || !strings.HasPrefix(link.TLS.Cipher, "TLS_") || link.TLS.Peer != "" {
		t.Errorf("secured by %+v", link.TLS)
	}
	if link.Traffic.FramesIn.Text != 1 || link.Traffic.FramesIn.Binary < 3 || link.Traffic.BytesIn > 4000 {
		t.Errorf("counted: %+v", link.Traffic)
	}
	if err := s.s.CloseConnection(t.Context(), link.ID, engine.CloseKilled, engine.Operator{Name: "ann"}); err != nil {
		t.Error(err)
	}
	if e := s.await(engine.KindConnectionClosed, 1); e.Code != uint16(engine.CloseKilled) {
		t.Errorf("%+v", e)
	}
}

func TestStreamsOverTLS(t *testing.T) {
	fault := make(chan struct{})
	s := secure(t, func(in tunnel.Incoming) {
		if c, _ := in.Connect(); c.Target == "fault:1" {
			in.WriteResponse(&wire.Response{Status: 200}, false)
			in.Write([]byte("part"))
			<-fault
			in.Reset(wire.ResetOriginFailed, "broken")
			return
		}
		echoRaw(in)
	})
	for name, head := range map[string]string{
		"connect": "CONNECT echo:1 HTTP/1.1\r\nHost: echo:1\r\n\r\n",
		"upgrade": "GET / HTTP/1.1\r\nHost: app.t.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
	} {
		c, r := s.secret(head)
		if _, err := http.ReadResponse(r, &http.Request{Method: "CONNECT"}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		converse(t, c, r, "") // its half close is close_notify, not FIN
	}
	for n := range 2 {
		if got := s.finished(n + 1); got.Outcome != engine.OutcomeCompleted {
			t.Errorf("recorded: %v %s", got.Outcome, got.Reason)
		}
	}

	// Who gets a part only must not get the alert that says it is the whole.
	c, r := s.secret("CONNECT fault:1 HTTP/1.1\r\nHost: fault:1\r\n\r\n")
	if _, err := http.ReadResponse(r, &http.Request{Method: "CONNECT"}); err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 4)
	if _, err := io.ReadFull(r, part); err != nil {
		t.Fatal(err)
	}
	close(fault)
	if _, err := io.ReadAll(r); err == nil {
		t.Errorf("a part of the stream ends like the whole")
	}
	c.Close()
}

// TestCallerOverTLSThatLeaves ends what it asked for, though nobody watches its
// socket.
func TestCallerOverTLSThatLeaves(t *testing.T) {
	began := make(chan struct{}, 1)
	s := secure(t, func(in tunnel.Incoming) {
		began <- struct{}{}
		<-in.Context().Done()
	})
	for n, h2 := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", "https://"+appHost+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := s.caller(tls.VersionTLS13, h2).Do(r); err == nil {
				resp.Body.Close()
			}
		}()
		within(t, "handler", began)
		cancel()
		<-done
		if got := s.finished(n + 1); got.Outcome != engine.OutcomeCallerGone {
			t.Errorf("http2 %v: %v", h2, got.Outcome)
		}
	}
}

// TestNoReadOfOneByteBelowTLS holds what callerConn relies on: net/http's read in
// the background is never one of one byte down there, which (0, nil) would answer.
func TestNoReadOfOneByteBelowTLS(t *testing.T) {
	a := enginetest.NewAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ours, theirs := net.Pipe()
		below := &scribe{Conn: ours}
		left := make(chan struct{})
		web := &http.Server{ReadHeaderTimeout: time.Second, IdleTimeout: time.Minute,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/leave" {
					<-r.Context().Done()
					close(left)
				}
			})}
		ln := &oneListener{conn: tls.Server(below, &tls.Config{Certificates: []tls.Certificate{a.Server("a")}, MaxVersion: version}), closed: make(chan struct{})}
		served := make(chan struct{})
		go func() { defer close(served); web.Serve(ln) }()
		c := tls.Client(theirs, &tls.Config{RootCAs: a.Pool, ServerName: "a"})
		r := bufio.NewReader(c)
		for range 3 {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := http.ReadResponse(r, nil); err != nil {
				t.Fatal(err)
			}
		}
		io.WriteString(c, "GET /leave HTTP/1.1\r\nHost: a\r\n\r\n")
		theirs.Close()
		within(t, "end of the context", left)
		web.Close()
		<-served
		if notes := below.notes(); strings.Contains(notes, "one") || !strings.Contains(notes, "zero read") {
			t.Errorf("%s: %s", tls.VersionName(version), notes)
		}
	}
}

// TestRapidReset (CVE-2023-44487): streams that are opened and reset at once
// neither pile up behind nor take more than their bound.
func TestRapidReset(t *testing.T) {
	var now, most atomic.Int64
	s := secure(t, func(in tunnel.Incoming) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		<-in.Context().Done()
	})
	for name, config := range map[string]*tls.Config{"tls": {RootCAs: s.authority.Pool, NextProtos: []string{"h2"}}} {
		conn, err := tls.Dial("tcp", s.addr, config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, http2.ClientPreface)
		f := http2.NewFramer(conn, conn)
		f.WriteSettings()
		var streams uint32
		for streams == 0 {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if settings, ok := frame.(*http2.SettingsFrame); ok {
				streams, _ = settings.Value(http2.SettingMaxConcurrentStreams)
			}
		}
		if streams != maxStreams {
			t.Errorf("%s: %d streams are allowed", name, streams)
		}
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(io.Discard, conn) })
		// HPACK, literal without indexing: GET, https, the name, /.
		block := append([]byte{0x82, 0x87, 0x84, 0x01, byte(len(appHost))}, appHost...)
		for id := uint32(1); id < 8000; id += 2 {
			if f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true}) != nil ||
				f.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break // the server may have had enough
			}
		}
		conn.Close()
		wg.Wait()
	}
	s.eventually("every exchange to end", func() bool { return s.s.calls.running() == 0 && now.Load() == 0 })
	if most.Load() > maxStreams {
		t.Errorf("%d exchanges at once", most.Load())
	}
	if _, text := do(t, s.caller(tls.VersionTLS13, true), "GET", "https://127.0.0.1/status", ""); text != "ok" {
		t.Errorf("then: %q", text)
	}
}

// TestReloadUnderLoad: certificates are replaced while callers come and go, and
// none of them fails.
func TestReloadUnderLoad(t *testing.T) {
	s := secure(t, hello)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var count atomic.Int64
	for n := range 6 {
		wg.Go(func() {
			kept := s.caller(tls.VersionTLS13, n%2 == 0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := kept
				if n > 2 {
					c = s.caller(tls.VersionTLS12+uint16(n%2), n%2 == 0)
				}
				if resp, text, err := try(c, "GET", "https://"+appHost+"/", ""); err != nil || resp.StatusCode != 200 {
					t.Errorf("%v %q", err, text)
					return
				}
				if c != kept {
					c.CloseIdleConnections()
				}
				count.Add(1)
			}
		})
	}
	for range 10 {
		before := count.Load()
		enginetest.WriteCertificate(t, s.dir, "a", s.authority.Server("*.t.example", "127.0.0.1"))
		if err := s.source.Reload(); err != nil {
			t.Error(err)
		}
		s.eventually("callers after a reload", func() bool { return count.Load() > before+20 || t.Failed() })
	}
	close(stop)
	wg.Wait()
	if s.seen(engine.KindConnectionClosed) != nil {
		t.Error("the client's connection ended")
	}
}
