//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestSlow is row 12: callers that read a byte a second, callers that send a
// byte a second and origins that do, beside fast ones over the same tunnel. The
// fast ones do not notice, and a slow exchange holds a bounded amount of memory.
func TestSlow(t *testing.T) {
	r := newRig(t)
	r.works(t, 5*time.Second)
	requests := pick(t, 600, 5000, 20_000)
	alone := r.fast(t, requests, 20)

	n := pick(t, 10, 50, 500)
	before := r.server.usage()
	seen, _ := r.origin.Requests()
	ctx, stop := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	defer slow.Wait()
	defer stop()
	for range n {
		slow.Go(func() {
			r.raw(t, ctx, fmt.Sprintf("GET %s/size?n=%d&plain=1 HTTP/1.1\r\nHost: %s\r\n\r\n", r.target, 64<<20, r.originAddr), readSlowly)
		})
		slow.Go(func() {
			r.raw(t, ctx, fmt.Sprintf("POST %s/echo HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\n\r\n", r.target, r.originAddr), writeSlowly)
		})
		slow.Go(func() { _, _, _ = r.get(ctx, "/slow?n=100000&every=1s") })
	}
	if !eventually(10*time.Second, func() bool { now, _ := r.origin.Requests(); return now >= seen+3*n }) {
		t.Error("not every slow request reached the origin")
	}
	beside := r.fast(t, requests, 21)
	time.Sleep(time.Duration(pick(t, 2, 30, 50)) * time.Second)
	after := r.server.usage()

	t.Logf("fast p99 %v alone, %v beside %d slow readers, writers and origins each; server grew by %d KiB for each slow exchange",
		alone, beside, n, (after.rss-before.rss)>>10/int64(3*n))
	if !raceEnabled {
		most := alone*6/5 + 20*time.Millisecond
		if n < 50 {
			most = 5*alone + 100*time.Millisecond // few requests, a busy machine
		}
		if beside > most {
			t.Errorf("fast p99 went from %v to %v", alone, beside)
		}
		// Each exchange has its initial window, what net/http and the collector
		// hold, and a reader that began fast what its window grew to, all of
		// which come from one budget.
		if most := int64(3*n)*(64+64)<<10 + min(int64(n)*8<<20, 256<<20) + 16<<20; after.rss-before.rss > most {
			t.Errorf("%d slow exchanges cost %d MiB, bound %d", 3*n, (after.rss-before.rss)>>20, most>>20)
		}
	}
	stop()
	slow.Wait()
	r.server.settle(before.files+64, 10*time.Second)
}

// fast runs well-behaved requests and returns the time that 99 of 100 stayed
// below.
func (r *rig) fast(t *testing.T, requests int, seed uint64) time.Duration {
	t.Helper()
	o := r.oracle(requests, seed)
	o.Concurrency, o.MaxContent = 8, 16<<10
	var mu sync.Mutex
	var took []time.Duration
	wrong := &complaints{t: t}
	o.Finished = func(res enginetest.Result) {
		if !res.Complete || res.Status != http.StatusOK {
			wrong.add("fast %s %v: status %d, %v", res.Behave, res.Token, res.Status, res.Err)
		}
		mu.Lock()
		defer mu.Unlock()
		took = append(took, res.Took)
	}
	r.check(o.Run(t.Context()))
	slices.Sort(took)
	return took[len(took)*99/100]
}

// raw writes a head to the server and leaves the rest to pace, until ctx ends.
func (r *rig) raw(t *testing.T, ctx context.Context, head string, pace func(context.Context, net.Conn)) {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := io.WriteString(conn, head); err != nil {
		t.Error(err)
		return
	}
	pace(ctx, conn)
}

func readSlowly(ctx context.Context, c net.Conn) {
	everySecond(ctx, func() error {
		_, err := c.Read(make([]byte, 1))
		return err
	})
}

func writeSlowly(ctx context.Context, c net.Conn) {
	everySecond(ctx, func() error {
		_, err := c.Write([]byte{'x'})
		return err
	})
}

func everySecond(ctx context.Context, do func() error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for do() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
