package server

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// bodyCase is one way in which too much content comes.
type bodyCase struct {
	name     string
	client   func(testing.TB) *http.Client
	declared bool
	answered bool // the origin has sent a head before
}

// Content beyond the bound is refused before anything is sent where its length is
// told, else when it comes; the origin never takes what came for the whole.
func TestContentBeyondItsBound(t *testing.T) {
	const most = 40_000
	for _, tt := range []bodyCase{
		{"declared", caller, true, false}, {"declared in http/2", h2c, true, false},
		{"streamed", caller, false, false}, {"streamed in http/2", h2c, false, false},
		{"after the head", caller, false, true}, {"after the head in http/2", h2c, false, true},
	} {
		for _, old := range []bool{false, true} {
			if old && (tt.answered || strings.Contains(tt.name, "http/2")) {
				continue // wsp's content comes before the answer
			}
			t.Run(fmt.Sprintf("%s, wsp %v", tt.name, old), func(t *testing.T) {
				t.Parallel()
				whole := make(chan int, 1)
				h := func(in tunnel.Incoming) {
					if tt.answered {
						in.WriteResponse(&wire.Response{Status: 200}, false)
						in.Write([]byte("early"))
					}
					got, err := content(in)
					if err == nil {
						whole <- len(got)
						respond(in, 200, "ok")
					} else {
						whole <- -1
					}
				}
				o := Options{Domain: domain, Wait: 50 * time.Millisecond}
				o.Caps.Body = most
				b := serve(t, o)
				change := func(*tunnel.DialOptions) {}
				if old {
					change = classic
				}
				if _, err := b.tryDial(greeting("edge"), h, change); err != nil {
					t.Fatal(err)
				}
				b.awaitMember("edge")
				send := func(n int) (int, error) {
					pr, pw := io.Pipe()
					defer pr.Close()
					req, _ := http.NewRequest("POST", b.url("/request"), pr)
					req.Header.Set("X-Proxy-Destination", "http://origin.internal/x")
					if tt.declared {
						req.ContentLength = int64(n)
					}
					rest := make(chan struct{})
					go func() {
						io.WriteString(pw, repeat("x", n-1))
						<-rest
						io.WriteString(pw, "x")
						pw.Close()
					}()
					if !tt.answered {
						close(rest)
					}
					resp, err := tt.client(t).Do(req)
					if tt.answered {
						close(rest)
					}
					if err != nil {
						return 0, err
					}
					defer resp.Body.Close()
					_, err = io.ReadAll(resp.Body)
					return resp.StatusCode, err
				}
				if !tt.answered {
					if status, err := send(most); status != 200 || err != nil {
						t.Fatalf("just below: %d %v", status, err)
					}
					if n := <-whole; n != most {
						t.Fatalf("just below: the origin has %d bytes", n)
					}
				}
				status, err := send(most + 1)
				if tt.answered && err == nil {
					t.Errorf("beyond: %d, and the answer is whole", status)
				}
				if !tt.answered && (status != 413 || err != nil) {
					t.Errorf("beyond: %d %v", status, err)
				}
				if e := b.await(engine.KindLimitReached, 1); e.Target != "max-body" {
					t.Errorf("told %+v", e)
				}
				// It may never have heard of the exchange.
				select {
				case n := <-whole:
					if n >= 0 || tt.declared {
						t.Errorf("the origin was given %d bytes", n)
					}
				case <-time.After(100 * time.Millisecond):
				}
			})
		}
	}
}

// paced starts a server whose clients may move rate bytes a second each way.
func paced(t *testing.T, rate int64, h tunnel.Handler, change ...func(*Options)) *bench {
	return exposed(t, h, append(change, func(o *Options) { o.Caps.Bandwidth = rate; o.Wait = patience })...)
}

