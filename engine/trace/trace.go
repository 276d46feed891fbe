// Package trace sends finished requests as spans to an OpenTelemetry collector
// (OTLP over HTTP, protobuf). It follows the events of an engine as any watcher
// does, so that a collector that is slow or gone costs spans, counted, and nothing
// else. Which requests are traced the engine decides as they come (observe.Tracer);
// span.go makes spans of their records, send.go sends them.
//
// The messages are the official ones, without the services of gRPC
// (go.opentelemetry.io/proto/slim/otlp): 0.1 MiB in the stripped binary. The
// OpenTelemetry SDK with its exporter for HTTP would be 5.8 MiB, for a span that
// is made from one record after the fact.
package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"adit/engine"
)

// Options of an Exporter. They are not changed after New.
type Options struct {
	Engine  engine.Engine
	URL     string   // http://HOST:4318; /v1/traces is added
	Headers []string // NAME=VALUE
	Service string   // service.name: "adit-server" or "adit-client"
	Name    string   // service.instance.id
	Version string
	Notice  func(text string) // told when the collector takes nothing and when it does again; must not wait; nil: nobody
	Logger  *slog.Logger      // nil: discards
}

const (
	maxQueued = 2048            // spans that wait: some 12 MiB
	maxBatch  = 512             // spans in one message
	gather    = time.Second     // how long a batch waits for more
	lastWords = 2 * time.Second // how long Close waits for what is left
)

// An Exporter sends spans until Close.
type Exporter struct {
	o       Options
	to      string // URL
	headers http.Header
	client  *http.Client
	role    engine.Role
	pause   func(attempt int) time.Duration // before the next attempt; of tests

	failing atomic.Bool // the collector takes nothing; written by send

	queue  chan *tracepb.Span // closed by follow
	cancel context.CancelFunc // of the subscription
	abort  context.CancelFunc // of sending
	sent   atomic.Uint64
	lost   atomic.Uint64
	done   chan struct{} // closed when send has returned
}

// New follows an engine that does not serve yet.
func New(o Options) (*Exporter, error) {
	x, err := newExporter(o)
	if err != nil {
		return nil, err
	}
	return x, x.start()
}

func newExporter(o Options) (*Exporter, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the collector of traces has no URL; want http://HOST:4318 or https://HOST:4318")
	}
	const path = "/v1/traces"
	if !strings.HasSuffix(u.Path, path) {
		u.Path = strings.TrimSuffix(u.Path, "/") + path
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	x := &Exporter{
		o: o, to: u.String(), headers: http.Header{}, pause: backoff,
		queue: make(chan *tracepb.Span, maxQueued), done: make(chan struct{}),
		client: &http.Client{
			Timeout:       attemptWait,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would take our credential elsewhere
		},
	}
	for _, h := range o.Headers {
		name, value, ok := strings.Cut(h, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, errors.New("a field for the collector of traces has no name; want NAME=VALUE")
		}
		x.headers.Add(name, strings.TrimSpace(value))
	}
	return x, nil
}

func (x *Exporter) start() error {
	var snapshot engine.Snapshot
	following, cancel := context.WithCancel(context.Background())
	sending, abort := context.WithCancel(context.Background())
	x.cancel, x.abort = cancel, abort
	err := x.o.Engine.Snapshot(following, &snapshot)
	if err == nil {
		var batches <-chan engine.Batch
		if batches, err = x.o.Engine.Subscribe(following, engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindRequestFinished)}); err == nil {
			x.role = snapshot.Role
			go x.follow(batches)
			go x.send(sending)
			return nil
		}
	}
	cancel()
	abort()
	return fmt.Errorf("follow requests for traces: %w", err)
}

// Counts returns how many spans the collector has taken, and how many, at most,
// were lost: of what the engine told too fast it is not known what was traced.
func (x *Exporter) Counts() (sent, lost uint64) { return x.sent.Load(), x.lost.Load() }

// Close sends what is left, for at most 2 s and not to a collector that takes
// nothing, and joins. What the engine still has
// to tell is told before: its bus is closed, or it is not heard any more.
func (x *Exporter) Close() {
	late := time.AfterFunc(lastWords, func() {
		x.cancel()
		x.abort()
	})
	defer late.Stop()
	select {
	case <-x.o.Engine.Done():
	default:
		x.cancel()
	}
	if x.failing.Load() {
		x.abort()
	}
	<-x.done
	x.cancel()
	x.abort()
	x.client.CloseIdleConnections()
}

// follow makes spans of what the engine tells, until it tells nothing any more.
func (x *Exporter) follow(batches <-chan engine.Batch) {
	defer close(x.queue)
	for b := range batches {
		x.lost.Add(b.Dropped)
		for i := range b.Events {
			r := b.Events[i].Request
			if r == nil || r.Trace == nil {
				continue
			}
			if len(x.queue) == cap(x.queue) { // nobody else sends on it
				x.lost.Add(1)
				continue
			}
			x.queue <- x.span(r)
		}
	}
}
