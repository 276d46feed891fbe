package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/egress"
	"adit/engine/policy"
	"adit/engine/server"
	"adit/engine/wire"
)

// A sound way must not be called ill: nobody would believe doctor the next time.
func TestSoundWay(t *testing.T) {
	t.Parallel()
	addr := adit(t, server.Options{Domain: "tunnels.example.com", TCPFirst: 20000, TCPLast: 20010,
		Live: server.Live{Clients: &policy.Clients{Secrets: policy.NewSecrets("sesame")}}})
	origin := serves(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	o := client(t, at("ws", addr))
	o.Quick, o.Secret, o.Idle = false, "sesame", 200*time.Millisecond
	o.Expose = []Exposed{{Host: "app", Origin: "http://" + origin}, {TCP: 20003, Origin: origin}}
	o.pace.waits = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond}
	all := diagnose(t, o)
	all.worst(t, OK)
	all.want(t, "settings", OK, "as client pi", "exposing app, tcp:20003")
	all.want(t, "tcp", OK)
	all.want(t, "websocket", OK, `adit 1.2.3 "edge"`)
	all.want(t, "clock", OK)
	all.want(t, "credential", OK, `"shared secret"`, "everything")
	all.want(t, "expose", OK, "app.tunnels.example.com")
	all.want(t, "expose", OK, "port 20003 of the server")
	all.want(t, "frames", OK, "1 MiB", "/s each way")
	all.want(t, "idle", OK, "200ms", "every 20s")
	all.want(t, "destination", OK, "answers 418")
}

// The names of servers and addresses.
func TestNamesAndAddresses(t *testing.T) {
	t.Parallel()
	addr := adit(t, server.Options{})
	_, port, _ := net.SplitHostPort(addr)
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("2001:db8::1")
	blackhole := func(ctx context.Context, network, to string) (net.Conn, error) {
		if strings.HasPrefix(to, "[") {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	for _, k := range []struct {
		name     string
		resolver lookups
		dial     func(ctx context.Context, network, to string) (net.Conn, error)
		check    string
		severity Severity
		words    []string
	}{
		{"unknown", lookups{err: &net.DNSError{IsNotFound: true}}, nil, "dns", Failure, []string{"adit.test is not known to DNS"}},
		{"none", lookups{}, nil, "dns", Failure, []string{"has no address"}},
		{"silent", lookups{wait: time.Hour}, nil, "dns", Failure, []string{"no resolver answers", "port 53"}},
		{"slow", lookups{all: []netip.Addr{v4}, wait: 30 * time.Millisecond}, blackhole, "dns", Note, []string{"that took"}},
		{"black hole", lookups{all: []netip.Addr{v6, v4}}, blackhole, "tcp", Warning, []string{"not at 2001:db8::1", "no answer within", "AAAA"}},
		{"all black", lookups{all: []netip.Addr{v6}}, blackhole, "tcp", Failure, []string{"no answer within", "firewall", "--proxy"}},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			o := client(t, "ws://adit.test:"+port+"/register")
			o.Resolver, o.Dial = k.resolver, k.dial
			o.pace.step, o.pace.slow = 300*time.Millisecond, 20*time.Millisecond
			all := diagnose(t, o)
			all.want(t, k.check, k.severity, k.words...)
		})
	}
}

type lookups struct {
	all  []netip.Addr
	err  error
	wait time.Duration
}

