package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"adit/engine"
	"adit/engine/observe"
)

const (
	// flushWait bounds how long the end of a run waits for a reader of stdout.
	flushWait = time.Second

	// stopWait bounds how long a run that was told to stop at once may take.
	stopWait = 3 * time.Second
)

// An endpoint is an engine as a run sees it.
type endpoint struct {
	serve func() error // until the engine has ended
	drain func()       // makes serve return once the exchanges are over; may wait for that
	close func() error // makes serve return now
}

// A headless is one run without a dashboard: events as lines on stdout, logs
// on stderr.
type headless struct {
	process *Process
	bus     *observe.Bus
	log     *slog.Logger
	lines   *lines
}

// newHeadless subscribes to what events asks for (all, requests, lifecycle or
// none) and logs from level on, both as config has checked them. Whoever calls
// it calls end.
func newHeadless(p *Process, events, level string) (*headless, error) {
	h := &headless{process: p, bus: observe.NewBus(), log: newLogger(p.Stderr, level)}
	kinds := kindsOf(events)
	if kinds == 0 {
		return h, nil
	}
	var err error
	h.lines, err = writeLines(p.Stdout, h.bus, kinds, h.log)
	return h, err
}

// notice tells people something on stderr and publishes it.
func (h *headless) notice(text string) {
	h.process.say("%s", text)
	h.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: engine.Bound(text)})
}

// run serves e until it ends by itself, until ctx ends or after limit (0: never),
// when it drains, or until the process is told to stop at once.
func (h *headless) run(ctx context.Context, e endpoint, limit time.Duration) error {
	if limit > 0 {
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = bounded
	}
	ended := make(chan error, 1)
	go func() { ended <- e.serve() }()

	for {
		select {
		case err := <-ended:
			return err
		case <-h.process.Stop:
			return h.stop(e, ended)
		case <-h.process.Hangup:
			h.log.Warn("hangup ignored: reload is not supported yet")
		case <-ctx.Done():
			return h.drain(e, ended)
		}
	}
}

// drain lets what runs finish; the engine bounds it by its grace period.
func (h *headless) drain(e endpoint, ended chan error) error {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		e.drain()
	}()
	for {
		select {
		case err := <-ended:
			<-drained
			return err
		case <-h.process.Hangup:
		case <-h.process.Stop:
			return h.stop(e, ended)
		}
	}
}

// stop ends the engine now. An engine that does not end in time is left to the
// end of the process.
func (h *headless) stop(e endpoint, ended <-chan error) error {
	closed := make(chan error, 1)
	go func() { closed <- e.close() }()
	late := time.NewTimer(stopWait)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		h.log.Error("engine did not stop in time", "wait", stopWait)
	}
	return &exit{code: codeInterrupted}
}

// end delivers the last lines and ends the subscription.
func (h *headless) end() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		h.bus.Close()
	}()
	h.lines.finish()
	<-closed
}

// onPanic logs a panic of a goroutine of the engine, which costs its
// connection and not the process.
func (h *headless) onPanic(v any) {
	h.log.Error("panic", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// lines writes events to a writer on a goroutine of its own. A nil *lines has
// none.
type lines struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
}

func writeLines(w io.Writer, bus *observe.Bus, kinds engine.Kinds, log *slog.Logger) (*lines, error) {
	ctx, cancel := context.WithCancel(context.Background())
	batches, err := bus.Subscribe(ctx, engine.SubscribeOptions{Kinds: kinds})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("subscribe to events: %w", err)
	}
	l := &lines{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		defer cancel()
		if err := observe.WriteEvents(w, batches); err != nil && !errors.Is(err, context.Canceled) {
			log.Warn("events are no longer written", "err", err)
		}
	}()
	return l, nil
}

// finish waits for the last line. A write that nobody reads can't be
// interrupted: it ends with the process.
func (l *lines) finish() {
	if l == nil {
		return
	}
	defer l.cancel()
	late := time.NewTimer(flushWait)
	defer late.Stop()
	select {
	case <-l.done:
	case <-late.C:
	}
}

func kindsOf(events string) engine.Kinds {
	switch events {
	case "all":
		return engine.KindsAll
	case "lifecycle":
		return engine.KindsLifecycle
	case "none":
		return 0
	}
	return engine.KindsRequests
}

// newLogger returns a logger of JSON lines.
func newLogger(w io.Writer, level string) *slog.Logger {
	least := slog.LevelInfo
	switch level {
	case "debug":
		least = slog.LevelDebug
	case "warn":
		least = slog.LevelWarn
	case "error":
		least = slog.LevelError
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least}))
}
