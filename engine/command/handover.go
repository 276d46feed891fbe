package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
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
		ln, err = control.Listen(path)
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

// restart starts a successor, on a goroutine of its own, and returns where its
// outcome will be. The function that it returns calls it off, and waits.
func (r *run) restart(ctx context.Context, e endpoint) (outcome <-chan error, end func()) {
	ctx, cancel := context.WithTimeoutCause(ctx, restartWait, fmt.Errorf("it took more than %s", restartWait))
	done, over := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(over)
		err := r.startSuccessor(ctx, e)
		if err != nil {
			r.notice(fmt.Sprintf("restart: %v; nothing has changed", err))
		}
		done <- err
	}()
	return done, func() {
		cancel()
		<-over
	}
}

func (r *run) startSuccessor(ctx context.Context, e endpoint) error {
	if e.leave == nil {
		return errors.New("only a server hands its sockets on: stop a client with SIGTERM and start it again")
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
		return err
	}
	r.tellManager(r.process.Sockets.Notify(fmt.Sprintf("MAINPID=%d\nSTATUS=process %d has taken over", pid, pid)))
	r.notice(fmt.Sprintf("restart: process %d has taken over; this one (%d) finishes its exchanges", pid, os.Getpid()))
	return nil
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

// refuseRestart answers SIGUSR2 while there is a dashboard, until the function
// that it returns is called.
func (r *run) refuseRestart() (end func()) {
	over, joined := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(joined)
		for {
			select {
			case <-r.process.Restart:
				r.bus.Publish(engine.Event{Kind: engine.KindNotice,
					Reason: "restart works headless only: the dashboard has the terminal; quit it and start adit anew, or run with --headless"})
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
