package client

import (
	"errors"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
)

func TestBackoffGrowsToItsCapWithFullJitter(t *testing.T) {
	for _, random := range []float64{0, 0.5, 0.999} {
		b := backoff{random: func() float64 { return random }}
		want := []float64{0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30}
		for i, w := range want {
			got := b.after(failure{err: errNoServer})
			if exact := time.Duration(random * w * float64(time.Second)); got != exact {
				t.Errorf("failure %d at %v: wait %v, want %v", i, random, got, exact)
			}
		}
		if got := b.after(failure{lived: healthyAfter, lost: true}); got > backoffBase {
			t.Errorf("after a healthy minute: wait %v", got)
		}
	}
}

func TestWaitFollowsTheFailure(t *testing.T) {
	dial := func(status int, code engine.CloseCode, after time.Duration) failure {
		return dialFailure(&tunnel.DialError{Status: status, Code: code, RetryAfter: after, Err: errors.New("no")})
	}
	closed := func(code engine.CloseCode, reason string, lived time.Duration) failure {
		return lostFailure(code, reason, tunnel.RetryAfter(reason), lived)
	}
	for _, tt := range []struct {
		name        string
		f           failure
		least, most time.Duration
		phase       Phase
	}{
		{"nobody listens", dialFailure(errNoServer), 0, backoffBase, PhaseDial},
		{"500", dial(500, 0, 0), 0, backoffBase, PhaseDial},
		{"401", dial(401, 0, 0), backoffCap / 2, backoffCap, PhaseRefused},
		{"403", dial(403, 0, 0), backoffCap / 2, backoffCap, PhaseRefused},
		{"526", dial(526, 0, 0), backoffCap / 2, backoffCap, PhaseRefused},
		{"429 with Retry-After", dial(429, 0, 7*time.Second), 7 * time.Second, 8 * time.Second, PhaseDial},
		{"Retry-After without measure", dial(503, 0, 1000*time.Hour), time.Hour, time.Hour + time.Second, PhaseDial},
		{"1008", dial(0, engine.ClosePolicy, 0), backoffCap / 2, backoffCap, PhaseRefused},
		{"4002", dial(0, engine.CloseIDTaken, 0), backoffCap / 2, backoffCap, PhaseRefused},
		{"closed 4001", closed(engine.CloseBanned, "", time.Hour), backoffCap / 2, backoffCap, PhaseRefused},
		{"closed 1012", closed(engine.CloseRestart, "", time.Hour), 0, restartJitter, PhaseLost},
		{"closed 1012 at once, again and again", closed(engine.CloseRestart, "", time.Millisecond), 0, backoffBase, PhaseLost},
		{"closed 1001", closed(engine.CloseGoingAway, "stopping", time.Hour), 0, backoffBase, PhaseLost},
		{"closed 1006", closed(engine.CloseAbnormal, "", time.Second), 0, backoffBase, PhaseLost},
		{"closed with retry-after", closed(engine.CloseTryLater, "retry-after=5;busy", time.Second), 5 * time.Second, 6 * time.Second, PhaseLost},
		{"retry-after that is none", closed(engine.CloseTryLater, "retry-after=soon;", time.Second), 0, backoffBase, PhaseLost},
		{"no routes in wsp", dialFailure(&tunnel.DialError{Err: engine.Fail("open", engine.ReasonUnsupported, nil)}), backoffCap / 2, backoffCap, PhaseRefused},
	} {
		for _, random := range []float64{0, 0.5, 0.999} {
			b := backoff{random: func() float64 { return random }}
			if got := b.after(tt.f); got < tt.least || got > tt.most {
				t.Errorf("%s: wait %v, want %v to %v", tt.name, got, tt.least, tt.most)
			}
		}
		if got := tt.f.phase(false); got != tt.phase {
			t.Errorf("%s: phase %d, want %d", tt.name, got, tt.phase)
		}
	}
}

func TestNativePoolIsKeptFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0.5, Options{Pool: 3})
		synctest.Wait()
		if n := len(net.alive()); n != 3 {
			t.Fatalf("%d connections, want 3", n)
		}
		if g := net.alive()[0].o.Greeting; g.PoolSize != 3 || g.ID != "edge-3" || g.Instance == "" {
			t.Errorf("greeting %+v", g)
		}
		for range 20 {
			net.alive()[0].Close(engine.CloseAbnormal, "")
			time.Sleep(backoffCap)
			synctest.Wait()
			if n := len(net.alive()); n != 3 {
				t.Fatalf("%d connections after a loss, want 3", n)
			}
		}
		events := r.stop(t)
		if n := count(events, engine.KindReady); n != 1 {
			t.Errorf("ready %d times", n)
		}
		if o, c := count(events, engine.KindConnectionOpened), count(events, engine.KindConnectionClosed); o != 23 || c != 23 {
			t.Errorf("%d opened, %d closed", o, c)
		}
		first := only(events, engine.KindConnectionOpened, engine.KindReady)
		if first[0].Kind != engine.KindConnectionOpened || first[1].Kind != engine.KindReady ||
			first[1].Server != "ws://server.example:8080/register" || first[1].Protocol != engine.ProtocolNative {
			t.Errorf("first events %+v", first[:2])
		}
	})
}

func TestServerThatIsDownIsDialledWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		net.refuseWith(errNoServer)
		r := start(t, net, 0.999, Options{})
		begun := time.Now()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		// At 0, then after 0.5, 1, 2, 4, 8, 16 and 30 s.
		if n := net.dialled(); n != 7 {
			t.Errorf("%d dials in 61 s: %v", n, net.dials)
		}
		net.allow()
		for len(net.alive()) < 2 && time.Since(begun) < time.Hour {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if since := time.Since(begun); since > 61*time.Second+backoffCap+time.Second {
			t.Errorf("back after %v", since)
		}
		events := r.stop(t)
		failed := only(events, engine.KindDialFailed)
		if len(failed) != 7 || failed[0].Server == "" || failed[0].Reason != "dial: connection refused" ||
			failed[6].Duration < 20*time.Second {
			t.Errorf("dial_failed %d: %+v", len(failed), failed)
		}
	})
}

// Two connections lost together are one failure, and a restart is no failure.
func TestRestartedServerIsDialledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0.999, Options{})
		for range 5 {
			time.Sleep(time.Minute)
			for _, s := range net.alive() {
				s.Close(engine.CloseRestart, "")
			}
			time.Sleep(restartJitter)
			synctest.Wait()
			if n := len(net.alive()); n != 2 {
				t.Fatalf("%d connections %v after a restart", n, restartJitter)
			}
		}
		r.stop(t)
	})
}

func TestRetryAfterIsWaitedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0, Options{Pool: 1})
		synctest.Wait()
		net.alive()[0].Close(engine.CloseTryLater, "retry-after=10; too busy")
		time.Sleep(10*time.Second - time.Millisecond)
		synctest.Wait()
		if n := net.dialled(); n != 1 {
			t.Errorf("dialled within the wait")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n := len(net.alive()); n != 1 {
			t.Errorf("%d connections after the wait", n)
		}
		r.stop(t)
	})
}

func TestClassicPoolGrowsWithItsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{protocol: engine.ProtocolClassic}
		r := start(t, net, 0, Options{PoolIdle: 3, PoolMax: 5})
		synctest.Wait()
		if n := len(net.alive()); n != 1 {
			t.Fatalf("began with %d connections", n)
		}
		if o := net.alive()[0].o; o.Limits.Ping != defaultClassicPing {
			t.Errorf("ping %v", o.Limits.Ping)
		}
		time.Sleep(classicCheck)
		synctest.Wait()
		if n := len(net.alive()); n != 3 {
			t.Fatalf("%d connections after a second, want 3", n)
		}
		if o := net.alive()[1].o; o.ClassicPool != 3 {
			t.Errorf("greeting tells a pool of %d", o.ClassicPool)
		}
		begin := func(s *fakeSession) *exchange {
			r.mu.Lock()
			n := r.sessions[s.o.ID]
			r.mu.Unlock()
			x := &exchange{n: n, id: 1}
			n.add(x)
			return x
		}
		x := begin(net.alive()[0])
		synctest.Wait()
		if n := len(net.alive()); n != 4 {
			t.Errorf("%d connections with one busy, want 4", n)
		}
		x.n.remove(x)
		begin(net.alive()[0])
		synctest.Wait()
		if n := len(net.alive()); n != 4 {
			t.Errorf("%d connections with one busy again, want 4", n)
		}
		for _, s := range net.alive()[1:] {
			begin(s)
		}
		time.Sleep(10 * classicCheck)
		synctest.Wait()
		if n := len(net.alive()); n != 5 {
			t.Errorf("%d connections with all busy, want the 5 of the maximum", n)
		}
		r.stop(t)
	})
}

