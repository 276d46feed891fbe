package tunnel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"adit/engine"
	"adit/engine/wire"
)

// A plan is what happens to one exchange, on both sides of the tunnel.
type plan struct {
	Upload    int  // bytes of request content
	Download  int  // bytes of response content
	Early     bool // the origin answers before it has read
	Abort     int  // the origin breaks after that many bytes of its answer; -1 never
	Cancel    int  // the caller leaves after that many bytes of the answer; -1 never
	Pause     int  // milliseconds that the origin thinks
	CallerLag int  // milliseconds between the caller's reads
}

// pattern is content that no other exchange has: every byte follows from the
// exchange's number.
func pattern(exchange, n int) []byte {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(exchange)))
	return bytes.Repeat(sum[:], n/32+1)[:n]
}

// TestExchangeModel runs random schedules of sending, cancelling, answering
// early, aborting, losing the connection and reusing it, and holds them to R1
// (no answer to another request), R2 (no request twice) and R3 (no truncated
// answer taken for complete). CHAOS_SCALE chooses how many.
func TestExchangeModel(t *testing.T) {
	checks := map[string]int{"": 60, "smoke": 60, "ci": 2_000, "night": 200_000}[os.Getenv("CHAOS_SCALE")]
	one := rapid.Custom(func(t *rapid.T) plan {
		size := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, 5_000), rapid.IntRange(60_000, 140_000))
		p := plan{Upload: size.Draw(t, "upload"), Download: size.Draw(t, "download"), Abort: -1, Cancel: -1,
			Early: rapid.IntRange(0, 3).Draw(t, "early") == 0,
			Pause: rapid.IntRange(0, 20).Draw(t, "pause"), CallerLag: rapid.IntRange(0, 3).Draw(t, "lag")}
		switch rapid.IntRange(0, 5).Draw(t, "fate") {
		case 0:
			p.Abort = rapid.IntRange(0, p.Download).Draw(t, "abort")
		case 1:
			p.Cancel = rapid.IntRange(0, p.Download).Draw(t, "cancel")
		}
		return p
	})
	schedules := rapid.Custom(func(t *rapid.T) schedule {
		return schedule{
			plans: rapid.SliceOfN(one, 1, 12).Draw(t, "plans"),
			kill:  rapid.IntRange(-40, 20).Draw(t, "kill"),
		}
	})
	for seed := range checks {
		s := schedules.Example(seed)
		synctest.Test(t, func(t *testing.T) { s.run(t) })
		if t.Failed() {
			t.Fatalf("schedule %d: %+v", seed, s)
		}
	}
}

type schedule struct {
	plans []plan
	kill  int // milliseconds after which the connection is lost; negative never
}

func (s schedule) run(t *testing.T) {
	seen := make([]int, len(s.plans)) // times the origin got it; guarded by the turn of the bubble
	got := make(chan int, 10*len(s.plans))
	l := newLink(t, linkOptions{growth: NewBudget(1 << 20), handler: func(in Incoming) {
		n, _ := strconv.Atoi(in.Request().Path[1:])
		got <- n
		s.plans[n].origin(t, n, in)
	}})
	done := make(chan struct{})
	for n := range s.plans {
		go func() {
			defer func() { done <- struct{}{} }()
			s.plans[n].caller(t, n, l)
		}()
	}
	if s.kill >= 0 {
		go func() {
			defer func() { done <- struct{}{} }()
			time.Sleep(time.Duration(s.kill) * time.Millisecond)
			_ = l.pair[0].Close()
		}()
	} else {
		go func() { done <- struct{}{} }()
	}
	for range len(s.plans) + 1 {
		<-done
	}
	l.close()
	close(got)
	for n := range got {
		seen[n]++
	}
	for n, times := range seen {
		if times > 1 {
			t.Errorf("exchange %d reached the origin %d times", n, times)
		}
	}
	if n := l.server.InFlight(); n != 0 {
		t.Errorf("%d slots did not come back", n)
	}
}

func (p plan) origin(t *testing.T, n int, in Incoming) {
	read := func() bool {
		all, err := io.ReadAll(in)
		if err == nil && !bytes.Equal(all, pattern(n, p.Upload)) {
			t.Errorf("exchange %d: the origin read %d bytes that are not its own, of %d", n, len(all), p.Upload)
		}
		return err == nil
	}
	if !p.Early && !read() {
		return
	}
	time.Sleep(time.Duration(p.Pause) * time.Millisecond)
	sum := sha256.Sum256(pattern(n, p.Download))
	fields := []wire.Field{{Name: "x-sum", Value: hex.EncodeToString(sum[:])}}
	if n%2 == 0 {
		fields = append(fields, length(p.Download))
	}
	if in.WriteResponse(&wire.Response{Status: 200, Fields: fields}, p.Download == 0 && p.Abort < 0) != nil || p.Download == 0 && p.Abort < 0 {
		return
	}
	content := pattern(n, p.Download)
	if p.Abort >= 0 {
		_, _ = in.Write(content[:p.Abort])
		in.Reset(wire.ResetOriginFailed, "aborted")
		return
	}
	if _, err := in.Write(content); err == nil {
		_ = in.CloseWrite(nil)
	}
}

