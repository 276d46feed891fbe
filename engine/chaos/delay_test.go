//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine/enginetest"
)

// BenchmarkDelay is content through both processes and a relay that adds a round
// trip between them, and small requests beside it:
//
//	go test -tags chaos -run '^$' -bench Delay -benchtime 3s ./engine/chaos
//
// One operation is a MiB (of each direction), or a small request where there is
// no content. Windows had a second to grow.
func BenchmarkDelay(b *testing.B) {
	for _, rtt := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
		b.Run(fmt.Sprintf("rtt=%v", rtt), func(b *testing.B) {
			r := newDelayRig(b, rtt)
			b.Run("idle", func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					took = append(took, r.small(b))
				}
				reportQuantiles(b, took)
			})
			b.Run("down", func(b *testing.B) { r.bulk(b, r.download(b)) })
			b.Run("up", func(b *testing.B) { r.bulk(b, r.upload(b)) })
			b.Run("both", func(b *testing.B) { r.bulk(b, r.download(b), r.upload(b)) })
		})
	}
}

// A delayRig is a rig with an origin that sends and takes content without end.
type delayRig struct {
	*rig
	taken atomic.Int64 // by the origin
}

func newDelayRig(b *testing.B, rtt time.Duration) *delayRig {
	d := &delayRig{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	origin := &http.Server{Handler: d}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = origin.Serve(ln)
	}()
	b.Cleanup(func() {
		_ = origin.Close()
		<-served
	})
	var relay *enginetest.Relay
	d.rig = newRig(b, through(&relay, 1), func(r *rig) {
		relay.Set(enginetest.Toxics{Latency: rtt / 2, Depth: 1024})
		r.target = "http://" + ln.Addr().String()
		r.serverFlags = append(r.serverFlags, "--events", "lifecycle")
		r.cliFlags = append(r.cliFlags, "--events", "lifecycle")
	})
	return d
}

// ServeHTTP is the origin.
func (d *delayRig) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	piece := make([]byte, 256<<10)
	switch r.URL.Path {
	case "/down":
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	case "/up":
		for {
			n, err := r.Body.Read(piece)
			d.taken.Add(int64(n))
			if err != nil {
				return
			}
		}
	default:
		_, _ = io.WriteString(w, "hello world\n")
	}
}

func (d *delayRig) request(b *testing.B, method, path string, content io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(b.Context(), method, "http://"+d.addr+path, content)
	if err != nil {
		b.Fatal(err)
	}
	req.Host = "app." + domain
	return req
}

// small returns how long a small request takes.
func (d *delayRig) small(b *testing.B) time.Duration {
	begin := time.Now()
	resp, err := d.transport.RoundTrip(d.request(b, http.MethodGet, "/", nil))
	if err != nil {
		b.Error(err)
		return 0
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		b.Error(err)
	}
	_ = resp.Body.Close()
	return time.Since(begin)
}

// A stream is content on its way without end.
type stream struct {
	moved *atomic.Int64 // bytes that have arrived
	stop  func()
}

func (d *delayRig) download(b *testing.B) stream {
	resp, err := d.transport.RoundTrip(d.request(b, http.MethodGet, "/down", nil))
	if err != nil {
		b.Fatal(err)
	}
	moved := new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 256<<10)
		for {
			n, err := resp.Body.Read(buf)
			moved.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	return stream{moved, func() {
		_ = resp.Body.Close()
		wg.Wait()
	}}
}

func (d *delayRig) upload(b *testing.B) stream {
	source := &zeros{}
	var wg sync.WaitGroup
	wg.Go(func() {
		if resp, err := d.transport.RoundTrip(d.request(b, http.MethodPost, "/up", source)); err == nil {
			_ = resp.Body.Close()
		}
	})
	return stream{&d.taken, func() {
		source.ended.Store(true)
		wg.Wait()
	}}
}

// zeros is content until it is ended.
type zeros struct{ ended atomic.Bool }

var errEnded = errors.New("the benchmark is over")

func (z *zeros) Read(p []byte) (int, error) {
	if z.ended.Load() {
		return 0, errEnded
	}
	clear(p)
	return len(p), nil
}

// bulk measures a MiB of each stream at a time and small requests beside them.
func (d *delayRig) bulk(b *testing.B, streams ...stream) {
	var wg sync.WaitGroup
	defer wg.Wait()
	var over atomic.Bool
	defer over.Store(true)
	time.Sleep(time.Second)
	var took []time.Duration
	small := make(chan []time.Duration, 1)
	wg.Go(func() {
		var took []time.Duration
		for !over.Load() {
			took = append(took, d.small(b))
		}
		small <- took
	})
	const mebibyte = 1 << 20
	goal := make([]int64, len(streams))
	for i, s := range streams {
		goal[i] = s.moved.Load()
	}
	b.SetBytes(mebibyte)
	for b.Loop() {
		for i, s := range streams {
			for goal[i] += mebibyte; s.moved.Load() < goal[i]; {
				time.Sleep(100 * time.Microsecond)
			}
		}
	}
	over.Store(true)
	took = <-small
	for _, s := range streams {
		s.stop()
	}
	reportQuantiles(b, took)
}

func reportQuantiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for _, q := range []int{50, 99} {
		b.ReportMetric(took[len(took)*q/100].Seconds()*1000, fmt.Sprintf("p%d-ms", q))
	}
}
