package control

import (
	"bufio"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
)

// watch opens a stream by hand.
func watch(t testing.TB, rig *rig, path string, gzipped bool) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", rig.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	accept := "identity"
	if gzipped {
		accept = "gzip"
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: adit\r\nAccept-Encoding: %s\r\n\r\n", path, accept); err != nil {
		t.Fatal(err)
	}
	return c
}

// Law 1: who attaches and does not read costs the engine nothing, and is cut off.
func TestReaderThatStops(t *testing.T) {
	t.Parallel()
	var slowest time.Duration
	for range 3 { // a fault holds up each time, a busy machine does not
		if slowest = heldUp(t); slowest <= time.Second {
			return
		}
	}
	t.Errorf("publishing was held up for %v", slowest)
}

// heldUp returns how long publishing took at most while nobody read.
func heldUp(t *testing.T) (slowest time.Duration) {
	rig := newRig(t, scene(42))
	for range 4 {
		watch(t, rig, "/v1/stream?kinds=all&dashboard=true", false)
		watch(t, rig, "/v1/tail", false)
	}
	eventually(t, "attached", func() bool { return rig.server.streams.Load() == 8 })
	r := record(7)
	r.Target = "http://app.example.com/" + strings.Repeat("x", 200)
	for range 2000 {
		events := make([]engine.Event, 20)
		for i := range events {
			events[i] = engine.Event{Kind: engine.KindRequestFinished, Request: &r}
		}
		begun := time.Now()
		rig.engine.Publish(events...)
		slowest = max(slowest, time.Since(begun))
	}
	eventually(t, "those who do not read are cut off", func() bool { return rig.server.streams.Load() == 0 })
	if n := rig.server.Attached(); n != 0 {
		t.Errorf("%d are attached", n)
	}
	return slowest
}

// Who was slow for more than 2 s, but came back, is told why it ends.
func TestReaderThatIsNotToldThatItFellBehind(t *testing.T) {
	t.Parallel()
	rig := newRig(t, scene(1))
	c := watch(t, rig, "/v1/tail", false)
	eventually(t, "attached", func() bool { return rig.server.streams.Load() == 1 })
	r := record(7)
	r.Target = "http://app.example.com/" + strings.Repeat("x", 200)
	for range 5000 {
		rig.engine.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &r})
	}
	time.Sleep(writeWait + 500*time.Millisecond)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b, _ := io.ReadAll(c)
	if !strings.Contains(string(b[max(0, len(b)-100):]), `{"kind":"fell_behind"}`) {
		t.Errorf("the last of %d bytes are %q", len(b), b[max(0, len(b)-100):])
	}
}

