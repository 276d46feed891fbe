//go:build chaos && unix

package chaos

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestSuspend is row 10: an end is stopped by SIGSTOP, for less and for more
// than its peer's patience, and goes on. Callers get an answer that says so, what
// still waits is served, nobody storms, and the history's times never go back.
func TestSuspend(t *testing.T) {
	t.Parallel() // it waits most of the time
	long := time.Duration(pick(t, 5, 20, 90)) * time.Second
	for _, tt := range []struct {
		name   string
		server bool
		stop   time.Duration
	}{
		{"client, shorter than its server's patience", false, time.Second},
		{"client, longer", false, long},
		{"server, shorter than its client's patience", true, time.Second},
		{"server, longer", true, long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range pick(t, 1, 2, 10) {
				suspend(t, tt.server, tt.stop)
			}
		})
	}
}

func suspend(t *testing.T, server bool, stop time.Duration) {
	var relay *enginetest.Relay
	r := newRig(t, through(&relay, 10), serverFlags("--timeout", "3s"))
	r.server.keepRequests()
	r.works(t, 5*time.Second)
	stopped, other := r.client, r.server
	if server {
		stopped, other = r.server, r.client
	}
	short := stop < deadWithin
	marks := [2]int{r.server.mark(), r.client.mark()}
	dials := relay.Traffic().Accepted
	if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	// Callers who come while nobody answers. Those of a stopped server are let
	// in by the kernel only, and wait.
	const callers = 20
	var waiting sync.WaitGroup
	wrong := &complaints{t: t}
	patience := stop + 10*time.Second
	for i := range callers {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			status, _, err := r.get(ctx, fmt.Sprintf("/status?code=204&n=%d", i))
			switch {
			case err != nil:
				wrong.add("a caller got no answer within %v: %v", patience, err)
			case status == http.StatusNoContent:
			case short, status != http.StatusServiceUnavailable && status != http.StatusGatewayTimeout && status != http.StatusBadGateway:
				wrong.add("a caller got status %d", status)
			}
		})
	}
	if !short && !server {
		// While the client stands, its server has called it dead and said so.
		waiting.Wait()
		if took := time.Since(at); took > deadWithin+4*time.Second {
			t.Errorf("callers of a stopped client had an answer after %v", took)
		}
	}
	time.Sleep(time.Until(at.Add(stop)))
	if err := stopped.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waiting.Wait()
	r.works(t, 32*time.Second) // backoff cap + 2 s
	for i, p := range []*process{r.server, r.client} {
		closed := p.since(marks[i], "connection_closed")
		t.Logf("%s closed %d connections", p.name, len(closed))
		if short && len(closed) > 0 {
			t.Errorf("%s closed %+v though its peer was away for %v only", p.name, closed, stop)
		}
	}
	if !short && len(other.since(marks[map[bool]int{true: 1}[server]], "connection_closed")) == 0 {
		t.Errorf("%s kept its connections to a peer that was away for %v", other.name, stop)
	}
	// Two connections; while a server is stopped its client dials again and again.
	most := uint64(2 + 2*callers)
	if dialled := uint64(relay.Traffic().Accepted - dials); dialled > most {
		t.Errorf("%d dials after %v", dialled, stop)
	} else {
		t.Logf("%d dials", dialled)
	}
	for _, p := range []*process{r.server, r.client} {
		monotone(t, p)
	}
}

// monotone checks that the times of a process's events never go back by Seq.
func monotone(t *testing.T, p *process) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 1; i < len(p.events); i++ {
		a, b := p.events[i-1], p.events[i]
		if b.Seq <= a.Seq || b.Time.Before(a.Time) {
			t.Errorf("%s: event %d at %v comes after %d at %v", p.name, b.Seq, b.Time, a.Seq, a.Time)
		}
	}
}
