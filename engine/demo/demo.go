// Package demo is what adit demo runs: a server, clients of every temper,
// origins and light traffic in one process, on free ports of the loopback
// interface, with nothing on disk. What happens is real: requests go through
// real tunnels, some origins fail, one client comes and goes.
//
// Start here; then origins.go for what answers, callers.go for who asks, shop.go
// for the traffic that looks like a website's.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"adit/engine"
	"adit/engine/client"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/server"
)

const (
	loopback = "127.0.0.1"

	// domain has the names that browsers and curl resolve to this machine
	// without asking anybody (RFC 6761 §6.3).
	domain = "localhost"

	// readyWait bounds the start: everything is in this process.
	readyWait = 10 * time.Second

	// minAway keeps a client that can't run from spinning.
	minAway = 500 * time.Millisecond
)

// Options configure a Demo.
type Options struct {
	Version string
	Grace   time.Duration // for exchanges in flight at the end; default 1 s
	Bus     *observe.Bus  // gets the server's events; of the caller of New, who closes it after Run
	Logger  *slog.Logger  // nil: discards
	OnPanic func(v any)   // as server.Options'

	Capture       engine.Capture // as server.Options', of the server
	CaptureMemory int64
}

// A Demo is a server with everything around it.
type Demo struct {
	options  Options
	server   *server.Server
	listener net.Listener
	origins  *origins
	tcpPort  uint16 // at the server, leads to the echo origin
	clients  []*member
}

// New binds the listeners and starts nothing.
func New(o Options) (*Demo, error) {
	if o.Grace <= 0 {
		o.Grace = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Demo{options: o}
	if err := d.bind(); err != nil {
		d.Release()
		return nil, fmt.Errorf("start the demo: %w", err)
	}
	return d, nil
}

func (d *Demo) bind() error {
	var err error
	if d.origins, err = newOrigins(); err != nil {
		return err
	}
	if d.tcpPort, err = freePort(); err != nil {
		return err
	}
	if d.listener, err = net.Listen("tcp", net.JoinHostPort(loopback, "0")); err != nil {
		return err
	}
	d.server, err = server.New(server.Options{
		Name:     "demo",
		Version:  d.options.Version,
		Domain:   domain,
		TCPFirst: d.tcpPort,
		TCPLast:  d.tcpPort,
		TCPHost:  loopback,
		Grace:    d.options.Grace,
		Bus:      d.options.Bus,
		Logger:   d.options.Logger.With("end", "server"),
		OnPanic:  d.options.OnPanic,

		Capture:       d.options.Capture,
		CaptureMemory: d.options.CaptureMemory,
	})
	if err != nil {
		return err
	}
	d.clients, err = d.members()
	return err
}

// Release closes the listeners of a demo that is not run.
func (d *Demo) Release() {
	if d.listener != nil {
		d.listener.Close()
	}
	if d.origins != nil {
		d.origins.release()
	}
}

// Engine returns the server.
func (d *Demo) Engine() engine.Engine { return d.server }

// Commands returns lines for a shell, one for each way in, that work while the
// demo runs.
func (d *Demo) Commands() []string {
	front, origin := d.listener.Addr().String(), d.origins.httpAddr()
	_, port, _ := net.SplitHostPort(front)
	return []string{
		fmt.Sprintf("curl http://fast.%s:%s/hello", domain, port),
		fmt.Sprintf("curl -N http://stream.%s:%s/events", domain, port),
		fmt.Sprintf("curl -H 'X-PROXY-DESTINATION: http://%s/hello' http://%s/request", origin, front),
		fmt.Sprintf("curl -x http://%s http://%s/hello", front, origin),
		fmt.Sprintf("nc %s %d", loopback, d.tcpPort),
	}
}

// Run serves until ctx ends, then lets what runs finish within the grace
// period. It returns when every goroutine has ended and the server's
// KindStopped is published. It is called once.
func (d *Demo) Run(ctx context.Context) error {
	d.origins.serve()
	defer d.origins.close()

	lasting := context.WithoutCancel(ctx)
	// A server that ends by itself ends the demo.
	ctx, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		defer stop()
		served <- d.server.Serve(d.listener)
	}()

	clientsCtx, stopClients := context.WithCancel(lasting)
	var clients sync.WaitGroup
	for _, m := range d.clients {
		clients.Go(func() { m.run(clientsCtx) })
	}
	err := d.ready(ctx)
	if err == nil {
		newCallers(d, d.options.Grace).run(ctx)
	}
	// Clients go before the server does, so that none looks for it.
	stopClients()
	clients.Wait()
	return errors.Join(err, d.server.Shutdown(lasting), <-served)
}

