package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// The failures found in the two programs called wsp, and the tests that would
// find them here. Those without a package are in this file.
//
//	F1  denied request performed, next one eaten   client.TestDeniedRequestsReachNoOrigin, tunnel.TestClassicDeniedKeepsOrder
//	F2  redirects followed out of the rules        client.TestRedirectOutOfTheRulesIsTheCallers, origin.TestRedirectIsPassedOn
//	F3  dispatcher that spins, one at a time       TestThousandWaitersTimeOutTogether (dispatch_test.go), TestTimedOutCallersLeaveNothing
//	F4  greeting without an underscore panics      TestMalformedGreetingCostsOnlyItsConnection (register_test.go),
//	                                               TestIDWithUnderscores, wire.FuzzGreeting
//	F5  no credential of callers, != on secrets    TestCredentialOfCallers (gateway_test.go), config.TestReachableListenerWantsCredentials,
//	                                               policy.TestSecretsMatchOnlyTheirOwn
//	F6  greeting without deadline or bound         TestSilentConnectionsAreClosed, TestGreetingOfAGibibyte, TestHalfAHeadIsNotWaitedFor,
//	                                               tunnel.TestGreetingIsRefused
//	F7  dead idle connection stays in the pool     TestDeadConnectionLeavesThePool, tunnel.TestClassicIdleSilenceIsDeath,
//	                                               TestUnwrittenRequestIsTriedElsewhere (retry_test.go), chaos.TestHalfOpen
//	F8  death of a client panics the server        TestClientCutInEveryPhase, chaos.TestKillClient
//	F9  goroutines stay                            TestConnectionsThatCameAndWent, client.TestReconnectingLeaksNothing, TestMain of every package
//	F10 caller that left is not noticed            TestCallerThatLeavesResetsExchange (stream_test.go), TestCallerThatLeavesOverWSP,
//	                                               client.TestCallerAbortReachesTheOrigin, client.TestCallerAbortOverWSPReachesTheOrigin
//	F11 contents never closed, no deadlines        client.TestAbandonedAnswersLeaveNoConnection, client.TestFailuresHaveTheirCodesAndOutcomes,
//	                                               client.TestSilentOriginIsNotWaitedForOverWSP, tunnel.TestClassicHeadDeadline
//	F12 hop-by-hop and forged fields passed on     TestHopByHopFieldsStayHere (gateway_test.go), TestLikeReverseProxy (differential_test.go),
//	                                               TestHopByHopFieldsOfWSPClients, origin.TestHopByHopFieldsStay
//	F13 races between pools and shutdown           TestEverythingAtOnce, under -race as the whole suite
//	F14 streams held back                          TestEventsAreNotBuffered (stream_test.go), TestEventsOverWSPAreNotBuffered,
//	                                               client.TestStreamIsNotHeldBack, tunnel.TestClassicPieceIsNotHeldBack

func TestTimedOutCallersLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(1000)
		fakeLink(d, 1, "edge", 1, engine.ProtocolClassic)
		mustAcquire(t, d, anywhere)
		round := func(n int) {
			var wg sync.WaitGroup
			for i := range 1000 {
				to := anywhere
				if i%2 == 0 {
					to = destination{kind: toClient, name: fmt.Sprintf("invented-%d-%d", n, i)}
				}
				wg.Go(func() { d.acquire(t.Context(), to, 1, time.Second) })
			}
			wg.Wait()
		}
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		round(0)
		before := heap()
		for n := range 20 {
			round(n + 1)
		}
		if after := heap(); after > before+1<<20 {
			t.Errorf("the heap grew from %d to %d bytes", before, after)
		}
		runtime.KeepAlive(d)
	})
}

// wspClient registers a client that speaks as wsp's did.
func (b *bench) wspClient(greeting string) *enginetest.Peer {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	p, _, err := enginetest.DialPeer(conn, enginetest.Handshake{Path: "/register"})
	if err != nil {
		b.t.Fatal(err)
	}
	if greeting != "" {
		p.WriteMessage(enginetest.OpText, []byte(greeting))
		b.awaitMember(greeting[:strings.LastIndexByte(greeting, '_')])
	}
	return p
}

