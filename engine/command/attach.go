package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/filter"
)

// A lookTable is the flags of a verb that opens a dashboard on something that is not
// in this process.
type lookTable struct {
	settings  []config.Setting
	given     map[string][]string
	dashboard *config.Dashboard
}

func addLook(cmd *cobra.Command) *lookTable {
	t := &lookTable{dashboard: new(config.Dashboard)}
	for _, s := range config.DashboardSettings(t.dashboard) {
		if s.Name != "keep-engine" { // there is none that could be kept
			t.settings = append(t.settings, s)
		}
	}
	t.given = addFlags(cmd, t.settings)
	return t
}

// load returns the dashboard's settings and what it is to be shown with.
func (t *lookTable) load(p *Process) (config.Dashboard, front, error) {
	if _, err := config.Load(t.settings, p.LookupEnv, t.given); err != nil {
		return config.Dashboard{}, 0, &exit{codeUsage, err}
	}
	d := *t.dashboard
	if err := d.Check(false); err != nil {
		return d, 0, &exit{codeUsage, err}
	}
	switch {
	case p.Dashboard == nil:
		return d, 0, &exit{codeUsage, errors.New("there is no dashboard here")}
	case !d.TUI && !d.Plain && (!p.Terminal || !p.InputTerminal):
		return d, 0, &exit{codeUsage, errors.New("stdin and stdout are no terminal; adit tail follows and adit top -n1 prints one frame without one, --plain prints lines")}
	}
	return d, p.frontOf(false, d), nil
}

// look shows e and log on a dashboard until the operator has seen enough, ctx
// ends or the terminal is gone.
func (p *Process) look(ctx context.Context, v View, f front) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if p.Hangup != nil {
		over, joined := make(chan struct{}), make(chan struct{})
		defer func() { close(over); <-joined }()
		go func() {
			defer close(joined)
			select {
			case <-p.Hangup:
				cancel()
			case <-over:
			}
		}()
	}
	v.Plain, v.Remote = f == frontLines, true
	v.Logger = slog.New(slog.DiscardHandler)
	if dir, err := stateDir(p.LookupEnv); err == nil {
		v.State = filepath.Join(dir, "dashboard.yaml")
	}
	show, err := p.Dashboard(ctx, v)
	if err != nil {
		return &exit{codeUsage, err}
	}
	why, err := show()
	if err == nil && why == ShownEngine && ctx.Err() == nil {
		return &exit{codeLost, errors.New("what was shown has ended")}
	}
	return err
}

// view returns what a dashboard of the run is opened with.
func (s *session) view(ctx context.Context, d config.Dashboard) View {
	v := View{Engine: s.remote, Log: s.remote, Options: d, Filter: s.flags.filter}
	if x, ok := s.remote.(*played); ok {
		v.Engine, v.Log = x.Recording, x.Recording // a link would be lost since its end
	}
	bounded, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	v.Settings, v.Commands, _ = s.remote.About(bounded) // without them two panes are empty
	return v
}

func newAttach(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "attach [PATH|URL]",
		Short: "Open the dashboard of a server or client",
		Long: "Open the dashboard of a running server or client over its control socket. It is the same dashboard; " +
			"quitting leaves the run as it is. When the link is lost, the screen says since when its data is old and it " +
			"comes back by itself. Several operators may be attached at once.",
		Example: `adit attach
adit attach /run/user/1000/adit/server-edge.sock
adit attach https://edge.example.com:9443 --token @token
adit attach --read-only`,
		Args: cobra.MaximumNArgs(1),
	}
	f := addRemote(cmd)
	t := addLook(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.attach(cmd, args, f, t)
	}
	return cmd
}

// attach opens the dashboard of a run.
func (p *Process) attach(cmd *cobra.Command, args []string, f *remoteFlags, t *lookTable) error {
	d, front, err := t.load(p)
	if err != nil {
		return p.verb(func(context.Context) error { return err })(cmd, args)
	}
	if len(args) > 0 {
		f.addr = args[0]
	}
	f.dashboard = true
	return p.over(f, func(ctx context.Context, s *session, _ []string) error {
		v := s.view(ctx, d)
		if _, recording := v.Engine.(engine.Player); !recording {
			now, end := s.followSettings(ctx)
			defer end()
			v.Reloaded = now
		}
		return p.look(ctx, v, front)
	})(cmd, args)
}

