//go:build chaos

package chaos

import (
	"testing"
	"time"

	"adit/engine/enginetest"
)

// killWait is how long after a kill -9 an exchange that was in flight may last.
const killWait = 2 * time.Second

// TestKillClient is row 3: kill -9 of the client under load. What was in flight
// ends soon, with a status or an abort; service is back soon after a restart.
func TestKillClient(t *testing.T) {
	t.Run("native", func(t *testing.T) { killClient(t, pick(t, 3, 20, 200), 8) })
	t.Run("classic", func(t *testing.T) { killClient(t, pick(t, 1, 10, 50), 108, classic()...) })
}

// killClient allows the server slack more files than before: what a pool may
// have grown by.
func killClient(t *testing.T, rounds, slack int, options ...option) {
	r := newRig(t, options...)
	r.works(t, 5*time.Second)
	files := r.server.usage().files
	l := r.load(killOracle(r, 3))
	for round := range rounds {
		busy(t, l)
		killed := time.Now()
		r.client.kill()
		inFlight(t, l, round, killed)
		r.startClient()
		restarted := time.Now()
		r.works(t, killWait)
		t.Logf("round %d: service back %v after the client was ready", round, time.Since(restarted).Round(time.Millisecond))
	}
	l.finish()
	r.transport.CloseIdleConnections()
	r.viaProxy.CloseIdleConnections()
	r.server.settle(files+slack, 10*time.Second)
}

// TestKillServer is row 4: kill -9 of the server under load. The client finds
// its way back by itself and leaks nothing.
func TestKillServer(t *testing.T) {
	r := newRig(t)
	r.works(t, 5*time.Second)
	files := r.client.usage().files
	l := r.load(killOracle(r, 4))
	for round := range pick(t, 2, 20, 200) {
		if round%freshAfter == freshAfter-1 {
			r.client.kill()
			r.startClient()
		}
		busy(t, l)
		killed := time.Now()
		mark := r.client.mark()
		r.server.kill()
		inFlight(t, l, round, killed)
		r.client.await(mark, "connection_closed", 2, killWait)
		r.startServer()
		restarted := time.Now()
		r.server.await(0, "greeting_received", 2, 31*time.Second) // backoff cap + 1 s
		t.Logf("round %d: registered %v after the server was ready", round, time.Since(restarted).Round(time.Millisecond))
		r.works(t, killWait)
	}
	l.finish()
	r.client.settle(files+64, 10*time.Second) // idle origin connections
}

func killOracle(r *rig, seed uint64) *enginetest.Oracle {
	o := r.oracle(0, seed)
	o.Concurrency, o.CancelShare, o.EarlyShare, o.AbortShare = 16, 0.05, 0.02, 0.02
	o.Timeout = 20 * time.Second
	return o
}

// busy waits until the load has completed requests since the last take.
func busy(t *testing.T, l *load) {
	t.Helper()
	completed := 0
	if !eventually(20*time.Second, func() bool {
		for _, res := range l.take() {
			if res.Complete && res.Status == 200 {
				completed++
			}
		}
		return completed >= 50
	}) {
		t.Fatalf("%d requests completed, the load does not flow", completed)
	}
}

// inFlight waits out killWait and checks that nothing which began before the
// kill lasted longer.
func inFlight(t *testing.T, l *load, round int, killed time.Time) {
	t.Helper()
	time.Sleep(time.Until(killed.Add(killWait)))
	before, failed := 0, 0
	for _, res := range l.take() {
		if !res.Began.After(killed) && res.Began.Add(res.Took).After(killed) {
			before++
			if !res.Complete || res.Status >= 500 {
				failed++
			}
		}
	}
	t.Logf("round %d: %d in flight at the kill, %d of them failed", round, before, failed)
	if stuck := l.stuck(killed); stuck > 0 {
		t.Errorf("round %d: %d exchanges in flight at the kill have not ended %v later", round, stuck, killWait)
	}
}
