package metrics

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/observe"
)

// busy is a server to which everything has happened.
func busy() engine.Snapshot {
	traffic := engine.Traffic{BytesIn: 10, BytesOut: 20, FramesIn: engine.Frames{Binary: 3, Ping: 1}, FramesOut: engine.Frames{Binary: 4, Pong: 1}}
	return engine.Snapshot{
		Role: engine.RoleServer, Name: "edge", Version: "1.2.3", Listen: []string{"127.0.0.1:8080"}, Waiting: 3,
		Connections: []engine.Connection{
			{ID: 1, Client: "pi", Protocol: engine.ProtocolNative, State: engine.StateBusy, InFlight: 2, Traffic: traffic},
			{ID: 2, Client: "pi", Protocol: engine.ProtocolNative, State: engine.StateIdle, Traffic: traffic},
			{ID: 3, Client: "old", Protocol: engine.ProtocolClassic, State: engine.StateIdle, Traffic: traffic},
			{ID: 4, State: engine.StateGreeting},
		},
		Banned:  []string{"bad"},
		Closes:  []engine.CloseCount{{Code: 1000, Count: 7}, {Code: 1006, Count: 1}},
		Limits:  []engine.LimitCount{{Name: "handshake-rate", Count: 12}},
		Totals:  engine.Totals{Requests: 9, BytesIn: 30, BytesOut: 60, FramesIn: engine.Frames{Binary: 9}, FramesOut: engine.Frames{Binary: 12}},
		Capture: engine.CaptureState{Bytes: 1 << 20, Limit: 16 << 20, Dropped: 4},
	}
}