func TestIDWithUnderscores(t *testing.T) {
	b := serve(t, Options{})
	p := b.wspClient("my_id_of_a_client_3")
	go func() {
		p.ReadMessage()
		p.ReadMessage()
		p.WriteMessage(enginetest.OpText, []byte(`{"StatusCode":200,"Header":null,"ContentLength":2}`))
		p.WriteMessage(enginetest.OpBinary, []byte("hi"))
	}()
	resp, body := do(t, caller(t), "GET", b.url("/request"), "", "X-Proxy-Destination", "http://a.example/", "X-Proxy-Client", "my_id_of_a_client")
	if resp.StatusCode != 200 || body != "hi" {
		t.Errorf("got %v %q", resp.Status, body)
	}
}

func TestSilentConnectionsAreClosed(t *testing.T) {
	b := serve(t, Options{Limits: tunnel.Limits{Greeting: 200 * time.Millisecond}})
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for range 100 {
		p := b.wspClient("")
		wg.Go(func() {
			if ce, err := p.ReadClose(); err != nil || engine.CloseCode(ce.Code) != engine.ClosePolicy {
				t.Errorf("got %v, %v", ce, err)
			}
			p.Conn.Close()
		})
	}
	wg.Wait()
	b.await(engine.KindConnectionClosed, 100)
	b.settle(before)
}

// settle waits until no more goroutines run than did before.
func (b *bench) settle(before int) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestGreetingOfAGibibyte(t *testing.T) {
	b := serve(t, Options{})
	p := b.wspClient("")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.WriteRaw([]byte{0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4, 'x'}) // text, masked, 1 GiB
	if ce, err := p.ReadClose(); err != nil || engine.CloseCode(ce.Code) != engine.CloseTooBig {
		t.Errorf("got %v, %v", ce, err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("%d bytes allocated", grown)
	}
}

func TestHalfAHeadIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := enginetest.NewNetwork()
		serveOn(t, Options{}, network.Listen("server.example:80"))
		conn, err := network.DialContext(t.Context(), "tcp", "server.example:80")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /request HTTP/1.1\r\nHost: a\r\nX-Half: ")
		begin := time.Now()
		io.Copy(io.Discard, conn)
		if took := time.Since(begin); took > 2*headerTimeout {
			t.Errorf("closed after %v", took)
		}
	})
}

func TestDeadConnectionLeavesThePool(t *testing.T) {
	const ping = time.Second // the least there is
	b := serve(t, Options{Domain: domain, Limits: tunnel.Limits{Ping: ping}})
	relay, err := enginetest.NewTCPRelay(b.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	arrived := make(chan struct{}, 1)
	dead, err := b.tryDial(greeting("dead", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
		arrived <- struct{}{}
		<-in.Context().Done()
	}, func(o *tunnel.DialOptions) { o.URL = "ws://" + relay.Addr().String() + "/register" })
	if err != nil {
		t.Fatal(err)
	}
	b.awaitMember("dead")
	status := make(chan int, 1)
	go func() {
		resp, _, err := try(caller(t), "GET", b.url("/"), "", "Host", appHost)
		if err != nil {
			t.Errorf("get: %v", err)
			status <- 0
			return
		}
		status <- resp.StatusCode
	}()
	<-arrived
	relay.Set(enginetest.Toxics{Blackhole: true})
	begin := time.Now()
	if got := <-status; got != http.StatusGatewayTimeout {
		t.Errorf("the waiting caller got %d", got)
	}
	b.await(engine.KindConnectionClosed, 1)
	if took := time.Since(begin); took > 2*ping+ping/2+time.Second {
		t.Errorf("found dead after %v", took)
	}
	b.dial(greeting("alive", engine.Expose{Host: "app"}), hello)
	for range 10 {
		if resp, body := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost); resp.StatusCode != 200 {
			t.Errorf("got %v %q", resp.Status, body)
		}
	}
	relay.Close()
	<-dead.Done()
}

