// Command adit is a reverse HTTP proxy over WebSocket. This file connects the
// process to the verbs of engine/command: standard streams, signals, exit code.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"charm.land/fang/v2"
	"github.com/mattn/go-isatty"

	"adit/engine"
	"adit/engine/command"
	"adit/engine/procs"
	"adit/store"
	"adit/tui"
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
		Stdout:        os.Stdout,
		Stderr:        os.Stderr,
		Terminal:      isTerminal(os.Stdout),
		InputTerminal: isTerminal(os.Stdin),
		LookupEnv:     os.LookupEnv,
		Stop:          stop,
		Hangup:        hangup,
		Version:       version,
		Dashboard:     dashboard,
		OpenLog:       openLog,
	}
	return p.Finish(fang.Execute(ctx, command.Root(p),
		fang.WithVersion(command.BuildVersion(version)),
		fang.WithErrorHandler(func(w io.Writer, _ fang.Styles, err error) { fmt.Fprintln(w, "adit:", err) })))
}

func isTerminal(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd())
}

// dashboard connects a run to the dashboard.
func dashboard(ctx context.Context, v command.View) (func() (command.Shown, error), error) {
	o := tui.Options{
		Engine:    v.Engine,
		Log:       v.Log,
		Operator:  "local",
		Settings:  v.Settings,
		Commands:  v.Commands,
		Logger:    v.Logger,
		Theme:     v.Options.Theme,
		Glyphs:    v.Options.Glyphs,
		Color:     v.Options.Color,
		KeySet:    v.Options.Keys,
		FPS:       v.Options.FPS,
		Inline:    v.Options.Inline,
		NoSync:    v.Options.NoSync,
		NoMouse:   v.Options.NoMouse,
		ReadOnly:  v.Options.ReadOnly,
		Input:     os.Stdin,
		Output:    os.Stdout,
		StateFile: v.State,
		LookupEnv: os.LookupEnv,
	}
	if dir, err := os.UserConfigDir(); err == nil {
		o.KeysFile = filepath.Join(dir, "adit", "keys.yaml")
		o.ThemesDir = filepath.Join(dir, "adit", "themes")
	}
	return func() (command.Shown, error) {
		// Libraries that log to nobody in particular must not draw on the screen.
		slog.SetDefault(v.Logger)
		show := tui.Run
		if v.Plain {
			show = tui.RunPlain
		}
		end, err := show(ctx, o)
		return whyShown(end), err
	}, nil
}

func whyShown(end tui.End) command.Shown {
	switch end {
	case tui.EndQuit:
		return command.ShownQuit
	case tui.EndGone:
		return command.ShownGone
	case tui.EndEngine:
		return command.ShownEngine
	}
	return command.ShownStop
}

// openLog keeps the records of requests for the dashboard.
func openLog(e engine.Engine) (engine.RequestLog, func(), error) {
	log, err := store.Open(e, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	return log, log.Close, nil
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
