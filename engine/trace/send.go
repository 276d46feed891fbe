package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"adit/engine"
)

const (
	attemptWait = 10 * time.Second // for one attempt
	maxAttempts = 6                // then a batch is lost: with the pauses between, about a minute
	maxPause    = 30 * time.Second
	maxAnswer   = 64 << 10 // bytes of an answer that are read
)

// send sends what is queued until nothing comes any more, or ctx ends.
func (x *Exporter) send(ctx context.Context) {
	defer close(x.done)
	d := delivery{x: x}
	batch := make([]*tracepb.Span, 0, maxBatch)
	for {
		more := x.collect(ctx, &batch)
		if len(batch) > 0 {
			d.deliver(ctx, batch)
			clear(batch)
			batch = batch[:0]
		}
		if !more {
			return
		}
	}
}

// collect waits for spans, and reports whether there may be others. After ctx has
// ended it takes what is there and does not wait.
func (x *Exporter) collect(ctx context.Context, batch *[]*tracepb.Span) (more bool) {
	first, ok := <-x.queue // closed when the subscription has ended
	if !ok {
		return false
	}
	*batch = append(*batch, first)
	full := time.NewTimer(gather)
	defer full.Stop()
	for len(*batch) < maxBatch {
		select {
		case s, ok := <-x.queue:
			if !ok {
				return false
			}
			*batch = append(*batch, s)
		case <-full.C:
			return true
		case <-ctx.Done():
			return true
		}
	}
	return true
}

// A delivery is what is known of the collector.
type delivery struct {
	x      *Exporter
	since  uint64 // spans lost before it began to fail
	missed uint64 // spans lost that were told of
	buffer bytes.Buffer
	zip    *gzip.Writer
}

// deliver sends one batch, again while that may help, or counts it as lost.
func (d *delivery) deliver(ctx context.Context, batch []*tracepb.Span) {
	x := d.x
	if ctx.Err() != nil {
		x.lost.Add(uint64(len(batch)))
		return
	}
	content, err := d.encode(batch)
	for attempt := 1; err == nil; attempt++ {
		var wait time.Duration
		var rejected uint64
		if rejected, wait, err = x.post(ctx, content); err == nil {
			x.sent.Add(uint64(len(batch)) - min(rejected, uint64(len(batch))))
			x.lost.Add(rejected)
			d.works()
			return
		}
		if ctx.Err() != nil {
			break
		}
		var final *refusal
		if errors.As(err, &final) && !final.again || attempt == maxAttempts {
			break
		}
		d.fails(err, 0)
		err = nil
		if !sleep(ctx, max(wait, x.pause(attempt))) {
			break
		}
	}
	x.lost.Add(uint64(len(batch)))
	if err != nil && ctx.Err() == nil {
		d.fails(err, len(batch))
	}
}

// fails tells once that the collector takes nothing.
func (d *delivery) fails(err error, lost int) {
	d.x.o.Logger.Debug("traces are not taken", "err", err, "lost", lost)
	if d.x.failing.Swap(true) {
		return
	}
	d.since = d.x.lost.Load() - uint64(lost)
	d.x.o.Notice(engine.Bound(fmt.Sprintf("the collector takes no traces: %v; requests go on without", err)))
}

// works tells once that it does again, and what was lost.
func (d *delivery) works() {
	lost := d.x.lost.Load()
	switch {
	case d.x.failing.Swap(false):
		d.x.o.Notice(fmt.Sprintf("the collector takes traces again; %d spans were lost", lost-d.since))
	case lost > d.missed && d.missed == 0:
		d.x.o.Notice(fmt.Sprintf("%d spans were lost: more are made than can be sent, or the collector rejects some; --otlp-sample makes less", lost))
	}
	d.missed = lost
}

// encode returns the message for a batch, compressed. It is valid until the next.
func (d *delivery) encode(batch []*tracepb.Span) ([]byte, error) {
	text, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   d.x.resource(),
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "adit", Version: d.x.o.Version}, Spans: batch}},
		SchemaUrl:  "https://opentelemetry.io/schemas/1.27.0",
	}}})
	if err != nil {
		return nil, fmt.Errorf("encode spans: %w", err)
	}
	d.buffer.Reset()
	if d.zip == nil {
		d.zip, _ = gzip.NewWriterLevel(&d.buffer, gzip.BestSpeed) // the level is valid
	} else {
		d.zip.Reset(&d.buffer)
	}
	_, _ = d.zip.Write(text) // a buffer takes everything
	_ = d.zip.Close()
	return d.buffer.Bytes(), nil
}

// A refusal is an answer that is not 200.
type refusal struct {
	status int
	again  bool // another attempt may help (OTLP/HTTP, "Failures")
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("it answers %d %s", r.status, http.StatusText(r.status))
	if !r.again {
		text += ", check --otlp and --otlp-header"
	}
	return text
}

// post makes one attempt. It returns how many spans of the batch the collector
// does not want, and for how long it asks us to wait.
func (x *Exporter) post(ctx context.Context, content []byte) (rejected uint64, wait time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.to, bytes.NewReader(content))
	if err != nil {
		return 0, 0, err
	}
	r.Header = x.headers.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("User-Agent", "adit/"+x.o.Version)
	resp, err := x.client.Do(r)
	if err != nil {
		var told *url.Error
		if errors.As(err, &told) {
			err = told.Err // a query of the URL may hold a key
		}
		return 0, 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode/100 == 2 {
		// Taken, also where the rest of the answer did not come.
		var answer collectorpb.ExportTraceServiceResponse
		if err == nil && proto.Unmarshal(text, &answer) == nil && answer.GetPartialSuccess().GetRejectedSpans() > 0 {
			p := answer.GetPartialSuccess()
			x.o.Logger.Warn("the collector rejects spans", "count", p.GetRejectedSpans(), "because", engine.Bound(p.GetErrorMessage()))
			rejected = uint64(p.GetRejectedSpans())
		}
		return rejected, 0, nil
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
			wait = min(time.Duration(seconds)*time.Second, maxPause)
		}
		return 0, wait, &refusal{resp.StatusCode, true}
	}
	return 0, 0, &refusal{resp.StatusCode, false}
}

// backoff returns how long to wait after an attempt: from 1 s on, doubled, with a
// part left to chance so that many ends do not come back together.
func backoff(attempt int) time.Duration {
	d := min(time.Second<<min(attempt-1, 10), maxPause)
	return d/2 + rand.N(d/2)
}

// sleep waits and reports whether ctx has not ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
