package command

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/server"
	"adit/engine/tunnel"
)

func newServer(p *Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the public end",
		Long: "Run the public end: clients register at /register, callers reach what is behind them by four ways: " +
			"/request with X-PROXY-DESTINATION, as a forward proxy (CONNECT included), by host names below --domain, " +
			"and by TCP ports within --tcp-ports.\n\n" +
			"Events are printed on stdout, one JSON object a line, logs on stderr. SIGINT and SIGTERM let requests " +
			"finish, a second one does not. A listener that others can reach needs --secret and --caller-token, or " +
			"to be told that it is open.",
		Example: `# for this machine only
adit server
# a service of a client as http://app.tunnels.example.com
adit server --listen :80 --domain tunnels.example.com --secret @clients --open-callers=exposed
# TCP ports too
adit server --listen :8080 --tcp-ports 20000-20100 --secret @clients --caller-token @callers --open-callers=exposed
# as wsp was started
adit server --config wsp_server.cfg`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd, config.ServerSettings(new(config.Server)))
	cmd.RunE = p.verb(func(ctx context.Context) error {
		c, effective, notices, err := config.LoadServerSettings(s.file, p.LookupEnv, s.given)
		if err != nil {
			return &exit{codeUsage, err}
		}
		return runServer(ctx, p, c, effective, notices)
	})
	return cmd
}

func runServer(ctx context.Context, p *Process, c *config.Server, effective []engine.Setting, notices []string) error {
	r, err := newRun(p, plan{
		role: engine.RoleServer.String(), name: c.Name, events: c.Events, level: c.LogLevel, limit: c.For,
		front: p.frontOf(c.Headless, c.Dashboard), dashboard: c.Dashboard,
		control: c.Control, store: c.Store, settings: effective,
	})
	if err != nil {
		return err
	}
	defer r.end()
	o, err := serverOptions(c)
	if err != nil {
		return &exit{codeUsage, err}
	}
	o.Version = ShortVersion(p.Version)
	o.FirstRequest, o.FirstConnection = r.openStore()
	o.Bus, o.Logger, o.OnPanic = r.bus, r.log, r.onPanic
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return &exit{codeUnreachable, fmt.Errorf("%w; --listen chooses another address", err)}
	}
	srv, err := server.New(o)
	if err != nil {
		ln.Close()
		return err
	}
	r.plan.commands = []string{clientLine(ln.Addr().String(), len(c.Secret) > 0, c.Domain != "")}
	if err := r.watch(ctx, srv); err != nil {
		ln.Close()
		return err
	}
	for _, text := range notices {
		r.notice(text)
	}
	return r.live(ctx, endpoint{
		serve: func() error {
			if err := srv.Serve(ln); err != nil {
				srv.Close()
				return err
			}
			<-srv.Done()
			return nil
		},
		drain: func() {
			if err := srv.Shutdown(context.WithoutCancel(ctx)); err != nil {
				r.log.Warn("drain", "err", err)
			}
		},
		close: srv.Close,
	})
}

// clientLine returns what starts a client of a server on this machine. A server
// without names refuses a client that exposes one.
func clientLine(listen string, secret, names bool) string {
	host, port, _ := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	line := "adit client --server ws://" + net.JoinHostPort(host, port) + "/register"
	if secret {
		line += " --secret @FILE"
	}
	if !names {
		return line + " --allow localhost:3000"
	}
	return line + " --expose app=http://localhost:3000"
}

// serverOptions turns settings into options; what comes from the process is
// left to the caller.
func serverOptions(c *config.Server) (server.Options, error) {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return server.Options{}, fmt.Errorf("listen: %w", err)
	}
	o := server.Options{
		Name:         c.Name,
		Domain:       c.Domain,
		TCPHost:      host,
		Clients:      c.ClientPolicy(),
		Callers:      c.CallerPolicy(),
		Wait:         c.Timeout,
		Limits:       tunnel.Limits{Ping: c.Ping},
		Grace:        c.Grace,
		Protocol:     protocolOf(c.Protocol),
		CompatStatus: c.CompatStatus,
		IdleTimeout:  c.IdleTimeout,

		Capture:       c.Capture.Engine(),
		CaptureMemory: c.Capture.Memory,
	}
	if o.TCPFirst, o.TCPLast, err = c.TCPRange(); err != nil {
		return server.Options{}, fmt.Errorf("tcp ports: %w", err)
	}
	if o.Rules, err = c.Rules(); err != nil {
		return server.Options{}, fmt.Errorf("rules: %w", err)
	}
	return o, nil
}

// protocolOf returns 0 for auto.
func protocolOf(name string) engine.Protocol {
	switch name {
	case "adit":
		return engine.ProtocolNative
	case "wsp":
		return engine.ProtocolClassic
	}
	return 0
}