// newSet follows e with everything there is to tell.
func newSet(t testing.TB, e engine.Engine) (*Set, *observe.Totals) {
	t.Helper()
	bus, totals := observe.NewBus(), new(observe.Totals)
	t.Cleanup(bus.Close)
	bus.Publish(engine.Event{Kind: engine.KindNotice})
	s, err := New(Options{
		Engine: e, Bus: bus, Requests: totals.RequestCounts, Ready: func() error { return nil },
		Records: func() engine.LogState {
			return engine.LogState{Records: 100, Missing: 2, History: true, Stored: 5000, Lost: 6}
		},
		Expiry: func() map[string]time.Time { return map[string]time.Time{"edge.pem": time.Unix(1_800_000_000, 0)} },
		Spans:  func() (uint64, uint64) { return 11, 1 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, totals
}

// scraped returns what GET /metrics answers.
func scraped(t testing.TB, s *Set) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func parsed(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// eventually waits until ok, which is asked every few milliseconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within 10s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// everything returns what two busy engines, one of each role, say.
func everything(t testing.TB) string {
	t.Helper()
	server := enginetest.NewFake(busy())
	defer server.End()
	s, totals := newSet(t, server)
	for _, r := range []engine.Request{
		{Way: engine.WayHost, Status: 200, Outcome: engine.OutcomeCompleted, Queued: 1e3, FirstByte: 2e6, LastByte: 3e6},
		{Way: engine.WayProxy, Status: 502, Outcome: engine.OutcomeOriginFailed, Queued: 1e9, FirstByte: -1, LastByte: 9e10},
		{Way: engine.WayTCP, Outcome: engine.OutcomeCompleted, Queued: -1, FirstByte: -1, LastByte: 1e9},
	} {
		totals.RequestEnded(&r)
	}
	server.Publish(
		engine.Event{Kind: engine.KindConnectionClosed, Client: "pi", Code: 1000, Closed: &engine.Traffic{BytesIn: 100, BytesOut: 200}},
		engine.Event{Kind: engine.KindGreetingRejected, Code: 4003},
		engine.Event{Kind: engine.KindAdmissionRefused, Code: 401},
		engine.Event{Kind: engine.KindAdmissionRefused, Code: 401, Count: 1},
		engine.Event{Kind: engine.KindAdmissionRefused, Code: 401, Count: 40},
		engine.Event{Kind: engine.KindOperatorAction, Action: engine.ActionKill},
	)
	eventually(t, "the events are counted", func() bool {
		return strings.Contains(scraped(t, s), `adit_operator_actions_total{action="kill"} 1`)
	})
	client := enginetest.NewFake(engine.Snapshot{Role: engine.RoleClient, Version: "1.2.3", Servers: []engine.Server{{Connected: 2, Wanted: 2}, {Wanted: 2}}})
	defer client.End()
	c, _ := newSet(t, client)
	return scraped(t, s) + "\n# of the client\n" + scraped(t, c)
}

// The golden lines are what dashboards and alerts are made of: whoever changes
// one breaks them.
func TestSeriesThatIsWrong(t *testing.T) {
	text := everything(t)
	for _, line := range []string{
		`adit_ready 1`, `adit_draining 0`, `adit_requests_waiting 3`, `adit_requests_in_flight 2`,
		`adit_requests_total{code="2xx",outcome="completed",way="host"} 1`,
		`adit_requests_total{code="5xx",outcome="origin_failed",way="proxy"} 1`,
		`adit_requests_total{code="none",outcome="completed",way="tcp"} 1`,
		`adit_request_duration_seconds_bucket{code="2xx",way="host",le="0.0025"} 0`,
		`adit_request_duration_seconds_bucket{code="2xx",way="host",le="0.005"} 1`,
		`adit_request_duration_seconds_bucket{code="2xx",way="host",le="60"} 1`,
		`adit_request_duration_seconds_sum{code="2xx",way="host"} 0.003`,
		`adit_request_duration_seconds_bucket{code="5xx",way="proxy",le="60"} 0`,
		`adit_request_duration_seconds_bucket{code="5xx",way="proxy",le="+Inf"} 1`,
		`adit_request_first_byte_seconds_count{code="2xx",way="host"} 1`,
		`adit_request_queue_seconds_count{way="proxy"} 1`,
		`adit_connections{protocol="adit.v1",state="idle"} 1`, `adit_connections{protocol="adit.v1",state="draining"} 0`,
		`adit_connections{protocol="wsp",state="idle"} 1`, `adit_connections{protocol="",state="greeting"} 1`,
		`adit_connections_closed_total{code="1006"} 1`,
		`adit_greetings_rejected_total{code="4003"} 1`, `adit_admissions_refused_total{status="401"} 42`,
		`adit_limits_reached_total{limit="handshake-rate"} 12`,
		`adit_websocket_frames_total{direction="out",opcode="binary"} 12`, `adit_websocket_bytes_total{direction="in"} 30`,
		`adit_client_connections{client="pi"} 2`, `adit_client_requests_in_flight{client="pi"} 2`,
		`adit_client_bytes_total{client="pi",direction="in"} 120`, `adit_client_bytes_total{client="old",direction="out"} 20`,
		`adit_clients_banned 1`, `adit_events_total 1`, `adit_events_dropped_total 0`,
		`adit_capture_limit_bytes 1.6777216e+07`, `adit_capture_dropped_total 4`,
		`adit_records 100`, `adit_records_missing 2`, `adit_history_records 5000`, `adit_history_lost_total 6`, `adit_history_writable 1`,
		`adit_certificate_expiry_timestamp_seconds{certificate="edge.pem"} 1.8e+09`,
		`adit_spans_sent_total 11`, `adit_spans_lost_total 1`,
		`adit_servers 2`, `adit_servers_connected 1`, `adit_connections_wanted 4`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestNameThatIsNotInTheTableOrNotInTheOutput(t *testing.T) {
	server, client, _ := strings.Cut(everything(t), "\n# of the client\n")
	said := parsed(t, server)
	for name, f := range parsed(t, client) {
		said[name] = f
	}
	for _, f := range table {
		got := said[f.name]
		if got == nil {
			t.Errorf("%s is in names.go and nobody says it", f.name)
			continue
		}
		delete(said, f.name)
		if got.GetHelp() != f.help {
			t.Errorf("%s: help %q", f.name, got.GetHelp())
		}
		var labels []string
		for _, l := range got.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		if want := slices.Sorted(slices.Values(f.labels)); !slices.Equal(labels, want) {
			t.Errorf("%s has the labels %v, want %v", f.name, labels, want)
		}
	}
	for name := range said {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is not in names.go", name)
		}
	}
}

func TestNameThatThePrometheusProjectAdvisesAgainst(t *testing.T) {
	server, client, _ := strings.Cut(everything(t), "\n# of the client\n")
	for _, text := range []string{server, client} {
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// Peers choose ids, close codes and much else: none may make series without end.
func TestPeersWhoMakeSeriesWithoutEnd(t *testing.T) {
	snapshot := busy()
	for i := range 5000 {
		snapshot.Connections = append(snapshot.Connections, engine.Connection{ID: engine.ConnectionID(10 + i), Client: fmt.Sprintf("c\xff-%d", i),
			Protocol: engine.ProtocolNative, State: engine.StateIdle, Traffic: engine.Traffic{BytesIn: 1}})
	}
	e := enginetest.NewFake(snapshot)
	defer e.End()
	s, _ := newSet(t, e)
	for i := range 1000 {
		e.Publish(engine.Event{Kind: engine.KindGreetingRejected, Code: uint16(4000 + i)},
			engine.Event{Kind: engine.KindAdmissionRefused, Code: uint16(i)},
			engine.Event{Kind: engine.KindOperatorAction, Action: engine.Action(fmt.Sprint("a", i))},
			engine.Event{Kind: engine.KindConnectionClosed, Client: fmt.Sprintf("d-%d", i), Closed: &engine.Traffic{BytesIn: 1}})
	}
	eventually(t, "the events are counted", func() bool {
		return strings.Contains(scraped(t, s), `adit_greetings_rejected_total{code="0"} 969`)
	})
	families := parsed(t, scraped(t, s))
	for name, most := range map[string]int{
		"adit_client_connections": maxClients + 1, "adit_client_bytes_total": 2 * (maxClients + 1),
		"adit_greetings_rejected_total": maxCodes, "adit_admissions_refused_total": maxCodes, "adit_operator_actions_total": maxCodes,
	} {
		if n := len(families[name].GetMetric()); n > most || n < 2 {
			t.Errorf("%s has %d series, want at most %d", name, n, most)
		}
	}
	// Nobody is forgotten: all are there, under another name.
	sum := 0.0
	for _, m := range families["adit_client_connections"].GetMetric() {
		sum += m.GetGauge().GetValue()
	}
	if sum != 5003 {
		t.Errorf("%v connections, want 5003", sum)
	}
}

// A scraper takes a counter that goes back for a new process, and what it has for
// as much more.
func TestCounterThatGoesBack(t *testing.T) {
	e := enginetest.NewFake(busy())
	defer e.End()
	s, _ := newSet(t, e)
	scraped(t, s)
	// The connections are gone, the events of it are still on their way.
	e.Update(func(s *engine.Snapshot) {
		s.Connections, s.Totals.BytesIn, s.Totals.FramesOut.Binary = nil, 5, 1
	})
	text := scraped(t, s)
	for _, line := range []string{
		`adit_websocket_bytes_total{direction="in"} 30`, `adit_websocket_frames_total{direction="out",opcode="binary"} 12`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %s", line)
		}
	}
	for range 2 {
		e.Publish(engine.Event{Kind: engine.KindConnectionClosed, Client: "pi", Closed: &engine.Traffic{BytesIn: 10, BytesOut: 20}})
	}
	eventually(t, "what they moved is counted once", func() bool {
		return strings.Contains(scraped(t, s), `adit_client_bytes_total{client="pi",direction="in"} 20`)
	})
}

func TestEngineThatCanNotBeAsked(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("no engine is taken")
	}
	e := enginetest.NewFake(busy())
	bus := observe.NewBus()
	defer bus.Close()
	s, err := New(Options{Engine: e, Bus: bus, Ready: func() error { return errors.New("no") }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if text := scraped(t, s); !strings.Contains(text, "adit_ready 0") || strings.Contains(text, "adit_history") {
		t.Errorf("without a history it says\n%s", text)
	}
	e.End()
	scraped(t, s) // must not fail: the run may be at its end
}

func TestFormatThatAScraperAsksFor(t *testing.T) {
	e := enginetest.NewFake(busy())
	defer e.End()
	s, _ := newSet(t, e)
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	r, err := http.NewRequest(http.MethodGet, srv.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(string(text), "# EOF\n") {
		t.Errorf("%v %s, ends with %q", err, resp.Header.Get("Content-Type"), text[max(len(text)-20, 0):])
	}
	srv.Client().CloseIdleConnections()
}

func BenchmarkScrape(b *testing.B) {
	snapshot := busy()
	for i := range 10_000 {
		snapshot.Connections = append(snapshot.Connections, engine.Connection{ID: engine.ConnectionID(10 + i), Client: fmt.Sprint("c-", i%200),
			Protocol: engine.ProtocolNative, State: engine.StateIdle})
	}
	e := enginetest.NewFake(snapshot)
	defer e.End()
	s, _ := newSet(b, e)
	b.ReportAllocs()
	for b.Loop() {
		scraped(b, s)
	}
}