func TestMoreStreamsThanThereAre(t *testing.T) {
	rig := newRig(t, scene(1))
	for range maxStreams {
		watch(t, rig, "/v1/stream", false)
	}
	eventually(t, "all attached", func() bool { return rig.server.streams.Load() == maxStreams })
	client := rig.client(t)
	if status, text := get(t, client, "http://adit/v1/tail"); status != http.StatusServiceUnavailable || !strings.Contains(text, "end one of them") {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := get(t, client, "http://adit/v1/snapshot"); status != http.StatusOK {
		t.Errorf("status %d of a call that is no stream", status)
	}
}

func TestThousandIdleAttachments(t *testing.T) {
	rig := newRig(t, scene(1))
	var open []net.Conn
	refused := 0
	for range 1000 {
		c, err := net.Dial("unix", rig.path)
		if err != nil {
			refused++
			continue
		}
		open = append(open, c)
	}
	eventually(t, "as many as there may be", func() bool { return rig.server.sockets.Load() == maxConnections })
	c := open[len(open)-1]
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if b, _ := io.ReadAll(c); !strings.Contains(string(b), "503") {
		t.Errorf("the last of them was told %q", b)
	}
	for _, c := range open {
		_ = c.Close()
	}
	eventually(t, "none", func() bool { return rig.server.sockets.Load() == 0 })
	if status, _ := get(t, rig.client(t), "http://adit/v1/"); status != http.StatusOK {
		t.Errorf("status %d afterwards", status)
	}
}

func TestPanicThatLeavesACall(t *testing.T) {
	told := make(chan any, 1)
	rig := newRig(t, scene(1), func(o *Options) {
		o.Log = nil
		o.Engine = &panicking{o.Engine}
		o.OnPanic = func(v any) { told <- v }
	})
	if status, text := get(t, rig.client(t), "http://adit/v1/connections/c-1/frames"); status != http.StatusInternalServerError || !strings.Contains(text, "internal error") {
		t.Errorf("%d %s", status, text)
	}
	if v := <-told; v != "oh" {
		t.Errorf("told of %v", v)
	}
	if status, text := get(t, rig.client(t), "http://adit/v1/requests"); status != http.StatusServiceUnavailable || !strings.Contains(text, "no log") {
		t.Errorf("without a log: %d %s", status, text)
	}
}

type panicking struct{ engine.Engine }

func (panicking) FrameTape(context.Context, engine.ConnectionID, []engine.FrameRecord) ([]engine.FrameRecord, error) {
	panic("oh")
}

// counted counts what goes over a socket.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

// traffic makes some connections of a rig busy, and its log grow, until the test ends.
func traffic(t *testing.T, rig *rig, busy int) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		rng := rand.New(rand.NewPCG(1, 2))
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
			rig.engine.Update(func(s *engine.Snapshot) {
				for i := range busy {
					c := &s.Connections[i]
					c.BytesIn += rng.Uint64N(1 << 16)
					c.BytesOut += rng.Uint64N(1 << 20)
					c.FramesIn.Binary += rng.Uint64N(9)
					c.FramesOut.Binary += rng.Uint64N(99)
					c.ShapeIn.Sizes[rng.IntN(4)]++
					c.ShapeOut.LastLength = rng.Uint64N(1 << 14)
					c.Exchanges += rng.Uint64N(5)
					c.InFlight = rng.IntN(3)
					c.State = engine.StateIdle + engine.ConnectionState(rng.IntN(2))
					s.Totals.Requests++
					s.Totals.BytesIn = rng.Uint64()
				}
			})
			rig.log.mu.Lock()
			rig.log.records = append(rig.log.records, record(engine.RequestID(len(rig.log.records)+1)))
			rig.log.mu.Unlock()
		}
	}()
}

// P12: 42 connections, of which some or all are busy, cost at most 20 KB/s.
func TestStreamAboveItsBudget(t *testing.T) {
	for _, busy := range []int{9, 42} {
		t.Run(fmt.Sprintf("%d busy", busy), func(t *testing.T) {
			t.Parallel()
			rig := newRig(t, scene(42))
			traffic(t, rig, busy)
			c := watch(t, rig, "/v1/stream", true)
			all := &counted{Reader: c}
			resp, err := http.ReadResponse(bufio.NewReader(all), nil)
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(z)
			lines.Buffer(nil, maxLine)
			const long = 3 * time.Second
			begun, deltas, plain := time.Now(), 0, 0
			first := 0
			for time.Since(begun) < long && lines.Scan() {
				if deltas++; deltas == 2 {
					first = all.n // who this is, and everything
				}
				plain += len(lines.Bytes())
			}
			rate := float64(all.n-first) / long.Seconds()
			t.Logf("%d busy: %.1f KB/s, %.1f deltas/s, %.1f KB/s before compression; %.1f KB at first", busy, rate/1000,
				float64(deltas)/long.Seconds(), float64(plain)/long.Seconds()/1000, float64(first)/1000)
			if rate > 20_000 {
				t.Errorf("%.1f KB/s", rate/1000)
			}
			if deltas < 8 {
				t.Errorf("%d deltas in %v", deltas, long)
			}
		})
	}
}

// P12 as a dashboard has it: a Remote over TLS that is asked ten times a second.
func TestDashboardAboveItsBudget(t *testing.T) {
	t.Parallel()
	rig := newRig(t, scene(42), withTokens)
	addr, trust := rig.secure(t)
	relay, err := enginetest.NewTCPRelay(addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	traffic(t, rig, 9)
	r := dial(t, "https://"+relay.Addr().String(), DialOptions{Token: "all-powerful", TLS: trust})
	var snap engine.Snapshot
	var page engine.RequestPage
	const long = 3 * time.Second
	before, begun := relay.Traffic(), time.Now()
	for tick := time.NewTicker(100 * time.Millisecond); time.Since(begun) < long; <-tick.C {
		if err := r.Snapshot(t.Context(), &snap); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 20} {
			if err := r.Requests(t.Context(), engine.RequestQuery{Count: n}, &page); err != nil {
				t.Fatal(err)
			}
		}
	}
	after := relay.Traffic()
	down := float64(after.BytesDown-before.BytesDown) / long.Seconds() / 1000
	up := float64(after.BytesUp-before.BytesUp) / long.Seconds() / 1000
	t.Logf("%.1f KB/s down, %.1f KB/s up", down, up)
	if down > 20 {
		t.Errorf("%.1f KB/s", down)
	}
}

