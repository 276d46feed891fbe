package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/observe"
)

// watchLink is how often a verb that follows looks whether data still comes.
const watchLink = 200 * time.Millisecond

func newTail(p *Process) *cobra.Command {
	var (
		number int
		limit  time.Duration
		once   bool
	)
	cmd := &cobra.Command{
		Use:   "tail [WHAT]",
		Short: "Follow requests or events of a run",
		Long: "Print requests as they end (without a word), events, or what happens to connections, until SIGINT. " +
			"When the run goes away, it waits for it to come back and says so on stderr; what was missed " +
			"meanwhile counts in a line of the kind dropped. With --once it ends with exit code 5 instead.",
		Example: `adit tail
adit tail --filter 'status:>=500' --json | jq .target
adit tail -n 20 --filter 'client:edge-3 dur:>1s'
adit tail connections
adit tail events --for 10m --json >> events.ndjson`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"requests", "events", "connections"},
	}
	f := addRemote(cmd)
	f.addJSON(cmd)
	f.addFilter(cmd, "print only what this selects,", "status:>=500 dur:>200ms -path:/health")
	cmd.Flags().IntVarP(&number, "number", "n", 0, "past lines to begin with [N]")
	cmd.Flags().DurationVar(&limit, "for", 0, "end after this time; 0 never [DURATION]")
	cmd.Flags().BoolVar(&once, "once", false, "end when the run goes away, instead of waiting for it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		what := cmp.Or(first(args), "requests")
		subject := filter.Events
		if what == "requests" {
			subject = filter.Requests
		}
		narrow, err := parseFilter(subject, f.filter)
		if err == nil && number < 0 {
			err = &exit{codeUsage, errors.New("-n is less than 0")}
		}
		if err != nil {
			return p.verb(func(context.Context) error { return err })(cmd, args)
		}
		return p.over(f, func(ctx context.Context, s *session, _ []string) error {
			if limit > 0 {
				bounded, cancel := context.WithTimeout(ctx, limit)
				defer cancel()
				ctx = bounded
			}
			t := &follower{session: s, what: what, filter: narrow, once: once}
			return t.follow(ctx, number)
		})(cmd, args)
	}
	return cmd
}

// kindsToFollow returns what is subscribed to.
func kindsToFollow(what string) engine.Kinds {
	switch what {
	case "requests":
		return engine.KindSet(engine.KindRequestFinished)
	case "connections":
		return engine.KindSet(engine.KindConnectionOpened, engine.KindGreetingReceived, engine.KindGreetingRejected, engine.KindConnectionClosed)
	}
	return engine.KindsLifecycle
}

// A follower prints what comes.
type follower struct {
	*session
	what   string
	filter *filter.Filter
	once   bool

	labels  filter.Context
	told    map[engine.RequestID]bool // requests of the past that were printed
	newest  uint64                    // Seq of the newest event that is not of the past
	line    []byte
	lost    bool // said so
	lostAt  time.Time
	printed bool // titles
}

// follow prints the past and then what comes, until ctx ends, when it returns
// nil.
func (t *follower) follow(ctx context.Context, past int) error {
	heads := t.filter.Needs()&filter.NeedsHeads != 0
	o := engine.SubscribeOptions{Kinds: kindsToFollow(t.what), Heads: heads}
	if t.what == "requests" {
		o.Filter = t.filter.String() // the other end need not send what is not printed
	}
	batches, err := t.remote.Subscribe(ctx, o)
	if err != nil {
		return err
	}
	if snap, err := t.snapshot(ctx); err == nil {
		t.labels = *labelsOf(snap)
	}
	if past > 0 {
		if err := t.past(ctx, past); err != nil {
			return err
		}
	}
	tick := time.NewTicker(watchLink)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case batch, open := <-batches:
			if !open {
				if ctx.Err() != nil {
					return nil
				}
				return &exit{codeLost, fmt.Errorf("%s has ended", t.address)}
			}
			if err := t.batch(&batch); err != nil {
				return err
			}
		case <-tick.C:
			if err := t.link(); err != nil {
				return err
			}
		}
	}
}

