package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"

	"adit/tui/plain"
	"adit/tui/restore"
)

const (
	// orderly is how long the program has to end by itself, forced how long
	// after it was cut off from its terminal, restored how long putting that
	// right may take: together the 200 ms of the budget.
	orderly  = 100 * time.Millisecond
	forced   = 50 * time.Millisecond
	restored = 40 * time.Millisecond

	defaultFPS = 30
)

// A Dashboard is one that was opened and is not shown yet.
type Dashboard struct {
	ctx   context.Context
	o     Options
	model *model
	guard *restore.Guard
	input *os.File // what was opened for keys, nil where o.Input has them
}

// Open prepares a dashboard, which is told of events from now on. What is wrong
// with its options is the error. It ends with ctx.
func Open(ctx context.Context, o Options) (*Dashboard, error) {
	if o.FPS <= 0 {
		o.FPS = defaultFPS
	}
	if o.LookupEnv == nil {
		o.LookupEnv = func(string) (string, bool) { return "", false }
	}
	d := &Dashboard{ctx: ctx, o: o}
	var err error
	if tty, ok := o.Output.(*os.File); ok && len(o.Guard) > 0 {
		d.guard, err = restore.Start(o.Guard, tty, o.Inline)
		if err != nil && o.Logger != nil {
			o.Logger.Info("dashboard without a guard of the terminal", "err", err)
		}
	}
	if d.model, err = newModel(ctx, o); err != nil {
		d.guard.Done()
		return nil, err
	}
	return d, nil
}

// Run shows the dashboard until it ends. It returns after the terminal is as it
// was, whatever happens; a panic becomes the error. A terminal that takes
// nothing any more is left to the guard, 200 ms after ctx has ended.
func Run(ctx context.Context, o Options) (End, error) {
	d, err := Open(ctx, o)
	if err != nil {
		return EndStop, err
	}
	return d.Show()
}

// OpenPlain prepares line mode, which is told of events from now on: one line for
// each notable one, a summary every 10 s, commands from the input. What it returns
// shows it, and ends as [Run] does.
func OpenPlain(ctx context.Context, o Options) (show func() (End, error), err error) {
	lines, err := plain.Open(ctx, plain.Options{
		Engine:   o.Engine,
		Log:      o.Log,
		Operator: o.Operator,
		Commands: o.Commands,
		ReadOnly: o.ReadOnly,
		Remote:   o.Remote,
		Input:    o.Input,
		Output:   o.Output,
		Hangup:   o.Hangup,
	})
	if err != nil {
		return nil, err
	}
	return func() (End, error) { return ended(lines.Show()), nil }, nil
}

func ended(end plain.End) End {
	switch end {
	case plain.Quit:
		return EndQuit
	case plain.Gone:
		return EndGone
	case plain.Engine:
		return EndEngine
	}
	return EndStop
}

// A showing is a dashboard on its terminal.
type showing struct {
	*Dashboard
	program  *tea.Program
	caught   *guarded
	terminal *restore.Terminal // nil where the output is none
	output   *output           // nil where the output is no file
	unclean  bool              // the program did not end by itself
	lost     chan struct{}     // closed when the terminal is gone
	losing   sync.Once
}

// Show is [Run] for a dashboard that was opened. It is called once.
func (d *Dashboard) Show() (End, error) {
	defer d.model.close()
	s := &showing{Dashboard: d, lost: make(chan struct{})}
	options, err := s.options()
	if err != nil {
		d.guard.Done()
		return EndStop, err
	}
	if s.terminal != nil {
		d.guard.Arm(s.terminal)
	}
	s.caught = &guarded{model: d.model, sync: !d.o.NoSync, ask: s.terminal != nil, probe: d.o.Probe}
	s.program = tea.NewProgram(s.caught, options...)
	ended := make(chan error, 1)
	go func() {
		_, err := s.program.Run()
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-d.ctx.Done():
		err = s.end(ended)
	case <-d.o.Hangup:
		s.lose()
		err = s.end(ended)
	case <-s.lost:
		err = s.end(ended)
	}
	s.leave()
	return s.result(err)
}

