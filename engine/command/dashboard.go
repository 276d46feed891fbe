package command

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"adit/engine"
	"adit/engine/config"
)

const (
	// hideWait bounds how long a run waits for a dashboard that it closed: the
	// tunnel does not wait for a terminal.
	hideWait = time.Second

	// drainEvery is how often a run that had a dashboard says what it drains.
	drainEvery = time.Second
)

// A View is what a dashboard is opened with.
type View struct {
	Engine   engine.Engine
	Log      engine.RequestLog // nil without Process.OpenStore
	Options  config.Dashboard
	Plain    bool // line mode
	Settings []engine.Setting
	Reloaded func() []engine.Setting // Settings after a reload, nil before; nil: there is none
	Commands []string
	Logger   *slog.Logger // never writes to the terminal
	State    string       // file for what the operator chose; "": it is not kept
	Attached func() int   // operators that are attached over the control socket
	Remote   bool         // Engine is not in this process
	Filter   string       // of the connections on the first screen
}

// A Shown says why a dashboard ended.
type Shown uint8

// Ends of a dashboard.
const (
	ShownQuit   Shown = iota + 1 // the operator wants the run to end
	ShownGone                    // the terminal is gone
	ShownEngine                  // the engine has ended
	ShownStop                    // its context has ended
)

// A front is what a run shows itself with.
type front uint8

const (
	frontNone   front = iota // headless
	frontLines               // line mode
	frontScreen              // the dashboard
)

// frontOf decides what a run shows itself with, and says so where it may
// surprise.
func (p *Process) frontOf(headless bool, d config.Dashboard) front {
	term := ""
	if p.LookupEnv != nil {
		term, _ = p.LookupEnv("TERM")
	}
	switch {
	case headless:
		return frontNone
	case p.Dashboard == nil:
		p.say("there is no dashboard here: running headless, events on stdout, logs on stderr")
		return frontNone
	case d.Plain:
		return frontLines
	case d.TUI && (!p.Terminal || term == "dumb"):
		return frontLines
	case d.TUI:
		return frontScreen
	case !p.Terminal:
		p.say("stdout is not a terminal: running headless, events on stdout, logs on stderr")
		return frontNone
	case !p.InputTerminal:
		p.say("stdin is not a terminal: running headless, events on stdout, logs on stderr; --tui opens the dashboard all the same")
		return frontNone
	case term == "dumb":
		return frontLines
	}
	return frontScreen
}

// watch has e, which does not serve yet, recorded, shown to those who attach,
// and on a dashboard if the run has one.
func (r *run) watch(ctx context.Context, e engine.Engine) error {
	r.engine = e
	log, err := r.keep(e)
	if err != nil {
		return err
	}
	if err := r.observe(ctx, e); err != nil {
		return err
	}
	if err := r.serveControl(ctx, e, log); err != nil {
		return err
	}
	if r.plan.front == frontNone {
		return nil
	}
	v := View{
		Engine:   e,
		Log:      log,
		Options:  r.plan.dashboard,
		Plain:    r.plan.front == frontLines,
		Settings: r.plan.settings,
		Reloaded: r.reloadedSettings,
		Commands: r.plan.commands,
		Logger:   r.component("dashboard"),
		Attached: r.attached,
	}
	if dir, err := stateDir(r.process.LookupEnv); err == nil && r.plan.role != "" {
		v.State = filepath.Join(dir, "dashboard.yaml")
	}
	visible, hide := context.WithCancel(context.WithoutCancel(ctx))
	r.closers = append(r.closers, hide)
	show, err := r.process.Dashboard(visible, v)
	if err != nil {
		return &exit{codeUsage, err}
	}
	r.show, r.hide = show, hide
	return nil
}

// awaitReady returns a channel that is closed when the engine is ready, or
// over.
func (r *run) awaitReady(ctx context.Context) (<-chan struct{}, error) {
	ready := make(chan struct{})
	if !r.plan.patient {
		return ready, nil
	}
	ctx, done := context.WithCancel(context.WithoutCancel(ctx))
	batches, err := r.bus.Subscribe(ctx, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindReady), Slots: 16})
	if err != nil {
		done()
		return nil, fmt.Errorf("subscribe to events: %w", err)
	}
	go func() {
		defer close(ready)
		defer done()
		<-batches
	}()
	return ready, nil
}