// Whatever a client was doing when its machine went away: callers get a status
// or see the cut, and nothing panics.
func TestClientCutInEveryPhase(t *testing.T) {
	phases := map[string]struct {
		method, path string
		handle       func(in tunnel.Incoming, cut func())
		status       int // 0: the answer is visibly cut
	}{
		"before the head": {"GET", "/", func(in tunnel.Incoming, cut func()) { cut() }, 502},
		"within a request": {"POST", "/", func(in tunnel.Incoming, cut func()) {
			in.Next()
			cut()
		}, 502},
		"after the head": {"GET", "/", func(in tunnel.Incoming, cut func()) {
			in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Length", Value: "10"}}}, false)
			in.Write([]byte("12345"))
			cut()
		}, 0},
		"within content of unknown length": {"GET", "/", func(in tunnel.Incoming, cut func()) {
			in.WriteResponse(&wire.Response{Status: 200}, false)
			in.Write([]byte("12345"))
			cut()
		}, 0},
	}
	for name, phase := range phases {
		for protocol, speak := range map[string]func(*tunnel.DialOptions){"native": func(*tunnel.DialOptions) {}, "classic": classic} {
			t.Run(name+", "+protocol, func(t *testing.T) {
				b := serve(t, Options{Wait: 50 * time.Millisecond, OnPanic: func(v any) { t.Errorf("panic: %v", v) }})
				relay, err := enginetest.NewTCPRelay(b.addr, 1)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { relay.Close() })
				headOut := make(chan struct{})
				_, err = b.tryDial(greeting("edge"), func(in tunnel.Incoming) {
					phase.handle(in, func() {
						if phase.status == 0 {
							<-headOut // the caller has the head
						}
						relay.ResetAll()
					})
					<-in.Context().Done()
				}, speak, func(o *tunnel.DialOptions) { o.URL = "ws://" + relay.Addr().String() + "/register" })
				if err != nil {
					t.Fatal(err)
				}
				b.awaitMember("edge")
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, phase.method, b.url("/request"), nil)
				if phase.method == "POST" {
					req.Body = io.NopCloser(strings.NewReader(repeat("x", 1<<20)))
				}
				req.Header.Set("X-Proxy-Destination", "http://a.example"+phase.path)
				resp, err := caller(t).Do(req)
				if err != nil {
					t.Fatalf("no status: %v", err)
				}
				defer resp.Body.Close()
				close(headOut)
				body, err := io.ReadAll(resp.Body)
				switch {
				case phase.status == 0 && err == nil:
					t.Errorf("got %v %q as if it were the whole", resp.Status, body)
				case phase.status != 0 && resp.StatusCode != phase.status:
					t.Errorf("got %v %q", resp.Status, body)
				}
			})
		}
	}
}

func TestConnectionsThatCameAndWent(t *testing.T) {
	for protocol, speak := range map[string]func(*tunnel.DialOptions){"native": func(*tunnel.DialOptions) {}, "classic": classic} {
		t.Run(protocol, func(t *testing.T) {
			b := serve(t, Options{})
			before := runtime.NumGoroutine()
			for i := range 100 {
				s, err := b.tryDial(greeting("edge"), hello, speak)
				if err != nil {
					t.Fatal(err)
				}
				if i%2 == 0 {
					b.awaitMember("edge")
				}
				s.Close(engine.CloseNormal, "")
			}
			b.await(engine.KindConnectionClosed, 100)
			b.settle(before)
		})
	}
}

func TestCallerThatLeavesOverWSP(t *testing.T) {
	b := serve(t, Options{})
	began, ended := make(chan struct{}), make(chan struct{})
	if _, err := b.tryDial(greeting("edge"), func(in tunnel.Incoming) {
		close(began)
		<-in.Context().Done()
		close(ended)
	}, classic); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("edge")
	c := b.raw("GET /request HTTP/1.1\r\nHost: a\r\nX-Proxy-Destination: http://a.example/\r\n\r\n")
	within(t, "handler", began)
	c.Close()
	within(t, "cancellation", ended)
	if rec := b.finished(1); rec.Outcome != engine.OutcomeCallerGone {
		t.Errorf("record %+v", rec)
	}
}

