package client

import (
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
)

// A client that waits for the end of a drained connection leaves the server
// without one for as long as its exchanges run.
func TestDrainedConnectionIsReplacedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0.5, Options{Pool: 2})
		synctest.Wait()
		former := net.alive()
		if len(former) != 2 {
			t.Fatalf("%d connections", len(former))
		}
		began := time.Now()
		for _, s := range former {
			s.o.OnDrain()
		}
		synctest.Wait()
		if n := len(net.alive()); n != 4 || time.Since(began) != 0 {
			t.Errorf("%d connections after %v, want the two that finish and two others at once", n, time.Since(began))
		}
		for _, s := range former {
			s.Close(engine.CloseRestart, "the server restarts")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(net.alive()); n != 2 {
			t.Errorf("%d connections after the former have ended, want 2", n)
		}
		r.stop(t)
	})
}

// A server that drains every connection as soon as it stands must not have the
// client open one after the other until no file is left.
func TestServerThatDrainsWhateverItGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0.5, Options{Pool: 2})
		synctest.Wait()
		drained := 0
		for range 4 * maxLeaving {
			all := net.alive()
			for _, s := range all[drained:] {
				s.o.OnDrain()
			}
			drained = len(all)
			synctest.Wait()
		}
		if n := len(net.alive()); n > maxLeaving+2 {
			t.Errorf("%d connections", n)
		}
		for _, s := range net.alive() {
			s.Close(engine.CloseGoingAway, "")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(net.alive()); n != 2 {
			t.Errorf("%d connections when the server had come to its senses, want 2", n)
		}
		r.stop(t)
	})
}

// A server that only stops and comes back after a while: what was tried meanwhile
// must not keep the client away when it is there again.
func TestDrainOfAServerThatComesBackLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &fakeNet{}
		r := start(t, net, 0.999, Options{Pool: 1})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		former := net.alive()[0]
		net.refuseWith(errNoServer)
		former.o.OnDrain()
		time.Sleep(29 * time.Second) // it drains, and nobody listens
		net.allow()
		former.Close(engine.CloseGoingAway, "the server is stopping")
		time.Sleep(backoffBase + time.Millisecond)
		synctest.Wait()
		if n := len(net.alive()); n != 1 {
			t.Errorf("%d connections half a second after the server came back", n)
		}
		r.stop(t)
	})
}

// Dials that find the former process, which stops to accept at that moment, are
// tried again at once, but not for ever.
func TestDialThatFindsTheFormerProcess(t *testing.T) {
	b := backoff{random: func() float64 { return 0.999 }}
	f := failure{err: errNoServer, code: engine.CloseRestart}
	for range restartDials {
		if got := b.after(f); got > restartJitter {
			t.Errorf("wait %v", got)
		}
	}
	var all time.Duration
	for range 5 {
		all += b.after(f)
	}
	if all < 5*time.Second {
		t.Errorf("five more dials within %v", all)
	}
}
