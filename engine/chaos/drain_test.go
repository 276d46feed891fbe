//go:build chaos

package chaos

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

const drainGrace = 3 * time.Second

// TestDrain is row 23: a signal while short exchanges and endless streams run.
// The short ones end well, the streams are cut visibly after the grace period,
// and the process ends with exit code 0.
func TestDrain(t *testing.T) {
	tests := []struct {
		name    string
		client  bool // which end is signalled
		signal  os.Signal
		streams int
		options []option
	}{
		{"server by SIGTERM", false, syscall.SIGTERM, pick(t, 5, 20, 100), nil},
		{"server by SIGINT", false, os.Interrupt, pick(t, 5, 20, 100), nil},
		{"client by SIGTERM", true, syscall.SIGTERM, pick(t, 5, 20, 100), nil},
		{"server without streams does not wait", false, syscall.SIGTERM, 0, nil},
		{"server, classic", false, syscall.SIGTERM, pick(t, 5, 20, 100), classic()},
		{"client, classic", true, syscall.SIGTERM, pick(t, 5, 20, 100), classic()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, append(tt.options, serverFlags("--grace", drainGrace.String(), "--timeout", "2s"),
				clientFlags("--grace", drainGrace.String()))...)
			r.works(t, 5*time.Second)
			short := pick(t, 20, 200, 200)
			seen, _ := r.origin.Requests()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var callers sync.WaitGroup
			wrong := &complaints{t: t}
			for range short {
				callers.Go(func() {
					status, content, err := r.get(ctx, "/slow?n=10&every=100ms")
					if err != nil || status != http.StatusOK || len(content) != 10 {
						wrong.add("a short exchange: status %d, %d of 10 bytes, %v", status, len(content), err)
					}
				})
			}
			for range tt.streams {
				callers.Go(func() {
					status, content, err := r.get(ctx, "/sse?every=100ms")
					if status != http.StatusOK || err == nil || strings.Count(content, "data:") < 5 {
						wrong.add("a stream: status %d, %d events, %v; want it to go on and then to be cut", status, strings.Count(content, "data:"), err)
					}
				})
			}
			if !eventually(5*time.Second, func() bool { now, _ := r.origin.Requests(); return now >= seen+short+tt.streams }) {
				t.Fatal("not every request reached the origin")
			}
			p := r.server
			if tt.client {
				p = r.client
			}
			signalled := time.Now()
			p.signal(tt.signal)
			p.await(0, "draining", 1, 2*time.Second)
			if !tt.client {
				refusedWhileDraining(t, r)
			}
			if code := p.wait(drainGrace + 5*time.Second); code != 0 {
				t.Errorf("exit code %d", code)
			}
			took := time.Since(signalled)
			t.Logf("ended after %v", took.Round(time.Millisecond))
			if took > drainGrace+time.Second {
				t.Errorf("ended after %v, bound %v", took, drainGrace+time.Second)
			}
			if tt.streams == 0 && took > drainGrace-time.Second {
				t.Errorf("waited %v though the last exchange was over after 1 s", took)
			}
			callers.Wait()
			lastIsStopped(t, p)
			if tt.client {
				if status, _, err := r.get(ctx, "/status?code=204"); err != nil || status != http.StatusServiceUnavailable {
					t.Errorf("after the only client left: status %d, %v; want 503", status, err)
				}
			}
		})
	}
}

// refusedWhileDraining checks that a new request is refused, and at once.
func refusedWhileDraining(t *testing.T, r *rig) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	status, _, err := r.get(ctx, "/status?code=204")
	if ctx.Err() != nil || err == nil && status != http.StatusServiceUnavailable {
		t.Errorf("a new request while draining: status %d, %v; want 503 or no connection", status, err)
	}
}

func lastIsStopped(t *testing.T, p *process) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.events[len(p.events)-1]; last.Kind != "stopped" || last.Requests == 0 {
		t.Errorf("the last event is %+v, want stopped with the totals", last)
	}
}

// TestSecondSignal is the impatient operator: exit code 130, at once.
func TestSecondSignal(t *testing.T) {
	r := newRig(t, serverFlags("--grace", "60s"))
	r.works(t, 5*time.Second)
	token := enginetest.Token{7}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.target+"/sse?every=100ms", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(enginetest.TokenField, token.String())
	resp, err := r.viaProxy.RoundTrip(enginetest.Once(req))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r.server.signal(os.Interrupt)
	r.server.await(0, "draining", 1, 2*time.Second)
	r.server.signal(os.Interrupt)
	if code := r.server.wait(5 * time.Second); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the stream ended as if it were complete")
	}
}
