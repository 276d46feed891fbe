package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/config"
)

func newConfig(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show, check and explain settings",
		Long: "Show which settings a server or client would start with and where each comes from, or those of one that " +
			"runs; check files; print an example or a reference.\n\n" +
			"Every setting is a flag, a variable of the environment and a key of the file that --config names: " +
			"--tcp-ports is ADIT_TCP_PORTS and tcp-ports: below server: or client:. A flag goes before the environment, " +
			"that before the file, and that before the default. Credentials take @FILE.",
		Example: `adit config example server
adit config check adit.yaml
adit config show server --config adit.yaml --changed
adit config show --addr /run/adit/server-edge.sock`,
		Args: cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(newConfigShow(p), newConfigCheck(p),
		newConfigText(p, "example", "Print an adit.yaml with every setting", config.WriteExample),
		newConfigText(p, "md", "Print tables of every setting in Markdown", config.WriteReference))
	return cmd
}

// listing is how settings are printed.
type listing struct{ json, changed bool }

func (l *listing) addTo(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&l.json, "json", false, "one JSON object a line")
	cmd.Flags().BoolVar(&l.changed, "changed", false, "only what is not the default")
}

// write prints settings.
func (l *listing) write(w io.Writer, settings []engine.Setting) error {
	if l.changed {
		settings = slices.DeleteFunc(slices.Clone(settings), func(s engine.Setting) bool { return s.Source == config.SourceDefault })
	}
	var b []byte
	names, values := 0, 0
	for i := range settings {
		names, values = max(names, len(settings[i].Name)), min(max(values, len(settings[i].Value)), 40)
	}
	for i := range settings {
		s := &settings[i]
		if l.json {
			b = appendMember(append(b, '{'), "name", s.Name)
			b = appendTextAlways(b, "value", s.Value)
			b = appendMember(b, "source", s.Source)
			b = append(appendMember(b, "help", s.Help), "}\n"...)
			continue
		}
		line := fmt.Sprintf("%-*s  %-*s  %s", names, s.Name, values, s.Value, s.Source)
		b = append(append(b, printable(line)...), '\n')
	}
	_, err := w.Write(b)
	return err
}

func newConfigShow(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show settings, and where each comes from",
		Long: "Show every setting of a server or client that runs, and where it comes from: a line of a file, a variable, " +
			"a flag. adit config show server and adit config show client show what one would start with, given the same " +
			"flags. Credentials are never shown.",
		Example: `adit config show
adit config show server --config adit.yaml
adit config show client --server ws://127.0.0.1:8080/register --allow any --changed
adit config show --addr /run/adit/server-edge.sock --json`,
		Args: cobra.NoArgs,
	}
	f := addRemote(cmd)
	l := &listing{}
	l.addTo(cmd)
	cmd.RunE = p.over(f, func(ctx context.Context, s *session, _ []string) error { return s.showSettings(ctx, l) })
	cmd.AddCommand(
		newConfigShowRole(p, "server", config.ServerSettings(new(config.Server)), func(in config.Input) (*config.Loaded, error) {
			_, loaded, err := config.LoadServerFrom(in)
			return loaded, err
		}),
		newConfigShowRole(p, "client", config.ClientSettings(new(config.Client)), func(in config.Input) (*config.Loaded, error) {
			_, loaded, err := config.LoadClientFrom(in)
			return loaded, err
		}))
	return cmd
}

// showSettings prints the settings of the run.
func (s *session) showSettings(ctx context.Context, l *listing) error {
	settings, _, err := s.remote.About(ctx)
	if err != nil {
		return err
	}
	if len(settings) == 0 {
		return errors.New("a recording has no settings")
	}
	return l.write(s.Stdout, settings)
}

// checkRole reports that the run is of another role than was asked for.
func (s *session) checkRole(ctx context.Context, role string) error {
	var snap engine.Snapshot
	if err := s.remote.Snapshot(ctx, &snap); err != nil {
		return err
	}
	if is := snap.Role.String(); is != role {
		return &exit{codeUsage, fmt.Errorf("%s is a %s; adit config show %s --addr shows its settings", s.address, is, is)}
	}
	return nil
}

