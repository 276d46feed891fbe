package trace

import (
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"adit/engine"
)

var began = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// traced is a record of a request that ended well.
func traced() engine.Request {
	return engine.Request{
		ID: 17, Connection: 3, Client: "edge", Caller: "192.0.2.9:4711", Way: engine.WayHost, Protocol: engine.ProtocolNative,
		Method: "GET", Target: "https://app.example.com/orders?page=3&token=***", Status: 200, RequestBytes: 3, ResponseBytes: 345,
		Arrived: began, Queued: 1e6, Sent: 2e6, Connect: 3e6, FirstByte: 4e6, LastByte: 5e6, Outcome: engine.OutcomeCompleted,
		Trace: &engine.Trace{ID: [16]byte{1}, Parent: [8]byte{2}, Span: [8]byte{3}, State: "vendor=1"},
	}
}

func TestSpanThatSaysSomethingElse(t *testing.T) {
	for _, c := range []struct {
		what   string
		role   engine.Role
		change func(*engine.Request)
		name   string
		status tracepb.Status_StatusCode
		events int
		has    map[string]any
		hasNot []string
	}{
		{"at a server", engine.RoleServer, func(*engine.Request) {}, "GET", 0, 4, map[string]any{
			"http.request.method": "GET", "http.response.status_code": int64(200), "url.scheme": "https", "url.path": "/orders",
			"url.query": "page=3&token=***", "server.address": "app.example.com", "server.port": int64(443),
			"client.address": "192.0.2.9", "network.peer.address": "192.0.2.9", "network.peer.port": int64(4711),
			"network.protocol.name": "http", "network.transport": "tcp",
			"http.request.body.size": int64(3), "http.response.body.size": int64(345),
			"adit.request.id": "r-17", "adit.connection.id": "c-3", "adit.client.id": "edge", "adit.way": "host",
			"adit.outcome": "completed", "adit.protocol": "adit.v1",
		}, []string{"error.type", "url.full", "adit.origin.connection_reused", "adit.replay"}},
		{"at a client", engine.RoleClient, func(r *engine.Request) { r.Way, r.Queued, r.Sent, r.Connect = 0, -1, -1, 0 }, "GET", 0, 1, map[string]any{
			"url.full": "https://app.example.com/orders?page=3&token=***", "server.address": "app.example.com", "server.port": int64(443),
			"adit.origin.connection_reused": true,
		}, []string{"url.path", "client.address", "adit.way", "error.type"}},
		{"an origin's error, at a server", engine.RoleServer, func(r *engine.Request) { r.Status = 503 }, "GET", 2, 4,
			map[string]any{"error.type": "503"}, nil},
		{"an origin that is not there, at a client", engine.RoleClient, func(r *engine.Request) {
			r.Status, r.Outcome, r.Connect, r.FirstByte = 502, engine.OutcomeOriginFailed, -1, -1
		}, "GET", 2, 2, map[string]any{"error.type": "origin_failed"}, []string{"http.response.status_code"}},
		{"a caller's error, at a server", engine.RoleServer, func(r *engine.Request) { r.Status = 404 }, "GET", 0, 4, nil, []string{"error.type"}},
		{"a caller's error, at a client", engine.RoleClient, func(r *engine.Request) { r.Status = 404 }, "GET", 2, 4,
			map[string]any{"error.type": "404"}, nil},
		{"refused", engine.RoleServer, func(r *engine.Request) {
			r.Status, r.Outcome, r.Reason, r.Connection = 403, engine.OutcomeRefused, "denied", 0
			r.Queued, r.Sent, r.Connect, r.FirstByte = -1, -1, -1, -1
		}, "GET", 0, 0, map[string]any{"adit.outcome": "refused"}, []string{"error.type", "adit.connection.id"}},
		{"no client", engine.RoleServer, func(r *engine.Request) { r.Status, r.Outcome = 503, engine.OutcomeRefused }, "GET", 2, 4,
			map[string]any{"error.type": "refused"}, nil},
		{"truncated", engine.RoleServer, func(r *engine.Request) { r.Outcome = engine.OutcomeTruncated }, "GET", 2, 4,
			map[string]any{"error.type": "truncated", "http.response.status_code": int64(200)}, nil},
		{"the caller left", engine.RoleServer, func(r *engine.Request) { r.Status, r.Outcome = 499, engine.OutcomeCallerGone }, "GET", 0, 4,
			map[string]any{"adit.outcome": "caller_gone"}, []string{"error.type"}},
		{"a method that somebody invented", engine.RoleServer, func(r *engine.Request) { r.Method = "BREW" }, "HTTP", 0, 4,
			map[string]any{"http.request.method": "_OTHER", "http.request.method_original": "BREW"}, nil},
		{"a byte stream", engine.RoleServer, func(r *engine.Request) {
			r.Way, r.Method, r.Target, r.Status = engine.WayTCP, "", "tcp:20005", 0
		}, "TCP", 0, 4, map[string]any{"adit.way": "tcp"}, []string{"http.request.method", "http.response.status_code", "server.address", "network.protocol.name"}},
		{"CONNECT", engine.RoleServer, func(r *engine.Request) { r.Method, r.Target = "CONNECT", "db.internal:5432" }, "CONNECT", 0, 4,
			map[string]any{"server.address": "db.internal", "server.port": int64(5432)}, []string{"url.path"}},
		{"bytes that are no text", engine.RoleServer, func(r *engine.Request) { r.Client = "a\xffb" }, "GET", 0, 4,
			map[string]any{"adit.client.id": "a\uFFFDb"}, nil},
		{"a replay, by an address of 16 bytes", engine.RoleServer, func(r *engine.Request) {
			r.Replay, r.Caller, r.Target = true, "[2001:db8::1]:99", "http://[2001:db8::2]/"
		}, "GET", 0, 4, map[string]any{"adit.replay": true, "client.address": "2001:db8::1", "server.address": "2001:db8::2", "server.port": int64(80)}, nil},
	} {
		r := traced()
		c.change(&r)
		x := &Exporter{role: c.role}
		s := x.span(&r)
		if kind := s.GetKind(); (kind == tracepb.Span_SPAN_KIND_CLIENT) != (c.role == engine.RoleClient) {
			t.Errorf("%s: kind %v", c.what, kind)
		}
		if s.GetName() != c.name || s.GetStatus().GetCode() != c.status || len(s.GetEvents()) != c.events {
			t.Errorf("%s: name %q, status %v, %d events", c.what, s.GetName(), s.GetStatus(), len(s.GetEvents()))
		}
		said := attributesOf(s)
		for key, want := range c.has {
			if said[key] != want {
				t.Errorf("%s: %s is %v, want %v", c.what, key, said[key], want)
			}
		}
		for _, key := range c.hasNot {
			if v, there := said[key]; there {
				t.Errorf("%s: %s is %v, and should not be there", c.what, key, v)
			}
		}
	}
}

