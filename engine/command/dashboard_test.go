package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/enginetest"
)

// A fakeDashboard is shown until it is hidden or told to end.
type fakeDashboard struct {
	end    chan Shown
	err    error
	view   View
	shown  atomic.Bool
	hidden atomic.Bool
	late   time.Duration // from when it is hidden until it returns
}

func (f *fakeDashboard) open(ctx context.Context, v View) (func() (Shown, error), error) {
	f.view = v
	return func() (Shown, error) {
		f.shown.Store(true)
		select {
		case end := <-f.end:
			return end, f.err
		case <-ctx.Done():
			f.hidden.Store(true)
			time.Sleep(f.late)
			return ShownStop, nil
		}
	}, nil
}

// watched starts a run with a dashboard in front of a fake engine.
func watched(t *testing.T, p *Process, f *fakeDashboard, change func(*plan)) *run {
	t.Helper()
	f.end = make(chan Shown, 1)
	p.Dashboard = f.open
	if p.Stderr == nil {
		p.Stderr = io.Discard
	}
	pl := plan{events: "all", level: "info", front: frontScreen}
	if change != nil {
		change(&pl)
	}
	r, err := newRun(p, pl)
	if err != nil {
		t.Fatal(err)
	}
	e := enginetest.NewFake(engine.Snapshot{Connections: []engine.Connection{{ID: 7, Client: "edge-1", InFlight: 2}}})
	t.Cleanup(e.End)
	if err := r.watch(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return r
}

// safe takes writes of several goroutines.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestQuitDrainsInPlainText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said safe
		f := &fakeDashboard{}
		r := watched(t, &Process{Stderr: &said}, f, nil)
		defer r.end()
		e := newFakeEngine()
		e.drainFor = 3 * time.Second
		time.AfterFunc(time.Minute, func() { f.end <- ShownQuit })
		began := time.Now()
		if err := r.live(t.Context(), e.endpoint()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Minute+3*time.Second || !e.drained {
			t.Errorf("it took %v, drained %v", took, e.drained)
		}
		if text := said.String(); !strings.Contains(text, "2 requests in flight on 1 connection (edge-1/c-7 2)") {
			t.Errorf("it says %q", text)
		}
	})
}

// Who asks for a restart in vain is told where he looks: on the dashboard.
func TestSignalToRestartIsAnsweredOnTheDashboard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, restart := &fakeDashboard{}, make(chan os.Signal, 1)
		r := watched(t, &Process{Restart: restart}, f, nil)
		defer r.end()
		notices, err := r.bus.Subscribe(t.Context(), engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindNotice)})
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		time.AfterFunc(time.Minute, func() { restart <- syscall.SIGHUP })
		time.AfterFunc(2*time.Minute, func() {
			select {
			case b := <-notices:
				for i := range b.Events {
					told = append(told, b.Events[i].Reason)
				}
			default:
			}
			if !f.shown.Load() || f.hidden.Load() {
				t.Error("the dashboard is not shown any more")
			}
			f.end <- ShownStop
		})
		e := newFakeEngine()
		if err := r.live(t.Context(), e.endpoint()); err != nil {
			t.Error(err)
		}
		if len(told) != 1 || !strings.Contains(told[0], "headless only") || !strings.Contains(told[0], "--headless") {
			t.Errorf("told %q", told)
		}
	})
}

// ctrl+c while a run drains that was ended from the dashboard is the second
// time that somebody asks.
func TestSignalAfterQuitStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDashboard{}
		r := watched(t, &Process{}, f, nil)
		defer r.end()
		e := newFakeEngine()
		e.drainFor = time.Hour
		ctx, signal := context.WithCancel(t.Context())
		f.end <- ShownQuit
		time.AfterFunc(time.Second, signal)
		began := time.Now()
		if err := r.live(ctx, e.endpoint()); exitCode(err) != codeInterrupted || time.Since(began) != time.Second {
			t.Errorf("exit code %d after %v", exitCode(err), time.Since(began))
		}
	})
}

// A dashboard whose terminal takes nothing any more does not hold up the end.
func TestSignalHidesTheDashboardFirst(t *testing.T) {
	for _, late := range []time.Duration{0, hideWait / 2, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeDashboard{late: late}
			r := watched(t, &Process{}, f, nil)
			defer r.end()
			e := newFakeEngine()
			ctx, signal := context.WithTimeout(t.Context(), time.Minute)
			defer signal()
			began := time.Now()
			if err := r.live(ctx, e.endpoint()); err != nil || !f.hidden.Load() || !e.drained {
				t.Errorf("%v, hidden %v, drained %v", err, f.hidden.Load(), e.drained)
			}
			if took := time.Since(began) - time.Minute; took != min(late, hideWait) {
				t.Errorf("%v after the signal", took)
			}
			time.Sleep(time.Hour)
		})
	}
}

func TestTerminalThatGoesAway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		keep   bool
		hangup bool // else the dashboard notices
	}{
		{"hangup", false, true}, {"dashboard", false, false}, {"hangup, kept", true, true}, {"dashboard, kept", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeDashboard{}
				hangup := make(chan os.Signal, 2)
				r := watched(t, &Process{Hangup: hangup}, f, func(p *plan) { p.dashboard = config.Dashboard{KeepEngine: tt.keep} })
				defer r.end()
				e := newFakeEngine()
				time.AfterFunc(time.Second, func() {
					if tt.hangup {
						hangup <- syscall.SIGHUP
					} else {
						f.end <- ShownGone
					}
				})
				ctx, signal := context.WithTimeout(t.Context(), time.Hour)
				defer signal()
				began := time.Now()
				if err := r.live(ctx, e.endpoint()); err != nil {
					t.Error(err)
				}
				want := time.Second
				if tt.keep {
					want = time.Hour
				}
				if took := time.Since(began); took != want || !e.drained {
					t.Errorf("it ran for %v, drained %v", took, e.drained)
				}
			})
		})
	}
}