// Over wsp a connection is spent as soon as anything is in doubt: that is no
// failure of the server, and nobody waits for it.
func TestSpentClassicConnectionIsReplacedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{protocol: engine.ProtocolClassic}
		r := start(t, net, 0.999, Options{PoolIdle: 3, Once: true})
		time.Sleep(classicCheck)
		synctest.Wait()
		for range 50 {
			s := net.alive()[0]
			r.mu.Lock()
			n := r.sessions[s.o.ID]
			r.mu.Unlock()
			n.add(&exchange{n: n})
			s.Close(engine.CloseAbnormal, "response cut")
			synctest.Wait()
			if n := len(net.alive()); n != 3 {
				t.Fatalf("%d connections", n)
			}
		}
		// When the server is gone that is found at the dial, and it was there before.
		net.refuseWith(errNoServer)
		for _, s := range net.alive() {
			s.Close(engine.CloseAbnormal, "")
		}
		var failed *RunError
		if err := <-r.result; !errors.As(err, &failed) || failed.Phase != PhaseLost {
			t.Errorf("run ended with %v", err)
		}
		r.stop(t)
	})
}

func TestServerThatChangesItsProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{protocol: engine.ProtocolClassic}
		r := start(t, net, 0, Options{PoolIdle: 4, Pool: 2})
		time.Sleep(2 * classicCheck)
		synctest.Wait()
		if n := len(net.alive()); n != 4 {
			t.Fatalf("%d classic connections", n)
		}
		net.mu.Lock()
		net.protocol = engine.ProtocolNative
		net.mu.Unlock()
		for _, s := range net.alive() {
			s.Close(engine.CloseAbnormal, "")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(net.alive()); n != 2 {
			t.Errorf("%d native connections", n)
		}
		r.stop(t)
	})
}

func TestServersDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := "ws://down.example/register"
		net := &fakeNet{refuse: func(url string) error {
			if url == down {
				return errNoServer
			}
			return nil
		}}
		r := start(t, net, 0.5, Options{Servers: []string{"ws://a.example/register", down, "wss://b.example/register"}})
		synctest.Wait()
		urls := map[string]int{}
		for _, s := range net.alive() {
			urls[s.o.URL]++
		}
		if urls["ws://a.example/register"] != 2 || urls["wss://b.example/register"] != 2 || len(urls) != 2 {
			t.Errorf("connections %v", urls)
		}
		var snap engine.Snapshot
		if err := r.Snapshot(t.Context(), &snap); err != nil {
			t.Fatal(err)
		}
		if len(snap.Servers) != 3 || len(snap.Connections) != 4 || snap.Role != engine.RoleClient {
			t.Fatalf("snapshot %+v", snap)
		}
		if s := snap.Servers[1]; s.Connected != 0 || s.LastError == "" || s.RetryAt.IsZero() || s.URL != down {
			t.Errorf("the server that is down: %+v", s)
		}
		if s := snap.Servers[0]; s.Connected != 2 || s.Wanted != 2 || s.Name != "edge" || s.LastError != "" {
			t.Errorf("the server that is up: %+v", s)
		}
		events := r.stop(t)
		if n := count(events, engine.KindReady); n != 2 {
			t.Errorf("ready %d times", n)
		}
	})
}

