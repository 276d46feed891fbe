package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"adit/engine/demo"
)

// demoLength is how long a demo without a dashboard runs.
const demoLength = 10 * time.Second

func newDemo(p *Process) *cobra.Command {
	var (
		length        time.Duration
		headless      bool
		events, level string
	)
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
		RunE: p.verb(func(ctx context.Context) error {
			if !headless {
				p.sayHeadless()
			}
			return runDemo(ctx, p, length, events, level)
		}),
	}
	cmd.Flags().DurationVar(&length, "for", demoLength, "end after this time")
	cmd.Flags().BoolVar(&headless, "headless", false, "print events on stdout, no dashboard")
	cmd.Flags().StringVar(&events, "events", "requests", "events to print: all, requests, lifecycle or none")
	cmd.Flags().StringVar(&level, "log-level", "warn", "least level of logs on stderr: debug, info, warn or error")
	return cmd
}

func runDemo(ctx context.Context, p *Process, length time.Duration, events, level string) error {
	h, err := newHeadless(p, events, level)
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
	}, length)
}
