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
	"strings"
	"sync"
	"syscall"
	"time"

	"charm.land/fang/v2"
	"github.com/charmbracelet/x/term"
	"github.com/mattn/go-isatty"

	"adit/engine"
	"adit/engine/command"
	"adit/engine/doctor"
	"adit/engine/handover"
	"adit/engine/procs"
	"adit/engine/service"
	"adit/keys"
	"adit/store"
	"adit/store/history"
	"adit/store/playback"
	"adit/themes"
	"adit/tui"
	"adit/tui/measure"
	"adit/tui/restore"
)

// version is set by the linker of a release build (-X main.version=1.2.3).
var version string

func main() {
	os.Exit(service.Serve(run))
}

// run is the process. asked is what the service control manager of Windows asks; nil
// where it has not started us.
func run(asked *service.Requests) int {
	if len(os.Args) > 1 && os.Args[1] == restore.Verb {
		return guardTerminal(os.Args[2:])
	}
	// A reader of stdout that goes away costs lines, not the tunnel.
	signal.Ignore(syscall.SIGPIPE)
	defer procs.Govern()()
	defer procs.RoomToGrow()()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	in := newInterrupts(asked)
	defer in.end()
	restart := make(chan os.Signal, 1)
	if s := handover.Signal(); s != nil {
		signal.Notify(restart, s)
	}
	sockets, err := handover.Inherited()
	if err != nil {
		fmt.Fprintln(os.Stderr, "adit:", err)
	}

	p := &command.Process{
		Stdout:        os.Stdout,
		Stderr:        os.Stderr,
		Terminal:      isTerminal(os.Stdout),
		InputTerminal: isTerminal(os.Stdin),
		Columns:       columns,
		LookupEnv:     os.LookupEnv,
		Stop:          in.second,
		Hangup:        hangup,
		Restart:       restart,
		Sockets:       sockets,
		Version:       version,
		Completing:    len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "__complete"),
		Dashboard:     in.dashboard,
		OpenStore:     openStore,
		CheckStore:    checkStore,
		Play:          play,
		Record:        store.Record,
		Still:         still,
		Measure: func(ctx context.Context, long time.Duration, w io.Writer) error {
			return measure.Run(ctx, measure.Options{For: long, OpenLog: openLog, CPU: procs.CPUTime, Out: w})
		},
		Keys:   writeKeys,
		Themes: writeThemes,
	}
	if asked != nil {
		p.LookupEnv, p.Hangup = asked.LookupEnv, asked.Reload
		if log, err := command.OpenServiceLog(asked.LookupEnv); err == nil {
			defer log.Close()
			p.Stdout, p.Stderr = log, log
		}
	}
	return p.Finish(fang.Execute(in.ctx, command.Root(p),
		fang.WithoutManpage(), // command has its own
		fang.WithVersion(command.BuildVersion(version)),
		fang.WithErrorHandler(func(w io.Writer, _ fang.Styles, err error) { fmt.Fprintln(w, "adit:", err) })))
}

func isTerminal(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd())
}

// columns returns the width of the terminal that stdout is, 0 where it does not
// say.
func columns() int {
	width, _, err := term.GetSize(os.Stdout.Fd())
	if err != nil {
		return 0
	}
	return width
}

// guardTerminal is what a process does that another one of this binary started
// to look after its terminal. What the terminal signals is meant for that one.
func guardTerminal(args []string) int {
	signal.Ignore(restore.Ignored()...)
	return restore.Main(args)
}

// look returns what a dashboard is opened with.
func look(v command.View) tui.Options {
	return tui.Options{
		Engine:    v.Engine,
		Log:       v.Log,
		Operator:  "local",
		Settings:  v.Settings,
		Reloaded:  v.Reloaded,
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
		Filter:    v.Filter,
		Remote:    v.Remote,
		Attached:  v.Attached,
		Input:     os.Stdin,
		Output:    os.Stdout,
		StateFile: v.State,
		KeysFile:  ownSetting("keys.yaml"),
		ThemesDir: ownSetting("themes"),
		LookupEnv: os.LookupEnv,
	}
}