func TestOnceSaysHowItEnded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error            // of the dial
		code  engine.CloseCode // of the session
		phase Phase
	}{
		{"not there", errNoServer, 0, PhaseDial},
		{"refused", &tunnel.DialError{Status: http.StatusUnauthorized, Err: errors.New("401")}, 0, PhaseRefused},
		{"id taken", &tunnel.DialError{Code: engine.CloseIDTaken, Err: errors.New("4002")}, 0, PhaseRefused},
		{"lost", nil, engine.CloseAbnormal, PhaseLost},
		{"restarted", nil, engine.CloseRestart, PhaseLost},
		{"banned", nil, engine.CloseBanned, PhaseRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &fakeNet{}
				if tt.err != nil {
					net.refuseWith(tt.err)
				}
				r := start(t, net, 0.5, Options{Once: true})
				synctest.Wait()
				if tt.err == nil {
					net.alive()[0].Close(tt.code, "")
				}
				var failed *RunError
				if err := <-r.result; !errors.As(err, &failed) || failed.Phase != tt.phase {
					t.Errorf("run ended with %v, want phase %d", err, tt.phase)
				}
				if n := len(net.alive()); n != 0 {
					t.Errorf("%d connections left", n)
				}
				for _, e := range r.stop(t) {
					if e.Kind == engine.KindDialFailed && e.Duration != 0 {
						t.Errorf("it says that it tries again in %v", e.Duration)
					}
				}
			})
		})
	}
}

func TestStopDrainsWithinGrace(t *testing.T) {
	for _, stubborn := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			net := &fakeNet{}
			r := start(t, net, 0.5, Options{Grace: 10 * time.Second})
			synctest.Wait()
			alive := net.alive()
			for _, s := range alive {
				s.stubborn = stubborn
			}
			begun := time.Now()
			r.cancel()
			if err := <-r.result; err != nil {
				t.Errorf("run: %v", err)
			}
			took := time.Since(begun)
			if stubborn && took != 10*time.Second+closeSlack || !stubborn && took != 0 {
				t.Errorf("stubborn %v: stopped after %v", stubborn, took)
			}
			for _, s := range alive {
				if s.drained != 10*time.Second {
					t.Errorf("drained with a grace of %v", s.drained)
				}
			}
			events := r.stop(t)
			if n := count(events, engine.KindDraining); n != 1 {
				t.Errorf("draining %d times", n)
			}
			if e := events[len(events)-1]; e.Totals == nil || e.Duration != 0 && !stubborn {
				t.Errorf("stopped: %+v", e)
			}
		})
	}
}

func TestCloseWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0.5, Options{})
		synctest.Wait()
		for _, s := range net.alive() {
			s.stubborn = true
		}
		r.cancel() // draining takes its time
		synctest.Wait()
		begun := time.Now()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("took %v", took)
		}
		if err := r.Run(t.Context()); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("run after close: %v", err)
		}
		r.stop(t)
	})
	c := newClient(t, Options{})
	if err := c.Close(); err != nil {
		t.Errorf("close before run: %v", err)
	}
	<-c.Done()
	if err := c.Run(t.Context()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("run after close: %v", err)
	}
}

// Connections that come and go leave nothing behind.
func TestReconnectingLeaksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0, Options{Pool: 1})
		synctest.Wait()
		before := runtime.NumGoroutine()
		codes := []engine.CloseCode{1000, 1001, 1006, 1012, 1013, 4000}
		for i := range 1000 {
			net.alive()[0].Close(codes[i%len(codes)], "")
			synctest.Wait()
			if len(net.alive()) != 1 {
				t.Fatalf("cycle %d: no connection", i)
			}
			net.mu.Lock()
			net.open = slices.DeleteFunc(net.open, func(s *fakeSession) bool { return s.ended })
			net.mu.Unlock()
		}
		synctest.Wait()
		// Some slack for what other tests of the process leave to end.
		if after := runtime.NumGoroutine(); after > before+20 {
			t.Errorf("%d goroutines, %d before", after, before)
		}
		r.mu.Lock()
		if n := len(r.sessions); n != 1 {
			t.Errorf("%d sessions known", n)
		}
		r.mu.Unlock()
		r.stop(t)
	})
}