// What looks at the tunnel must not end it.
func TestDashboardThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said safe
		f := &fakeDashboard{err: errors.New("panic: broken on purpose")}
		r := watched(t, &Process{Stderr: &said}, f, func(p *plan) { p.limit = time.Hour })
		defer r.end()
		e := newFakeEngine()
		f.end <- ShownStop
		began := time.Now()
		if err := r.live(t.Context(), e.endpoint()); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if !strings.Contains(said.String(), "broken on purpose") {
			t.Errorf("it says %q", &said)
		}
	})
}

// An engine that can't start, or a client that tries once, has no dashboard.
func TestEngineThatFailsShowsNoDashboard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDashboard{}
		r := watched(t, &Process{}, f, func(p *plan) { p.patient = true })
		defer r.end()
		e := newFakeEngine()
		e.fault = errors.New("refused")
		time.AfterFunc(time.Second, func() { close(e.ended) })
		if err := r.live(t.Context(), e.endpoint()); !errors.Is(err, e.fault) || f.shown.Load() {
			t.Errorf("%v, shown %v", err, f.shown.Load())
		}
	})
}

func TestPatientRunShowsTheDashboardWhenReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeDashboard{}
		r := watched(t, &Process{}, f, func(p *plan) { p.patient = true })
		defer r.end()
		e := newFakeEngine()
		time.AfterFunc(time.Second, func() { r.bus.Publish(engine.Event{Kind: engine.KindReady}) })
		time.AfterFunc(time.Minute, func() { f.end <- ShownQuit })
		if err := r.live(t.Context(), e.endpoint()); err != nil || !f.shown.Load() {
			t.Errorf("%v, shown %v", err, f.shown.Load())
		}
	})
}

func TestFrontFitsTheTerminal(t *testing.T) {
	none := func(context.Context, View) (func() (Shown, error), error) { return nil, nil }
	for _, tt := range []struct {
		name     string
		headless bool
		d        config.Dashboard
		out, in  bool // are terminals
		term     string
		want     front
		says     string
	}{
		{name: "terminal", out: true, in: true, want: frontScreen},
		{name: "headless", headless: true, out: true, in: true, want: frontNone},
		{name: "pipe", in: true, want: frontNone, says: "stdout is not a terminal"},
		{name: "keys from a pipe", out: true, want: frontNone, says: "stdin is not a terminal"},
		{name: "keys from a pipe, forced", d: config.Dashboard{TUI: true}, out: true, want: frontScreen},
		{name: "pipe, forced", d: config.Dashboard{TUI: true}, in: true, want: frontLines},
		{name: "dumb", out: true, in: true, term: "dumb", want: frontLines},
		{name: "dumb, forced", d: config.Dashboard{TUI: true}, out: true, in: true, term: "dumb", want: frontLines},
		{name: "plain", d: config.Dashboard{Plain: true}, out: true, in: true, want: frontLines},
		{name: "plain into a pipe", d: config.Dashboard{Plain: true}, want: frontLines},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			p := &Process{Stderr: &said, Terminal: tt.out, InputTerminal: tt.in, Dashboard: none,
				LookupEnv: func(name string) (string, bool) { return tt.term, name == "TERM" }}
			if got := p.frontOf(tt.headless, tt.d); got != tt.want {
				t.Errorf("front %d, want %d", got, tt.want)
			}
			if !strings.Contains(said.String(), tt.says) || (tt.says == "") != (said.Len() == 0) {
				t.Errorf("it says %q, want %q", &said, tt.says)
			}
		})
	}
}

func TestLogFileIsBoundedAndForOneRun(t *testing.T) {
	dir := t.TempDir()
	env := func(name string) (string, bool) { return dir, name == "XDG_STATE_HOME" }
	l, err := openLogFile(env, "server-../edge 1")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "adit", "server-.._edge_1.log")
	if l.path != path {
		t.Errorf("the file is %s", l.path)
	}
	if _, err := openLogFile(env, "server-../edge 1"); err == nil {
		t.Error("a second run took the file too")
	}
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 20 {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		if err != nil || info.Size() > maxLog || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if l, err := openLogFile(env, "server-../edge 1"); err != nil {
		t.Error(err)
	} else {
		l.Close()
	}
}

func TestRunWithoutAPlaceForItsLogSaysSo(t *testing.T) {
	var said bytes.Buffer
	p := &Process{Stderr: &said, LookupEnv: func(string) (string, bool) { return "", false }}
	r, err := newRun(p, plan{role: "server", name: "edge-1", level: "info", front: frontScreen})
	if err != nil {
		t.Fatal(err)
	}
	defer r.end()
	if !strings.Contains(said.String(), "XDG_STATE_HOME") {
		t.Errorf("it says %q", &said)
	}
}

func TestLineThatStartsAClient(t *testing.T) {
	for _, tt := range []struct {
		listen string
		secret bool
		names  bool
		want   string
	}{
		{"127.0.0.1:8080", false, true, "adit client --server ws://127.0.0.1:8080/register --expose app=http://localhost:3000"},
		{"[::]:80", true, true, "adit client --server ws://127.0.0.1:80/register --secret @FILE --expose app=http://localhost:3000"},
		{"[fd00::1]:80", false, true, "adit client --server ws://[fd00::1]:80/register --expose app=http://localhost:3000"},
		{"127.0.0.1:8080", false, false, "adit client --server ws://127.0.0.1:8080/register --allow localhost:3000"},
	} {
		if got := clientLine(tt.listen, tt.secret, tt.names); got != tt.want {
			t.Errorf("%s: %s", tt.listen, got)
		}
	}
}
