package command

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/demo"
)

func newDemo(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run both ends and some traffic in one process",
		Long: "Run a server, eight clients, small origins and light traffic in one process, on free ports of " +
			"the loopback interface, with nothing on disk. Some origins fail and one client comes and goes: " +
			"that is part of it. On a terminal the dashboard shows it until you quit. Without one it ends after " +
			"10 s: the server's events are printed on stdout, one JSON object a line, and lines for a shell that " +
			"reach the demo's services on stderr.",
		Example: `adit demo
adit demo --for 1m --events all`,
		Args: cobra.NoArgs,
	}
	c := new(config.Server)
	table := demoSettings(c)
	given := addFlags(cmd, table)
	cmd.RunE = p.verb(func(ctx context.Context) error {
		effective, err := config.Load(table, p.LookupEnv, given)
		if err == nil {
			err = c.Dashboard.Check(c.Headless)
		}
		if err != nil {
			return &exit{codeUsage, err}
		}
		return runDemo(ctx, p, c, effective)
	})
	return cmd
}

// demoSettings are those of the server that a demo has too, with its own
// defaults.
func demoSettings(c *config.Server) []config.Setting {
	defaults := map[string]string{"for": "10s", "events": "requests", "log-level": "warn", "headless": "false"}
	defaults["control"] = config.None // nothing on disk
	for _, s := range slices.Concat(config.CaptureSettings(new(config.Capture)), config.DashboardSettings(new(config.Dashboard))) {
		defaults[s.Name] = s.Default
	}
	defaults["capture"] = "content" // of nobody but the demo itself
	// Without a terminal a demo that loses it has nobody left to end it.
	delete(defaults, "keep-engine")
	table := slices.DeleteFunc(config.ServerSettings(c), func(s config.Setting) bool {
		_, ours := defaults[s.Name]
		return !ours
	})
	for i := range table {
		table[i].Default = defaults[table[i].Name]
		switch table[i].Name {
		case "for":
			table[i].Help = "end the demo after this time; with the dashboard it runs until you quit, unless this is given"
		case "control":
			table[i].Help = "Unix socket for adit attach and the other verbs"
		}
	}
	return table
}

func runDemo(ctx context.Context, p *Process, c *config.Server, effective []engine.Setting) error {
	pl := plan{
		events: c.Events, level: c.LogLevel, limit: c.For,
		front: p.frontOf(c.Headless, c.Dashboard), dashboard: c.Dashboard,
		control: c.Control, settings: effective,
	}
	byDefault := func(s engine.Setting) bool { return s.Name == "for" && s.Source == "default" }
	if at := slices.IndexFunc(effective, byDefault); pl.front != frontNone && at >= 0 {
		pl.limit = 0
		effective[at].Value = pl.limit.String()
	}
	r, err := newRun(p, pl)
	if err != nil {
		return err
	}
	defer r.end()
	r.openStore()
	d, err := demo.New(demo.Options{
		Version: ShortVersion(p.Version),
		Bus:     r.bus,
		Logger:  r.component("demo"),
		OnPanic: r.onPanic,

		Capture:       c.Capture.Engine(),
		CaptureMemory: c.Capture.Memory,
	})
	if err != nil {
		return &exit{codeUnreachable, err}
	}
	if pl.front == frontNone {
		p.say("the demo runs; while it does, try")
		for _, line := range d.Commands() {
			p.hint(line)
		}
	}
	r.plan.commands = d.Commands()
	if err := r.watch(ctx, d.Engine()); err != nil {
		d.Release()
		return err
	}
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	return r.live(ctx, endpoint{
		serve: func() error { return d.Run(running) },
		drain: drain,
		close: d.Close,
	})
}
