package procs

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"adit/engine/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A machine is what a governor sees and sets.
type machine struct {
	large *tcp.Counter

	mu     sync.Mutex
	load   float64 // of one processor
	used   time.Duration
	at     time.Time // when used was right
	single bool
	sets   int
}

func (m *machine) usage() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.used += time.Duration(m.load * float64(now.Sub(m.at)))
	m.at = now
	return m.used
}

// work changes the load from now on.
func (m *machine) work(load float64) {
	m.usage()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.load = load
}

func (m *machine) set(single bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.single = single
	m.sets++
}

// state returns whether there is one processor, and how often that was set.
func (m *machine) state() (single bool, sets int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.single, m.sets
}

// govern runs the steps beside a governor, in the time of a bubble.
func govern(t *testing.T, steps func(m *machine)) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{at: time.Now(), large: tcp.NewCounter()}
		g := &governor{usage: m.usage, large: m.large,
			one: func() { m.set(true) }, all: func() { m.set(false) }}
		end, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			g.run(end)
		}()
		steps(m)
		close(end)
		<-done
		if single, _ := m.state(); single {
			t.Error("one processor was left to who comes after")
		}
	})
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestOneProcessorAfterASecondOfQuiet(t *testing.T) {
	govern(t, func(m *machine) {
		m.work(0.4)
		after(950 * time.Millisecond)
		if single, _ := m.state(); single {
			t.Fatal("too early")
		}
		after(100 * time.Millisecond)
		if single, _ := m.state(); !single {
			t.Fatal("not after a second")
		}
	})
}

func TestLoadBringsTheOthersBack(t *testing.T) {
	govern(t, func(m *machine) {
		after(2 * time.Second)
		m.work(0.9)
		after(250 * time.Millisecond)
		if single, _ := m.state(); single {
			t.Fatal("still one processor at 90 %")
		}
		// The same work costs more with all: that must not look like quiet.
		m.work(0.65)
		after(5 * time.Second)
		if single, sets := m.state(); single || sets != 2 {
			t.Fatalf("it wavers: set %d times", sets)
		}
	})
}

func TestATransferBringsTheOthersBackAtOnce(t *testing.T) {
	govern(t, func(m *machine) {
		after(2 * time.Second)
		for range 16 {
			m.large.Add(32 << 10)
		}
		synctest.Wait() // no time passes
		if single, _ := m.state(); single {
			t.Fatal("still one processor beside a transfer")
		}
		for range 30 {
			for range 16 {
				m.large.Add(64 << 10)
			}
			after(100 * time.Millisecond)
			if single, _ := m.state(); single {
				t.Fatal("one processor while the transfer goes on")
			}
		}
		after(1200 * time.Millisecond)
		if single, _ := m.state(); !single {
			t.Fatal("not back to one after the transfer")
		}
	})
}

func TestSmallCallsAreNoTransfer(t *testing.T) {
	govern(t, func(m *machine) {
		after(2 * time.Second)
		for range 10_000 {
			m.large.Add(4 << 10)
		}
		after(time.Second)
		if single, sets := m.state(); !single || sets != 1 {
			t.Fatalf("set %d times", sets)
		}
	})
}

func TestTheEnvironmentHasTheWord(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2")
	before := runtime.NumGoroutine()
	stop := Govern()
	if n := runtime.NumGoroutine(); n != before {
		t.Errorf("%d goroutines were started", n-before)
	}
	stop()
}
