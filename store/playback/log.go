package playback

import (
	"context"
	"fmt"
	"time"

	"adit/engine"
)

// Requests implements [engine.RequestLog] with those that had arrived at the moment
// that is shown. Times in filters count from it. One that had not ended then is shown in flight;
// filters and orders know it as it was at its end.
func (r *Recording) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	begun := time.Now()
	at, _ := r.now()
	q.Now = at.Local()
	m, err := r.moment(ctx, at)
	if err != nil {
		return err
	}
	if m.request == 0 {
		// Nothing has arrived. What is wrong with a filter is wrong all the same.
		q.Until, q.Count = 1, 0
		if err := r.log.Requests(ctx, q, into); err != nil {
			return err
		}
		*into = engine.RequestPage{Requests: into.Requests[:0], Took: time.Since(begun)}
		return nil
	}
	// How many had arrived, and how many of them when the screen was paused.
	if err := r.log.Requests(ctx, engine.RequestQuery{Until: m.request, Complete: q.Complete}, into); err != nil {
		return err
	}
	kept, after := into.Matched, 0
	if q.Until > 0 && q.Until < m.request {
		if err := r.log.Requests(ctx, engine.RequestQuery{Until: q.Until, Complete: q.Complete}, into); err != nil {
			return err
		}
		after = kept - into.Matched
	} else {
		q.Until = m.request
	}
	if err := r.log.Requests(ctx, q, into); err != nil {
		return err
	}
	into.Kept, into.Capacity, into.Stored, into.After = kept, kept, 0, after
	into.Oldest, into.Newest = r.file.Oldest(), m.request
	for i := range into.Requests {
		asOf(&into.Requests[i], at)
	}
	into.Took = time.Since(begun)
	return nil
}

// asOf makes x, as it was at its end, what it was at a moment.
func asOf(x *engine.Request, at time.Time) {
	if x.LastByte < 0 || !x.Arrived.Add(x.LastByte).After(at) {
		return
	}
	live := new(engine.Live)
	live.Connection.Store(uint64(x.Connection))
	since := max(at.Sub(x.Arrived), 0)
	if x.FirstByte >= 0 && x.FirstByte <= since {
		live.Status.Store(int32(x.Status))
	} else {
		x.Status, x.FirstByte, x.Upgraded = 0, -1, false
	}
	for _, d := range []*time.Duration{&x.Queued, &x.Sent, &x.Connect} {
		if *d > since {
			*d = -1
		}
	}
	// How much had passed is not known.
	x.RequestBytes, x.ResponseBytes = 0, 0
	x.Outcome, x.Reason, x.Live, x.LastByte = engine.OutcomeNone, "", live, since
}

// Request implements [engine.RequestLog].
func (r *Recording) Request(ctx context.Context, id engine.RequestID) (engine.Request, error) {
	at, err := r.arrived(ctx, id)
	if err != nil {
		return engine.Request{}, err
	}
	x, err := r.log.Request(ctx, id)
	if err != nil {
		return x, err
	}
	asOf(&x, at)
	return x, nil
}

// arrived returns the moment that is shown, [engine.ErrNotFound] where a request had
// not arrived then.
func (r *Recording) arrived(ctx context.Context, id engine.RequestID) (time.Time, error) {
	at, _ := r.now()
	m, err := r.moment(ctx, at)
	if err == nil && id > m.request {
		err = fmt.Errorf("record %v: %w", id, engine.ErrNotFound)
	}
	return at, err
}

// Content implements [engine.RequestLog].
func (r *Recording) Content(ctx context.Context, id engine.RequestID, into *engine.Content) error {
	if _, err := r.arrived(ctx, id); err != nil {
		return err
	}
	return r.log.Content(ctx, id, into)
}

// Events implements [engine.RequestLog] with those that had happened. Times in filters
// count from the moment that is shown.
func (r *Recording) Events(ctx context.Context, q engine.EventQuery, into *engine.EventPage) error {
	at, _ := r.now()
	m, err := r.moment(ctx, at)
	if err != nil {
		return err
	}
	if q.Before == 0 || q.Before > m.event+1 {
		q.Before = m.event + 1
	}
	q.Now = at.Local()
	if err := r.file.Events(ctx, q, into); err != nil {
		return err
	}
	for i := range into.Events {
		into.Events[i].Seq = into.Keys[i]
	}
	return nil
}