func (p plan) caller(t *testing.T, n int, l *link) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !l.server.Reserve() {
		return // the connection is lost already
	}
	x, err := l.server.Open(ctx, post("/"+strconv.Itoa(n), wire.Field{Name: "x-n", Value: strconv.Itoa(n)}), false)
	if err != nil {
		l.server.Unreserve()
		return
	}
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		if _, err := x.Write(pattern(n, p.Upload)); err == nil {
			_ = x.CloseWrite(nil)
		}
	}()
	defer func() {
		<-pumped
		x.Close()
	}()
	head, err := x.ReadResponse()
	if err != nil {
		p.mayFail(t, n, l, err)
		x.Reset(wire.ResetCancelled, "")
		return
	}
	var content []byte
	for {
		if p.Cancel >= 0 && len(content) >= p.Cancel {
			cancel()
			x.Reset(wire.ResetCancelled, "")
			return
		}
		piece, err := x.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			p.mayFail(t, n, l, err)
			x.Reset(wire.ResetCancelled, "")
			return
		}
		content = append(content, piece...)
		time.Sleep(time.Duration(p.CallerLag) * time.Millisecond)
	}
	sum := sha256.Sum256(content)
	if p.Abort >= 0 || len(content) != p.Download || hex.EncodeToString(sum[:]) != wire.Get(head.Fields, "x-sum") || !bytes.Equal(content, pattern(n, p.Download)) {
		t.Errorf("exchange %d: %d bytes of %d taken for complete", n, len(content), p.Download)
	}
	if p.Early {
		x.Reset(wire.ResetCancelled, "") // a no-op: the response's END has ended it
	}
}

// mayFail holds a failure to what the plan allows.
func (p plan) mayFail(t *testing.T, n int, l *link, err error) {
	select {
	case <-l.server.Done():
		return
	default:
	}
	var st engine.Connection
	l.server.Status(&st)
	if p.Abort < 0 && p.Cancel < 0 && st.State != engine.StateClosing {
		t.Errorf("exchange %d failed without a cause: %v", n, err)
	}
}

// FuzzMessages feeds binary messages of a hostile peer to both ends: whatever
// comes, nobody panics or hangs, and nothing is delivered to an exchange that
// did not ask.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(append(rec(2, false, 1, response(200, length(5))), rec(3, true, 1, []byte("right"))...), true)
	f.Add(append(rec(2, false, 1, response(103)), rec(6, false, 1, wire.AppendReset(nil, 2, "x"))...), true)
	f.Add(append(rec(1, false, 1, wire.AppendRequest(nil, post("/", length(3)))), rec(3, true, 1, []byte("abc"))...), false)
	f.Add(append(rec(7, false, 1, wire.AppendConnect(nil, wire.Connect{Target: "a:1"})), rec(3, false, 1, []byte("abc"))...), false)
	f.Add(append(rec(1, true, 1, wire.AppendRequest(nil, get("/"))), rec(5, false, 1, wire.AppendWindow(nil, 77))...), false)
	f.Fuzz(func(t *testing.T, msg []byte, server bool) {
		// No goroutines: the reader's half runs on the fuzzer's, and what it
		// queues is collected as the writer would.
		c := newConn(&socket{server: server, limits: DefaultLimits(), opened: time.Now()}, 1, nil, nil)
		c.capacity, c.peerWindow = 10, 64<<10
		handled := 0
		c.handler = func(in Incoming) { handled++ }
		if server {
			x := newExchange(c, nil)
			c.out.heads = append(c.out.heads, outHead{x: x, kind: wire.TypeRequest, end: true, payload: newChunk(10)})
		}
		c.collect(nil, nil)
		_, ok := c.gotBinary(message(msg))
		c.handlers.Wait()
		parts, scratch := c.collect(nil, nil)
		c.copied(parts, time.Now())
		for len(scratch) > 0 && ok && len(parts) == 0 {
			t.Fatal("bytes without a part")
		}
		if server && len(c.exchanges) > 1 {
			t.Fatal("a client opened an exchange")
		}
		c.finish(ending{code: 1000})
		c.limit.Stop()
	})
}
