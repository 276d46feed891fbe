package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/control"
	"adit/engine/handover"
	"adit/engine/server"
)

// restartWait bounds how long a successor may take until it serves.
const restartWait = 30 * time.Second

// listen returns the listener of that name that the process was started with, or
// opens one. It is handed on to a successor.
func (r *run) listen(ctx context.Context, name, addr string) (net.Listener, error) {
	ln := r.process.Sockets.Take(name, addr)
	if ln == nil {
		var lc net.ListenConfig
		var err error
		if ln, err = lc.Listen(ctx, "tcp", addr); err != nil {
			return nil, err
		}
	}
	r.listeners = append(r.listeners, handover.Listener{Name: name, Asked: addr, Listener: ln})
	return ln, nil
}

// listenSocket is listen for the control socket at path.
func (r *run) listenSocket(path string) (net.Listener, error) {
	const name = "control"
	ln, err := r.adoptSocket(name, path)
	if ln == nil && err == nil {
		open := control.Listen
		if dir := managed(r.process.LookupEnv, "RUNTIME_DIRECTORY"); dir != "" && filepath.Dir(path) == dir {
			open = control.ListenShared // with whom the service manager lets into the directory
		}
		ln, err = open(path)
	}
	if err != nil {
		return nil, err
	}
	r.listeners = append(r.listeners, handover.Listener{Name: name, Asked: path, Listener: ln})
	return ln, nil
}

// adoptSocket returns the control socket that the process was started with, nil
// where there is none.
func (r *run) adoptSocket(name, path string) (net.Listener, error) {
	taken := r.process.Sockets.Take(name, path)
	if taken == nil {
		return nil, nil
	}
	ln, ok := taken.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the inherited socket %q is no Unix socket", name), taken.Close())
	}
	if ln.Addr().String() != path || !r.process.Sockets.Successor() {
		return control.Adopt(ln, ""), nil
	}
	return control.Adopt(ln, path), nil
}

// A legacy is what a process tells its successor, as JSON.
type legacy struct {
	server.State
	Store string `json:"store,omitempty"` // database that it writes to
}

// former returns what a former process has told its successor, nil where this is
// none.
func (r *run) former() (*server.State, error) {
	text, err := r.process.Sockets.State()
	if err != nil {
		return nil, err
	}
	if !r.process.Sockets.Successor() {
		return nil, nil
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &r.legacy); err != nil {
			return nil, fmt.Errorf("state of the former process: %w", err)
		}
	}
	return &r.legacy.State, nil
}

// inheritedPorts returns the listeners of exposed TCP ports that the process was
// started with.
func (r *run) inheritedPorts() map[uint16]net.Listener {
	ports := map[uint16]net.Listener{}
	for _, port := range r.process.Sockets.Ports() {
		if ln := r.process.Sockets.Take(portName(port), ""); ln != nil {
			ports[port] = ln
		}
	}
	return ports
}

func portName(port uint16) string { return handover.PortName + strconv.Itoa(int(port)) }

// refuseRest closes the sockets that nothing of the configuration asks for.
func (r *run) refuseRest() {
	if rest := r.process.Sockets.CloseRest(); len(rest) > 0 {
		r.notice("sockets that the process was started with and does not use: " + strings.Join(rest, ", ") +
			"; names are listen, control, control-tls, metrics, listen-http and tcp-PORT")
	}
}

// tellReady tells the service manager, and a former process, when the engine is
// ready.
func (r *run) tellReady() error {
	if r.process.Sockets == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	batches, err := r.bus.Subscribe(ctx, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindReady), Slots: 16})
	if err != nil {
		cancel()
		return fmt.Errorf("subscribe to events: %w", err)
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		if _, ok := <-batches; ok {
			r.tellManager(r.process.Sockets.Ready())
		}
		for range batches {
		}
	}()
	r.closers = append(r.closers, func() {
		cancel()
		<-told
	})
	return nil
}

// tellManager logs that a service manager could not be told something.
func (r *run) tellManager(err error) {
	if err != nil {
		r.log.Warn("service manager", "err", err)
	}
}

// A wish is one for a restart.
type wish struct {
	by     engine.Operator
	answer chan<- outcome // with room for one; nil: nobody waits
}

// An outcome is what came of it.
type outcome struct {
	pid int
	err error
}