// shown is a run with a dashboard.
func (r *run) shown(ctx context.Context, e endpoint, ended chan error) error {
	type result struct {
		why Shown
		err error
	}
	over := make(chan result, 1)
	go func() {
		why, err := r.show()
		over <- result{why, err}
	}()
	hidden := func() {
		r.hide()
		late := time.NewTimer(hideWait)
		defer late.Stop()
		select {
		case <-over:
		case <-late.C:
		}
	}
	select {
	case err := <-ended:
		hidden()
		return err
	case <-r.process.Stop:
		hidden()
		return r.stop(e, ended)
	case <-r.process.Hangup:
		hidden()
		return r.gone(ctx, e, ended)
	case <-ctx.Done():
		hidden()
		return r.drain(ctx, e, ended)
	case got := <-over:
		switch {
		case got.err != nil:
			// The tunnel does not end with what looks at it.
			r.log.Error("dashboard", "err", got.err)
			r.process.say("the dashboard failed: %v; the tunnel goes on without it, SIGINT ends it", got.err)
			return r.headless(ctx, e, ended)
		case got.why == ShownGone:
			return r.gone(ctx, e, ended)
		case got.why == ShownEngine:
			return r.headless(ctx, e, ended)
		}
		return r.drain(ctx, e, ended)
	}
}

// gone goes on after the terminal went away.
func (r *run) gone(ctx context.Context, e endpoint, ended chan error) error {
	if r.plan.dashboard.KeepEngine {
		r.log.Warn("the terminal is gone: going on headless")
		return r.headless(ctx, e, ended)
	}
	r.log.Warn("the terminal is gone: ending")
	return r.drain(ctx, e, ended)
}

// tellDraining says on stderr, now and then, what keeps a run that had a
// dashboard from ending. The function that it returns ends that; it does not
// wait for a terminal that takes nothing.
func (r *run) tellDraining() (done func()) {
	if r.show == nil {
		return func() {}
	}
	over, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(drainEvery)
		defer tick.Stop()
		began, last := time.Now(), ""
		for {
			if text := r.busy(); text != last && text != "" {
				r.process.say("draining, %s: %s; ctrl+c stops at once", time.Since(began).Round(time.Second), text)
				last = text
			}
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
	}()
	return func() {
		close(over)
		late := time.NewTimer(hideWait / 10)
		defer late.Stop()
		select {
		case <-told:
		case <-late.C:
		}
	}
}

// tellEnd says on stderr what a run with a dashboard came to, where a headless
// one has its last event.
func (r *run) tellEnd() {
	var s engine.Snapshot
	if r.show == nil || r.engine.Snapshot(context.Background(), &s) != nil || s.Started.IsZero() {
		return
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		r.process.say("ended after %s: %d requests, %d of them not completed", time.Since(s.Started).Round(time.Second), s.Totals.Requests, s.Totals.Failed)
	}()
	late := time.NewTimer(hideWait / 10)
	defer late.Stop()
	select {
	case <-said:
	case <-late.C:
	}
}

// busy says which connections have exchanges in flight, "" if none has.
func (r *run) busy() string {
	const most = 5
	var s engine.Snapshot
	if r.engine.Snapshot(context.Background(), &s) != nil {
		return ""
	}
	text, connections, exchanges := "", 0, 0
	for i := range s.Connections {
		c := &s.Connections[i]
		if c.InFlight == 0 {
			continue
		}
		connections++
		exchanges += c.InFlight
		if connections <= most {
			text += fmt.Sprintf(", %s/%v %d", engine.Bound(c.Client), c.ID, c.InFlight)
		}
	}
	if exchanges == 0 {
		return ""
	}
	if connections > most {
		text += ", …"
	}
	return fmt.Sprintf("%s in flight on %s (%s)", counted(exchanges, "request"), counted(connections, "connection"), text[2:])
}

// counted is "1 request", "2 requests".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