// What is small stays fast beside what is paced, both ways and on the same
// connection; and the rate holds for all connections of the client together.
func TestSmallRequestsBesidePacedOnes(t *testing.T) {
	const rate, size = 512 << 10, 1 << 20
	serve := func(in tunnel.Incoming) {
		content(in)
		if in.Request().Path == "/down" {
			respond(in, 200, repeat("x", size))
		} else {
			respond(in, 200, "ok")
		}
	}
	b := paced(t, rate, serve)
	b.dial(greeting("edge", engine.Expose{Host: "app"}), serve) // of the same instance
	b.dial(greeting("other", engine.Expose{Host: "other"}), hello)
	begin := time.Now()
	ended := make(chan time.Duration, 2)
	c := caller(t)
	c.Timeout = 0
	for method, content := range map[string]string{"GET": "", "POST": repeat("x", size)} {
		go func() {
			path := map[string]string{"GET": "/down", "POST": "/up"}[method]
			if resp, _, err := try(c, method, b.url(path), content, "Host", appHost); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: %v", path, err)
			}
			ended <- time.Since(begin)
		}()
	}
	time.Sleep(300 * time.Millisecond)
	for range 20 {
		at := time.Now()
		do(t, c, "POST", b.url("/small"), "some content", "Host", appHost)
		if took := time.Since(at); took > 500*time.Millisecond {
			t.Errorf("a small request took %v", took)
		}
	}
	select {
	case took := <-ended:
		t.Errorf("a big one is through after %v already", took)
	default:
	}
	at := time.Now()
	do(t, c, "POST", b.url("/x"), repeat("x", 64<<10), "Host", "other."+domain)
	if took := time.Since(at); took > time.Second {
		t.Errorf("another client waits: %v", took)
	}
	for range 2 {
		// 1 MiB at 512 KiB/s; some of it is made up for.
		if took := <-ended; took < 1600*time.Millisecond {
			t.Errorf("a big one took %v", took)
		}
	}
	if e := b.await(engine.KindLimitReached, 1); e.Target != "bandwidth-per-client" || e.Client != "edge" {
		t.Errorf("told %+v", e)
	}
}

// A byte stream is paced as well.
func TestPacedStream(t *testing.T) {
	const rate, size = 256 << 10, 256 << 10
	b := paced(t, rate, echoRaw)
	c := b.raw("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\n\r\n")
	if _, err := http.ReadResponse(c.r, &http.Request{Method: "CONNECT"}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	go io.WriteString(c, repeat("x", size))
	if _, err := io.ReadFull(c.r, make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 600*time.Millisecond {
		t.Errorf("%d bytes at %d/s both ways took %v", size, rate, took)
	}
}

// Who waits for his turn leaves at once when that is asked of him.
func TestEndOfWhatIsPaced(t *testing.T) {
	for name, end := range map[string]func(b *bench, c *rawCall){
		"caller leaves": func(_ *bench, c *rawCall) { c.Close() },
		"operator": func(b *bench, _ *rawCall) {
			b.s.CancelExchange(b.t.Context(), b.seen(engine.KindRequestStarted)[0].Request.ID, engine.Operator{Name: "op"})
		},
		"client leaves": func(b *bench, _ *rawCall) {
			b.s.CloseConnection(b.t.Context(), b.s.links.list()[0].id, engine.CloseKilled, engine.Operator{Name: "op"})
		},
		"server ends": func(b *bench, _ *rawCall) { b.s.Close() },
	} {
		for _, up := range []bool{false, true} {
			if up && name == "caller leaves" {
				continue // that shows when what he sent before has been read
			}
			t.Run(fmt.Sprintf("%s, up %v", name, up), func(t *testing.T) {
				t.Parallel()
				b := paced(t, 1000, func(in tunnel.Incoming) {
					content(in)
					respond(in, 200, repeat("x", 1<<20))
				})
				send := "GET / HTTP/1.1\r\nHost: app.t.example\r\n\r\n"
				if up {
					send = "POST / HTTP/1.1\r\nHost: app.t.example\r\nContent-Length: 1000000\r\n\r\n" + repeat("x", 100_000)
				}
				c := b.raw(send)
				b.await(engine.KindLimitReached, 1)
				begin := time.Now()
				end(b, c)
				b.finished(1)
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

// Callers above the bound of a client wait their turn, and are served in it.
func TestExchangesOfAClientWaitTheirTurn(t *testing.T) {
	running, most := make(chan struct{}, 100), make(chan int, 100)
	b := serve(t, Options{Domain: domain, Wait: patience, Live: Live{Caps: Caps{ExchangesPerClient: 3}}})
	for range 4 { // connections, each with room for 1,000
		b.dial(greeting("edge", engine.Expose{Host: "app"}), func(in tunnel.Incoming) {
			running <- struct{}{}
			most <- len(running)
			time.Sleep(10 * time.Millisecond)
			<-running
			hello(in)
		})
	}
	c := caller(t)
	done := make(chan int, 40)
	for range 40 {
		go func() {
			resp, _, err := try(c, "GET", b.url("/x"), "", "Host", appHost)
			if err != nil {
				t.Error(err)
				done <- 0
				return
			}
			done <- resp.StatusCode
		}()
	}
	for range 40 {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	close(most)
	peak := 0
	for n := range most {
		peak = max(peak, n)
	}
	if peak > 3+2 { // as many as come at one moment
		t.Errorf("%d at once", peak)
	}
}