func newTop(p *Process) *cobra.Command {
	var number, width, height int
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Print what the dashboard of a run shows",
		Long: "Print one frame of the dashboard as text, which needs no terminal; with -n that many, one a second. " +
			"Without -n it is attach. --json prints the state that a frame is drawn from instead, one object each time.",
		Example: `adit top -n1
adit top -n1 --width 200 --height 60 --glyphs ascii
adit top -n1 --filter 'client:edge-* -state:idle'
adit top -n1 --json`,
		Args: cobra.NoArgs,
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "connections that this selects,", "client:edge-* rtt:>2s -state:busy")
	t := addLook(cmd)
	cmd.Flags().IntVarP(&number, "number", "n", 0, "frames to print; 0: open the dashboard [N]")
	cmd.Flags().IntVar(&width, "width", 120, "of a frame, in cells [N]")
	cmd.Flags().IntVar(&height, "height", 36, "of a frame, in cells [N]")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := parseFilter(filter.Connections, f.filter); err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		if number == 0 && f.json {
			return p.refuseUsage(cmd, args, errors.New("--json is of frames that are printed; want -n 1 or more"))
		}
		if number == 0 {
			return p.attach(cmd, args, f, t)
		}
		if _, err := config.Load(t.settings, p.LookupEnv, t.given); err != nil {
			return p.refuseUsage(cmd, args, err)
		}
		if number < 0 || width < 20 || height < 5 || width > 1000 || height > 1000 {
			return p.refuseUsage(cmd, args, errors.New("want -n 1 or more, --width 20 to 1000 and --height 5 to 1000"))
		}
		if p.Still == nil && !f.json {
			return p.refuseUsage(cmd, args, errors.New("there is no dashboard here"))
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			if f.json {
				return s.everySecond(ctx, number, s.state)
			}
			v := s.view(ctx, *t.dashboard)
			v.Remote, v.Logger = true, slog.New(slog.DiscardHandler)
			return s.everySecond(ctx, number, func(ctx context.Context) ([]byte, error) {
				frame, err := s.Still(ctx, v, width, height)
				return []byte(frame + "\n"), err
			})
		})(cmd, args)
	}
	return cmd
}

// state is a snapshot with the connections that --filter selects, as one object.
func (s *session) state(ctx context.Context) ([]byte, error) {
	found, snap, err := s.filtered(ctx)
	if err != nil {
		return nil, err
	}
	selected := make([]engine.Connection, 0, len(found))
	for _, c := range found {
		selected = append(selected, *c)
	}
	snap.Connections = selected
	return append(control.AppendSnapshot(nil, snap), '\n'), nil
}

// everySecond prints number times what make returns, once a second.
func (s *session) everySecond(ctx context.Context, number int, make func(context.Context) ([]byte, error)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range number {
		if i > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
		text, err := make(ctx)
		if err != nil {
			return err
		}
		if err := s.write(text); err != nil {
			return err
		}
	}
	return nil
}

func newRecord(p *Process) *cobra.Command {
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "record FILE",
		Short: "Write what happens on a run into a database",
		Long: "Write what happens on a run into a new SQLite database until SIGINT: events, requests, what is captured of " +
			"them, and the counters of every connection once a second. adit play shows it, and any tool for SQLite reads it.",
		Example: "adit record incident.db\nadit record incident.db --for 10m\nadit play incident.db",
		Args:    cobra.ExactArgs(1),
	}
	f := addRemote(cmd)
	cmd.Flags().DurationVar(&limit, "for", 0, "end after this time; 0 never [DURATION]")
	cmd.RunE = p.over(f, func(ctx context.Context, s *session, args []string) error {
		if p.Record == nil {
			return &exit{codeUsage, errors.New("nothing can be recorded here")}
		}
		if limit > 0 {
			bounded, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			ctx = bounded
		}
		p.say("recording %s into %s; SIGINT ends it", s.address, args[0])
		if err := p.Record(ctx, s.remote, s.remote, args[0]); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	})
	return cmd
}

func newPlay(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "play FILE",
		Short: "Show a recording or history on the dashboard",
		Long: "Show a database that record wrote, or that a run keeps (server-NAME.db), on the dashboard as if it " +
			"happened now: pause, step, go to any moment, faster and slower. Nothing in it can be acted on. The other verbs " +
			"read one too: --addr FILE.",
		Example: "adit play incident.db\nadit ls requests --addr incident.db --filter 'status:>=500'",
		Args:    cobra.ExactArgs(1),
	}
	t := addLook(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return p.verb(func(ctx context.Context) error {
			d, front, err := t.load(p)
			if err != nil {
				return err
			}
			rec, err := p.openRecording(args[0])
			if err != nil {
				return err
			}
			defer rec.Close()
			return p.look(ctx, View{Engine: rec, Log: rec, Options: d}, front)
		})(cmd, args)
	}
	return cmd
}

func (p *Process) openRecording(path string) (Recording, error) {
	if p.Play == nil {
		return nil, &exit{codeUsage, errors.New("nothing can be played here")}
	}
	rec, err := p.Play(path)
	if err != nil {
		return nil, &exit{codeFailed, fmt.Errorf("play %s: %w", path, err)}
	}
	return rec, nil
}

// A played is a recording as verbs know a run: as it was at its end.
type played struct {
	Recording
	path string
}

func newPlayed(rec Recording, path string) *played {
	rec.Pause(true)
	rec.Seek(rec.Playback().To)
	return &played{rec, path}
}

func (x *played) Link() engine.Link {
	return engine.Link{Address: x.path, ReadOnly: true, LastData: x.Playback().To}
}

func (*played) Retry() {}

func (*played) Wait(context.Context) error { return nil }

func (*played) About(context.Context) ([]engine.Setting, []string, error) { return nil, nil, nil }
