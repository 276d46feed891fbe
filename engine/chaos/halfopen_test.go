//go:build chaos

package chaos

import (
	"context"
	"net/http"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// deadWithin is how soon a silent connection must be found dead with --ping 1s:
// two intervals with 20 % jitter, and one second.
const deadWithin = 2*1200*time.Millisecond + time.Second

// freshAfter is after how many rounds a test takes a new client: its backoff goes
// back only after a healthy minute, and what it does then is known.
const freshAfter = 4

// TestHalfOpen is row 7 with a relay that swallows everything: both ends find
// the connection dead, waiting callers get a status, and the client comes back
// when the network does.
func TestHalfOpen(t *testing.T) {
	var relay *enginetest.Relay
	r := newRig(t, through(&relay, 7))
	r.works(t, 5*time.Second)
	for round := range pick(t, 2, 20, 100) {
		if round%freshAfter == freshAfter-1 {
			r.client.kill()
			r.startClient()
		}
		answers := waitingCallers(t, r.get, r.origin, 8)
		server, client := r.server.mark(), r.client.mark()
		cut := time.Now()
		relay.Set(enginetest.Toxics{Blackhole: true})
		dead := r.server.await(server, "connection_closed", 2, 2*deadWithin)
		foundDead(t, "server", cut, dead)
		foundDead(t, "client", cut, r.client.await(client, "connection_closed", 2, 2*deadWithin))
		answeredGatewayTimeout(t, answers)
		relay.Set(enginetest.Toxics{})
		r.server.await(server, "greeting_received", 2, 32*time.Second) // backoff cap + 2 s
		r.works(t, 5*time.Second)
	}
}

// An answer is what a caller got.
type answer struct {
	status int
	err    error
	took   time.Duration
}

// waitingCallers returns when n callers wait for an answer of the origin that
// never comes.
func waitingCallers(t *testing.T, get func(context.Context, string) (int, string, error), origin *enginetest.Origin, n int) <-chan answer {
	t.Helper()
	before, _ := origin.Requests()
	answers := make(chan answer, n)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	for range n {
		go func() {
			began := time.Now()
			status, _, err := get(ctx, "/hang")
			answers <- answer{status, err, time.Since(began)}
		}()
	}
	if !eventually(5*time.Second, func() bool {
		now, _ := origin.Requests()
		return now >= before+n
	}) {
		t.Fatal("the callers' requests did not reach the origin")
	}
	return answers
}

func foundDead(t *testing.T, end string, cut time.Time, closed []event) {
	t.Helper()
	for _, e := range closed {
		took := e.at.Sub(cut)
		if took > deadWithin {
			t.Errorf("the %s found %s dead after %v, bound %v", end, e.Conn, took, deadWithin)
		}
		if e.Code != 1006 {
			t.Errorf("the %s logs close code %d (%s) for a silent connection, want 1006", end, e.Code, e.Reason)
		}
	}
}

func answeredGatewayTimeout(t *testing.T, answers <-chan answer) {
	t.Helper()
	late := time.NewTimer(deadWithin)
	defer late.Stop()
	for i := range cap(answers) {
		select {
		case a := <-answers:
			if a.err != nil || a.status != http.StatusGatewayTimeout {
				t.Errorf("a waiting caller got status %d, %v after %v; want 504", a.status, a.err, a.took)
			}
		case <-late.C:
			t.Fatalf("%d of %d waiting callers hang", cap(answers)-i, cap(answers))
		}
	}
}
