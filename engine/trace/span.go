package trace

import (
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"adit/engine"
)

// Flags of a span (opentelemetry-proto, SpanFlags).
const (
	flagSampled      = 0x001
	flagRemoteKnown  = 0x100
	flagParentRemote = 0x200
)

// span makes one of a record, with the names of the semantic conventions for HTTP
// (1.27, stable), and our own under "adit.".
func (x *Exporter) span(r *engine.Request) *tracepb.Span {
	t := r.Trace
	s := &tracepb.Span{
		TraceId: t.ID[:], SpanId: t.Span[:], TraceState: t.State, Flags: flagSampled | flagRemoteKnown,
		Kind:              tracepb.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: nanos(r.Arrived), EndTimeUnixNano: nanos(r.Arrived.Add(max(r.LastByte, 0))),
	}
	if t.Parent != [8]byte{} {
		s.ParentSpanId = t.Parent[:]
		s.Flags |= flagParentRemote
	}
	if x.role == engine.RoleClient {
		s.Kind = tracepb.Span_SPAN_KIND_CLIENT
	}
	a := newAttributes()
	s.Name = a.method(r)
	if x.role == engine.RoleClient {
		a.toOrigin(r)
	} else {
		a.fromCaller(r)
	}
	if r.Status >= 100 && (x.role == engine.RoleServer || r.FirstByte >= 0) { // a client's own answer is none that came
		a.number("http.response.status_code", int64(r.Status))
	}
	a.number("http.request.body.size", r.RequestBytes)
	a.number("http.response.body.size", r.ResponseBytes)
	if fault := faultOf(r, x.role); fault != "" {
		a.text("error.type", fault)
		s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: valid(r.Reason)}
	}
	a.text("adit.request.id", r.ID.String())
	if r.Connection != 0 {
		a.text("adit.connection.id", r.Connection.String())
		a.text("adit.protocol", r.Protocol.String())
	}
	a.text("adit.client.id", r.Client)
	if r.Way != 0 {
		a.text("adit.way", r.Way.String())
	}
	a.text("adit.outcome", r.Outcome.String())
	if r.Replay {
		a.yes("adit.replay")
	}
	if r.Connect == 0 {
		a.yes("adit.origin.connection_reused")
	}
	s.Attributes = a.list
	s.Events = waterfall(r)
	return s
}

// waterfall returns what is known of the way of a request, in order.
func waterfall(r *engine.Request) []*tracepb.Span_Event {
	var all []*tracepb.Span_Event
	room := make([]tracepb.Span_Event, 0, 4)
	for _, step := range [...]struct {
		name string
		at   time.Duration
	}{
		{"connection to the client found", r.Queued}, {"request sent", r.Sent},
		{"connection to the origin ready", r.Connect}, {"first byte of the response", r.FirstByte},
	} {
		if step.at < 0 || step.at == 0 && step.name == "connection to the origin ready" {
			continue // not reached, not known, or used again
		}
		room = room[:len(room)+1]
		e := &room[len(room)-1]
		e.Name, e.TimeUnixNano = step.name, nanos(r.Arrived.Add(step.at))
		all = append(all, e)
	}
	return all
}

// faultOf returns the error.type of a request that is an error of the kind of span
// that its end has; "" where it is none.
func faultOf(r *engine.Request, role engine.Role) string {
	least := 500
	if role == engine.RoleClient {
		least = 400
	}
	switch {
	case r.Outcome == engine.OutcomeCallerGone:
		return ""
	case r.Outcome == engine.OutcomeRefused && r.Status != 0 && r.Status < least:
		return "" // the answer is what it has to be
	case r.Outcome != engine.OutcomeCompleted:
		return r.Outcome.String()
	case r.Status >= least:
		return strconv.Itoa(r.Status)
	}
	return ""
}

// maxAttributes is how many a span has at most.
const maxAttributes = 24

// A piece is the memory of one attribute, of whatever type.
type piece struct {
	pair   commonpb.KeyValue
	value  commonpb.AnyValue
	text   commonpb.AnyValue_StringValue
	number commonpb.AnyValue_IntValue
	yes    commonpb.AnyValue_BoolValue
}