// options are those of the program, made from ours and from what the streams
// are.
func (s *showing) options() ([]tea.ProgramOption, error) {
	options := []tea.ProgramOption{
		tea.WithFPS(s.o.FPS),
		tea.WithoutSignalHandler(),
		tea.WithFilter(func(_ tea.Model, msg tea.Msg) tea.Msg { return filter(s.model, msg) }),
		// Whatever the environment says of it: there is a terminal.
		tea.WithColorProfile(max(s.model.terminal().Profile(), colorprofile.ASCII)),
	}
	if s.o.Width > 0 && s.o.Height > 0 {
		options = append(options, tea.WithWindowSize(s.o.Width, s.o.Height))
	}
	if len(s.o.Environ) > 0 {
		options = append(options, tea.WithEnvironment(s.o.Environ))
	}
	if f, ok := s.o.Output.(*os.File); ok {
		s.output = newOutput(f, s.lose)
		options = append(options, tea.WithOutput(s.output))
		if term.IsTerminal(f.Fd()) {
			t, err := restore.Save(f, s.o.Inline)
			if err != nil {
				return nil, fmt.Errorf("terminal: %w", err)
			}
			s.terminal = t
		}
	} else if s.o.Output != nil {
		options = append(options, tea.WithOutput(s.o.Output))
	}
	f, ok := s.o.Input.(*os.File)
	if ok && !term.IsTerminal(f.Fd()) && s.terminal != nil {
		// stdin is something else: keys come from the terminal all the same.
		tty, _, err := tea.OpenTTY()
		if err != nil {
			return nil, fmt.Errorf("no terminal to read keys from: %w", err)
		}
		f, s.Dashboard.input = tty, tty
	}
	if ok {
		return append(options, tea.WithInput(&input{File: f, gone: s.lose})), nil
	}
	return append(options, tea.WithInput(s.o.Input)), nil
}

// lose notes that the terminal is gone.
func (s *showing) lose() { s.losing.Do(func() { close(s.lost) }) }

func (s *showing) isLost() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

// end makes the program end: by itself if it can, else without its terminal.
func (s *showing) end(ended <-chan error) error {
	if !s.isLost() {
		go s.program.Quit()
		if err, ok := within(orderly, ended); ok {
			return err
		}
	}
	s.unclean = true
	if s.output != nil {
		s.output.shut()
	}
	go s.program.Kill()
	err, _ := within(forced, ended)
	return err
}

// within waits for the end for a while.
func within(wait time.Duration, ended <-chan error) (err error, ok bool) {
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case err := <-ended:
		return err, true
	case <-late.C:
		return nil, false
	}
}

// leave puts the terminal right, if the program has not or could not.
func (s *showing) leave() {
	if s.Dashboard.input != nil {
		s.Dashboard.input.Close()
	}
	if s.output != nil {
		s.output.shut()
	}
	if s.terminal == nil || s.isLost() || !s.unclean {
		s.guard.Done()
		return
	}
	if !s.terminal.Restore(restored) {
		s.guard.Leave()
		return
	}
	s.guard.Done()
}

// result says why the dashboard ended. err is that of the program.
func (s *showing) result(err error) (End, error) {
	if p := s.caught.panicked(); p != nil {
		if s.o.Logger != nil {
			s.o.Logger.Error("dashboard: panic", "value", p.value, "stack", p.stack)
		}
		return EndStop, fmt.Errorf("panic: %s", p.value)
	}
	switch {
	case s.isLost():
		return EndGone, nil
	case s.ctx.Err() != nil:
		return EndStop, nil
	case errors.Is(err, tea.ErrProgramPanic):
		return EndStop, errors.New("panic in a command")
	case err != nil:
		return EndStop, err
	}
	return s.model.result()
}

// A guarded model is the dashboard without its panics: one ends the program,
// which restores the terminal before anybody reads of it.
type guarded struct {
	model *model
	sync  bool
	ask   bool                // what the terminal's background is
	probe func(time.Duration) // nil: nobody measures

	mu   sync.Mutex
	got  *panicked
	view tea.View // the last one
}

type panicked struct{ value, stack string }

func (g *guarded) panicked() *panicked {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got
}

// catch is deferred: it keeps a panic and has the program end.
func (g *guarded) catch(cmd *tea.Cmd) {
	v := recover()
	if v == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.got == nil {
		g.got = &panicked{value: strings.TrimSpace(fmt.Sprint(v)), stack: string(debug.Stack())}
	}
	if cmd != nil {
		*cmd = tea.Quit
	}
}

// Init implements [tea.Model].
func (g *guarded) Init() (cmd tea.Cmd) {
	defer g.catch(&cmd)
	cmd = g.model.Init()
	if g.ask {
		// Nobody waits for the answer: until it comes, the environment or dark
		// stands for it.
		cmd = tea.Batch(cmd, tea.RequestBackgroundColor)
	}
	if g.sync {
		// The library asks for it in few terminals only; those that do not know
		// it ignore it.
		cmd = tea.Batch(cmd, func() tea.Msg {
			return tea.ModeReportMsg{Mode: ansi.ModeSynchronizedOutput, Value: ansi.ModeReset}
		})
	}
	return cmd
}

// Update implements [tea.Model].
func (g *guarded) Update(msg tea.Msg) (_ tea.Model, cmd tea.Cmd) {
	defer g.catch(&cmd)
	if g.panicked() != nil {
		return g, tea.Quit
	}
	began, drawn := time.Now(), g.model.drawn
	_, cmd = g.model.Update(msg)
	if g.probe != nil && g.model.drawn != drawn {
		g.probe(time.Since(began))
	}
	return g, cmd
}

// View implements [tea.Model].
func (g *guarded) View() tea.View {
	defer g.catch(nil)
	if g.panicked() == nil {
		g.view = g.model.View()
	}
	return g.view
}
