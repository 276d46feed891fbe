package doctor

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"adit/engine/server"
	"adit/engine/wire"
)

// What sends back the credential that it was shown must not have doctor print it,
// wherever it puts it, and if only a part is left of it.
func TestCredentialThatComesBack(t *testing.T) {
	t.Parallel()
	const secret = `quite-a"secret/0123456789`
	closing := func(first bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			u := websocket.Upgrader{Subprotocols: []string{wire.ProbeSubprotocol}}
			ws, err := u.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer ws.Close()
			if !first {
				_ = ws.WriteMessage(websocket.TextMessage, wire.AppendProbe(nil, &wire.Probe{Server: secret, Time: time.Now(), Version: "v" + secret}))
				_, _, _ = ws.ReadMessage()
			}
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "you are "+secret), time.Now().Add(time.Second))
			_, _, _ = ws.ReadMessage()
		}
	}
	for name, h := range map[string]http.HandlerFunc{
		"body": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte("sent: " + r.Header.Get("X-Secret-Key")))
		},
		"body that is cut": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(strings.Repeat("x", 100) + r.Header.Get("X-Secret-Key")))
		},
		"body that comes in part": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(strings.Repeat(" ", 1<<10-12) + r.Header.Get("X-Secret-Key")))
		},
		"json": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"x-secret-key":"quite-a\"secret/0123456789"}`))
		},
		"server": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", r.Header.Get("X-Secret-Key"))
			w.WriteHeader(http.StatusBadGateway)
		},
		"location": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://login.example/quite-a%22secret%2F0123456789")
			w.WriteHeader(http.StatusFound)
		},
		"close":           closing(true),
		"hello and close": closing(false),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, at("ws", serves(t, h)))
			o.Secret = secret
			all := diagnose(t, o) // which looks for it too
			all.worst(t, Failure)
			if text := fmt.Sprint(all); strings.Contains(text, "quite-a") || !strings.Contains(text, hidden) {
				t.Errorf("it is shown:%s", text)
			}
		})
	}
}

// A server that ends or stops a probe is not taken for a middlebox, and what is
// hostile is bounded in time.
func TestServersThatEndProbes(t *testing.T) {
	t.Parallel()
	closes := func(code int, text string) func(ws *websocket.Conn) {
		return func(ws *websocket.Conn) {
			_, _, _ = ws.ReadMessage()
			_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(time.Second))
			_, _, _ = ws.ReadMessage()
		}
	}
	for name, k := range map[string]struct {
		f        func(ws *websocket.Conn)
		severity Severity
		words    []string
	}{
		"stops":   {closes(1001, "the server is stopping"), Failure, []string{"stops or starts anew", "1001 the server is stopping", "try again"}},
		"revoked": {closes(1008, "the token was revoked"), Failure, []string{"does not let the probe go on", "1008 the token was revoked"}},
		"cut":     {func(ws *websocket.Conn) { _, _, _ = ws.ReadMessage() }, Failure, []string{"does not come back: the connection is cut", "started anew"}},
		"large": {func(ws *websocket.Conn) {
			_, _, _ = ws.ReadMessage()
			_ = ws.WriteMessage(websocket.BinaryMessage, make([]byte, 3<<20))
			_, _, _ = ws.ReadMessage()
		}, Failure, []string{"a message longer than any that was sent"}},
		"swallows large ones": {func(ws *websocket.Conn) {
			for {
				kind, content, err := ws.ReadMessage()
				if err != nil || len(content) > 1500 || ws.WriteMessage(kind, content) != nil {
					holds(ws.NetConn())
					return
				}
			}
		}, Failure, []string{"65535 bytes does not come back", "those of 126 bytes do", "MTU"}},
		"gives them back slowly": {func(ws *websocket.Conn) {
			for {
				kind, content, err := ws.ReadMessage()
				if err != nil {
					return
				}
				if len(content) > 1500 {
					w, _ := ws.NextWriter(kind)
					_, _ = w.Write(content[:20000])
					holds(ws.NetConn())
					return
				}
				_ = ws.WriteMessage(kind, content)
			}
		}, Warning, []string{"the way is slow: of a text message of 65535 bytes", "came back within"}},
		"answers late": {func(ws *websocket.Conn) {
			echoes(ws, func(_ int, content []byte) []byte { time.Sleep(450 * time.Millisecond); return content })
		}, Note, []string{"there was no time for others", "slow"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, at("ws", probed(t, k.f)))
			o.pace.step = time.Second
			began := time.Now()
			diagnose(t, o).want(t, "frames", k.severity, k.words...)
			if took := time.Since(began); took > 6*o.pace.step {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A server that is killed in the midst is said to be gone.
func TestServerThatIsLost(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	behind := adit(t, server.Options{})
	addr := acceptsOn(t, ln, func(c net.Conn) {
		s, err := net.Dial("tcp", behind)
		if err != nil {
			return
		}
		defer s.Close()
		go passes(s, c)
		buf, total := make([]byte, 4096), 0
		for {
			n, err := s.Read(buf)
			if total += n; err != nil || total > 50_000 {
				_ = ln.Close()
				return
			}
			_, _ = c.Write(buf[:n])
		}
	})
	diagnose(t, client(t, at("ws", addr))).want(t, "frames", Failure, "the server was lost in the midst", "refused")
}

// Half an answer, and one without an end, are called what they are.
func TestAnswersWithoutAnEnd(t *testing.T) {
	t.Parallel()
	asked := func(f func(c net.Conn)) string {
		return accepts(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			f(c)
		})
	}
	hello := func(content string) string {
		return serves(t, func(w http.ResponseWriter, r *http.Request) {
			u := websocket.Upgrader{Subprotocols: []string{wire.ProbeSubprotocol}}
			if ws, err := u.Upgrade(w, r, nil); err == nil {
				_, _ = ws.NetConn().Write([]byte(content))
				holds(ws.NetConn())
				_ = ws.Close()
			}
		})
	}
	for name, k := range map[string]struct {
		addr  string
		words []string
	}{
		"half": {asked(func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Len")); holds(c) }), []string{"is not answered within"}},
		"many fields": {asked(func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 100<<10/6)))
			holds(c)
		}), []string{"too long"}},
		"extensions": {relays(t, adit(t, server.Options{}), passes, func(to, from net.Conn) {
			r := bufio.NewReader(from)
			line, _ := r.ReadString('\n')
			_, _ = to.Write([]byte(line + "Sec-WebSocket-Extensions: permessage-deflate\r\n"))
			_, _ = r.WriteTo(to)
		}), []string{"adds WebSocket extensions", "permessage-deflate"}},
		"1 GiB": {hello("\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00"), []string{"what no adit sends", "longer"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := client(t, at("ws", k.addr))
			o.pace.step = 500 * time.Millisecond
			diagnose(t, o).want(t, "websocket", Failure, k.words...)
		})
	}
}
