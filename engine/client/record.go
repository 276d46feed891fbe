package client

import (
	"net/http"
	"strings"

	"adit/engine"
	"adit/engine/observe"
)

// announce publishes the start. The record is not written yet.
func (x *exchange) announce() {
	x.untold = false
	begun := *x.rec
	begun.Live = x.live
	x.n.c.o.Bus.Publish(x.n.event(engine.KindRequestStarted, &begun))
}

func (x *exchange) record() *engine.Request {
	rec := &engine.Request{
		ID:         x.id,
		Connection: x.n.id,
		Client:     x.n.c.o.ID,
		Caller:     x.n.e.address,
		Protocol:   x.n.session.Protocol(),
		Arrived:    x.in.Arrived(),
		Queued:     -1, Sent: -1, Connect: -1, FirstByte: -1, LastByte: -1,
	}
	if to, ok := x.in.Connect(); ok {
		rec.Method, rec.Target = http.MethodConnect, to.Target
		if to.Route > 0 && to.Route <= uint64(len(x.n.c.routes)) {
			rec.Target = x.n.c.routes[to.Route-1].name()
		}
		rec.Target = strings.Clone(engine.Bound(rec.Target))
		return rec
	}
	if p, ok := x.in.(*replay); ok {
		rec.Replay, rec.Caller = true, p.caller
	}
	r := x.in.Request()
	if r == nil {
		return rec
	}
	rec.Method = observe.Method(r.Method)
	if r.Path == "*" {
		rec.Target = observe.Target(r.Scheme + "://" + r.Authority)
	} else {
		rec.Target = observe.Target(r.Scheme + "://" + r.Authority + r.Path)
	}
	return rec
}
