// Command adit is a reverse HTTP proxy over WebSocket. This file connects the
// process to the verbs of engine/command: standard streams, signals, exit code.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"charm.land/fang/v2"
	"github.com/mattn/go-isatty"

	"adit/engine/command"
	"adit/engine/procs"
)

// version is set by the linker of a release build (-X main.version=1.2.3).
var version string

func main() {
	os.Exit(run())
}

func run() int {
	// A reader of stdout that goes away costs lines, not the tunnel.
	signal.Ignore(syscall.SIGPIPE)
	defer procs.Govern()()
	defer procs.RoomToGrow()()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ctx, stop, done := interrupts()
	defer done()

	p := &command.Process{
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Terminal:  isatty.IsTerminal(os.Stdout.Fd()) || isatty.IsCygwinTerminal(os.Stdout.Fd()),
		LookupEnv: os.LookupEnv,
		Stop:      stop,
		Hangup:    hangup,
		Version:   version,
	}
	return p.Finish(fang.Execute(ctx, command.Root(p),
		fang.WithVersion(command.BuildVersion(version)),
		fang.WithErrorHandler(func(w io.Writer, _ fang.Styles, err error) { fmt.Fprintln(w, "adit:", err) })))
}

// interrupts returns a context that the first SIGINT or SIGTERM ends, and a
// channel that the second one closes. The caller calls done.
func interrupts() (ctx context.Context, stop <-chan struct{}, done func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	second := make(chan struct{})
	over, joined := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(joined)
		for _, react := range []func(){cancel, func() { close(second) }} {
			select {
			case <-signals:
				react()
			case <-over:
				return
			}
		}
	}()
	return ctx, second, func() {
		signal.Stop(signals)
		close(over)
		<-joined
		cancel()
	}
}
