package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/handover"
	"adit/engine/observe"
	"adit/engine/server"
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

	// Of an engine that can have a successor. leave is drain for one that has.
	leave func()
	ports func() map[uint16]net.Listener
	state func() server.State
}

// A plan is what the command line says of a run.
type plan struct {
	role, name    string // ROLE-NAME names the files of the run; "" for none on disk
	events, level string // as config has checked them
	front         front
	dashboard     config.Dashboard
	control       config.Control
	store         config.Store
	observing     config.Observing
	settings      []engine.Setting
	logFormat     string
	commands      []string // lines for a shell that the dashboard shows
	limit         time.Duration
	patient       bool // the dashboard waits for ready: the run may end before
}

// A run is the life of an engine from its first event to its last: with a
// dashboard, or headless, with events as lines on stdout and logs on stderr.
type run struct {
	process *Process
	plan    plan
	bus     *observe.Bus
	base    *slog.Logger  // of every component
	log     *slog.Logger  // of the run itself
	level   slog.LevelVar // of log
	lines   *lines
	closers []func() // in the order of their opening

	listeners []handover.Listener // to be handed on
	left      bool                // to a successor, which is the service now

	legacy legacy // by a former process
	wishes chan wish

	store   Store           // nil: nothing is kept
	stored  string          // database that it writes to; "" none
	control *control.Server // nil: nobody else can look
	serving sync.WaitGroup  // of control
	watched telling
	sources certSources

	reload     *reloader // nil: the run has nothing to load again
	refreshers []refresher
	settings   atomic.Pointer[[]engine.Setting] // as they are shown after a reload; nil: plan's
	told       map[string]string                // values that came of settings, by name

	engine engine.Engine
	show   func() (Shown, error) // nil without a dashboard
	hide   func()                // makes show return
}

// newRun prepares a run. Whoever calls it calls end.
func newRun(p *Process, pl plan) (*run, error) {
	r := &run{process: p, plan: pl, bus: observe.NewBus(), wishes: make(chan wish)}
	r.level.Set(levelOf(pl.level))
	if pl.front != frontNone {
		r.base = r.openLog()
		r.log = r.component("run")
		return r, nil
	}
	r.base = newLogger(p.Stderr, &r.level, pl.logFormat)
	r.log = r.component("run")
	kinds := kindsOf(pl.events)
	if kinds == 0 {
		return r, nil
	}
	var err error
	r.lines, err = writeLines(p.Stdout, r.bus, kinds, r.log)
	return r, err
}

// notice tells people something on stderr and publishes it.
func (r *run) notice(text string) {
	r.process.say("%s", text)
	r.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: engine.Bound(text)})
}

// noted writes to the log what happens while the engine runs, and publishes it: on
// a stderr that a machine reads as JSON no line is anything else then.
func (r *run) noted(level slog.Level, text string) {
	r.log.Log(context.Background(), level, text)
	r.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: engine.Bound(text)})
}

// live serves e until it ends by itself, until ctx ends or the time is over,
// when it drains, or until the process is told to stop at once.
func (r *run) live(ctx context.Context, e endpoint) error {
	r.reload.begin()
	if r.plan.limit > 0 {
		bounded, cancel := context.WithTimeout(ctx, r.plan.limit)
		defer cancel()
		ctx = bounded
	}
	ended := make(chan error, 1)
	if r.show == nil {
		go func() { ended <- e.serve() }()
		return r.headless(ctx, e, ended)
	}
	ready, err := r.awaitReady(ctx)
	if err != nil {
		return err
	}
	go func() { ended <- e.serve() }()
	if r.plan.patient {
		select {
		case err := <-ended:
			return err
		case <-r.process.Stop:
			return r.stop(e, ended)
		case <-ctx.Done():
			return r.drain(ctx, e, ended)
		case <-ready:
		}
	}
	defer r.tellEnd()
	defer r.refuseRestart()()
	return r.shown(ctx, e, ended)
}

// headless is a run that nobody watches on a terminal.
func (r *run) headless(ctx context.Context, e endpoint, ended chan error) error {
	var s start
	defer func() { s.end() }()
	for {
		select {
		case <-r.process.Restart:
			s.begin(ctx, r, e, wish{by: engine.Operator{Name: bySignal}})
		case w := <-r.wishes:
			s.begin(ctx, r, e, w)
		case o := <-s.over:
			if o.err == nil {
				return r.handOver(ctx, e, ended)
			}
			s.over = nil
		case err := <-ended:
			return err
		case <-r.process.Stop:
			return r.stop(e, ended)
		case <-r.process.Hangup:
			r.hangup()
		case <-ctx.Done():
			return r.drain(ctx, e, ended)
		}
	}
}

// drain lets what runs finish; the engine bounds it by its grace period. Where
// ctx has not ended yet, its end is the second time that somebody asks, which
// stops at once.
func (r *run) drain(ctx context.Context, e endpoint, ended chan error) error {
	again := ctx.Done()
	if ctx.Err() != nil {
		again = nil
	}
	defer r.tellDraining()()
	if !r.left {
		r.tellManager(r.process.Sockets.Notify("STOPPING=1"))
	}
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
		case <-r.process.Hangup:
		case w := <-r.wishes:
			w.refuse(engine.ErrDraining)
		case <-again:
			return r.stop(e, ended)
		case <-r.process.Stop:
			return r.stop(e, ended)
		}
	}
}

// stop ends the engine now. An engine that does not end in time is left to the
// end of the process.
func (r *run) stop(e endpoint, ended <-chan error) error {
	closed := make(chan error, 1)
	go func() { closed <- e.close() }()
	late := time.NewTimer(stopWait)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		r.log.Error("engine did not stop in time", "wait", stopWait)
	}
	return &exit{code: codeInterrupted}
}

// end delivers the last lines, ends the subscriptions and closes the files.
func (r *run) end() {
	r.reload.stop()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.bus.Close()
	}()
	r.lines.finish()
	r.endControl(closed)
	<-closed
	for _, c := range slices.Backward(r.closers) {
		c()
	}
}

// onPanic logs a panic of a goroutine of the engine, which costs its
// connection and not the process.
func (r *run) onPanic(v any) {
	r.log.Error("panic", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
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