// still prints one frame.
func still(ctx context.Context, v command.View, width, height int) (string, error) {
	o := look(v)
	if o.Color == "auto" && !isTerminal(os.Stdout) {
		o.Color = "never"
	}
	return tui.Still(ctx, o, width, height)
}

// dashboard connects a run to the dashboard.
func (in *interrupts) dashboard(ctx context.Context, v command.View) (func() (command.Shown, error), error) {
	o := look(v)
	if v.Plain {
		show, err := tui.OpenPlain(ctx, o)
		if err != nil {
			return nil, err
		}
		return in.showing(v.Logger, show), nil
	}
	if self, err := os.Executable(); err == nil {
		o.Guard = []string{self, restore.Verb}
	}
	d, err := tui.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return in.showing(v.Logger, d.Show), nil
}

// showing makes what shows a dashboard out of how to: meanwhile SIGQUIT stops
// the run at once instead of printing every goroutine over the screen, and what
// libraries log to nobody in particular goes to the log.
func (in *interrupts) showing(log *slog.Logger, show func() (tui.End, error)) func() (command.Shown, error) {
	return func() (command.Shown, error) {
		slog.SetDefault(log)
		signals, over, joined := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
		signal.Notify(signals, syscall.SIGQUIT)
		go func() {
			defer close(joined)
			select {
			case <-signals:
				in.now()
			case <-over:
			}
		}()
		defer func() {
			signal.Stop(signals)
			close(over)
			<-joined
		}()
		end, err := show()
		return whyShown(end), err
	}
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

// openLog keeps the records of what is measured.
func openLog(e engine.Engine) (engine.RequestLog, func(), error) {
	log, err := store.Open(e, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	return log, log.Close, nil
}

// interrupts are the signals that end a run.
type interrupts struct {
	ctx    context.Context // ended by the first SIGINT or SIGTERM, or a service manager
	second chan struct{}   // closed by the second
	now    func()          // closes second
	end    func()          // called when there is no run any more
}

func newInterrupts(asked *service.Requests) *interrupts {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	second := make(chan struct{})
	now := sync.OnceFunc(func() { close(second) })
	over, joined := make(chan struct{}), make(chan struct{})
	var stop <-chan struct{}
	if asked != nil {
		stop = asked.Stop
	}
	go func() {
		defer close(joined)
		for _, react := range []func(){cancel, now} {
			select {
			case <-stop:
				stop = nil
				react()
			case <-signals:
				react()
			case <-over:
				return
			}
		}
	}()
	end := func() {
		signal.Stop(signals)
		close(over)
		<-joined
		cancel()
	}
	return &interrupts{ctx, second, now, end}
}

// ownSetting returns where the operator keeps something, "" where no place is
// known.
func ownSetting(name string) string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "adit", name)
}

// writeKeys is the verb keys.
func writeKeys(w io.Writer, form command.Form, set, file string) error {
	if file == "" {
		file = ownSetting("keys.yaml")
	} else if _, err := os.Stat(file); err != nil {
		return err
	}
	switch form {
	case command.FormCheck:
		return keys.Check(w, set, file)
	case command.FormMarkdown:
		return keys.Markdown(w, set, file)
	}
	return keys.Print(w, set, file)
}

// writeThemes is the verb themes.
func writeThemes(w io.Writer, form command.Form, dir string) error {
	if dir == "" {
		dir = ownSetting("themes")
	} else if _, err := os.Stat(dir); err != nil {
		return err
	}
	switch form {
	case command.FormCheck:
		return themes.Check(w, dir)
	case command.FormMarkdown:
		return themes.Markdown(w, dir)
	}
	return themes.Print(w, dir)
}

// openStore opens what keeps the records of a run.
func openStore(o command.StoreOptions) (command.Store, error) {
	kept, err := store.OpenAt(store.FileOptions(o))
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// checkStore looks into the database of a history.
func checkStore(ctx context.Context, path string) (doctor.History, error) {
	look, err := history.LookInto(ctx, path)
	return doctor.History(look), err
}

// play opens a database as a recording.
func play(path string) (command.Recording, error) {
	r, err := playback.Open(path)
	if err != nil {
		return nil, err
	}
	return r, nil
}
