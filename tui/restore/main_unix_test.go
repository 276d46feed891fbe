//go:build unix

package restore_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/tui"
	"adit/tui/restore"
)

// The test binary is three programs: the tests, the dashboard that they look at
// through a terminal of their own, and its guard.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == restore.Verb:
		signal.Ignore(restore.Ignored()...)
		os.Exit(restore.Main(os.Args[2:]))
	case os.Getenv("RESTORE_TEST_END") != "":
		os.Exit(dashboard(os.Getenv("RESTORE_TEST_END"), os.Getenv("RESTORE_TEST_REPORT")))
	}
	goleak.VerifyTestMain(m)
}

// A fragile engine panics in Snapshot when it is told to.
type fragile struct {
	*enginetest.Fake
	mu     sync.Mutex
	broken bool
}

func (f *fragile) Snapshot(ctx context.Context, into *engine.Snapshot) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		panic("broken on purpose")
	}
	return f.Fake.Snapshot(ctx, into)
}

func (f *fragile) breakIt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = true
}

// dashboard shows one on stdout and comes to the end that is asked for a moment
// after SIGUSR1. It reports in a file why the dashboard ended, and when.
func dashboard(end, report string) int {
	signal.Ignore(syscall.SIGHUP)
	e := &fragile{Fake: enginetest.NewFake(engine.Snapshot{Time: time.Now(), Role: engine.RoleServer, Name: "edge-1"})}
	ctx, cancel := context.WithCancel(context.Background())
	terminate, begin := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	signal.Notify(begin, syscall.SIGUSR1)
	var asked time.Time
	var log noLog
	go func() {
		<-terminate
		asked = time.Now()
		cancel()
	}()
	go func() {
		<-begin
		switch end {
		case "panic in Update":
			e.breakIt()
		case "panic in a command":
			log.broken.Store(true)
		case "panic in a goroutine":
			panic("broken on purpose")
		case "fatal error":
			new(sync.Mutex).Unlock()
		case "engine":
			e.End()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return 3
	}
	why, err := tui.Run(ctx, tui.Options{
		Engine: e, Log: &log, Input: os.Stdin, Output: os.Stdout, LookupEnv: os.LookupEnv,
		Guard: []string{self, restore.Verb},
	})
	text := fmt.Sprintf("%d %v", why, err)
	if !asked.IsZero() {
		text += fmt.Sprintf(" after %d ms", time.Since(asked).Milliseconds())
	}
	if os.WriteFile(report, []byte(text+"\n"), 0o600) != nil {
		return 3
	}
	return 0
}

// A noLog has no requests. It is asked off the loop, by a command of Bubble Tea,
// and panics there when it is told to.
type noLog struct{ broken atomic.Bool }

func (l *noLog) Requests(_ context.Context, _ engine.RequestQuery, into *engine.RequestPage) error {
	if l.broken.Load() {
		panic("broken on purpose")
	}
	*into = engine.RequestPage{}
	return nil
}

func (*noLog) Request(context.Context, engine.RequestID) (engine.Request, error) {
	return engine.Request{}, engine.ErrNotFound
}

// isOn reports whether a mode of the terminal is set by the last of what was
// written that says something of it.
func isOn(written, mode string) bool {
	return strings.LastIndex(written, "\x1b[?"+mode+"h") > strings.LastIndex(written, "\x1b[?"+mode+"l")
}

// Content implements [engine.RequestLog].
func (*noLog) Content(context.Context, engine.RequestID, *engine.Content) error {
	return engine.ErrNotFound
}

// Events implements [engine.RequestLog].
func (*noLog) Events(_ context.Context, _ engine.EventQuery, into *engine.EventPage) error {
	*into = engine.EventPage{Events: into.Events[:0], Keys: into.Keys[:0]}
	return nil
}
