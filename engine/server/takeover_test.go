package server

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/frame"
	"adit/engine/tunnel"
)

// takeOver registers as another instance of a client whose connections show no life.
// A server that was kept from its work for as long as a probe takes believes them
// once more: a busy machine may need another try.
func takeOver(t testing.TB, register func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := register()
		var de *tunnel.DialError
		if err == nil || !errors.As(err, &de) || de.Code != engine.CloseIDTaken || time.Now().After(end) {
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

// P9: a client that was restarted while its old connections are dead without
// anybody having noticed gets its id back within a second, whatever the ping
// interval is: probeWait and what a busy machine adds, not a ping's time.
func TestIDOfSilentInstanceIsTakenOver(t *testing.T) {
	b := serve(t, Options{})
	var times []time.Duration
	for i := range 3 { // a busy machine may be late once
		relay, err := enginetest.NewTCPRelay(b.addr, uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		defer relay.Close()
		g := greeting(fmt.Sprintf("edge-%d", i))
		if _, err := b.tryDial(g, hello, func(o *tunnel.DialOptions) { o.URL = "ws://" + relay.Addr().String() + "/register" }); err != nil {
			t.Fatal(err)
		}
		b.awaitMember(g.ID)
		relay.Set(enginetest.Toxics{Blackhole: true})
		next := *g
		next.Instance = "restarted"
		began := time.Now()
		takeOver(t, func() error { _, err := b.tryDial(&next, hello); return err })
		times = append(times, time.Since(began))
	}
	if slices.Min(times) > 4*time.Second {
		t.Errorf("locked out for %v", times)
	}
}

// A thousand takeovers leave nothing.
func TestTakeoversLeaveNothing(t *testing.T) {
	const clients = 100
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	b := serve(t, Options{})
	relays := make([]*enginetest.Relay, clients)
	sessions := make([]tunnel.Session, clients)
	var dialled atomic.Int64
	register := func(i, round int) error {
		dialled.Add(1)
		g := greeting(fmt.Sprintf("edge-%d", i))
		g.Instance = fmt.Sprintf("instance-%d", round)
		s, err := tunnel.Dial(t.Context(), tunnel.DialOptions{
			URL: "ws://" + relays[i].Addr().String() + "/register", Greeting: g, Counters: new(frame.Counters), Handler: hello,
		})
		sessions[i] = s
		return err
	}
	settle := func(closed int) (heap uint64, goroutines int) {
		b.await(engine.KindConnectionClosed, closed)
		for range 100 {
			runtime.GC()
			if now := runtime.NumGoroutine(); now == goroutines {
				break
			} else {
				goroutines = now
			}
			time.Sleep(20 * time.Millisecond)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, goroutines
	}
	var heap uint64
	var goroutines int
	for round := range rounds + 1 {
		var dialers sync.WaitGroup
		for i := range clients {
			dialers.Go(func() {
				relay, err := enginetest.NewTCPRelay(b.addr, uint64(i))
				if err != nil {
					t.Error(err)
					return
				}
				dead := relays[i]
				relays[i] = relay
				if dead != nil {
					dead.Set(enginetest.Toxics{Blackhole: true})
				}
				old := sessions[i]
				takeOver(t, func() error { return register(i, round) })
				if dead != nil {
					dead.Close()
					<-old.Done()
				}
			})
		}
		dialers.Wait()
		if t.Failed() {
			break
		}
		if round == 0 {
			continue
		}
		now, running := settle(int(dialled.Load()) - clients) // those who hold their ids
		if round == 1 {
			heap, goroutines = now, running
		} else if round == rounds {
			if now > heap+8<<20 {
				t.Errorf("the heap grew from %d to %d bytes in %d takeovers", heap, now, clients*(rounds-1))
			}
			if running > goroutines+10 {
				t.Errorf("%d goroutines, %d after the first takeovers", running, goroutines)
			}
		}
	}
	for i := range clients {
		if sessions[i] != nil {
			sessions[i].Close(engine.CloseNormal, "")
		}
		relays[i].Close()
	}
}

// A client killed on the same host leaves a FIN; its next process is welcome at
// its first try even when the two come together.
func TestIDOfKilledInstanceIsFree(t *testing.T) {
	b := serve(t, Options{})
	relay, err := enginetest.NewTCPRelay(b.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	for round := range 50 {
		g := greeting("edge")
		g.Instance = fmt.Sprintf("instance-%d", round)
		began := time.Now()
		for range 2 { // its pool
			if _, err := b.tryDial(g, hello, func(o *tunnel.DialOptions) { o.URL = "ws://" + relay.Addr().String() + "/register" }); err != nil {
				t.Fatalf("round %d, after %v: %v", round, time.Since(began), err)
			}
		}
		relay.ResetAll()
	}
}

// Who lives keeps the id, also when it has much to say and a pong would come
// late, and of two newcomers to a dead one only one gets it.
func TestIDOfLivingInstanceIsKept(t *testing.T) {
	b := serve(t, Options{})
	old := b.dial(greeting("edge"), hello)
	least := time.Hour
	refused := func(instance string) {
		t.Helper()
		g := greeting("edge")
		g.Instance = instance
		began := time.Now()
		_, err := b.tryDial(g, hello)
		var de *tunnel.DialError
		if !errors.As(err, &de) || de.Code != engine.CloseIDTaken {
			t.Fatalf("%s got %v", instance, err)
		}
		least = min(least, time.Since(began))
	}
	for range 20 {
		refused("another")
	}
	if least > probeWait/2 {
		t.Errorf("refused after %v at the earliest: the holder's pong counts at once", least)
	}
	select {
	case <-old.Done():
		t.Error("the living one has lost its connection")
	default:
	}
}

func TestOneOfManyTakesOver(t *testing.T) {
	b := serve(t, Options{})
	relay, err := enginetest.NewTCPRelay(b.addr, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	if _, err := b.tryDial(greeting("edge"), hello, func(o *tunnel.DialOptions) { o.URL = "ws://" + relay.Addr().String() + "/register" }); err != nil {
		t.Fatal(err)
	}
	b.awaitMember("edge")
	relay.Set(enginetest.Toxics{Blackhole: true})
	errs := make(chan error)
	welcome := 0
	for end := time.Now().Add(patience); welcome == 0 && time.Now().Before(end); { // see takeOver
		for i := range 8 {
			go func() {
				g := greeting("edge")
				g.Instance = fmt.Sprintf("newcomer-%d", i)
				_, err := b.tryDial(g, hello)
				errs <- err
			}()
		}
		for range 8 {
			var de *tunnel.DialError
			if err := <-errs; err == nil {
				welcome++
			} else if !errors.As(err, &de) || de.Code != engine.CloseIDTaken {
				t.Errorf("a newcomer got %v", err)
			}
		}
	}
	if welcome != 1 {
		t.Errorf("%d newcomers hold the id", welcome)
	}
}
