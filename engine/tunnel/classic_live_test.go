package tunnel

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/wire"
)

const testPing = 30 * time.Second

// patient lets a peer wait longer than the faults under test take.
func patient(p *enginetest.Peer) *enginetest.Peer {
	p.Timeout = time.Hour
	return p
}

// TestClassicIdleSilenceIsDeath blackholes an idle connection: F7, a half-open
// socket must not eat requests.
func TestClassicIdleSilenceIsDeath(t *testing.T) {
	for _, end := range []string{"server", "client"} {
		t.Run(end, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := classicOptions{limits: Limits{Ping: testPing}}
				var c interface {
					Done() <-chan struct{}
					Ended() (engine.CloseCode, string)
				}
				if end == "server" {
					c, _ = served(t, o)
				} else {
					c, _ = dialled(t, o)
				}
				begin := time.Now()
				<-c.Done()
				if took := time.Since(begin); took < 2*testPing || took > 2*testPing+time.Second {
					t.Fatalf("found dead after %v", took)
				}
				if code, text := c.Ended(); code != engine.CloseAbnormal || text == "" {
					t.Fatalf("ended %d %q", code, text)
				}
			})
		})
	}
}

// TestClassicPongsKeepAlive lets an idle peer answer pings for an hour, then
// stop: it is found dead in two intervals from its last byte.
func TestClassicPongsKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := served(t, classicOptions{limits: Limits{Ping: testPing}})
		patient(peer)
		begin := time.Now()
		var last time.Time
		pings := 0
		for time.Since(begin) < time.Hour {
			f, err := peer.ReadFrame()
			if err != nil || f.Opcode != opPing || len(f.Payload) == 0 {
				t.Fatalf("%+v, %v", f, err)
			}
			if gap := time.Since(last); !last.IsZero() && (gap < testPing*4/5 || gap > testPing*6/5+10*time.Millisecond) {
				t.Fatalf("pings %v apart", gap)
			}
			last = time.Now()
			pings++
			time.Sleep(3 * time.Millisecond)
			if err := peer.WriteMessage(opPong, f.Payload); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		last = time.Now()
		var at engine.Connection
		c.Status(&at)
		if at.RTT != 3*time.Millisecond || at.RTTMin != at.RTT || at.FramesIn.Pong != uint64(pings) {
			t.Fatalf("status %+v", at)
		}
		<-c.Done()
		if took := time.Since(last); took > 2*testPing+time.Second {
			t.Fatalf("found dead %v after the last byte", took)
		}
	})
}

// TestClassicBusySilenceIsNotDeath: real programs read nothing while they are
// busy, and so send no pong.
func TestClassicBusySilenceIsNotDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := served(t, classicOptions{limits: Limits{Ping: testPing}})
		patient(peer)
		x := opened(t, c, t.Context(), ask("GET", "/events"), true)
		hear(t, peer, opText)
		hear(t, peer, opBinary)
		say(t, peer, opText, `{"StatusCode":200,"Header":{},"ContentLength":-1}`)
		if _, err := x.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // the origin's stream says nothing
		say(t, peer, opBinary, "event")
		if got := content(t, x); got != "event" {
			t.Fatalf("got %q", got)
		}
		x.Close()
		if !c.Reserve() {
			t.Fatal("the connection did not come back")
		}
		c.Unreserve()
		begin := time.Now()
		<-c.Done() // idle again, and silent
		if took := time.Since(begin); took > 2*testPing+time.Second {
			t.Fatalf("found dead after %v", took)
		}
	})
}

// TestClassicClientPingsBusyToo: a real server's connection is kept open through
// whatever is between by the pings of its client.
func TestClassicClientPingsBusyToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := dialled(t, classicOptions{limits: Limits{Ping: testPing}, handler: func(in Incoming) { <-in.Context().Done() }})
		patient(peer)
		respond(t, peer, jsonRequest("GET", "/", 0), "")
		for range 5 {
			begin := time.Now()
			f, err := peer.ReadFrame()
			if err != nil || f.Opcode != opPing || !f.Masked {
				t.Fatalf("%+v, %v", f, err)
			}
			if gap := time.Since(begin); gap > testPing*6/5+time.Millisecond {
				t.Fatalf("pings %v apart", gap)
			}
		}
		select {
		case <-s.Done():
			t.Fatal("a busy session died of silence")
		default:
		}
	})
}

func TestClassicHeadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := served(t, classicOptions{limits: Limits{Head: 10 * time.Second}})
		patient(peer)
		x := opened(t, c, t.Context(), ask("POST", "/"), false)
		hear(t, peer, opText)
		// An upload that takes longer than the deadline is not late: the answer
		// comes after it.
		go func() {
			for range 6 {
				time.Sleep(5 * time.Second)
				if _, err := x.Write([]byte("piece")); err != nil {
					t.Error(err)
				}
			}
			if err := x.CloseWrite(nil); err != nil {
				t.Error(err)
			}
		}()
		begin := time.Now()
		_, err := x.ReadResponse()
		wantReason(t, err, engine.ReasonTimedOut)
		if took := time.Since(begin); took != 40*time.Second {
			t.Fatalf("failed after %v", took)
		}
		x.Close()
		<-c.Done()
	})
}

// TestClassicPeerThatTakesNothing bounds a write to a client that has stopped
// reading.
func TestClassicPeerThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := served(t, classicOptions{limits: Limits{Head: 10 * time.Second}})
		x := opened(t, c, t.Context(), ask("POST", "/"), false)
		begin := time.Now()
		var err error
		for err == nil {
			_, err = x.Write(make([]byte, 32<<10))
		}
		wantReason(t, err, engine.ReasonTunnelFailed)
		if took := time.Since(begin); took != 10*time.Second {
			t.Fatalf("failed after %v", took)
		}
		x.Close()
		<-c.Done()
	})
}

func TestClassicIdleConnectionLostIsSeenAtOnce(t *testing.T) {
	for name, leave := range map[string]func(p *enginetest.Peer){
		"eof":   func(p *enginetest.Peer) { _ = p.Conn.Close() },
		"reset": func(p *enginetest.Peer) { p.Conn.(*enginetest.Conn).Reset() },
		"close": func(p *enginetest.Peer) { _ = p.WriteClose(1001, "bye") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, peer := served(t, classicOptions{})
				leave(peer)
				synctest.Wait()
				if c.Reserve() {
					t.Fatal("a lost connection takes work")
				}
				begin := time.Now()
				<-c.Done()
				if time.Since(begin) != 0 {
					t.Fatal("it took time to end")
				}
				code, text := c.Ended()
				if name == "close" && (code != engine.CloseGoingAway || text != "bye") || name != "close" && code != engine.CloseAbnormal {
					t.Fatalf("ended %d %q", code, text)
				}
			})
		})
	}
}

func TestClassicServerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := served(t, classicOptions{})
		x := opened(t, c, t.Context(), ask("GET", "/"), true)
		heardRequest(t, peer)
		c.Drain(time.Minute, "maintenance")
		var at engine.Connection
		if c.Status(&at); at.State != engine.StateDraining || at.InFlight != 1 {
			t.Fatalf("status %+v", at)
		}
		if c.Reserve() {
			t.Fatal("a draining connection takes work")
		}
		time.Sleep(30 * time.Second)
		respond(t, peer, ok200, "ok")
		if _, err := x.ReadResponse(); err != nil {
			t.Fatal(err)
		}
		if got := content(t, x); got != "ok" {
			t.Fatalf("got %q", got)
		}
		x.Close()
		hearClose(t, peer, engine.CloseGoingAway)
		wantEnd(t, c, engine.CloseGoingAway)
	})
}

func TestClassicDrainEndsAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := served(t, classicOptions{})
		x := opened(t, c, t.Context(), ask("GET", "/"), true)
		heardRequest(t, peer)
		begin := time.Now()
		c.Drain(time.Minute, "maintenance")
		_, err := x.ReadResponse()
		wantReason(t, err, engine.ReasonTunnelFailed)
		if took := time.Since(begin); took != time.Minute {
			t.Fatalf("ended after %v", took)
		}
		x.Close()
		hearClose(t, peer, engine.CloseGoingAway)
		<-c.Done()
	})
}

func TestClassicClientDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, peer := dialled(t, classicOptions{handler: func(in Incoming) {
			<-release
			if err := in.Context().Err(); err != nil {
				t.Error(err)
			}
			_ = replyWith(in, 200, "done")
		}})
		respond(t, peer, jsonRequest("GET", "/", 0), "")
		synctest.Wait()
		s.Drain(time.Minute, "going home")
		synctest.Wait()
		close(release)
		if _, body := heardResponse(t, peer); body != "done" {
			t.Fatalf("got %q", body)
		}
		hearClose(t, peer, engine.CloseGoingAway)
		wantEnd(t, s, engine.CloseGoingAway)

		idle, peer := dialled(t, classicOptions{})
		idle.Drain(time.Minute, "going home")
		hearClose(t, peer, engine.CloseGoingAway)
		wantEnd(t, idle, engine.CloseGoingAway)
	})
}

// TestClassicCloseIsBounded closes against peers that do not answer.
func TestClassicCloseIsBounded(t *testing.T) {
	for _, state := range []string{"idle", "reading", "writing"} {
		t.Run(state, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, peer := served(t, classicOptions{})
				failed := make(chan error, 1)
				var x Exchange
				if state != "idle" {
					x = opened(t, c, t.Context(), ask("POST", "/"), false)
					hear(t, peer, opText)
				}
				switch state {
				case "reading":
					say(t, peer, opText, `{"StatusCode":200,"Header":{},"ContentLength":-1}`)
					if err := peer.WriteFrame(enginetest.Frame{Opcode: opBinary, Masked: true}); err != nil {
						t.Fatal(err)
					}
					if _, err := x.ReadResponse(); err != nil {
						t.Fatal(err)
					}
					go func() {
						_, err := x.Next()
						failed <- err
					}()
				case "writing":
					go func() {
						var err error
						for err == nil {
							_, err = x.Write(make([]byte, 32<<10))
						}
						failed <- err
					}()
				}
				synctest.Wait()
				begin := time.Now()
				c.Close(engine.CloseKilled, "by an operator")
				if took := time.Since(begin); took > closeWait {
					t.Fatalf("close took %v", took)
				}
				if x != nil {
					wantReason(t, <-failed, engine.ReasonOperator)
					x.Close()
				}
				wantEnd(t, c, engine.CloseKilled)
			})
		})
	}
}

// TestClassicCloseCancelsHandler: an operator's kill must not wait for an origin.
func TestClassicCloseCancelsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peer := dialled(t, classicOptions{handler: func(in Incoming) {
			_, err := io.Copy(io.Discard, in)
			wantReason(t, err, engine.ReasonOperator)
			<-in.Context().Done()
		}})
		say(t, peer, opText, jsonRequest("POST", "/", -1))
		synctest.Wait()
		begin := time.Now()
		s.Close(engine.CloseKilled, "x")
		if took := time.Since(begin); took > closeWait {
			t.Fatalf("close took %v", took)
		}
		hearClose(t, peer, engine.CloseKilled)
	})
}

// TestClassicNewestPingIsAnswered floods a busy client with pings: the reader
// must not wait for the writer.
func TestClassicNewestPingIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, peer := dialled(t, classicOptions{handler: func(in Incoming) {
			_ = in.WriteResponse(&wire.Response{Status: 200}, false)
			for {
				if _, err := in.Write(make([]byte, 32<<10)); err != nil {
					var cause *engine.Error
					if !errors.As(err, &cause) {
						t.Errorf("write fails with %v", err)
					}
					return
				}
			}
		}})
		respond(t, peer, jsonRequest("GET", "/", 0), "")
		time.Sleep(2 * classicWatch) // another reader has started
		synctest.Wait()              // the writer is stuck
		for range 10_000 {
			if err := peer.WriteMessage(opPing, []byte("old")); err != nil {
				t.Fatal(err)
			}
		}
		say(t, peer, opPing, "newest")
		synctest.Wait()
		pongs := 0
		for {
			f, err := peer.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f.Opcode == opPong {
				if pongs++; string(f.Payload) == "newest" {
					break
				}
			}
		}
		if pongs > 2 {
			t.Fatalf("%d pongs", pongs)
		}
	})
}
