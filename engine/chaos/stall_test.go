//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// TestStalledStreams is P10 and P11: callers that take nothing of what they
// asked for, and origins that take nothing of what is sent to them, hold up
// nobody beside them, however many they are.
func TestStalledStreams(t *testing.T) {
	r := newRig(t, clientFlags("--pool", "1"), serverFlags("--timeout", "5s"))
	r.works(t, 5*time.Second)
	alone := r.quick(t)
	deaf := newDeaf(t)
	for _, n := range []int{1, 4, 40} {
		for _, direction := range []string{"downloads", "uploads"} {
			t.Run(fmt.Sprintf("%d %s", n, direction), func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				seen, _ := r.origin.Requests()
				target, reached := r.target+"/size?n=12582912", func() int { now, _ := r.origin.Requests(); return now - seen }
				if direction == "uploads" {
					heard := deaf.count()
					target, reached = "http://"+deaf.ln.Addr().String()+"/", func() int { return deaf.count() - heard }
				}
				var stalled sync.WaitGroup
				for range n {
					stalled.Go(func() { r.stall(ctx, target, direction == "uploads") })
				}
				if !eventually(10*time.Second, func() bool { return reached() >= n }) {
					t.Error("not every stalled request reached the origin")
				}
				time.Sleep(200 * time.Millisecond) // until every buffer on the way is full
				beside := r.quick(t)
				t.Logf("a small request takes %v, alone %v", beside, alone)
				if !raceEnabled && beside > 5*alone+20*time.Millisecond {
					t.Errorf("a small request takes %v beside %d stalled %s, %v alone", beside, n, direction, alone)
				}
				cancel()
				stalled.Wait()
			})
		}
	}
}

// quick returns the median of how long small requests take.
func (r *rig) quick(t *testing.T) time.Duration {
	t.Helper()
	var took []time.Duration
	for range 40 {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		status, _, err := r.get(ctx, "/status?code=204")
		cancel()
		if err != nil || status != http.StatusNoContent {
			t.Fatalf("a small request: status %d, %v", status, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// stall sends a request whose answer it does not read, or whose content the
// origin does not, until ctx ends.
func (r *rig) stall(ctx context.Context, target string, upload bool) {
	method, content := http.MethodGet, io.Reader(nil)
	if upload {
		method, content = http.MethodPost, endless{ctx}
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return
	}
	resp, err := r.viaProxy.RoundTrip(enginetest.Once(req))
	if err != nil {
		return
	}
	<-ctx.Done()
	_ = resp.Body.Close()
}

// A deaf origin accepts connections and reads nothing.
type deaf struct {
	ln       net.Listener
	mu       sync.Mutex
	accepted []net.Conn
}

func newDeaf(t *testing.T) *deaf {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{ln: ln}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			d.mu.Lock()
			d.accepted = append(d.accepted, c)
			d.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
		for _, c := range d.accepted {
			_ = c.Close()
		}
	})
	return d
}

func (d *deaf) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.accepted)
}

// endless is content without end.
type endless struct{ ctx context.Context }

func (e endless) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	clear(p)
	return len(p), nil
}

// TestCongestion is P12: a link that is next to shut for a while, and then is
// not. Every request ends, with its own content or visibly without.
func TestCongestion(t *testing.T) {
	var relay *enginetest.Relay
	r := newRig(t, through(&relay, 12), serverFlags("--ping", "5s", "--timeout", "5s"))
	r.works(t, 5*time.Second)
	o := r.oracle(0, 12)
	o.Concurrency, o.MaxContent, o.CancelShare, o.Timeout = 32, 256<<10, 0.05, 60*time.Second
	l := r.load(o)
	busy(t, l)
	relay.Set(enginetest.Toxics{Rate: 2 << 10})
	shut := time.Duration(pick(t, 2, 12, 12)) * time.Second
	time.Sleep(shut)
	relay.Set(enginetest.Toxics{})
	released := time.Now()
	busy(t, l)
	time.Sleep(time.Second)
	if n := l.stuck(released.Add(-shut / 2)); n > 0 {
		t.Errorf("%d requests that waited while the link was shut have not ended %v after it was open again", n, time.Since(released))
	}
	l.finish()
}

// TestLongWay is P13: 100 ms of round trip do not starve one download, whose
// window grows.
func TestLongWay(t *testing.T) {
	const least = 8 << 20 // bytes a second, once the window had a second to grow
	var relay *enginetest.Relay
	r := newRig(t, through(&relay, 13), func(r *rig) {
		relay.Set(enginetest.Toxics{Latency: 50 * time.Millisecond, Depth: 1024})
	})
	r.works(t, 10*time.Second)
	size := pick(t, 32, 64, 256) << 20
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/size?n=%d", r.target, size), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.viaProxy.RoundTrip(enginetest.Once(req))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	early, err := io.CopyN(io.Discard, resp.Body, int64(size)/4)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	rest, err := io.Copy(io.Discard, resp.Body)
	if err != nil || early+rest != int64(size) {
		t.Fatalf("%d of %d bytes: %v", early+rest, size, err)
	}
	rate := float64(rest) / time.Since(began).Seconds()
	t.Logf("%.1f MiB/s", rate/(1<<20))
	if !raceEnabled && rate < least {
		t.Errorf("%.1f MiB/s over a round trip of 100 ms", rate/(1<<20))
	}
}

// TestStopKeepsState is P25: a stop takes nothing away that a run keeps: tokens,
// history, names.
func TestStopKeepsState(t *testing.T) {
	dir := t.TempDir()
	tokens := filepath.Join(dir, "tokens.yaml")
	database := filepath.Join(dir, "history.db")
	token := mintToken(t, tokens, "edge", "client")
	r := newRig(t, serverFlags("--tokens", tokens, "--open-callers", "--store="+database), clientFlags("--secret", "@"+write(t, dir, "secret", token)))
	r.works(t, 5*time.Second)
	kept, err := os.ReadFile(tokens)
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		r.server.signal(signal)
		if code := r.server.wait(15 * time.Second); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if now, err := os.ReadFile(tokens); err != nil || string(now) != string(kept) {
			t.Errorf("after %v the file of tokens is not what it was: %v", signal, err)
		}
		if info, err := os.Stat(database); err != nil || info.Size() == 0 {
			t.Errorf("after %v the history is gone: %v", signal, err)
		}
		r.startServer()
		r.server.await(0, "greeting_received", 1, 31*time.Second)
		r.works(t, 5*time.Second)
	}
	if out := verbOutput(t, r.server, "ls", "requests", "--json"); strings.Count(out, "\n") < 2 {
		t.Errorf("the requests before the stops are not in the history: %s", out)
	}
}
