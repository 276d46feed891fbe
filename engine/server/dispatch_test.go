package server

import (
	"context"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A fakeConn has slots and nothing else.
type fakeConn struct {
	tunnel.Conn // nil: what dispatch does not need
	protocol    engine.Protocol
	capacity    int64
	slots       atomic.Int64
	dead        atomic.Bool
	release     func()
}

func (c *fakeConn) Protocol() engine.Protocol { return c.protocol }
func (c *fakeConn) InFlight() int             { return int(c.slots.Load()) }

func (c *fakeConn) Reserve() bool {
	if c.dead.Load() {
		return false
	}
	if c.slots.Add(1) > c.capacity {
		// As the real one: a slot comes back within Reserve.
		c.Unreserve()
		return false
	}
	return true
}

func (c *fakeConn) Unreserve() {
	if c.slots.Add(-1) < c.capacity && c.release != nil {
		c.release()
	}
}

// fakeLink registers a fake connection.
func fakeLink(d *dispatcher, id int, client string, capacity int, protocol engine.Protocol, expose ...engine.Expose) *link {
	l := &link{id: engine.ConnectionID(id), client: client, native: protocol == engine.ProtocolNative,
		greeting: &engine.Greeting{ID: client, Expose: expose}}
	l.conn = &fakeConn{protocol: protocol, capacity: int64(capacity), release: func() { d.handOver(l) }}
	l.registered.Store(true)
	d.join(l)
	return l
}

func (l *link) fake() *fakeConn { return l.conn.(*fakeConn) }

var anywhere = destination{kind: toAny}

func mustAcquire(t testing.TB, d *dispatcher, to destination) slot {
	t.Helper()
	sl, err := d.acquire(context.Background(), to, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	return sl
}

func reasonOf(t *testing.T, d *dispatcher, to destination, wait time.Duration) engine.Reason {
	t.Helper()
	sl, err := d.acquire(context.Background(), to, 1, wait)
	if err == nil {
		sl.l.conn.Unreserve()
	}
	return engine.ReasonOf(err)
}

func TestLeastExchangesInFlight(t *testing.T) {
	d := newDispatcher(10)
	var links []*link
	for i := range 4 {
		links = append(links, fakeLink(d, i+1, "edge", 100, engine.ProtocolNative))
	}
	for n := range 40 {
		mustAcquire(t, d, anywhere)
		most, least := int64(0), int64(1000)
		for _, l := range links {
			most, least = max(most, l.fake().slots.Load()), min(least, l.fake().slots.Load())
		}
		if most-least > 1 {
			t.Fatalf("after %d exchanges one connection has %d and another %d", n+1, most, least)
		}
	}
}

func TestIdleConnectionsTakeTurns(t *testing.T) {
	d := newDispatcher(10)
	for i := range 3 {
		fakeLink(d, i+1, "edge", 1, engine.ProtocolClassic)
	}
	seen := map[engine.ConnectionID]int{}
	for range 30 {
		sl := mustAcquire(t, d, anywhere)
		seen[sl.l.id]++
		sl.l.conn.Unreserve()
	}
	for id := range 3 {
		if seen[engine.ConnectionID(id+1)] != 10 {
			t.Fatalf("not in turns: %v", seen)
		}
	}
}

func TestPoolsByClientNameAndPort(t *testing.T) {
	d := newDispatcher(10)
	a := fakeLink(d, 1, "a", 9, engine.ProtocolNative, engine.Expose{Host: "app"}, engine.Expose{TCP: 5432})
	b := fakeLink(d, 2, "b", 9, engine.ProtocolNative, engine.Expose{TCP: 80}, engine.Expose{Host: "app"})
	for range 8 {
		for to, want := range map[destination]*link{
			{kind: toClient, name: "a"}: a, {kind: toClient, name: "b"}: b,
			{kind: toPort, port: 5432}: a, {kind: toPort, port: 80}: b,
		} {
			sl := mustAcquire(t, d, to)
			if sl.l != want {
				t.Errorf("%+v went to %v", to, sl.l.id)
			}
			if to.kind == toPort && sl.route != map[*link]uint64{a: 2, b: 1}[sl.l] {
				t.Errorf("%+v: route %d", to, sl.route)
			}
			sl.l.conn.Unreserve()
		}
		sl := mustAcquire(t, d, destination{kind: toHost, name: "app"})
		if sl.route != map[*link]uint64{a: 1, b: 2}[sl.l] {
			t.Errorf("app: route %d at %v", sl.route, sl.l.id)
		}
		sl.l.conn.Unreserve()
	}
	d.leave(a)
	for range 4 {
		if sl := mustAcquire(t, d, anywhere); sl.l != b {
			t.Error("a connection that left was picked")
		}
	}
}

func TestWhatWspDoesNotCarryIsNotGivenToIt(t *testing.T) {
	d := newDispatcher(10)
	native := destination{kind: toAny, native: true}
	if r := reasonOf(t, d, native, time.Millisecond); r != engine.ReasonNoClient {
		t.Errorf("nobody there: %v", r)
	}
	fakeLink(d, 1, "old", 1, engine.ProtocolClassic)
	if r := reasonOf(t, d, native, time.Millisecond); r != engine.ReasonUnsupported {
		t.Errorf("only wsp: %v", r)
	}
	l := fakeLink(d, 2, "new", 10, engine.ProtocolNative)
	for range 8 {
		if sl := mustAcquire(t, d, native); sl.l != l {
			t.Error("given to a wsp client")
		}
	}
}

func TestWaitersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(1000)
		l := fakeLink(d, 1, "edge", 1, engine.ProtocolClassic)
		mustAcquire(t, d, anywhere)
		const n = 100
		order := make(chan int, n)
		var callers sync.WaitGroup
		for i := range n {
			to := anywhere
			if i%2 == 1 {
				to = destination{kind: toClient, name: "edge"}
			}
			callers.Go(func() {
				sl, err := d.acquire(t.Context(), to, engine.RequestID(i+1), time.Hour)
				if err != nil {
					t.Error(err)
					return
				}
				order <- i
				time.Sleep(time.Millisecond)
				sl.l.conn.Unreserve()
			})
			synctest.Wait() // it waits before the next one comes
		}
		if got := d.waiting.Load(); got != n {
			t.Errorf("%d wait, not %d", got, n)
		}
		l.conn.Unreserve()
		for i := range n {
			if got := <-order; got != i {
				t.Fatalf("number %d came when it was %d's turn", got, i)
			}
		}
		callers.Wait()
		if d.waiting.Load() != 0 {
			t.Error("somebody still waits")
		}
	})
}

func TestThousandWaitersTimeOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(1000)
		fakeLink(d, 1, "edge", 1, engine.ProtocolClassic)
		mustAcquire(t, d, anywhere)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				begin := time.Now()
				_, err := d.acquire(t.Context(), anywhere, 1, time.Second)
				if took := time.Since(begin); engine.ReasonOf(err) != engine.ReasonNoClient || took > time.Second+50*time.Millisecond {
					t.Errorf("%v after %v", err, took)
				}
			})
		}
		synctest.Wait()
		if r := reasonOf(t, d, anywhere, time.Second); r != engine.ReasonQueueFull {
			t.Errorf("one more: %v", r)
		}
		wg.Wait()
		if d.waiting.Load() != 0 || d.any.waiting.Load() != 0 || d.any.queue[0].head != nil {
			t.Error("somebody still waits")
		}
	})
}

func TestRegistrationWakesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(10)
		got := make(chan slot, 3)
		for range 3 {
			go func() {
				sl, _ := d.acquire(t.Context(), destination{kind: toClient, name: "late"}, 1, time.Minute)
				got <- sl
			}()
		}
		synctest.Wait()
		l := fakeLink(d, 1, "late", 2, engine.ProtocolNative)
		for range 2 {
			if (<-got).l != l {
				t.Error("not served by who came")
			}
		}
		synctest.Wait()
		if len(got) != 0 {
			t.Error("three served with two slots")
		}
		l.conn.Unreserve()
		<-got
	})
}

func TestCallerThatLeavesGivesItsSlotOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(10)
		l := fakeLink(d, 1, "edge", 1, engine.ProtocolClassic)
		mustAcquire(t, d, anywhere)
		ctx, cancel := context.WithCancel(t.Context())
		left, served := make(chan error), make(chan error)
		go func() {
			_, err := d.acquire(ctx, anywhere, 1, time.Minute)
			left <- err
		}()
		synctest.Wait()
		go func() {
			_, err := d.acquire(t.Context(), anywhere, 2, time.Minute)
			served <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; engine.ReasonOf(err) != engine.ReasonCallerGone {
			t.Error(err)
		}
		l.conn.Unreserve()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestOperatorAndDrainEndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(10)
		errs := make(chan error)
		for i := range 2 {
			go func() {
				_, err := d.acquire(t.Context(), destination{kind: toHost, name: "app"}, engine.RequestID(i+1), time.Minute)
				errs <- err
			}()
		}
		synctest.Wait()
		if !d.cancel(1) || d.cancel(7) {
			t.Error("cancelled the wrong one")
		}
		if err := <-errs; engine.ReasonOf(err) != engine.ReasonOperator {
			t.Error(err)
		}
		d.close()
		if err := <-errs; engine.ReasonOf(err) != engine.ReasonDraining {
			t.Error(err)
		}
		if r := reasonOf(t, d, anywhere, time.Minute); r != engine.ReasonDraining {
			t.Error(r)
		}
	})
}

