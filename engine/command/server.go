package command

import (
	"context"
	"fmt"
	"net"
	"sync"

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
			"finish, a second one does not. A listener that others can reach needs a credential for clients (--secret, " +
			"--tokens, --client-ca) and one for callers (--caller-token, --tokens, --caller-ca), or to be told that it is " +
			"open. Where there is a file of tokens nobody comes in without a credential.",
		Example: `# for this machine only
adit server
# a service of a client as http://app.tunnels.example.com
adit server --listen :80 --domain tunnels.example.com --secret @clients --open-callers=exposed
# a token for each client and caller, with a scope: see adit token
adit server --listen :8080 --domain tunnels.example.com --tokens tokens.yaml
# TCP ports too
adit server --listen :8080 --tcp-ports 20000-20100 --secret @clients --caller-token @callers --open-callers=exposed
# as wsp was started
adit server --config wsp_server.cfg`,
		Args: cobra.NoArgs,
	}
	s := addSettings(cmd, config.ServerSettings(new(config.Server)))
	cmd.RunE = p.verb(func(ctx context.Context) error {
		in := s.input(p)
		c, loaded, err := config.LoadServerFrom(in)
		if err == nil {
			err = checkServerFiles(c, loaded)
		}
		if err != nil {
			return &exit{codeUsage, err}
		}
		return runServer(ctx, p, c, in, loaded)
	})
	return cmd
}

// refusalAt says which of the addresses that a server listens on needs credentials
// that there are not.
func refusalAt(c *config.Server, listening []net.Addr, in config.Input) error {
	for _, addr := range listening {
		if err := c.RefusalAt(addr, in); err != nil {
			return err
		}
	}
	return nil
}

// serverPlan turns settings into those of a run.
func serverPlan(c *config.Server, loaded *config.Loaded) plan {
	return plan{
		role: engine.RoleServer.String(), name: c.Name, events: c.Events, level: c.LogLevel, limit: c.For, dashboard: c.Dashboard,
		control: c.Control, store: c.Store, settings: loaded.Settings, logFormat: c.LogFormat, observing: c.Observing,
	}
}

func runServer(ctx context.Context, p *Process, c *config.Server, in config.Input, loaded *config.Loaded) error {
	pl := serverPlan(c, loaded)
	pl.front = p.frontOf(c.Headless, c.Dashboard)
	r, err := newRun(p, pl)
	if err != nil {
		return err
	}
	defer r.end()
	o, err := serverOptions(c)
	if err != nil {
		return &exit{codeUsage, err}
	}
	o.Version = ShortVersion(p.Version)
	if o.Former, err = r.former(); err != nil {
		return err
	}
	o.FirstRequest, o.FirstConnection = r.openStore()
	o.Bus, o.Logger, o.OnPanic = r.bus, r.component("server"), r.onPanic
	o.Tracer = tracer(&c.Observing)
	o.Ports = r.inheritedPorts()
	ln, err := r.listen(ctx, "listen", c.Listen)
	if err != nil {
		return &exit{codeUnreachable, fmt.Errorf("%w; --listen chooses another address", err)}
	}
	listening := []net.Addr{ln.Addr()}
	for _, port := range o.Ports {
		listening = append(listening, port.Addr())
	}
	if err := refusalAt(c, listening, in); err != nil {
		ln.Close()
		return &exit{codeUsage, err}
	}
	door, err := r.openDoor(ctx, c, ln, &o)
	if err != nil {
		ln.Close()
		return err
	}
	srv, err := server.New(o)
	if err != nil {
		ln.Close()
		return err
	}
	door.of(srv)
	r.plan.commands = []string{door.wss(clientLine(ln.Addr().String(), len(c.Secret) > 0, c.Domain != ""))}
	r.reloads(loaded, !c.NoWatch, func() (loading, error) { return reloadServer(in, c, srv, listening) })
	if err := r.watch(ctx, srv); err != nil {
		ln.Close()
		return err
	}
	for _, text := range loaded.Notices {
		r.notice(text)
	}
	r.refuseRest()
	if err := r.tellReady(); err != nil {
		ln.Close()
		return err
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
		leave: func() {
			var others sync.WaitGroup
			defer others.Wait()
			others.Go(door.leave)
			if err := srv.Handover(context.WithoutCancel(ctx)); err != nil {
				r.log.Warn("hand over", "err", err)
			}
		},
		ports: srv.Ports,
		state: srv.State,
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
	if o.Live, err = serverLive(c); err != nil {
		return server.Options{}, err
	}
	return o, nil
}

// serverLive turns those settings into options that may change in a run.
func serverLive(c *config.Server) (server.Live, error) {
	l := server.Live{
		ProxyProtocol:  config.Prefixes(c.TLS.ProxyProtocol),
		TrustedProxies: config.Prefixes(c.TLS.TrustedProxies),
		Caps:           capsOf(&c.Limits),
	}
	var err error
	if l.Clients, err = c.ClientPolicy(); err != nil {
		return l, err
	}
	if l.Callers, err = c.CallerPolicy(); err != nil {
		return l, err
	}
	if l.Rules, err = c.Rules(); err != nil {
		return l, fmt.Errorf("rules: %w", err)
	}
	return l, nil
}

// capsOf returns the caps of limits, where zero is no bound.
func capsOf(l *config.Limits) server.Caps {
	none := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	return server.Caps{
		HeaderBytes:           int(l.HeaderBytes),
		HeaderFields:          l.HeaderFields,
		HeaderTimeout:         l.HeaderTimeout,
		KeepAlive:             l.KeepAlive,
		Stall:                 l.Stall,
		Body:                  l.Body,
		Connections:           l.Connections,
		ConnectionsPerAddress: none(l.ConnectionsPerAddress),
		ConnectionsPerClient:  none(l.ConnectionsPerClient),
		HandshakeRate:         rateOf(l.HandshakeRate),
		FailureRate:           rateOf(l.FailureRate),
		ExchangesPerClient:    none(l.ExchangesPerClient),
		Waiting:               l.Waiting,
		Bandwidth:             l.Bandwidth,
		Memory:                l.Memory,
	}
}

func rateOf(perSecond float64) float64 {
	if perSecond == 0 {
		return -1
	}
	return perSecond
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