func TestSpanOutOfPlaceOrTime(t *testing.T) {
	r := traced()
	x := &Exporter{role: engine.RoleServer}
	s := x.span(&r)
	if hexed(s.GetTraceId()) != "01000000000000000000000000000000" || hexed(s.GetSpanId()) != "0300000000000000" ||
		hexed(s.GetParentSpanId()) != "0200000000000000" || s.GetTraceState() != "vendor=1" || s.GetFlags() != 0x301 {
		t.Errorf("%v", s)
	}
	start := uint64(began.UnixNano())
	if s.GetStartTimeUnixNano() != start || s.GetEndTimeUnixNano() != start+5e6 {
		t.Errorf("from %d to %d", s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
	}
	for i, e := range s.GetEvents() {
		if e.GetTimeUnixNano() != start+uint64(i+1)*1e6 {
			t.Errorf("%s at %d", e.GetName(), e.GetTimeUnixNano()-start)
		}
	}
	r.Trace = &engine.Trace{ID: [16]byte{1}, Span: [8]byte{3}}
	if s := x.span(&r); len(s.GetParentSpanId()) != 0 || s.GetFlags() != 0x101 {
		t.Errorf("a root has the parent %x and the flags %x", s.GetParentSpanId(), s.GetFlags())
	}
}
