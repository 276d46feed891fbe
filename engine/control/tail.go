package control

import (
	"context"
	"net/http"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/engine/observe"
)

// labelsAge is how old the labels may be that a filter is told of.
const labelsAge = time.Second

// A selection says which events somebody wants.
type selection struct {
	s       *Server
	subject filter.Subject // 0: everything, without a filter
	kinds   engine.Kinds
	filter  *filter.Filter
	snap    engine.Snapshot // for labels and connections
	taken   time.Time
	context *filter.Context
}

// tail writes events as --headless does, from now on.
func (s *Server) tail(x *exchange) error {
	sel, err := s.selects(x)
	if err != nil {
		return err
	}
	heads, err := x.flag("heads")
	if err != nil {
		return err
	}
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(x.r.Context())
	defer cancel()
	asks := heads || sel.filter != nil && sel.filter.Needs()&filter.NeedsHeads != 0
	batches, err := s.o.Engine.Subscribe(ctx, engine.SubscribeOptions{Kinds: sel.kinds, Heads: asks})
	if err != nil {
		return err
	}
	out := newLines(x)
	defer out.close()
	if out.send(nil) != nil { // that it has begun
		return nil
	}
	var e encoder
	for b := range batches {
		e.b = e.b[:0]
		if b.Dropped > 0 {
			e.b = observe.AppendDropped(e.b, b)
		}
		for i := range b.Events {
			v := &b.Events[i]
			if !sel.takes(ctx, v) {
				continue
			}
			e.b = observe.AppendEvent(e.b, v)
			if heads && v.Request != nil {
				e.b = e.b[:len(e.b)-1]
				e.heads(v.Request.Heads, false)
				e.raw("}")
			}
			e.b = append(e.b, '\n')
			if len(e.b) >= maxChunk {
				if out.send(e.b) != nil {
					return nil
				}
				e.b = e.b[:0]
			}
		}
		if len(e.b) > 0 && out.send(e.b) != nil {
			return nil
		}
	}
	return nil
}

// selects reads what is wanted. The language of a filter is that of its subject.
func (s *Server) selects(x *exchange) (*selection, error) {
	sel := &selection{s: s}
	kinds := engine.KindsRequests
	switch subject := x.query("subject"); subject {
	case "":
	case "requests":
		sel.subject, kinds = filter.Requests, engine.KindSet(engine.KindRequestFinished)
	case "events":
		sel.subject, kinds = filter.Events, engine.KindsLifecycle
	case "connections":
		sel.subject = filter.Connections
		kinds = engine.KindSet(engine.KindConnectionOpened, engine.KindGreetingReceived, engine.KindConnectionClosed)
	default:
		return nil, fail(http.StatusBadRequest, "subject=%s: want requests, events or connections", engine.Bound(subject))
	}
	var err error
	if sel.kinds, err = parseKinds(x.query("kinds"), kinds); err != nil {
		return nil, err
	}
	text := x.query("filter")
	if text == "" {
		return sel, nil
	}
	if sel.subject == 0 {
		return nil, fail(http.StatusBadRequest, "a filter needs a subject: requests, events or connections, whose words differ")
	}
	if sel.filter, err = filter.Parse(sel.subject, text); err != nil {
		return nil, err
	}
	return sel, x.by.mayFilter(sel.filter)
}

// takes reports whether an event is wanted.
func (sel *selection) takes(ctx context.Context, v *engine.Event) bool {
	if sel.filter == nil {
		return true
	}
	now := time.Now()
	if sel.context == nil || now.Sub(sel.taken) > labelsAge && (sel.subject == filter.Connections || sel.filter.Needs()&filter.NeedsLabels != 0) {
		if sel.s.takeInto(ctx, &sel.snap) != nil {
			return false
		}
		sel.context, sel.taken = contextOf(&sel.snap), now
	}
	sel.context.Now = now
	switch sel.subject {
	case filter.Requests:
		return v.Request != nil && sel.filter.Request(v.Request, sel.context)
	case filter.Events:
		return sel.filter.Event(v, sel.context)
	}
	c := engine.Connection{ID: v.Connection}
	if i := sel.snap.Index(v.Connection); i >= 0 {
		c = sel.snap.Connections[i]
	}
	if c.Client == "" {
		c.Client = v.Client
	}
	if c.Peer == "" {
		c.Peer = v.Peer
	}
	if c.Protocol == 0 {
		c.Protocol = v.Protocol
	}
	if v.Greeting != nil {
		c.Greeting = v.Greeting
	}
	if v.Closed != nil {
		c.Traffic = *v.Closed
	}
	return sel.filter.Connection(&c, sel.context)
}
