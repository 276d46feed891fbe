package trace

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"adit/engine"
	"adit/engine/client"
	"adit/engine/observe"
	"adit/engine/server"
)

// ends are a server and a client, each with an exporter where it traces.
type ends struct {
	front string
	got   *receiver
	saw   chan http.Header // what the origin was asked with
}

// tunnel starts a server and a client whose tracers are these, nil for none.
func tunnel(t *testing.T, atServer, atClient *observe.Tracer) *ends {
	t.Helper()
	x := &ends{got: newReceiver(t, nil), saw: make(chan http.Header, 16)}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.saw <- r.Header.Clone()
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(origin.Close)
	watch := func(e engine.Engine, bus *observe.Bus, tracer *observe.Tracer, service string) {
		if tracer == nil {
			t.Cleanup(bus.Close)
			return
		}
		exporter, err := New(Options{Engine: e, URL: x.got.URL, Service: service})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			bus.Close()
			exporter.Close()
		})
	}

	bus := observe.NewBus()
	srv, err := server.New(server.Options{Name: "edge", Domain: "example.test", Bus: bus, Tracer: atServer, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	watch(srv, bus, atServer, "adit-server")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.front = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})

	bus = observe.NewBus()
	cl, err := client.New(client.Options{ID: "pi", Servers: []string{"ws://" + x.front + "/register"}, Bus: bus, Tracer: atClient, Grace: time.Second,
		Expose: []client.Expose{{Host: "app", Origin: origin.URL}}})
	if err != nil {
		t.Fatal(err)
	}
	watch(cl, bus, atClient, "adit-client")
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- cl.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ran
	})
	eventually(t, "the client is registered", func() bool { return cl.Ready() == nil })
	return x
}

// ask sends a request with some fields and returns those that the origin got.
func (x *ends) ask(t *testing.T, fields http.Header) http.Header {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+x.front+"/orders?token=s3cret", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "app.example.test"
	for name, values := range fields {
		r.Header[name] = values
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "hello" {
		t.Fatalf("%s %q %v", resp.Status, text, err)
	}
	return <-x.saw
}

// both returns the spans of one exchange by kind.
func both(t *testing.T, spans []*tracepb.Span) (atServer, atClient *tracepb.Span) {
	t.Helper()
	for _, s := range spans {
		switch s.GetKind() {
		case tracepb.Span_SPAN_KIND_SERVER:
			atServer = s
		case tracepb.Span_SPAN_KIND_CLIENT:
			atClient = s
		}
	}
	if atServer == nil || atClient == nil || len(spans) != 2 {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	return atServer, atClient
}

const callersParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// Where the caller tells no trace the server begins one, which reaches the origin,
// and the client's span is below the server's.
func TestTraceThatFallsApartOnTheWay(t *testing.T) {
	t.Parallel()
	x := tunnel(t, observe.NewTracer(1), observe.NewTracer(0))
	head := x.ask(t, http.Header{"Tracestate": {"orphan=1"}})
	atServer, atClient := both(t, x.got.await(t, 2))
	if len(atServer.GetParentSpanId()) != 0 || hexed(atClient.GetTraceId()) != hexed(atServer.GetTraceId()) ||
		hexed(atClient.GetParentSpanId()) != hexed(atServer.GetSpanId()) {
		t.Errorf("server %v\nclient %v", atServer, atClient)
	}
	if want := "00-" + hexed(atServer.GetTraceId()) + "-" + hexed(atServer.GetSpanId()) + "-01"; head.Get("Traceparent") != want || head.Get("Tracestate") != "" {
		t.Errorf("the origin got %q %q, want %q", head.Get("Traceparent"), head.Get("Tracestate"), want)
	}
	said := attributesOf(atServer)
	if said["http.response.status_code"] != int64(200) || said["server.address"] != "app.example.test" || said["url.path"] != "/orders" || said["adit.client.id"] != "pi" {
		t.Errorf("the server's span says %v", said)
	}
	if atClient.GetEndTimeUnixNano() > atServer.GetEndTimeUnixNano()+uint64(time.Second) || atServer.GetStartTimeUnixNano() == 0 || len(atServer.GetEvents()) < 3 {
		t.Errorf("server from %d to %d, %v", atServer.GetStartTimeUnixNano(), atServer.GetEndTimeUnixNano(), atServer.GetEvents())
	}
	for _, s := range []*tracepb.Span{atServer, atClient} {
		if strings.Contains(s.String(), "s3cret") {
			t.Errorf("a secret of the traffic is in %v", s)
		}
	}
}

// What the caller tells passes as it is, and both spans are below the caller's.
func TestTraceparentThatIsChanged(t *testing.T) {
	t.Parallel()
	x := tunnel(t, observe.NewTracer(0), observe.NewTracer(0))
	head := x.ask(t, http.Header{"Traceparent": {callersParent}, "Tracestate": {"vendor=1,other=2"}})
	if head.Get("Traceparent") != callersParent || head.Get("Tracestate") != "vendor=1,other=2" {
		t.Errorf("the origin got %q %q", head.Get("Traceparent"), head.Get("Tracestate"))
	}
	atServer, atClient := both(t, x.got.await(t, 2))
	for _, s := range []*tracepb.Span{atServer, atClient} {
		if hexed(s.GetTraceId()) != callersParent[3:35] || hexed(s.GetParentSpanId()) != callersParent[36:52] || s.GetTraceState() != "vendor=1,other=2" {
			t.Errorf("%v", s)
		}
	}
}

// Who says that a trace is not sampled is obeyed at both ends, and so is chance.
func TestTraceThatNobodyWants(t *testing.T) {
	t.Parallel()
	silent := callersParent[:53] + "00"
	x := tunnel(t, observe.NewTracer(1), observe.NewTracer(1))
	if head := x.ask(t, http.Header{"Traceparent": {silent}}); head.Get("Traceparent") != silent {
		t.Errorf("the origin got %q", head.Get("Traceparent"))
	}
	x.ask(t, nil) // comes after it
	for _, s := range x.got.await(t, 2) {
		if hexed(s.GetTraceId()) == silent[3:35] {
			t.Errorf("a span of it is sent: %v", s)
		}
	}
	never := tunnel(t, observe.NewTracer(0), observe.NewTracer(1))
	if head := never.ask(t, nil); !strings.HasSuffix(head.Get("Traceparent"), "-00") {
		t.Errorf("the origin is not told that the trace is not sampled: %q", head.Get("Traceparent"))
	}
}

// Without tracing nothing is added, and what the caller sends passes.
func TestFieldThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	x := tunnel(t, nil, nil)
	if head := x.ask(t, nil); head.Get("Traceparent") != "" || head.Get("Tracestate") != "" {
		t.Errorf("the origin got %v", head)
	}
	if head := x.ask(t, http.Header{"Traceparent": {"nonsense"}, "Tracestate": {"a=1"}}); head.Get("Traceparent") != "nonsense" || head.Get("Tracestate") != "a=1" {
		t.Errorf("the origin got %v", head)
	}
}

// Only the client traces: it begins, and the origin goes on.
func TestClientThatTracesAlone(t *testing.T) {
	t.Parallel()
	x := tunnel(t, nil, observe.NewTracer(1))
	head := x.ask(t, http.Header{"Traceparent": {"nonsense"}})
	spans := x.got.await(t, 1)
	if want := "00-" + hexed(spans[0].GetTraceId()) + "-" + hexed(spans[0].GetSpanId()) + "-01"; len(head["Traceparent"]) != 1 || head.Get("Traceparent") != want {
		t.Errorf("the origin got %q, want %q", head["Traceparent"], want)
	}
}
