package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"adit/engine/config"
	"adit/engine/demo"
)

func newDemo(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a server, clients, origins and light traffic in one process",
		Long: "Run a server, seven clients, small origins and light traffic in one process, on free ports of " +
			"the loopback interface, with nothing on disk. Some origins fail and one client comes and goes: " +
			"that is part of it. The server's events are printed on stdout, one JSON object a line, and lines " +
			"for a shell that reach the demo's services on stderr.",
		Example: `adit demo
adit demo --for 1m --events all`,
		Args: cobra.NoArgs,
	}
	c := new(config.Server)
	table := demoSettings(c)
	given := addFlags(cmd, table)
	cmd.RunE = p.verb(func(ctx context.Context) error {
		if err := load(table, p.LookupEnv, given); err != nil {
			return &exit{codeUsage, err}
		}
		return runDemo(ctx, p, c)
	})
	return cmd
}

// demoSettings are those of the server that a demo has too, with its own
// defaults.
func demoSettings(c *config.Server) []config.Setting {
	defaults := map[string]string{"for": "10s", "events": "requests", "log-level": "warn", "headless": "false"}
	table := slices.DeleteFunc(config.ServerSettings(c), func(s config.Setting) bool {
		_, ours := defaults[s.Name]
		return !ours
	})
	for i := range table {
		table[i].Default = defaults[table[i].Name]
	}
	return table
}

// load sets each setting from its default, the environment or the flags, the
// later before the earlier. There is no file for a demo.
func load(table []config.Setting, env func(string) (string, bool), given map[string][]string) error {
	for _, s := range table {
		source, values := "--"+s.Name, given[s.Name]
		if values == nil && env != nil {
			if v, _ := env(s.Env()); v != "" {
				source, values = s.Env(), []string{v}
			}
		}
		if values == nil {
			values = []string{s.Default}
		}
		if err := s.Set(values); err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	return nil
}

func runDemo(ctx context.Context, p *Process, c *config.Server) error {
	if !c.Headless {
		p.sayHeadless()
	}
	h, err := newHeadless(p, c.Events, c.LogLevel)
	if err != nil {
		return err
	}
	defer h.end()
	d, err := demo.New(demo.Options{
		Version: ShortVersion(p.Version),
		Bus:     h.bus,
		Logger:  h.log,
		OnPanic: h.onPanic,
	})
	if err != nil {
		return &exit{codeUnreachable, err}
	}
	p.say("the demo runs; while it does, try")
	for _, line := range d.Commands() {
		p.hint(line)
	}
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	return h.run(ctx, endpoint{
		serve: func() error { return d.Run(running) },
		drain: drain,
		close: d.Close,
	}, c.For)
}