// Real clients of wsp send on what their origin sent, hop-by-hop fields too.
func TestHopByHopFieldsOfWSPClients(t *testing.T) {
	b := serve(t, Options{})
	p := b.wspClient("edge_1")
	head := make(chan string, 1)
	go func() {
		_, text, _ := p.ReadMessage()
		head <- string(text)
		p.ReadMessage()
		p.WriteMessage(enginetest.OpText, []byte(`{"StatusCode":200,"Header":{"Connection":["keep-alive, X-Secret-Hop"],"X-Secret-Hop":["leaked"],`+
			`"Keep-Alive":["timeout=1"],"Upgrade":["x"],"Transfer-Encoding":["chunked"],"Trailer":["X-T"],"X-Kept":["1"]},"ContentLength":2}`))
		p.WriteMessage(enginetest.OpBinary, []byte("hi"))
	}()
	resp, body := b.raw("GET /request HTTP/1.1\r\nHost: a\r\nX-Proxy-Destination: http://a.example/\r\n"+
		"Connection: X-Secret-Hop\r\nX-Secret-Hop: leaked\r\nX-Secret-Key: leaked\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n").response(t, "GET")
	if text := <-head; strings.Contains(text, "leaked") || strings.Contains(text, "6.6.6.6") || strings.Contains(strings.ToLower(text), "destination") {
		t.Errorf("the client got %s", text)
	}
	if resp.StatusCode != 200 || body != "hi" || resp.Header.Get("X-Kept") != "1" {
		t.Errorf("got %v %q %v", resp.Status, body, resp.Header)
	}
	for _, name := range []string{"Connection", "X-Secret-Hop", "Keep-Alive", "Upgrade", "Transfer-Encoding", "Trailer"} {
		if v := resp.Header.Values(name); len(v) > 0 {
			t.Errorf("%s: %q came through", name, v)
		}
	}
}

func TestEverythingAtOnce(t *testing.T) {
	b := serve(t, Options{Domain: domain, Wait: 10 * time.Millisecond, Grace: time.Second})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	loop := func(f func()) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	for i := range 4 {
		g := greeting(fmt.Sprintf("edge-%d", i), engine.Expose{Host: "app"})
		speak := classic
		if i%2 == 0 {
			speak = func(*tunnel.DialOptions) {}
		} else {
			g.Expose = nil
		}
		loop(func() {
			if s, err := b.tryDial(g, hello, speak); err == nil {
				s.Close(engine.CloseNormal, "")
			}
		})
	}
	c := caller(t)
	loop(func() { try(c, "GET", b.url("/"), "", "Host", appHost) })
	loop(func() { try(c, "POST", b.url("/request"), "x", "X-Proxy-Destination", "http://a.example/") })
	loop(func() {
		var snap engine.Snapshot
		b.s.Snapshot(context.Background(), &snap)
	})
	b.finished(20)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.s.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	close(stop)
	wg.Wait()
}

func TestEventsOverWSPAreNotBuffered(t *testing.T) {
	b := serve(t, Options{})
	next := make(chan struct{})
	if _, err := b.tryDial(greeting("edge"), func(in tunnel.Incoming) {
		in.WriteResponse(&wire.Response{Status: 200, Fields: []wire.Field{{Name: "Content-Type", Value: "text/event-stream"}}}, false)
		for range 10 {
			<-next
			if _, err := in.Write([]byte("data: x\n\n")); err != nil {
				return
			}
		}
		in.CloseWrite(nil)
	}, classic); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("edge")
	c := b.raw("GET /request HTTP/1.1\r\nHost: a\r\nX-Proxy-Destination: http://a.example/\r\n\r\n")
	resp, err := http.ReadResponse(c.r, nil) // the head comes before any content
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	event := make([]byte, len("data: x\n\n"))
	for range 10 {
		next <- struct{}{}
		if _, err := io.ReadFull(resp.Body, event); err != nil || string(event) != "data: x\n\n" {
			t.Fatalf("%q %v", event, err)
		}
	}
}
