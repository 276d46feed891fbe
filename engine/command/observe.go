package command

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"adit/engine"
	"adit/engine/config"
	"adit/engine/control"
	"adit/engine/metrics"
	"adit/engine/observe"
	"adit/engine/trace"
)

// Bounds of --metrics-listen, which anybody may ask.
const (
	maxWatchers     = 64 // sockets
	maxWatcherHead  = 8 << 10
	watcherHeadWait = 5 * time.Second
	watcherWait     = 10 * time.Second // for an answer to be taken
)

// An observed is what the engine of a run says of itself beside its events.
type observed interface {
	Ready() error
	RequestCounts(into *observe.RequestCounts)
}

// telling is what systems that watch the process are told.
type telling struct {
	metrics http.Handler // nil: nobody asks for any
	ready   func() error // nil: it always is
	leave   func()       // ends --metrics-listen, which a successor serves now; nil: there is none
}

// observe has metrics made of e, which does not serve yet, and serves them where
// --metrics-listen says.
func (r *run) observe(ctx context.Context, e engine.Engine) error {
	if r.plan.role == "" {
		return nil // no process that somebody watches
	}
	spans, err := r.trace(e)
	if err != nil {
		return err
	}
	o := metrics.Options{Spans: spans, Engine: e, Bus: r.bus, Logger: r.component("metrics"), Expiry: r.sources.ends}
	if said, ok := e.(observed); ok {
		o.Ready, o.Requests = said.Ready, said.RequestCounts
		r.watched.ready = said.Ready
	}
	if r.store != nil {
		o.Records = r.store.State
	}
	set, err := metrics.New(o)
	if err != nil {
		return err
	}
	r.closers = append(r.closers, set.Close)
	r.watched.metrics = set.Handler()
	return r.listenMetrics(ctx)
}

// tracer returns what decides which requests are traced; nil: none are.
func tracer(c *config.Observing) *observe.Tracer {
	if c.OTLP == "" {
		return nil
	}
	return observe.NewTracer(c.OTLPSample)
}

// trace sends spans of e, which does not serve yet, where --otlp says. counts is
// nil where it says nothing.
func (r *run) trace(e engine.Engine) (counts func() (sent, lost uint64), err error) {
	c := &r.plan.observing
	if c.OTLP == "" {
		return nil, nil
	}
	log := r.component("traces")
	exporter, err := trace.New(trace.Options{
		Engine: e, URL: c.OTLP, Headers: c.OTLPHeaders,
		Service: "adit-" + r.plan.role, Name: r.plan.name, Version: ShortVersion(r.process.Version), Logger: log,
		Notice: func(text string) {
			r.bus.Publish(engine.Event{Kind: engine.KindNotice, Reason: engine.Bound(text)})
			log.Warn(text)
		},
	})
	if err != nil {
		return nil, &exit{codeUsage, fmt.Errorf("--otlp: %w", err)}
	}
	r.closers = append(r.closers, exporter.Close)
	return exporter.Counts, nil
}

// listenMetrics serves --metrics-listen until the end of the run: a probe is told
// of its drain.
func (r *run) listenMetrics(ctx context.Context) error {
	address := r.plan.observing.MetricsListen
	if address == "" {
		return nil
	}
	ln, err := r.listen(ctx, "metrics", address)
	if err != nil {
		return &exit{codeUnreachable, fmt.Errorf("%w; --metrics-listen chooses another address", err)}
	}
	r.tellSetting("metrics-listen", ln.Addr().String())
	log := r.component("metrics")
	log.Info("probes and metrics are served", "address", ln.Addr().String())
	name, _, _ := net.SplitHostPort(address)
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", control.Health())
	mux.Handle("GET /readyz", control.Readiness(r.watched.ready))
	mux.Handle("GET /metrics", r.watched.metrics)
	srv := &http.Server{
		Handler:           control.NotRebound(mux, name),
		ReadHeaderTimeout: watcherHeadWait,
		ReadTimeout:       watcherHeadWait,
		WriteTimeout:      watcherWait,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxWatcherHead,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(netutil.LimitListener(ln, maxWatchers)); err != http.ErrServerClosed {
			log.Warn("nothing is served at --metrics-listen any more", "address", ln.Addr().String(), "err", err)
		}
	}()
	r.watched.leave = func() {
		_ = srv.Close()
		<-ended
	}
	r.closers = append(r.closers, r.watched.leave)
	return nil
}

// component returns the logger of a part of the run.
func (r *run) component(name string) *slog.Logger { return r.base.With("component", name) }