func TestNamesThatCallersInventAreForgotten(t *testing.T) {
	d := newDispatcher(10)
	for i := range 100 {
		reasonOf(t, d, destination{kind: toClient, name: fmt.Sprint("nobody-", i)}, time.Nanosecond)
	}
	d.clients.Range(func(name, _ any) bool {
		t.Errorf("%v is remembered", name)
		return true
	})
}

// Callers, releases, deaths and registrations at once: nobody may wait for a
// slot that is free.
func TestNoWakeUpIsLost(t *testing.T) {
	d := newDispatcher(100_000)
	var wg sync.WaitGroup
	var served, failed atomic.Int64
	stop := make(chan struct{})
	wg.Go(func() {
		for id := 1; ; id++ {
			l := fakeLink(d, id, fmt.Sprint("c", id%3), 1+id%3, engine.ProtocolNative)
			select {
			case <-stop:
				l.fake().dead.Store(true)
				d.leave(l)
				return
			case <-time.After(time.Millisecond):
			}
			if id%2 == 0 {
				l.fake().dead.Store(true)
				d.leave(l)
			}
		}
	})
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			rng := rand.New(rand.NewSource(int64(i)))
			for range 300 {
				to := anywhere
				if rng.Intn(2) == 0 {
					to = destination{kind: toClient, name: fmt.Sprint("c", rng.Intn(3))}
				}
				ctx, cancel := context.WithCancel(context.Background())
				if rng.Intn(10) == 0 {
					cancel()
				}
				sl, err := d.acquire(ctx, to, 1, patience)
				cancel()
				if err != nil {
					if engine.ReasonOf(err) != engine.ReasonCallerGone {
						failed.Add(1)
					}
					continue
				}
				served.Add(1)
				if rng.Intn(3) == 0 {
					time.Sleep(time.Duration(rng.Intn(100)) * time.Microsecond)
				}
				sl.l.conn.Unreserve()
			}
		})
	}
	callers.Wait()
	close(stop)
	wg.Wait()
	if failed.Load() > 0 || d.waiting.Load() != 0 {
		t.Errorf("%d served, %d waited for nothing, %d wait", served.Load(), failed.Load(), d.waiting.Load())
	}
}

func BenchmarkDispatch(b *testing.B) {
	for _, n := range []int{2, 64, 1000} {
		b.Run(fmt.Sprintf("links=%d", n), func(b *testing.B) {
			d := newDispatcher(1000)
			for i := range n {
				fakeLink(d, i+1, "edge", 1000, engine.ProtocolNative)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					sl, err := d.acquire(context.Background(), anywhere, 1, time.Second)
					if err != nil {
						b.Fatal(err)
					}
					sl.l.conn.Unreserve()
				}
			})
		})
	}
}

// Who names no client must not meet one that could only deny it. Regression:
// beside a client that only exposes, half of the callers got 403.
func TestAnyClientIsOneThatTakesDestinations(t *testing.T) {
	b := serve(t, Options{Domain: domain, Wait: 50 * time.Millisecond})
	deny := func(in tunnel.Incoming) {
		if in.Request().Route == 0 {
			in.Reset(wire.ResetDenied, "no rule allows it")
			return
		}
		hello(in)
	}
	g := greeting("shy", engine.Expose{Host: "app"})
	g.ExposedOnly = true
	b.dial(g, deny)
	ask := func(want int, header ...string) {
		t.Helper()
		header = append(header, "X-Proxy-Destination", "http://a.example/")
		if resp, _ := do(t, caller(t), "GET", b.url("/request"), "", header...); resp.StatusCode != want {
			t.Errorf("got %d, want %d", resp.StatusCode, want)
		}
	}
	ask(503) // nobody takes a destination
	b.dial(greeting("open"), hello)
	for range 10 {
		ask(200)
	}
	ask(403, "X-Proxy-Client", "shy") // who names it gets its answer
	if resp, _ := do(t, caller(t), "GET", b.url("/"), "", "Host", appHost); resp.StatusCode != 200 {
		t.Errorf("exposed name: %d", resp.StatusCode)
	}
}
