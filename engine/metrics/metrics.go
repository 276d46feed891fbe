// Package metrics tells Prometheus what an engine does. Nothing is counted for it
// on the way of a request but the few atomics of observe.RequestCounts: a scrape
// takes a snapshot. Names and labels are documented in names.go; their number is
// bounded whatever peers do.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"adit/engine"
	"adit/engine/observe"
)

// maxScrapes is how many scrapes are answered at once: each takes a snapshot.
const maxScrapes = 4

// Options of a Set. They are not changed after New. What is nil has no metrics.
type Options struct {
	Engine   engine.Engine
	Bus      *observe.Bus                      // of the engine
	Requests func(into *observe.RequestCounts) // that ended
	Ready    func() error                      // as of /readyz
	Records  func() engine.LogState            // what is kept
	Expiry   func() map[string]time.Time       // of certificates, by what names them
	Spans    func() (sent, lost uint64)        // of the exporter of traces
	Logger   *slog.Logger                      // nil: discards
}

// A Set follows one engine. Close ends it.
type Set struct {
	o       Options
	desc    [families]*prometheus.Desc
	handler http.Handler
	cancel  context.CancelFunc
	done    chan struct{} // closed when follow has returned
	spare   sync.Pool     // of *scrape

	mu     sync.Mutex // a leaf
	counts counts
	risen  map[series]float64 // the highest value of a counter that its source may take back for a moment
}

// New follows an engine that does not serve yet.
func New(o Options) (*Set, error) {
	if o.Engine == nil {
		return nil, errors.New("metrics: no engine")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Set{
		o: o, desc: descriptions(), cancel: cancel, done: make(chan struct{}),
		spare:  sync.Pool{New: func() any { return new(scrape) }},
		counts: newCounts(), risen: map[series]float64{},
	}
	// Few a second, whatever the traffic: requests are counted elsewhere.
	batches, err := o.Engine.Subscribe(ctx, engine.SubscribeOptions{Kinds: followed()})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("metrics: subscribe to events: %w", err)
	}
	registry := prometheus.NewRegistry()
	if err := errors.Join(
		registry.Register(s),
		registry.Register(collectors.NewGoCollector()),
		registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	); err != nil {
		cancel()
		for range batches { // until the subscription has ended
		}
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
		OfferedCompressions: []promhttp.Compression{promhttp.Identity, promhttp.Gzip},
	})
	go s.follow(batches)
	return s, nil
}

// Handler answers GET /metrics in the text format or OpenMetrics.
func (s *Set) Handler() http.Handler { return s.handler }

// Close ends what follows the engine and joins. A scrape may still come.
func (s *Set) Close() {
	s.cancel()
	<-s.done
}

// Describe implements prometheus.Collector.
func (s *Set) Describe(to chan<- *prometheus.Desc) {
	for _, d := range s.desc {
		to <- d
	}
}
