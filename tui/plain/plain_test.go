package plain

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
	"adit/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A page is what was printed.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// A terminal is line mode in front of a fake engine.
type terminal struct {
	engine *enginetest.Fake
	out    page
	keys   *io.PipeWriter
	ended  chan End
	stop   func()
}

func open(t *testing.T, change func(*Options)) *terminal {
	t.Helper()
	x := &terminal{ended: make(chan End, 1)}
	x.engine = enginetest.NewFake(engine.Snapshot{
		Time: time.Now(), Role: engine.RoleServer, Name: "edge-1", Listen: []string{"127.0.0.1:8080"},
		Connections: []engine.Connection{
			{ID: 1, Client: "edge-fra-01", State: engine.StateIdle, Opened: time.Now()},
			{ID: 2, Client: "edge-sin-01", State: engine.StateBusy, InFlight: 3, Opened: time.Now()},
		},
	})
	r, w := io.Pipe()
	x.keys = w
	o := Options{Engine: x.engine, Operator: "local", Input: r, Output: &x.out, UTC: true}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	x.stop = cancel
	lines, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		x.ended <- lines.Show()
	}()
	synctest.Wait()
	return x
}

// types enters lines, each after what the one before led to.
func (x *terminal) types(lines ...string) {
	for _, l := range lines {
		io.WriteString(x.keys, l+"\n")
		synctest.Wait()
	}
}

func (x *terminal) close(t *testing.T) End {
	t.Helper()
	x.stop()
	x.keys.Close()
	end := <-x.ended
	x.engine.End()
	synctest.Wait()
	return end
}

func TestActionWithoutConfirmation(t *testing.T) {
	for _, tt := range []struct {
		name string
		keys []string
		want int
	}{
		{"kill, confirmed", []string{"kill c-2", "y"}, 1},
		{"with colon", []string{":kill c-2", "y"}, 1},
		{"enter is no confirmation", []string{"kill c-2", ""}, 0},
		{"another command is none", []string{"kill c-2", "list", "y"}, 0},
		{"Y is none", []string{"kill c-2", "Y"}, 0},
		{"a connection that is not there", []string{"kill c-7", "y"}, 0},
		{"no id", []string{"kill", "y"}, 0},
		{"no connection id", []string{"kill edge-1", "y"}, 0},
		{"drain", []string{"drain c-1", "y"}, 1},
		{"drain all", []string{"drain all", "y"}, 1},
		{"ban", []string{"ban edge-sin-01", "y"}, 1},
		{"unban asks nothing", []string{"ban edge-sin-01", "y", "unban edge-sin-01"}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := open(t, nil)
				x.types(tt.keys...)
				if got := x.engine.Actions(); len(got) != tt.want {
					t.Errorf("actions %v\n%s", got, &x.out)
				} else if tt.want > 0 && got[0].By.Name != "local" {
					t.Errorf("by %q", got[0].By.Name)
				}
				x.close(t)
			})
		})
	}
}

func TestConfirmationThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := open(t, nil)
		x.types("kill c-2")
		time.Sleep(asksFor + time.Second)
		x.types("y")
		if got := x.engine.Actions(); len(got) > 0 {
			t.Errorf("actions %v", got)
		}
		x.close(t)
	})
}

func TestReadOnlyCanOnlyLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := open(t, func(o *Options) { o.ReadOnly = true })
		x.types("kill c-2", "y", "ban edge-sin-01", "y", "unban x", "drain all", "y", "help", "list")
		if got := x.engine.Actions(); len(got) > 0 {
			t.Errorf("actions %v", got)
		}
		if out := x.out.String(); strings.Contains(out, "kill c-N") || !strings.Contains(out, "edge-sin-01") {
			t.Errorf("printed %s", out)
		}
		x.close(t)
	})
}

func TestQuitAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := open(t, nil)
		x.types("quit", "n")
		select {
		case end := <-x.ended:
			t.Fatalf("ended with %v", end)
		default:
		}
		x.types("quit", "y")
		if end := x.close(t); end != Quit {
			t.Errorf("ended with %v", end)
		}
		if !strings.Contains(x.out.String(), "this ends 2 connections, after their 3 requests in flight") {
			t.Errorf("printed %s", &x.out)
		}
	})
}

// A storm of failures must not bury everything else.
func TestStormOfFailedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := open(t, nil)
		for range 500 {
			x.engine.Publish(engine.Event{Kind: engine.KindRequestFinished, Time: time.Now(),
				Request: &engine.Request{ID: 1, Method: "GET", Target: "/", Status: 502, Outcome: engine.OutcomeOriginFailed}})
		}
		synctest.Wait()
		if n := strings.Count(x.out.String(), "\n"); n > mostFailures+5 {
			t.Errorf("%d lines", n)
		}
		x.engine.Update(func(s *engine.Snapshot) { s.Time = time.Now().Add(summaryEvery) })
		time.Sleep(summaryEvery)
		synctest.Wait()
		if !strings.Contains(x.out.String(), "480 more failed requests") || !strings.Contains(x.out.String(), "2 clients, 2 connections (1 busy)") {
			t.Errorf("printed %s", &x.out)
		}
		x.close(t)
	})
}

// Names and paths come from the network.
func TestBytesThatATerminalWouldObey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := open(t, nil)
		x.engine.Update(func(s *engine.Snapshot) { s.Connections[0].Client = "a\x1b[2J\u202eb\r\nc\u200d\u0301\x9b" })
		x.types("list")
		if out := x.out.String(); strings.ContainsAny(out, "\x1b\r\u202e\u200d\u0301\u009b") {
			t.Errorf("printed %q", out)
		}
		x.close(t)
	})
}

func TestEndOfTheEngineEndsLineMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := open(t, nil)
		x.engine.End()
		synctest.Wait()
		if end := x.close(t); end != Engine {
			t.Errorf("ended with %v: %s", end, &x.out)
		}
	})
}

// What happened while the run began is told: a demo's clients greet before its
// line mode is shown.
func TestEventsBeforeShowAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := enginetest.NewFake(engine.Snapshot{Time: time.Now(), Role: engine.RoleServer, Name: "edge-1"})
		var out page
		ctx, cancel := context.WithCancel(t.Context())
		lines, err := Open(ctx, Options{Engine: fake, Output: &out, UTC: true})
		if err != nil {
			t.Fatal(err)
		}
		fake.Publish(engine.Event{Kind: engine.KindNotice, Reason: "early"})
		synctest.Wait()
		ended := make(chan End, 1)
		go func() { ended <- lines.Show() }()
		synctest.Wait()
		cancel()
		<-ended
		fake.End()
		if !strings.Contains(out.String(), "early") {
			t.Errorf("printed %q", out.String())
		}
	})
}

// The end of the run ends the subscription as well: whichever is seen first, the
// last summary is printed.
func TestLastSummaryIsPrinted(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			x := open(t, nil)
			x.engine.Publish(engine.Event{Kind: engine.KindNotice, Reason: "busy"})
			time.Sleep(time.Second)
			x.engine.Update(func(s *engine.Snapshot) { s.Time = time.Now() })
			x.close(t)
			if !strings.Contains(x.out.String(), "INF summary") {
				t.Errorf("printed %q", x.out.String())
			}
		})
	}
}

func TestOutputThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		x := open(t, func(o *Options) { o.Output = w })
		x.stop()
		began := time.Now()
		if end := <-x.ended; end != Stop || time.Since(began) > leaveWait {
			t.Errorf("ended with %v after %v", end, time.Since(began))
		}
		r.Close()
		x.keys.Close()
		x.engine.End()
	})
}

func TestOutputThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		r.Close()
		x := open(t, func(o *Options) { o.Output = w })
		if end := <-x.ended; end != Gone {
			t.Errorf("ended with %v", end)
		}
		x.stop()
		x.keys.Close()
		x.engine.End()
	})
}
