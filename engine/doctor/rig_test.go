package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/egress"
	"adit/engine/policy"
	"adit/engine/server"
	"adit/engine/wire"
)

// patience bounds what should not wait at all.
const patience = 20 * time.Second

// client is what a client would start with, at a pace that tests have time for.
func client(t *testing.T, servers ...string) ClientOptions {
	t.Helper()
	return ClientOptions{
		Servers: servers, ID: "pi", Quick: true, Egress: wayOut(t, egress.Options{Proxy: egress.None}), UserAgent: "adit/test", SecretAt: "--secret",
		Rules: rules(t, policy.RuleSet{Allow: []string{"any"}}),
		pace:  pace{step: 2 * time.Second, slow: 2 * time.Second, flow: 50 * time.Millisecond, unit: 10 * time.Millisecond},
	}
}

func wayOut(t *testing.T, o egress.Options) *egress.Dialer {
	t.Helper()
	d, err := egress.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func rules(t *testing.T, s policy.RuleSet) *policy.Rules {
	t.Helper()
	r, err := s.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// findings are what one run has found.
type findings []Finding

func diagnose(t *testing.T, o ClientOptions) (all findings) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.Found = func(f Finding) { all = append(all, f) }
	if err := Client(ctx, o); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		f := &all[i]
		if o.Secret != "" && strings.Contains(f.Found+f.Means+f.Change, o.Secret) {
			t.Errorf("%s shows the credential: %+v", f.Check, f)
		}
		if f.Severity >= Warning && (f.Found == "" || f.Change == "") || strings.HasSuffix(f.Found, ".") {
			t.Errorf("a stranger can't act on that: %+v", f)
		}
	}
	return all
}

// want looks for one finding of a check, with words of it anywhere, and for nothing
// else that is as bad.
func (all findings) want(t *testing.T, check string, severity Severity, words ...string) {
	t.Helper()
	said := ""
	for i := range all {
		f := &all[i]
		if f.Check != check || f.Severity != severity {
			continue
		}
		text := f.Found + "\n" + f.Means + "\n" + f.Change + "\n" + strings.Join(f.Settings, " ")
		missing := ""
		for _, w := range words {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		said += fmt.Sprintf("\n\t%q is missing in %+v", missing, *f)
	}
	t.Errorf("no %v of %s with %q:%s%s", severity, check, words, all, said)
}

// worst holds that nothing is worse.
func (all findings) worst(t *testing.T, severity Severity) {
	t.Helper()
	if w := Worst(all); w != severity {
		t.Errorf("worst is %v, want %v:%s", w, severity, all)
	}
}

func (all findings) String() string {
	var b strings.Builder
	for i := range all {
		b.WriteString("\n\t" + all[i].Severity.String() + " " + all[i].Check + ": " + all[i].Found)
	}
	return b.String()
}

// adit runs a server and returns its address.
func adit(t *testing.T, o server.Options) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, ln, o)
	return ln.Addr().String()
}

func serveOn(t *testing.T, ln net.Listener, o server.Options) {
	t.Helper()
	o.Name, o.Version = "edge", "1.2.3"
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ln) }()
	t.Cleanup(func() { s.Close(); <-done })
}

// serves runs an HTTP server and returns its address.
func serves(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.Listener.Addr().String()
}

// accepts runs f on every connection of a listener; it ends with the test.
func accepts(t *testing.T, f func(c net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return acceptsOn(t, ln, f)
}

func acceptsOn(t *testing.T, ln net.Listener, f func(c net.Conn)) string {
	t.Helper()
	var mu sync.Mutex
	var conns []net.Conn
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			all.Go(func() { defer c.Close(); f(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return ln.Addr().String()
}

// relays passes on to addr what comes, by a relay of the test's own for each direction.
func relays(t *testing.T, addr string, up, down func(to, from net.Conn)) string {
	return accepts(t, func(c net.Conn) {
		s, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer s.Close()
		var both sync.WaitGroup
		both.Go(func() { up(s, c); _ = s.Close(); _ = c.Close() })
		both.Go(func() { down(c, s); _ = s.Close(); _ = c.Close() })
		both.Wait()
	})
}

func passes(to, from net.Conn) { _, _ = io.Copy(to, from) }

// holds keeps a connection, and answers nothing.
func holds(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// probed runs a server whose probes do what f does after the hello.
func probed(t *testing.T, f func(ws *websocket.Conn)) string {
	t.Helper()
	return serves(t, func(w http.ResponseWriter, r *http.Request) {
		u := websocket.Upgrader{Subprotocols: []string{wire.ProbeSubprotocol}, CheckOrigin: func(*http.Request) bool { return true }}
		ws, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		stop := context.AfterFunc(t.Context(), func() { _ = ws.Close() })
		defer stop()
		hello := wire.AppendProbe(nil, &wire.Probe{Server: "fake", Time: time.Now(), PingInterval: 20 * time.Second, Peer: r.RemoteAddr})
		if ws.WriteMessage(websocket.TextMessage, hello) == nil {
			f(ws)
		}
	})
}

// echoes sends back what change makes of each message.
func echoes(ws *websocket.Conn, change func(kind int, content []byte) []byte) {
	for {
		kind, content, err := ws.ReadMessage()
		if err != nil || ws.WriteMessage(kind, change(kind, content)) != nil {
			return
		}
	}
}

func same(_ int, content []byte) []byte { return content }

func at(scheme, addr string) string { return scheme + "://" + addr + "/register" }

// listensTLS returns a listener with a certificate.
func listensTLS(t *testing.T, c tls.Certificate) net.Listener {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{c}})
	if err != nil {
		t.Fatal(err)
	}
	return ln
}