func TestOperatorsWhoDoNotSeeEachOther(t *testing.T) {
	rig := newRig(t, scene(2))
	one, two := dial(t, rig.path, DialOptions{Dashboard: true}), dial(t, rig.path, DialOptions{Dashboard: true})
	dial(t, rig.path, DialOptions{}) // a verb, which looks at nothing
	eventually(t, "both say that two are attached", func() bool { return one.Link().Attached == 2 && two.Link().Attached == 2 })
	events, err := two.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindsLifecycle})
	if err != nil {
		t.Fatal(err)
	}
	if err := one.CloseConnection(t.Context(), 1, engine.CloseKilled, engine.Operator{Reason: "stuck"}); err != nil {
		t.Fatal(err)
	}
	// An engine publishes what operators do; the fake leaves that to the test.
	by := rig.engine.Actions()[0].By
	rig.engine.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill, Operator: by.Name, Reason: by.Reason, Target: "c-1"})
	if e := receive(t, events, 1)[0]; e.Operator != by.Name || e.Reason != "stuck" || e.Target != "c-1" {
		t.Errorf("%+v", e)
	}
	one.Close()
	eventually(t, "one is left", func() bool { return two.Link().Attached == 1 })
}

func TestFilterThatIsNotPushed(t *testing.T) {
	rig := newRig(t, scene(1))
	r := dial(t, rig.path, DialOptions{})
	only, err := r.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindRequestFinished), Filter: "status:>=500"})
	if err != nil {
		t.Fatal(err)
	}
	good, bad := record(8), record(9)
	bad.Status = 502
	rig.engine.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &good}, engine.Event{Kind: engine.KindRequestFinished, Request: &bad})
	if e := receive(t, only, 1); e[0].Request.ID != 9 || len(e) != 1 {
		t.Errorf("%+v", e)
	}
	if _, err := r.Subscribe(t.Context(), engine.SubscribeOptions{Filter: "status:"}); err == nil {
		t.Error("a filter that does not parse is taken")
	}
}

// The bus closes when its readers have taken the last events, not when these
// have been sent: a tail missed the end of a run.
func TestLastWordsThatAreCutOff(t *testing.T) {
	t.Parallel()
	for range 20 {
		rig := newRig(t, scene(1))
		tail, stream := watch(t, rig, "/v1/tail", false), watch(t, rig, "/v1/stream", false)
		eventually(t, "attached", func() bool { return rig.server.streams.Load() == 2 })
		rig.engine.Publish(engine.Event{Kind: engine.KindStopped, Totals: &engine.Totals{}})
		rig.engine.End()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := rig.server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		for _, c := range []net.Conn{tail, stream} {
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			b, _ := io.ReadAll(c)
			if text := string(b); !strings.Contains(text, `"kind":"stopped"`) || c == stream && !strings.Contains(text, `{"end":`) {
				t.Fatalf("it ends with %s", text[max(0, len(text)-200):])
			}
		}
	}
}

// An event that came between the snapshot that a stream begins with and its
// subscription was neither told nor counted.
func TestEventThatFallsBetween(t *testing.T) {
	t.Parallel()
	rig := newRig(t, scene(1), func(o *Options) { o.Engine = &lateEngine{Engine: o.Engine} })
	c := watch(t, rig, "/v1/stream", false)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	var text strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(text.String(), "it fell between") {
		n, err := c.Read(b)
		if text.Write(b[:n]); err != nil {
			t.Fatalf("%v; %s", err, text.String())
		}
	}
}

// A lateEngine has something happen when its state was taken for the first time.
type lateEngine struct {
	engine.Engine
	once sync.Once
}

func (e *lateEngine) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	err := e.Engine.Snapshot(ctx, into)
	e.once.Do(func() {
		e.Engine.(*enginetest.Fake).Publish(engine.Event{Kind: engine.KindNotice, Reason: "it fell between"})
	})
	return err
}
