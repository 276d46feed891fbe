//go:build chaos

package chaos

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestSoak is row 1: mixed requests at 64 at a time, some of which misbehave,
// in both protocols. Nothing may be crossed, duplicated, lost or truncated, no
// well-behaved request may fail, and the processes end as lean as they began.
func TestSoak(t *testing.T) {
	tests := []struct {
		name     string
		options  []option
		slack    int // files that a pool may have grown by
		requests int
	}{
		{"native", nil, 8, pick(t, 10_000, 100_000, 1_000_000)},
		{"classic", classic(), 108, pick(t, 3000, 20_000, 200_000)},
		{"content captured", []option{serverFlags("--capture", "content"), clientFlags("--capture", "content")}, 8, pick(t, 5000, 50_000, 500_000)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, append(tt.options, serverFlags("--timeout", "10s"))...)
			r.works(t, 5*time.Second)
			server, client := r.server.usage(), r.client.usage()

			if raceEnabled {
				tt.requests /= 4
			}
			o := r.oracle(tt.requests, 1)
			o.CancelShare, o.EarlyShare, o.AbortShare = 0.05, 0.05, 0.03
			wrong := &complaints{t: t}
			var unread, foreign atomic.Int64
			o.Finished = func(res enginetest.Result) {
				switch {
				case res.Behave != "cancel" && errors.Is(res.Err, context.Canceled):
					// Nothing on the wire makes this error: our caller's transport
					// puts a connection back before it hands out an answer without
					// content, and when that request is cancelled in between, whoever
					// got the connection next gets the cancellation.
					foreign.Add(1)
				case res.Behave == "early" && (errors.Is(res.Err, syscall.EPIPE) || errors.Is(res.Err, syscall.ECONNRESET)):
					// Our caller fails when it can't go on writing, even with the
					// answer on its way. A server reads only so much on its behalf.
					unread.Add(1)
				case res.Behave == "early" && res.Status != http.StatusRequestEntityTooLarge,
					(res.Behave == "echo" || res.Behave == "size") && !(res.Complete && res.Status == http.StatusOK):
					wrong.add("%s %v: status %d, %v", res.Behave, res.Token, res.Status, res.Err)
				case res.Behave == "abort" && res.Complete && res.Status == http.StatusOK:
					wrong.add("abort %v looks complete", res.Token)
				}
			}
			report := o.Run(t.Context())
			r.check(report)
			if n, early := unread.Load(), report.Status[http.StatusRequestEntityTooLarge]; n > int64(early/10) {
				t.Errorf("%d early answers did not reach their callers, %d did", n, early)
			}

			if n := foreign.Load(); n > int64(tt.requests/1000) {
				t.Errorf("%d callers were cancelled that had not asked for it", n)
			}
			r.transport.CloseIdleConnections()
			r.viaProxy.CloseIdleConnections()
			r.works(t, 5*time.Second)
			r.server.settle(server.files+tt.slack, 10*time.Second)
			r.client.settle(client.files+64+tt.slack, 10*time.Second) // idle origin connections
			if !raceEnabled {
				underPeak(t, r.server, 192<<20)
				underPeak(t, r.client, 192<<20)
			}
			t.Logf("server %+v, client %+v", r.server.usage(), r.client.usage())
		})
	}
}

func underPeak(t *testing.T, p *process, most int64) {
	t.Helper()
	if peak := p.usage().peak; peak > most {
		t.Errorf("%s held up to %d MiB, bound %d", p.name, peak>>20, most>>20)
	}
}

// complaints reports the first few of many faults.
type complaints struct {
	t  testing.TB
	mu sync.Mutex
	n  int
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n <= 10 {
		c.t.Errorf(format, args...)
	} else {
		c.t.Fail()
	}
}
