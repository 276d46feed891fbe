package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"adit/engine"
	"adit/store/history"
)

const (
	sampleEvery = time.Second

	// What is captured of a request has to be asked for: by so many at a time, and
	// of so many that wait at most. Others are written without.
	askers    = 4
	toBeAsked = 1024

	// finishing bounds what is still asked when a recording ends.
	finishing = 2 * time.Second
)

// Record writes what e and log tell into a new database at path until ctx ends or e
// does; both are no errors. A file that is there already is refused. What did not
// come, while a link was lost or because this end was too slow, becomes gaps.
func Record(ctx context.Context, e engine.Engine, log engine.RequestLog, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("record into %s: %w; choose another name", path, os.ErrExist)
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("record: %w", err)
	}
	subscription, cancel := context.WithCancel(ctx)
	defer cancel()
	// First, so that nothing is missed between it and what is there already.
	batches, err := e.Subscribe(subscription, engine.SubscribeOptions{Kinds: engine.KindsRequests, Slots: slots, Heads: true})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	r := &recorder{engine: e, log: log, requests: make(chan engine.Event, toBeAsked)}
	if err := e.Snapshot(ctx, &r.snapshot); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	s := &r.snapshot
	r.file, err = history.Open(path, history.Options{
		Role: s.Role.String(), Name: s.Name, Version: s.Version, Instance: s.Instance, Captures: true, Samples: true,
	})
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	r.introduce()
	r.run(ctx, batches)
	if err := r.file.Close(); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// A recorder writes one recording.
type recorder struct {
	engine   engine.Engine
	log      engine.RequestLog
	file     *history.File
	snapshot engine.Snapshot
	requests chan engine.Event // that ended and are to be asked for; closed by run
}

// introduce tells the history of the connections that are there already.
func (r *recorder) introduce() {
	connections := slices.Clone(r.snapshot.Connections)
	slices.SortStableFunc(connections, func(a, b engine.Connection) int { return a.Opened.Compare(b.Opened) })
	for i := range connections {
		c := &connections[i]
		e := engine.Event{Time: c.Opened, Kind: engine.KindConnectionOpened, Connection: c.ID, Client: c.Client, Peer: c.Peer, Protocol: c.Protocol, Server: c.Server}
		r.file.Add(&e)
		if c.Greeting != nil && !c.GreetingReady.IsZero() {
			e.Time, e.Kind, e.Greeting = c.GreetingReady, engine.KindGreetingReceived, c.Greeting
			r.file.Add(&e)
		}
	}
	r.file.Sample(&r.snapshot)
}

// run records until there is nothing more.
func (r *recorder) run(ctx context.Context, batches <-chan engine.Batch) {
	// What has been told before the end is still asked for after it.
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wait sync.WaitGroup
	for range askers {
		wait.Go(func() {
			for e := range r.requests {
				r.ask(asking, &e)
			}
		})
	}
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for open := true; open; {
		select {
		case b, ok := <-batches:
			if open = ok; ok {
				r.take(&b)
			}
		case <-tick.C:
			r.sample(ctx)
		}
	}
	r.sample(context.WithoutCancel(ctx)) // as it was at the end
	close(r.requests)
	stop := time.AfterFunc(finishing, cancel)
	defer stop.Stop()
	wait.Wait()
}

func (r *recorder) take(b *engine.Batch) {
	if b.Dropped > 0 {
		r.file.Lost(*b)
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.Kind == engine.KindRequestFinished && e.Request != nil && r.captured(e.Request) {
			select {
			case r.requests <- *e:
				continue
			default:
			}
		}
		r.file.Add(e)
	}
}

// captured reports whether there may be something of a request that does not come
// with its event.
func (r *recorder) captured(x *engine.Request) bool {
	c := &r.snapshot.Capture
	switch {
	case x.Captured != nil:
		return false
	case x.Replay, c.Mode == engine.CaptureContent, len(c.Content) > 0:
		return true
	}
	return c.Mode == engine.CaptureHeads && x.Heads == nil
}

// ask adds an event with what is captured of its request.
func (r *recorder) ask(ctx context.Context, e *engine.Event) {
	x := *e.Request
	if x.Heads == nil {
		if kept, err := r.log.Request(ctx, x.ID); err == nil {
			x.Heads = kept.Heads
		}
	}
	var c engine.Content
	if err := r.log.Content(ctx, x.ID, &c); err == nil {
		x.Captured = (*captured)(&c)
	}
	e.Request = &x
	r.file.Add(e)
}

// sample writes the counters of now, unless they are not of now.
func (r *recorder) sample(ctx context.Context) {
	if linked, ok := r.engine.(engine.Linked); ok && linked.Link().Lost {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sampleEvery)
	defer cancel()
	if r.engine.Snapshot(ctx, &r.snapshot) == nil {
		r.file.Sample(&r.snapshot)
	}
}

// captured is content that was asked for.
type captured engine.Content

// Content implements [engine.Captured].
func (c *captured) Content(into *engine.Content) bool {
	messages := into.Messages[:0]
	request, response := into.Request.Data[:0], into.Response.Data[:0]
	*into = engine.Content(*c)
	into.Request.Data, into.Response.Data = append(request, c.Request.Data...), append(response, c.Response.Data...)
	into.Messages = append(messages, c.Messages...)
	return true
}