// past prints what was there before.
func (t *follower) past(ctx context.Context, number int) error {
	if t.what == "requests" {
		t.told = map[engine.RequestID]bool{}
		q := engine.RequestQuery{Filter: endedOnly(t.flags.filter)}
		var newest []engine.Request
		err := t.eachRequest(ctx, q, number, func(list []engine.Request) error {
			newest = append(newest, list...)
			return nil
		})
		if err != nil {
			return err
		}
		t.line = t.line[:0]
		for i := len(newest) - 1; i >= 0; i-- {
			r := &newest[i]
			t.told[r.ID] = true
			t.request(r, &engine.Event{Time: r.Arrived.Add(max(r.LastByte, 0)), Kind: engine.KindRequestFinished, Request: r})
		}
		return t.write(t.line)
	}
	events, err := t.pastEvents(ctx, number)
	if err != nil {
		return err
	}
	t.line = t.line[:0]
	kinds := kindsToFollow(t.what)
	for i := range events {
		e := &events[i]
		if t.newest = max(t.newest, e.Seq); kinds.Has(e.Kind) {
			t.line = t.appendEvent(t.line, e)
		}
	}
	return t.write(t.line)
}

// endedOnly narrows a filter of requests to those that are over.
func endedOnly(text string) string {
	if text == "" {
		return "-is:inflight"
	}
	return "-is:inflight (" + text + ")"
}

// batch prints those events of a batch that the filter selects.
func (t *follower) batch(batch *engine.Batch) error {
	t.line = t.line[:0]
	if batch.Dropped > 0 {
		t.gap(batch)
	}
	t.labels.Now = time.Now()
	for i := range batch.Events {
		e := &batch.Events[i]
		switch {
		case t.what == "requests":
			if e.Request != nil && !t.told[e.Request.ID] && t.filter.Request(e.Request, &t.labels) {
				t.request(e.Request, e)
			}
		case e.Seq > t.newest && t.filter.Event(e, &t.labels):
			t.line = t.appendEvent(t.line, e)
		}
		if len(t.line) >= 64<<10 {
			if err := t.write(t.line); err != nil {
				return err
			}
			t.line = t.line[:0]
		}
	}
	return t.write(t.line)
}

// request appends the line of a request that ended.
func (t *follower) request(r *engine.Request, e *engine.Event) {
	if t.flags.json {
		at := len(t.line)
		t.line = append(observe.AppendEvent(t.line, e), '\n')
		if e.Seq == 0 { // of the past: nobody knows it any more
			t.line = append(t.line[:at], bytes.Replace(t.line[at:], []byte(`"seq":0,`), nil, 1)...)
		}
		return
	}
	if !t.printed {
		t.line, t.printed = appendRequestTitles(t.line), true
	}
	t.line = t.appendRequest(t.line, r, e.Time)
}

// gap appends what stands for events that did not come.
func (t *follower) gap(batch *engine.Batch) {
	if t.flags.json {
		t.line = observe.AppendDropped(t.line, *batch)
		return
	}
	t.line = append(t.line, "── "...)
	t.line = strconv.AppendUint(t.line, batch.Dropped, 10)
	if batch.Dropped == 1 {
		t.line = append(t.line, " event"...)
	} else {
		t.line = append(t.line, " events"...)
	}
	t.line = append(t.line, " did not come here ──\n"...)
}

// link says when the run goes away and when it comes back.
func (t *follower) link() error {
	l := t.remote.Link()
	switch {
	case l.Lost && t.once:
		return &exit{codeLost, fmt.Errorf("%s is gone: %s", t.address, printable(l.Cause))}
	case l.Lost && !t.lost:
		t.lost, t.lostAt = true, time.Now()
		t.say("%s is gone: %s; waiting for it to come back", t.address, l.Cause)
	case !l.Lost && t.lost:
		t.lost = false
		t.say("%s is back after %s", t.address, durationText(time.Since(t.lostAt)))
		t.told, t.newest = nil, 0 // another process may count anew
	}
	return nil
}
