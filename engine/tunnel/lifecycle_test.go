package tunnel

import (
	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/frame"
	"adit/engine/wire"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSilentPeerIsFoundDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, linkOptions{limits: Limits{Ping: 20 * time.Second}, handler: func(in Incoming) { <-in.Context().Done() }})
		time.Sleep(95 * time.Second)
		select {
		case <-l.server.Done():
			t.Fatal("a peer that answers pings was called dead")
		default:
		}
		var st engine.Connection
		l.server.Status(&st)
		if st.RTT <= 0 {
			t.Error("no round-trip time")
		}
		x := l.open(t, context.Background(), get("/"), true)
		c, s := l.pair[0].(*enginetest.Conn), time.Now()
		_ = c.SetDeadline(time.Now()) // nothing passes any more, and nobody says so
		if _, err := x.ReadResponse(); err == nil {
			t.Error("answered by a dead peer")
		}
		if took := time.Since(s); took > 2*20*time.Second+time.Second {
			t.Errorf("found after %v", took)
		}
		x.Close()
		_ = c.SetDeadline(time.Time{})
		l.close()
	})
}

func TestDrainLetsExchangesFinish(t *testing.T) {
	for _, who := range []string{"server", "client"} {
		t.Run(who, func(t *testing.T) {
			started, goOn := make(chan struct{}), make(chan struct{})
			l := newLink(t, linkOptions{handler: func(in Incoming) {
				close(started)
				<-goOn
				_ = answer(in, 200, []byte("finished"))
			}})
			x := l.open(t, context.Background(), get("/"), true)
			<-started
			if who == "server" {
				l.server.Drain(time.Minute, "restart")
				if l.server.Reserve() {
					t.Error("a slot while draining")
				}
			} else {
				l.session.Drain(time.Minute, "restart")
				for l.server.Reserve() { // until the client's drain has come
					l.server.Unreserve()
					time.Sleep(time.Millisecond)
				}
			}
			close(goOn)
			if _, err := x.ReadResponse(); err != nil {
				t.Fatal(err)
			}
			if got, err := readAll(x); err != nil || string(got) != "finished" {
				t.Errorf("%q %v", got, err)
			}
			x.Close()
			<-l.server.Done()
			<-l.session.Done()
			if code, _ := l.server.Ended(); code != engine.CloseGoingAway {
				t.Errorf("closed with %d", code)
			}
			l.close()
		})
	}
}

func TestDrainEndsAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, linkOptions{handler: func(in Incoming) { <-in.Context().Done() }})
		x := l.open(t, context.Background(), get("/"), true)
		begin := time.Now()
		l.server.Drain(30*time.Second, "stop")
		if _, err := x.ReadResponse(); engine.ReasonOf(err) != engine.ReasonTunnelFailed {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("after %v", took)
		}
		x.Close()
		<-l.server.Done()
		l.close()
	})
}

func TestKillTellsTheOtherEndWhy(t *testing.T) {
	l := newLink(t, linkOptions{handler: func(in Incoming) { <-in.Context().Done() }})
	x := l.open(t, context.Background(), get("/"), true)
	l.server.Close(engine.CloseKilled, "killed by an operator")
	if _, err := x.ReadResponse(); engine.ReasonOf(err) != engine.ReasonOperator {
		t.Errorf("exchange failed with %v", err)
	}
	x.Close()
	<-l.session.Done()
	if code, text := l.session.Ended(); code != engine.CloseKilled || text != "killed by an operator" {
		t.Errorf("client saw %d %q", code, text)
	}
	l.close()
}

// The head deadline counts from the last movement of the request, so that a
// long upload does not run into it.
func TestHeadDeadlineCountsFromTheLastMovement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t, linkOptions{limits: Limits{Head: 10 * time.Second}, handler: func(in Incoming) {
			_, _ = io.Copy(io.Discard, in)
			<-in.Context().Done()
		}})
		x := l.open(t, context.Background(), post("/"), false)
		begin := time.Now()
		go func() {
			for range 5 {
				_, _ = x.Write([]byte("more"))
				time.Sleep(8 * time.Second)
			}
		}()
		_, err := x.ReadResponse()
		if engine.ReasonOf(err) != engine.ReasonTimedOut {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took < 42*time.Second || took > 43*time.Second {
			t.Errorf("after %v", took)
		}
		time.Sleep(time.Second)
		x.Close()
		l.close()
	})
}