func (w *wish) tell(o outcome) {
	if w.answer != nil {
		w.answer <- o
	}
}

func (w *wish) refuse(err error) { w.tell(outcome{err: err}) }

// restartFor returns how operators ask for a restart, nil where none can be.
func (r *run) restartFor() func(ctx context.Context, by engine.Operator) (control.Restarted, error) {
	if r.process.Sockets == nil {
		return nil
	}
	return func(ctx context.Context, by engine.Operator) (control.Restarted, error) {
		came := make(chan outcome, 1)
		select {
		case r.wishes <- wish{by, came}:
		case <-ctx.Done():
			return control.Restarted{}, ctx.Err()
		}
		select {
		case o := <-came:
			return control.Restarted{PID: o.pid}, o.err
		case <-ctx.Done():
			return control.Restarted{}, fmt.Errorf("the restart goes on without you: %w", ctx.Err())
		}
	}
}

// A start is that of a successor, if one is on its way.
type start struct {
	over   chan outcome // nil: none is
	cancel context.CancelFunc
	done   chan struct{}
}

// begin starts a successor on a goroutine of its own, unless one is on its way.
func (s *start) begin(ctx context.Context, r *run, e endpoint, w wish) {
	if s.over != nil {
		w.refuse(errors.New("a restart is on its way"))
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, restartWait, fmt.Errorf("it took more than %s", restartWait))
	over, done := make(chan outcome, 1), make(chan struct{})
	s.end()
	s.over, s.cancel, s.done = over, cancel, done
	go func() {
		defer close(done)
		pid, err := r.startSuccessor(ctx, e, w.by)
		if err != nil {
			err = fmt.Errorf("%w; nothing has changed", err)
			r.noted(slog.LevelError, fmt.Sprintf("restart: %v", err))
		}
		w.tell(outcome{pid, err})
		over <- outcome{pid, err}
	}()
}

// end calls off what is on its way, and waits.
func (s *start) end() {
	if s.cancel != nil {
		s.cancel()
		<-s.done
	}
}

func (r *run) startSuccessor(ctx context.Context, e endpoint, by engine.Operator) (int, error) {
	if e.leave == nil {
		return 0, errors.New("only a server hands its sockets on: stop a client with SIGTERM and start it again")
	}
	r.log.Info("restart: starting the successor")
	listeners := slices.Clone(r.listeners)
	for port, ln := range e.ports() {
		listeners = append(listeners, handover.Listener{Name: portName(port), Listener: ln})
	}
	pid, err := r.process.Sockets.Start(ctx, handover.Options{
		Listeners: listeners,
		State:     func() ([]byte, error) { return json.Marshal(legacy{e.state(), r.stored}) },
	})
	if err != nil {
		return 0, err
	}
	r.bus.Publish(engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionRestart,
		Operator: engine.Bound(by.Name), Reason: engine.Bound(by.Reason), Target: fmt.Sprintf("process %d", pid)})
	r.tellManager(r.process.Sockets.Notify(fmt.Sprintf("MAINPID=%d\nSTATUS=process %d has taken over", pid, pid)))
	r.noted(slog.LevelInfo, fmt.Sprintf("restart: process %d has taken over; this one (%d) finishes its exchanges", pid, os.Getpid()))
	return pid, nil
}

// handOver drains for a successor that serves. Only Process.Stop cuts that short:
// a service manager that stops the service means the successor.
func (r *run) handOver(ctx context.Context, e endpoint, ended chan error) error {
	if r.control != nil {
		r.control.Leave()
	}
	if r.watched.leave != nil {
		r.watched.leave()
	}
	r.left, e.drain = true, e.leave
	return r.drain(context.WithoutCancel(ctx), e, ended)
}

// errHeadless is why a run with a dashboard is not restarted.
var errHeadless = errors.New("restart works headless only: the dashboard has the terminal; quit it and start adit anew, or run with --headless")

// refuseRestart answers who wants a restart while there is a dashboard, until the function
// that it returns is called.
func (r *run) refuseRestart() (end func()) {
	over, joined := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(joined)
		for {
			select {
			case <-r.process.Restart:
				r.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: errHeadless.Error()})
			case w := <-r.wishes:
				w.refuse(errHeadless)
			case <-over:
				return
			}
		}
	}()
	return func() {
		close(over)
		<-joined
	}
}