func newConfigShowRole(p *Process, role string, table []config.Setting, load func(config.Input) (*config.Loaded, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use:   role,
		Short: "Show what adit " + role + " would start with",
		Long: "Show what adit " + role + " would start with, given the same flags, environment and file, and where each setting comes from.\n\n" +
			"With --addr, and no other setting, show those of the " + role + " that runs there; over https:// with the credential " +
			"in $ADIT_TOKEN. adit config show alone finds the run by itself.",
		Example: "adit config show " + role + " --config adit.yaml --changed\nadit config show " + role + " --addr /run/adit/" + role + "-edge.sock --json",
		Args:    cobra.NoArgs,
	}
	s := addSettings(cmd, table)
	l := &listing{}
	l.addTo(cmd)
	f := &remoteFlags{}
	cmd.Flags().StringVar(&f.addr, "addr", "", "control socket, or https://HOST:PORT, of a run whose settings are to be shown [PATH|URL]")
	running := p.over(f, func(ctx context.Context, s *session, _ []string) error {
		if err := s.checkRole(ctx, role); err != nil {
			return err
		}
		return s.showSettings(ctx, l)
	})
	would := p.verb(func(context.Context) error {
		loaded, err := load(s.input(p))
		var refusal *config.RefusalError
		if err != nil && !errors.As(err, &refusal) {
			return &exit{codeUsage, err}
		}
		for _, text := range loaded.Notices {
			p.say("%s", text)
		}
		if refusal != nil {
			p.say("it would not start: %v", refusal)
		}
		return l.write(p.Stdout, loaded.Settings)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.addr == "" {
			return would(cmd, args)
		}
		if s.file != "" || len(s.given) > 0 {
			return p.verb(func(context.Context) error {
				return &exit{codeUsage, errors.New("--addr shows what a run has; leave the other settings out")}
			})(cmd, args)
		}
		return running(cmd, args)
	}
	return cmd
}

func newConfigCheck(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say all that is wrong with files of settings",
		Long: "Read files as adit server and adit client would with --config, those that they refer to as well " +
			"(@FILE, certificates, tokens, rules), and say all that is wrong, each with its line. The exit code is 0 " +
			"where each role that a file has settings for would start, 2 where one would not. Nothing is started.",
		Example: "adit config check adit.yaml\nadit config check /etc/adit/*.yaml",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		return p.verb(func(context.Context) error {
			bad := false
			for _, path := range files {
				bad = !p.checkFile(path) || bad
			}
			if bad {
				return &exit{codeUsage, nil}
			}
			return nil
		})(cmd, files)
	}
	return cmd
}

// checkFile says all that is wrong with a file, and whether nothing is.
func (p *Process) checkFile(path string) bool {
	roles, err := config.Roles(path)
	if err == nil && len(roles) == 0 {
		p.say("%s: no settings for server or client; adit config example prints some", path)
		return true
	}
	if len(roles) == 0 {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			p.say("%s", line)
		}
		return false
	}
	said := map[string]bool{}
	for _, role := range roles {
		loaded, refusal, err := p.checkRole(role, config.Input{Path: path, Env: p.LookupEnv})
		for _, text := range loaded.Notices {
			p.say("%s: %s: %s", path, role, text)
		}
		if refusal != nil {
			said[refusal.Error()] = true
			p.say("%s: %s: %v", path, role, refusal)
		}
		if err == nil {
			if refusal == nil {
				fmt.Fprintf(p.Stdout, "%s: %s: sound\n", printable(path), role)
			}
			continue
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !said[line] {
				said[line] = true
				p.say("%s", line)
			}
		}
	}
	return len(said) == 0
}

// checkRole loads one role's settings and what they refer to. That only a
// credential or the like is missing is apart from what is wrong.
func (p *Process) checkRole(role string, in config.Input) (loaded *config.Loaded, refusal *config.RefusalError, err error) {
	if role == "client" {
		var c *config.Client
		if c, loaded, err = config.LoadClientFrom(in); c == nil {
			return loaded, nil, err
		}
		errors.As(err, &refusal)
		_, rules := c.Rules()
		return loaded, refusal, errors.Join(p.checkClientFiles(c, loaded), rules)
	}
	var c *config.Server
	if c, loaded, err = config.LoadServerFrom(in); c == nil {
		return loaded, nil, err
	}
	errors.As(err, &refusal)
	_, rules := c.Rules()
	return loaded, refusal, errors.Join(checkServerFiles(c, loaded), rules)
}

func newConfigText(p *Process, name, short string, write func(io.Writer, ...string) error) *cobra.Command {
	roles := []string{"server", "client"}
	return &cobra.Command{
		Use:       name + " [server|client]",
		Short:     short,
		Long:      short + ", of servers and clients or of one of them.",
		Example:   "adit config " + name + "\nadit config " + name + " server",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: roles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				roles = args
			}
			return p.verb(func(context.Context) error { return write(p.Stdout, roles...) })(cmd, args)
		},
	}
}
