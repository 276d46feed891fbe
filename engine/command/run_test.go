package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
)

// A fakeEngine is an endpoint that drains for as long as it is told to.
type fakeEngine struct {
	drainFor time.Duration
	ended    chan struct{} // closed when serve may return
	fault    error         // what serve returns
	drained  bool
	closed   bool
}

func newFakeEngine() *fakeEngine { return &fakeEngine{ended: make(chan struct{})} }

func (f *fakeEngine) endpoint() endpoint {
	return endpoint{
		serve: func() error {
			<-f.ended
			return f.fault
		},
		drain: func() {
			f.drained = true
			select {
			case <-time.After(f.drainFor):
				close(f.ended)
			case <-f.ended:
			}
		},
		close: func() error {
			f.closed = true
			close(f.ended)
			return nil
		},
	}
}

func startRun(t *testing.T, p *Process) *run {
	t.Helper()
	if p.Stdout == nil {
		p.Stdout = io.Discard
	}
	if p.Stderr == nil {
		p.Stderr = io.Discard
	}
	h, err := newRun(p, plan{events: "all", level: "info"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// within bounds the time of a run; 0 does not.
func (r *run) within(limit time.Duration) *run {
	r.plan.limit = limit
	return r
}

func TestSignalDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startRun(t, &Process{})
		defer h.end()
		f := newFakeEngine()
		f.drainFor = 20 * time.Second
		ctx, signal := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, signal)
		began := time.Now()
		if err := h.within(0).live(ctx, f.endpoint()); err != nil {
			t.Errorf("run ended with %v", err)
		}
		if took := time.Since(began); took != time.Hour+20*time.Second {
			t.Errorf("it took %v", took)
		}
		if !f.drained || f.closed {
			t.Errorf("drained %v, closed %v", f.drained, f.closed)
		}
	})
}

func TestForEndsARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startRun(t, &Process{})
		defer h.end()
		f := newFakeEngine()
		began := time.Now()
		if err := h.within(time.Minute).live(t.Context(), f.endpoint()); err != nil || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if !f.drained {
			t.Error("it did not drain")
		}
	})
}

func TestSecondSignalDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		h := startRun(t, &Process{Stop: stop})
		defer h.end()
		f := newFakeEngine()
		f.drainFor = time.Hour
		ctx, signal := context.WithCancel(t.Context())
		signal()
		time.AfterFunc(time.Second, func() { close(stop) })
		began := time.Now()
		err := h.within(0).live(ctx, f.endpoint())
		if exitCode(err) != codeInterrupted {
			t.Errorf("exit code %d (%v)", exitCode(err), err)
		}
		if err != nil && err.Error() != "" {
			t.Errorf("an interruption prints %q", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestEngineThatDoesNotCloseIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		close(stop)
		h := startRun(t, &Process{Stop: stop})
		defer h.end()
		never := make(chan struct{})
		defer close(never)
		began := time.Now()
		err := h.within(0).live(t.Context(), endpoint{
			serve: func() error { <-never; return nil },
			close: func() error { <-never; return nil },
		})
		if exitCode(err) != codeInterrupted || time.Since(began) != stopWait {
			t.Errorf("exit code %d after %v", exitCode(err), time.Since(began))
		}
	})
}

func TestEngineThatFailsEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startRun(t, &Process{})
		defer h.end()
		f := newFakeEngine()
		f.fault = errors.New("accept: too many open files")
		close(f.ended)
		if err := h.within(0).live(t.Context(), f.endpoint()); !errors.Is(err, f.fault) {
			t.Errorf("run ended with %v", err)
		}
	})
}

func TestHangupStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangup := make(chan os.Signal, 1)
		hangup <- syscall.SIGHUP
		var logs bytes.Buffer
		h := startRun(t, &Process{Stderr: &logs, Hangup: hangup})
		defer h.end()
		f := newFakeEngine()
		began := time.Now()
		if err := h.within(time.Minute).live(t.Context(), f.endpoint()); err != nil || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if !strings.Contains(logs.String(), "nothing to load again") {
			t.Errorf("nothing says why nothing happens: %s", logs.String())
		}
	})
}

// A pipe that nobody reads blocks its writer for ever.
func TestStdoutThatNobodyReadsDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer r.Close()
		h := startRun(t, &Process{Stdout: w})
		for range 100_000 {
			h.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: "one of many"})
		}
		began := time.Now()
		h.end()
		if took := time.Since(began); took != flushWait {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestLastLinesAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		h := startRun(t, &Process{Stdout: &out})
		h.notice("a notice")
		h.bus.Publish(engine.Event{Kind: engine.KindStopped, Totals: &engine.Totals{}})
		h.end()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "a notice") || !strings.Contains(lines[1], "stopped") {
			t.Errorf("lines %q", lines)
		}
	})
}

// A reader that went away, such as head, costs lines only.
func TestClosedStdoutEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		r.Close()
		var logs bytes.Buffer
		h := startRun(t, &Process{Stdout: w, Stderr: &logs})
		for range 3 {
			h.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: "one of many"})
			synctest.Wait()
		}
		began := time.Now()
		if err := h.within(time.Minute).live(t.Context(), newFakeEngine().endpoint()); err != nil {
			t.Errorf("run ended with %v", err)
		}
		h.end()
		if took := time.Since(began); took != time.Minute {
			t.Errorf("it took %v", took)
		}
		if n := strings.Count(logs.String(), "no longer written"); n != 1 {
			t.Errorf("said %d times: %s", n, logs.String())
		}
	})
}

func TestEventsOfAnotherKindAreNotPrinted(t *testing.T) {
	for events, want := range map[string]string{
		"all":       "notice request_started request_finished",
		"requests":  "notice request_finished",
		"lifecycle": "notice",
		"none":      "",
	} {
		t.Run(events, func(t *testing.T) {
			var out bytes.Buffer
			h, err := newRun(&Process{Stdout: &out, Stderr: io.Discard}, plan{events: events, level: "info"})
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range []engine.Kind{engine.KindNotice, engine.KindRequestStarted, engine.KindRequestFinished} {
				h.bus.Publish(engine.Event{Kind: k, Request: &engine.Request{ID: 1}})
			}
			h.end()
			var got []string
			for _, k := range []string{"notice", "request_started", "request_finished"} {
				if strings.Contains(out.String(), `"kind":"`+k+`"`) {
					got = append(got, k)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("printed %v, want %s", got, want)
			}
		})
	}
}

func TestLogsBelowTheLevelAreNotWritten(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		var logs bytes.Buffer
		log := newLogger(&logs, levelOf(level), "json")
		log.Debug("d")
		log.Info("i")
		log.Warn("w")
		log.Error("e")
		if got := strings.Count(logs.String(), "\n"); got != want {
			t.Errorf("%s: %d lines, want %d", level, got, want)
		}
	}
}