// attributes grow by what is known. They are made of one allocation, not of three
// for each.
type attributes struct {
	list []*commonpb.KeyValue
	free []piece
}

func newAttributes() *attributes {
	return &attributes{list: make([]*commonpb.KeyValue, 0, maxAttributes), free: make([]piece, maxAttributes)}
}

// next returns the memory of one more, whose key is set.
func (a *attributes) next(key string) *piece {
	if len(a.free) == 0 {
		a.free = make([]piece, 1)
	}
	p := &a.free[0]
	a.free = a.free[1:]
	p.pair.Key, p.pair.Value = key, &p.value
	a.list = append(a.list, &p.pair)
	return p
}

func (a *attributes) text(key, value string) {
	if value == "" {
		return
	}
	p := a.next(key)
	p.text.StringValue = valid(value)
	p.value.Value = &p.text
}

func (a *attributes) number(key string, value int64) {
	p := a.next(key)
	p.number.IntValue = value
	p.value.Value = &p.number
}

func (a *attributes) yes(key string) {
	p := a.next(key)
	p.yes.BoolValue = true
	p.value.Value = &p.yes
}

// method adds the method and returns the name of the span, which is one of few.
func (a *attributes) method(r *engine.Request) string {
	switch r.Method {
	case "":
		return "TCP"
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		a.text("http.request.method", r.Method)
		return r.Method
	}
	a.text("http.request.method", "_OTHER")
	a.text("http.request.method_original", r.Method)
	return "HTTP"
}

// fromCaller adds what a server's span has. Secrets in the query are masked in the
// record.
func (a *attributes) fromCaller(r *engine.Request) {
	if u := a.target(r); u != nil {
		a.text("url.scheme", u.Scheme)
		a.text("url.path", u.EscapedPath())
		a.text("url.query", u.RawQuery)
	}
	if host, port := hostPort(r.Caller); host != "" {
		a.text("client.address", host)
		a.text("network.peer.address", host)
		if port > 0 {
			a.number("network.peer.port", port)
		}
	}
	if r.Method != "" {
		a.text("network.protocol.name", "http")
	}
	a.text("network.transport", "tcp")
}

// toOrigin adds what a client's span has.
func (a *attributes) toOrigin(r *engine.Request) {
	if u := a.target(r); u != nil {
		a.text("url.full", r.Target)
	}
	if r.Method != "" {
		a.text("network.protocol.name", "http")
	}
	a.text("network.transport", "tcp")
}

// target adds whom the request is for, and returns its URL; nil where it has none.
func (a *attributes) target(r *engine.Request) *url.URL {
	authority, scheme := r.Target, ""
	var u *url.URL
	if strings.Contains(r.Target, "://") {
		parsed, err := url.Parse(r.Target)
		if err != nil {
			return nil
		}
		u, authority, scheme = parsed, parsed.Host, parsed.Scheme
	} else if r.Method == "" {
		return nil // a port of ours
	}
	host, port := hostPort(authority)
	if port == 0 {
		switch scheme {
		case "http":
			port = 80
		case "https":
			port = 443
		}
	}
	a.text("server.address", host)
	if host != "" && port > 0 {
		a.number("server.port", port)
	}
	return u
}

// hostPort returns the parts of an authority; port 0 where it has none.
func hostPort(authority string) (host string, port int64) {
	h, p, err := net.SplitHostPort(authority)
	if err != nil {
		return strings.Trim(authority, "[]"), 0
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return h, 0
	}
	return h, int64(n)
}

// resource says whose spans these are.
func (x *Exporter) resource() *resourcepb.Resource {
	a := newAttributes()
	a.text("service.name", x.o.Service)
	a.text("service.instance.id", x.o.Name)
	a.text("service.version", x.o.Version)
	return &resourcepb.Resource{Attributes: a.list}
}

func nanos(t time.Time) uint64 { return uint64(max(t.UnixNano(), 0)) }

// valid makes text fit for a message: it comes from the network.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