// What runs at once on one connection never mixes: every exchange gets its own
// content back, through cancellations and early responses.
func TestExchangesNeverCross(t *testing.T) {
	l := newLink(t, linkOptions{growth: NewBudget(16 << 20), handler: func(in Incoming) {
		path := in.Request().Path
		if path[1] == 'e' {
			_ = answer(in, 400, []byte(path))
			return
		}
		all, err := io.ReadAll(in)
		if err != nil {
			return
		}
		_ = answer(in, 200, append([]byte(path+" "), all...))
	}})
	defer l.close()
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			r := rand.New(rand.NewSource(int64(w)))
			for i := range 60 {
				kind := "fec"[r.Intn(3)]
				path := fmt.Sprintf("/%c/%d/%d", kind, w, i)
				ctx, cancel := context.WithCancel(context.Background())
				x := l.open(t, ctx, post(path), false)
				body := bytes.Repeat([]byte{byte(w), byte(i)}, r.Intn(60_000))
				var pump sync.WaitGroup
				pump.Go(func() {
					if _, err := x.Write(body); err == nil {
						_ = x.CloseWrite(nil)
					}
				})
				if kind == 'c' {
					cancel()
				}
				head, err := x.ReadResponse()
				var got []byte
				if err == nil {
					got, err = readAll(x)
				}
				if err == nil && kind == 'f' && string(got) != path+" "+string(body) {
					t.Errorf("%s: got %d bytes of another exchange or order", path, len(got))
				}
				if err == nil && kind == 'e' && (head.Status != 400 || string(got) != path) {
					t.Errorf("%s: %d %q", path, head.Status, got)
				}
				if err != nil && kind != 'c' {
					t.Errorf("%s: %v", path, err)
				}
				if err != nil {
					x.Reset(wire.ResetCancelled, "")
				}
				pump.Wait()
				x.Close()
				cancel()
			}
		})
	}
	group.Wait()
	if n := l.server.InFlight(); n != 0 {
		t.Errorf("%d slots did not come back", n)
	}
}

// A client that can't do without adit.v1 says so and goes, rather than let both
// ends wait for the other's last word. Regression: it took two seconds.
func TestMissingProtocolIsRefusedAtOnce(t *testing.T) {
	for name, change := range map[string]func(*DialOptions){
		"routes":   func(o *DialOptions) { o.NeedsV1 = true },
		"protocol": func(o *DialOptions) { o.Protocol = engine.ProtocolNative },
	} {
		t.Run(name, func(t *testing.T) {
			listener := enginetest.NewListener(80)
			rejected := make(chan error, 1)
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, err := Accept(w, r, AcceptOptions{ID: 17, Protocol: engine.ProtocolClassic, Counters: new(frame.Counters)})
				rejected <- err
			})}
			served := make(chan struct{})
			go func() {
				defer close(served)
				_ = srv.Serve(listener)
			}()
			o := DialOptions{ID: 1, URL: "ws://server/register", Greeting: &engine.Greeting{ID: "edge"}, Counters: new(frame.Counters),
				NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.Dial(ctx) }}
			change(&o)
			begin := time.Now()
			_, err := Dial(context.Background(), o)
			if engine.ReasonOf(err) != engine.ReasonUnsupported {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begin); took > closeWait/2 {
				t.Errorf("refused after %v", took)
			}
			var oe *OpeningError
			if err := <-rejected; !errors.As(err, &oe) || oe.Code != engine.CloseProtocolError {
				t.Errorf("server says %v", err)
			}
			_ = srv.Close()
			<-served
		})
	}
}