func (l lookups) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	select {
	case <-time.After(l.wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return append([]netip.Addr(nil), l.all...), l.err
}

// What proxies have against a client.
func TestProxies(t *testing.T) {
	t.Parallel()
	says := func(status int) string {
		return serves(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	gone := accepts(t, func(net.Conn) {})
	for name, k := range map[string]struct {
		proxy string
		words []string
	}{
		"password":   {"http://" + says(407), []string{"wants a user and password", "--proxy @FILE"}},
		"wrong":      {"http://u:hush@" + says(407), []string{"does not take the user and password"}},
		"port":       {"http://" + says(403), []string{"refuses to lead to", "403", "443"}},
		"no way":     {"http://" + says(502), []string{"does not reach", "502"}},
		"gone":       {"http://" + gone, []string{"cuts the connection"}},
		"refused":    {"http://127.0.0.1:1", []string{"can't be reached: refused", "--proxy none"}},
		"not socks":  {"socks5://" + says(400), []string{"does not answer", "right kind of proxy"}},
		"hangs":      {"http://" + accepts(t, holds), []string{"does not answer within"}},
		"not a name": {"http://" + says(418), []string{"418", "no proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, "ws://tunnels.example.com:8080/register")
			o.Egress, o.ProxyAt = wayOut(t, egress.Options{Proxy: k.proxy}), "--proxy"
			o.pace.step = 200 * time.Millisecond
			all := diagnose(t, o)
			all.want(t, "proxy", Failure, k.words...)
			if strings.Contains(fmt.Sprint(all), "hush") {
				t.Error("the password is shown")
			}
		})
	}
}

// What answers a handshake that is not passed on, each cause by its name.
func TestAnswersInPlaceOfAHandshake(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string, fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Set(fields[i], fields[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	raw := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte(text))
			holds(c)
		}
	}
	secret := adit(t, server.Options{Live: server.Live{Clients: &policy.Clients{Secrets: policy.NewSecrets("right")}}})
	for name, k := range map[string]struct {
		addr   string
		path   string
		secret string
		check  string
		words  []string
	}{
		"stripped": {addr: serves(t, func(w http.ResponseWriter, r *http.Request) {
			resp, err := http.Get("http://" + secret + "/register") // asks for a page
			if err != nil {
				return
			}
			_ = resp.Body.Close()
			w.WriteHeader(http.StatusUpgradeRequired)
			_, _ = w.Write([]byte("/register wants a websocket handshake (version 13) over http/1.1\n"))
		}), check: "websocket", words: []string{"takes the WebSocket upgrade out", "proxy_set_header Upgrade", "426"}},
		"stripped before wsp": {addr: serves(t, answer(400, "Bad Request\nwebsocket: the client is not using the websocket protocol")),
			check: "websocket", words: []string{"takes the WebSocket upgrade out"}},
		"wrong secret":   {addr: secret, secret: "guessed", check: "credential", words: []string{"the secret is wrong", "--secret"}},
		"no secret":      {addr: secret, check: "credential", words: []string{"wants a credential, and none is given"}},
		"wsp's refusal":  {addr: serves(t, answer(526, "Invalid X-SECRET-KEY")), secret: "x-guessed", check: "credential", words: []string{"wrong", "526"}},
		"another login":  {addr: serves(t, answer(401, "", "Www-Authenticate", `Basic realm="staff"`)), check: "websocket", words: []string{"login of its own"}},
		"path of adit":   {addr: secret, path: "/", check: "http", words: []string{"/register"}},
		"path of others": {addr: serves(t, answer(404, "nope", "Server", "nginx")), check: "http", words: []string{"no adit at this path", "nginx"}},
		"portal":         {addr: serves(t, answer(302, "", "Location", "http://login.hotel.example/?ask=secret")), check: "http", words: []string{"captive portal", "login.hotel.example"}},
		"portal's page":  {addr: serves(t, answer(200, "<html>welcome")), check: "http", words: []string{"captive portal"}},
		"portal by 511":  {addr: serves(t, answer(511, "")), check: "http", words: []string{"captive portal"}},
		"nothing behind": {addr: serves(t, answer(502, "", "Server", "nginx")), check: "websocket", words: []string{"does not reach it", "502", "nginx"}},
		"no accept": {addr: accepts(t, raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")),
			check: "websocket", words: []string{"101", "Sec-WebSocket-Accept is missing"}},
		"no http": {addr: accepts(t, raw("220 mail.example.com ESMTP\r\n")), check: "http", words: []string{"speaks no HTTP"}},
		"tls": {addr: accepts(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte("\x15\x03\x01\x00\x02\x02\x46"))
		}), check: "http", words: []string{"speaks TLS", "wss://"}},
		"cut":      {addr: accepts(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }), check: "websocket", words: []string{"cut in place of an answer"}},
		"too long": {addr: accepts(t, raw("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 100<<10))), check: "websocket", words: []string{"too long"}},
		"forbids":  {addr: serves(t, answer(403, "blocked by policy")), check: "websocket", words: []string{"forbids", "blocked by policy"}},
		"too many": {addr: serves(t, answer(429, "", "Retry-After", "7")), check: "websocket", words: []string{"wait for 7 s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, "ws://"+k.addr+"/register")
			if k.path != "" {
				o.Servers = []string{"ws://" + k.addr + "/other"}
			}
			o.Secret = k.secret
			all := diagnose(t, o)
			all.want(t, k.check, Failure, k.words...)
			if strings.Contains(fmt.Sprint(all), "ask=secret") {
				t.Error("the query of a redirect is shown")
			}
		})
	}
}

// A server that does not know probes is no fault of the way.
func TestServersThatKnowNoProbe(t *testing.T) {
	t.Parallel()
	selecting := func(protocols ...string) string {
		return serves(t, func(w http.ResponseWriter, r *http.Request) {
			u := websocket.Upgrader{Subprotocols: protocols, CheckOrigin: func(*http.Request) bool { return true }}
			if ws, err := u.Upgrade(w, r, nil); err == nil {
				_, _, _ = ws.ReadMessage()
				_ = ws.Close()
			}
		})
	}
	o := client(t, at("ws", selecting(wire.Subprotocol)))
	all := diagnose(t, o)
	all.worst(t, Note)
	all.want(t, "websocket", Note, "too old to be probed")

	o = client(t, at("ws", selecting()))
	all = diagnose(t, o)
	all.worst(t, Note)
	all.want(t, "websocket", Note, "wsp")
	o.Expose = []Exposed{{Host: "app", Origin: "http://127.0.0.1:1"}}
	diagnose(t, o).want(t, "websocket", Failure, "wsp", "exposes no names")
	o.Expose, o.Native = nil, true
	diagnose(t, o).want(t, "websocket", Failure, "--protocol adit")
}

// What the credential does not cover, or not for long, is said before a client is
// refused; so is what the server does not have.
func TestScope(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(3 * day).Truncate(time.Second)
	for name, k := range map[string]struct {
		scope    policy.Scope
		expires  time.Time
		expose   []Exposed
		domain   string
		check    string
		severity Severity
		words    []string
	}{
		"id":          {scope: policy.Scope{IDs: []string{"other-*"}}, check: "credential", severity: Failure, words: []string{`client id "pi"`, "ids other-*", "id expose"}},
		"host":        {scope: policy.Scope{Hosts: []string{"web"}}, expose: []Exposed{{Host: "app", Origin: "http://127.0.0.1:1"}}, domain: "t.example", check: "credential", severity: Failure, words: []string{`host "app"`, "hosts web"}},
		"port":        {scope: policy.Scope{Ports: []string{"1-2"}}, expose: []Exposed{{TCP: 3, Origin: "127.0.0.1:1"}}, check: "credential", severity: Failure, words: []string{"tcp port 3"}},
		"soon":        {expires: soon, check: "credential", severity: Warning, words: []string{`"pi"`, "ends in 2 days"}},
		"no domain":   {expose: []Exposed{{Host: "app", Origin: "http://127.0.0.1:1"}}, check: "expose", severity: Failure, words: []string{"no domain", "--domain"}},
		"no ports":    {expose: []Exposed{{TCP: 3, Origin: "127.0.0.1:1"}}, check: "expose", severity: Failure, words: []string{"--tcp-ports"}},
		"unreachable": {expose: []Exposed{{TCP: 3, Origin: "127.0.0.1:1"}}, check: "destination", severity: Failure, words: []string{"refused", "502", "nothing listens"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, id, hash := policy.MakeToken()
			tokens, err := policy.NewTokens([]policy.Token{{ID: id, Name: "pi", Kind: policy.TokenClient, Hash: hash, Scope: k.scope, Expires: k.expires}})
			if err != nil {
				t.Fatal(err)
			}
			o := client(t, at("ws", adit(t, server.Options{Domain: k.domain, Live: server.Live{Clients: &policy.Clients{Tokens: tokens}}})))
			o.Secret, o.Expose = text, k.expose
			diagnose(t, o).want(t, k.check, k.severity, k.words...)
		})
	}
}

// Whatever holds back its answer, doctor ends, and says where.
func TestEveryStepIsBounded(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		server string
		check  string
		words  []string
	}{
		"tls":       {at("wss", accepts(t, holds)), "tls", []string{"not answered within"}},
		"handshake": {at("ws", accepts(t, holds)), "websocket", []string{"not answered"}},
		"hello": {at("ws", serves(t, func(w http.ResponseWriter, r *http.Request) {
			u := websocket.Upgrader{Subprotocols: []string{wire.ProbeSubprotocol}}
			if ws, err := u.Upgrade(w, r, nil); err == nil {
				_, _, _ = ws.ReadMessage()
				_ = ws.Close()
			}
		})), "websocket", []string{"then nothing comes"}},
		"echo": {at("ws", probed(t, func(ws *websocket.Conn) { holds(ws.NetConn()) })), "frames", []string{"does not come back"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, k.server)
			o.pace.step = 150 * time.Millisecond
			began := time.Now()
			all := diagnose(t, o)
			all.want(t, k.check, Failure, k.words...)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Who has enough is not held up by any step.
func TestInterruption(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]string{
		"tls":       at("wss", accepts(t, holds)),
		"handshake": at("ws", accepts(t, holds)),
		"echo":      at("ws", probed(t, func(ws *websocket.Conn) { holds(ws.NetConn()) })),
		"silence":   at("ws", probed(t, func(ws *websocket.Conn) { echoes(ws, same) })),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, server)
			o.pace.step, o.Idle, o.Quick, o.Found = time.Minute, time.Minute, false, func(Finding) {}
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(400*time.Millisecond, cancel).Stop()
			began := time.Now()
			if err := Client(ctx, o); !errors.Is(err, context.Canceled) || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	}
}
