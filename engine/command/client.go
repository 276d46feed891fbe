package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/client"
	"adit/engine/config"
)

func newClient(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Run the private end",
		Long: "Run the private end: dial servers, keep connections to them for ever, and carry what comes through " +
			"them to services that this machine can reach. --expose gives one service a host name or a TCP port at " +
			"the server; --allow says which destinations callers may choose themselves. Without either it does not " +
			"start.\n\n" +
			"RULE is HOST[:PORT[-PORT]] with a name, *.suffix, address or CIDR as HOST, or /REGEXP/ on the whole " +
			"URL, or any. Metadata and link-local addresses need a rule that names them.\n\n" +
			"Events are printed on stdout, one JSON object a line, logs on stderr. After ready, what it exposes can " +
			"be reached.",
		Example: `# http://localhost:3000 as http://app.tunnels.example.com
adit client --server ws://tunnels.example.com/register --secret @secret --expose app=http://localhost:3000
# a database as port 20005 of the server
adit client --server ws://tunnels.example.com/register --secret @secret --expose tcp:20005=10.0.0.5:5432
# destinations that callers choose
adit client --server ws://127.0.0.1:8080/register --allow '*.internal:80-443' --allow 10.0.0.0/8
# as wsp was started
adit client --config wsp_client.cfg`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd, config.ClientSettings(new(config.Client)))
	cmd.RunE = p.verb(func(ctx context.Context) error {
		in := s.input(p)
		c, loaded, err := config.LoadClientFrom(in)
		if err == nil {
			err = p.checkClientFiles(c, loaded)
		}
		if err != nil {
			return &exit{codeUsage, err}
		}
		return runClient(ctx, p, c, in, loaded)
	})
	return cmd
}

// clientPlan turns settings into those of a run.
func clientPlan(c *config.Client, loaded *config.Loaded) plan {
	return plan{
		role: engine.RoleClient.String(), name: c.ID, events: c.Events, level: c.LogLevel, limit: c.For, dashboard: c.Dashboard,
		control: c.Control, store: c.Store, settings: loaded.Settings, logFormat: c.LogFormat, observing: c.Observing, patient: c.Once,
	}
}

func runClient(ctx context.Context, p *Process, c *config.Client, in config.Input, loaded *config.Loaded) error {
	pl := clientPlan(c, loaded)
	pl.front = p.frontOf(c.Headless, c.Dashboard)
	r, err := newRun(p, pl)
	if err != nil {
		return err
	}
	defer r.end()
	o, err := clientOptions(c)
	if err != nil {
		return &exit{codeUsage, err}
	}
	o.Version = ShortVersion(p.Version)
	o.FirstRequest, o.FirstConnection = r.openStore()
	o.Bus, o.Logger, o.OnPanic = r.bus, r.component("client"), r.onPanic
	o.Tracer = tracer(&c.Observing)
	if o.Egress, err = p.openEgress(&c.Egress); err != nil {
		return err
	}
	cl, err := client.New(o)
	if err != nil {
		return err
	}
	r.refreshes("way out", o.Egress.Prepare)
	former, rules := c, o.Live.Rules
	r.reloads(loaded, !c.NoWatch, func() (loading, error) { return p.reloadClient(in, &former, &rules, cl) })
	if err := r.watch(ctx, cl); err != nil {
		return err
	}
	for _, text := range loaded.Notices {
		r.notice(text)
	}
	r.tellManager(r.process.Sockets.Ready()) // it goes on trying whatever becomes of its dials
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	return r.live(ctx, endpoint{
		serve: func() error { return cl.Run(running) },
		drain: drain,
		close: cl.Close,
	})
}

// clientOptions turns settings into options; what comes from the process is
// left to the caller.
func clientOptions(c *config.Client) (client.Options, error) {
	rules, err := c.Rules()
	if err != nil {
		return client.Options{}, fmt.Errorf("rules: %w", err)
	}
	o := client.Options{
		ID:          c.ID,
		Servers:     c.Server,
		Pool:        c.Pool,
		PoolIdle:    c.PoolIdle,
		PoolMax:     c.PoolMax,
		RewriteHost: c.HostHeader == "rewrite",
		Live:        clientLive(c, rules),
		Protocol:    protocolOf(c.Protocol),
		ClassicPing: c.Ping,
		Grace:       c.Grace,
		Once:        c.Once,

		Capture:       c.Capture.Engine(),
		CaptureMemory: c.Capture.Memory,
	}
	for _, text := range c.Expose {
		host, port, origin, err := config.ParseExpose(text, c.ID)
		if err != nil {
			return client.Options{}, fmt.Errorf("expose %w", err)
		}
		o.Expose = append(o.Expose, client.Expose{Host: host, TCP: port, Origin: origin})
	}
	return o, nil
}