// Close ends the server at once; Run returns soon after.
func (d *Demo) Close() error { return d.server.Close() }

// ready waits until every client is registered; nil too when ctx ends.
func (d *Demo) ready(ctx context.Context) error {
	late := time.NewTimer(readyWait)
	defer late.Stop()
	for _, m := range d.clients {
		select {
		case <-m.ready:
		case <-late.C:
			return fmt.Errorf("client %s is not ready after %v", m.options.ID, readyWait)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// freePort returns a TCP port that nobody listens on now.
func freePort() (uint16, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	addr, err := netip.ParseAddrPort(ln.Addr().String())
	return addr.Port(), err
}

// A member is one client of the demo.
type member struct {
	options client.Options
	stay    time.Duration // comes and goes: how long it stays; 0: for good
	away    time.Duration
	ready   chan struct{} // closed when first registered
	once    sync.Once
	log     *slog.Logger
}

// run keeps the client until ctx ends.
func (m *member) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := m.runOnce(ctx); err != nil {
			m.log.Debug("client ended", "client", m.options.ID, "err", err)
		}
		pause(ctx, max(m.away, minAway))
	}
}

func (m *member) runOnce(ctx context.Context) error {
	if m.stay > 0 {
		short, cancel := context.WithTimeout(ctx, m.stay)
		defer cancel()
		ctx = short
	}
	o := m.options
	o.Bus = observe.NewBus()
	defer o.Bus.Close()
	watch, unwatch := context.WithCancel(ctx)
	defer unwatch()
	batches, err := o.Bus.Subscribe(watch, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindReady), Slots: 16})
	if err != nil {
		return err
	}
	c, err := client.New(o)
	if err != nil {
		return err
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for range batches {
			m.once.Do(func() { close(m.ready) })
		}
	}()
	err = c.Run(ctx)
	unwatch()
	<-watched
	return err
}

// members returns the clients: one that answers at once, a shop, a slow one, one whose
// origin fails, one for streams and WebSockets, one for TCP, one that speaks
// wsp and one that comes and goes.
func (d *Demo) members() ([]*member, error) {
	rules, err := (&policy.RuleSet{Allow: []string{d.origins.httpAddr(), d.origins.echoAddr()}}).Compile()
	if err != nil {
		return nil, err
	}
	origin := "http://" + d.origins.httpAddr()
	named := func(id string) []client.Expose {
		return []client.Expose{{Host: id, Origin: origin}}
	}
	var all []*member
	add := func(id string, expose []client.Expose) *member {
		m := &member{
			ready: make(chan struct{}),
			log:   d.options.Logger,
			options: client.Options{
				ID:      id,
				Version: d.options.Version,
				Servers: []string{"ws://" + d.listener.Addr().String() + "/register"},
				Pool:    2,
				Expose:  expose,
				Live:    client.Live{Rules: rules},
				Grace:   d.options.Grace,
				Logger:  d.options.Logger.With("end", id),
				OnPanic: d.options.OnPanic,
			},
		}
		all = append(all, m)
		return m
	}
	add("fast", named("fast"))
	shop := add("shop", named("shop"))
	shop.options.Pool = 3
	add("slow", named("slow"))
	add("faulty", named("faulty"))
	add("stream", named("stream"))
	add("echo", []client.Expose{{TCP: d.tcpPort, Origin: d.origins.echoAddr()}})
	classic := add("classic", nil)
	classic.options.Protocol = engine.ProtocolClassic
	classic.options.PoolIdle, classic.options.PoolMax = 2, 8
	flapping := add("flapping", named("flapping"))
	flapping.options.Pool = 1
	flapping.stay, flapping.away = 2500*time.Millisecond, 700*time.Millisecond
	return all, nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
