package playback

import (
	"context"
	"slices"
	"time"

	"adit/engine"
)

const (
	// every is how often what has happened since is delivered.
	every = 100 * time.Millisecond

	defaultSlots = 4096
	maxSlots     = 65_536
	page         = 1000
)

// Subscribe implements [engine.Engine]: events are delivered as the moment that is
// shown passes them. A jump counts as one event that was lost, as does each that
// there were too many of. Requests are delivered when they had ended, their starts
// never.
func (r *Recording) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		return nil, engine.ErrNotRunning
	default:
	}
	if o.Kinds == 0 {
		o.Kinds = engine.KindsAll
	}
	if o.Slots <= 0 {
		o.Slots = defaultSlots
	}
	o.Slots = min(o.Slots, maxSlots)
	f := &feed{r: r, o: o, seeks: r.seeks, out: make(chan engine.Batch)}
	at := r.at(time.Now())
	r.running.Go(func() { f.deliver(ctx, at) })
	return f.out, nil
}

// A feed delivers to one subscriber.
type feed struct {
	r     *Recording
	o     engine.SubscribeOptions
	out   chan engine.Batch // closed when deliver returns
	seeks uint64

	event   uint64 // delivered up to this key
	request engine.RequestID
	flying  []engine.Request // had arrived and not ended
	page    engine.RequestPage
}

func (f *feed) deliver(ctx context.Context, at time.Time) {
	defer close(f.out)
	tick := time.NewTicker(every)
	defer tick.Stop()
	begun := f.begin(ctx, at)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-f.r.done:
			return
		}
		var b engine.Batch
		now, seeks := f.r.now()
		if seeks != f.seeks || !begun {
			b.Dropped = 1
			f.seeks, begun = seeks, f.begin(ctx, now)
		} else if f.next(ctx, now, &b) != nil {
			b.Dropped++ // what was not read can't be told
			begun = false
		}
		if len(b.Events) == 0 && b.Dropped == 0 {
			continue
		}
		select {
		case f.out <- b:
		case <-ctx.Done():
			return
		case <-f.r.done:
			return
		}
	}
}

// begin takes what is before a moment as delivered.
func (f *feed) begin(ctx context.Context, at time.Time) bool {
	m, err := f.r.moment(ctx, at)
	if err != nil {
		return false
	}
	f.event, f.request, f.flying = m.event, m.request, f.flying[:0]
	if m.request == 0 || !f.o.Kinds.Has(engine.KindRequestFinished) {
		return true
	}
	// Of those that had arrived, the newest may not have ended.
	if f.r.log.Requests(ctx, engine.RequestQuery{Count: page, Until: m.request, Complete: true}, &f.page) != nil {
		return false
	}
	for i := range f.page.Requests {
		if x := f.page.Requests[i]; x.Arrived.Add(x.LastByte).After(at) {
			f.flying = append(f.flying, x)
		}
	}
	return true
}

// next collects what has happened up to a moment.
func (f *feed) next(ctx context.Context, at time.Time, b *engine.Batch) error {
	m, err := f.r.moment(ctx, at)
	if err != nil {
		return err
	}
	if m.event > f.event {
		if err := f.events(ctx, m.event, b); err != nil {
			return err
		}
		slices.Reverse(b.Events)
	}
	if f.o.Kinds.Has(engine.KindRequestFinished) {
		if err := f.requests(ctx, at, m, b); err != nil {
			return err
		}
	}
	f.event = m.event
	slices.SortStableFunc(b.Events, func(x, y engine.Event) int { return x.Time.Compare(y.Time) })
	if more := len(b.Events) - f.o.Slots; more > 0 {
		b.Events = b.Events[more:]
		b.Dropped += uint64(more)
	}
	return nil
}

// events collects those up to a key, the newest first to be bounded.
func (f *feed) events(ctx context.Context, upTo uint64, b *engine.Batch) error {
	q := engine.EventQuery{Before: upTo + 1, Count: page}
	for len(b.Events) <= f.o.Slots {
		var p engine.EventPage
		if err := f.r.file.Events(ctx, q, &p); err != nil {
			return err
		}
		for i := range p.Events {
			if p.Keys[i] <= f.event {
				return nil
			}
			if e := &p.Events[i]; f.o.Kinds.Has(e.Kind) {
				e.Seq = p.Keys[i]
				b.Events = append(b.Events, *e)
			}
			q.Before = p.Keys[i]
		}
		if !p.More {
			return nil
		}
	}
	b.Dropped++ // at least
	return nil
}

// requests collects those that had ended.
func (f *feed) requests(ctx context.Context, at time.Time, m moment, b *engine.Batch) error {
	for f.request < m.request {
		q := engine.RequestQuery{Ascending: true, Count: page, At: f.request + 1, Until: m.request, Complete: true}
		if err := f.r.log.Requests(ctx, q, &f.page); err != nil {
			return err
		}
		for i := range f.page.Requests {
			x := f.page.Requests[i]
			f.request = max(f.request, x.ID)
			f.flying = append(f.flying, x)
		}
		if len(f.page.Requests) < page {
			f.request = m.request
		}
		if more := len(f.flying) - f.o.Slots; more > 0 {
			f.flying = slices.Delete(f.flying, 0, more)
			b.Dropped += uint64(more)
		}
	}
	f.flying = slices.DeleteFunc(f.flying, func(x engine.Request) bool {
		end := x.Arrived.Add(max(x.LastByte, 0))
		if end.After(at) && at.Before(f.r.to) {
			return false
		}
		b.Events = append(b.Events, engine.Event{Seq: m.event, Time: end, Kind: engine.KindRequestFinished, Connection: x.Connection, Client: x.Client, Request: &x})
		return true
	})
	return nil
}
