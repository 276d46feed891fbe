package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// The failures of the two programs called wsp, as far as they are a client's;
// ancestors_test.go of engine/server has the table of all.

var bothProtocols = map[string]engine.Protocol{"native": engine.ProtocolNative, "classic": engine.ProtocolClassic}

// F1: a denied request went to the origin all the same, with the next caller's
// head as its content.
func TestDeniedRequestsReachNoOrigin(t *testing.T) {
	var forbidden atomic.Int64
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/forbidden") {
			forbidden.Add(1)
		}
		content, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, content)
	})
	rules, err := (&policy.RuleSet{Blacklist: []policy.Rule{{Method: "^GET$"}, {URL: "/forbidden/"}, {URL: "/forbidden"}}, AllowAll: true}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Live: Live{Rules: rules}, PoolIdle: 1}
	askers := map[string]func(*testing.T) func(path, content string) (denied bool, answer string){
		"native": func(t *testing.T) func(string, string) (bool, string) {
			g := newRig(t, o)
			return func(path, content string) (bool, string) {
				x := g.open(t, t.Context(), request("POST", addr, path), false)
				defer x.Close()
				io.WriteString(x, content)
				x.CloseWrite(nil)
				if _, err := x.ReadResponse(); err != nil {
					return engine.ReasonOf(err) == engine.ReasonDenied, err.Error()
				}
				answer, _ := io.ReadAll(x)
				return false, string(answer)
			}
		},
		"classic": func(t *testing.T) func(string, string) (bool, string) {
			p := wspServer(t, o)
			return func(path, content string) (bool, string) {
				status, answer := askWSP(t, p, "POST", "http://"+addr+path, content)
				return status == 527, answer
			}
		},
	}
	for name, asker := range askers {
		t.Run(name, func(t *testing.T) {
			ask := asker(t)
			random := rand.New(rand.NewPCG(1, 2))
			for i := range 200 {
				path, content := fmt.Sprintf("/allowed/%d", i), fmt.Sprintf("content of %d", i)
				if random.IntN(2) == 0 {
					path = fmt.Sprintf("/forbidden/%d", i)
					if denied, answer := ask(path, content); !denied {
						t.Fatalf("%s: %q", path, answer)
					}
				} else if denied, answer := ask(path, content); denied || answer != path+" "+content {
					t.Fatalf("%s: denied %v, %q", path, denied, answer)
				}
			}
		})
	}
	if n := forbidden.Load(); n > 0 {
		t.Errorf("%d denied requests reached the origin", n)
	}
}

// wspServer runs a client against a server that speaks as wsp's did and
// returns the server's end of the only connection, greeted.
func wspServer(t *testing.T, o Options) *enginetest.Peer {
	t.Helper()
	peers := make(chan *enginetest.Peer, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		p, _, err := enginetest.AcceptPeer(c, enginetest.Handshake{})
		if err != nil {
			t.Errorf("handshake: %v", err)
			c.Close()
			return
		}
		peers <- p
	})
	o.ID, o.PoolMax, o.Bus = "edge", 1, observe.NewBus()
	o.Servers = []string{"ws://" + ln.Addr().String() + "/register"}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- c.Run(ctx) }()
	p := <-peers
	t.Cleanup(func() {
		cancel()
		p.Conn.Close()
		<-ran
		o.Bus.Close()
		ln.Close()
		accepting.Wait()
	})
	if _, greeting, err := p.ReadMessage(); err != nil || string(greeting) != "edge_1" {
		t.Fatalf("greeting %q, %v", greeting, err)
	}
	return p
}

// askWSP sends one request as wsp's server did and reads the answer.
func askWSP(t *testing.T, p *enginetest.Peer, method, url, content string) (status int, answer string) {
	t.Helper()
	head, err := json.Marshal(map[string]any{"Method": method, "URL": url, "Header": nil, "ContentLength": len(content)})
	if err != nil {
		t.Fatal(err)
	}
	p.WriteMessage(enginetest.OpText, head)
	p.WriteMessage(enginetest.OpBinary, []byte(content))
	var r struct{ StatusCode int }
	opcode, text, err := p.ReadMessage()
	if err != nil || opcode != enginetest.OpText || json.Unmarshal(text, &r) != nil {
		t.Fatalf("%s %s: head %d %q, %v", method, url, opcode, text, err)
	}
	opcode, got, err := p.ReadMessage()
	if err != nil || opcode != enginetest.OpBinary {
		t.Fatalf("%s %s: content %d %q, %v", method, url, opcode, got, err)
	}
	return r.StatusCode, string(got)
}

// F2: only the first URL was checked, and redirects were followed.
func TestRedirectOutOfTheRulesIsTheCallers(t *testing.T) {
	secret := serveHTTP(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/redirect" {
			t.Errorf("%s was asked for", r.URL)
		}
		w.Header()["Location"] = []string{r.Header.Get("X-Location")}
		status := 0
		fmt.Sscan(r.Header.Get("X-Status"), &status)
		w.WriteHeader(status)
	})
	for name, protocol := range bothProtocols {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, Options{Live: Live{Rules: anyRules(t)}, Protocol: protocol})
			for _, location := range []string{"/elsewhere", "http://" + secret + "/", "//" + secret + "/", "https://" + secret + "/", "//169.254.169.254/"} {
				for _, status := range []int{301, 302, 303, 307, 308} {
					awaitSlot(t, g)
					resp, _, err := g.do(t, request("GET", addr, "/redirect",
						wire.Field{Name: "x-location", Value: location}, wire.Field{Name: "x-status", Value: fmt.Sprint(status)}))
					if err != nil || resp.Status != status || wire.Get(resp.Fields, "location") != location {
						t.Errorf("%d %s: %v, %v", status, location, resp, err)
					}
				}
			}
		})
	}
}

// F10: the request of a caller that had left ran to its end. Over wsp the
// server says so by closing the connection.
func TestCallerAbortOverWSPReachesTheOrigin(t *testing.T) {
	arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	p := wspServer(t, Options{Live: Live{Rules: anyRules(t)}, PoolIdle: 1})
	p.WriteMessage(enginetest.OpText, []byte(`{"Method":"GET","URL":"http://`+addr+`/","Header":{},"ContentLength":0}`))
	p.WriteMessage(enginetest.OpBinary, nil)
	<-arrived
	begin := time.Now()
	p.Conn.Close()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the origin was not told")
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %v", took)
	}
}

// F11: contents were never closed, so that their connections stayed for ever.
func TestAbandonedAnswersLeaveNoConnection(t *testing.T) {
	var open atomic.Int64
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 4<<20))
	}))
	origin.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	origin.Start()
	t.Cleanup(origin.Close)
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	for range 100 {
		x := g.open(t, t.Context(), request("GET", origin.Listener.Addr().String(), "/"), true)
		if _, err := x.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		x.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections to the origin are left", open.Load())
		}
	}
}

// F11: an origin that never answers was waited for without end.
func TestSilentOriginIsNotWaitedForOverWSP(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	limits := tunnel.DefaultLimits()
	limits.Head = 100 * time.Millisecond
	p := wspServer(t, Options{Live: Live{Rules: anyRules(t)}, PoolIdle: 1, Limits: limits})
	for range 3 {
		if status, answer := askWSP(t, p, "GET", "http://"+addr+"/", ""); status != 527 {
			t.Errorf("%d %q", status, answer)
		}
	}
}
