package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"adit/engine"
	"adit/engine/observe"
)

// goleak is what proves that a demo that ended has left nothing behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A seen is what one run published.
type seen struct {
	ways     map[engine.Way]map[engine.Outcome]int
	targets  map[string]map[engine.Outcome]int // by path
	greeted  map[string]bool
	statuses map[int]int
	methods  map[string]int
	rejected int
	classic  bool
	last     engine.Event
	finished uint64
	failed   uint64
	chat     engine.Content // of one that completed
	prices   engine.Content
}

// watch reads a bus to its end.
func watch(t *testing.T, bus *observe.Bus) (result func() *seen) {
	t.Helper()
	batches, err := bus.Subscribe(context.Background(), engine.SubscribeOptions{Slots: 65_536})
	if err != nil {
		t.Fatal(err)
	}
	s := &seen{
		ways:     map[engine.Way]map[engine.Outcome]int{},
		targets:  map[string]map[engine.Outcome]int{},
		greeted:  map[string]bool{},
		statuses: map[int]int{},
		methods:  map[string]int{},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := range batches {
			if b.Dropped > 0 {
				t.Errorf("%d events dropped", b.Dropped)
			}
			for _, e := range b.Events {
				s.add(e)
			}
		}
	}()
	return func() *seen {
		bus.Close()
		<-done
		return s
	}
}

func (s *seen) add(e engine.Event) {
	s.last = e
	switch e.Kind {
	case engine.KindGreetingReceived:
		s.greeted[e.Greeting.ID] = true
		s.classic = s.classic || e.Protocol == engine.ProtocolClassic
	case engine.KindGreetingRejected:
		s.rejected++
	case engine.KindRequestFinished:
		s.finished++
		s.statuses[e.Request.Status/100]++
		s.methods[e.Request.Method]++
		if e.Request.Outcome != engine.OutcomeCompleted {
			s.failed++
		}
		count(s.ways, e.Request.Way, e.Request.Outcome)
		if kept := e.Request.Captured; kept != nil && e.Request.Outcome == engine.OutcomeCompleted {
			switch {
			case strings.Contains(e.Request.Target, "/chat"):
				kept.Content(&s.chat)
			case strings.Contains(e.Request.Target, "/events"):
				kept.Content(&s.prices)
			}
		}
		for _, path := range []string{"/hello", "/slow", "/faulty", "/events", "/chat", "/upload"} {
			if strings.Contains(e.Request.Target, path) && e.Client != "flapping" {
				count(s.targets, path, e.Request.Outcome)
			}
		}
	}
}

func count[K comparable](m map[K]map[engine.Outcome]int, k K, o engine.Outcome) {
	if m[k] == nil {
		m[k] = map[engine.Outcome]int{}
	}
	m[k][o]++
}

func TestDemoEndsWithTrueTotals(t *testing.T) {
	bus := observe.NewBus()
	result := watch(t, bus)
	d, err := New(Options{Bus: bus, Capture: engine.Capture{Mode: engine.CaptureContent}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s := result()

	if s.last.Kind != engine.KindStopped || s.last.Totals == nil {
		t.Fatalf("the last event is %v", s.last.Kind)
	}
	if s.last.Totals.Requests != s.finished || s.last.Totals.Failed != s.failed {
		t.Errorf("totals %d requests, %d failed; events say %d and %d",
			s.last.Totals.Requests, s.last.Totals.Failed, s.finished, s.failed)
	}
	for _, way := range []engine.Way{engine.WayRequest, engine.WayProxy, engine.WayConnect, engine.WayHost, engine.WayTCP} {
		if s.ways[way][engine.OutcomeCompleted] == 0 {
			t.Errorf("nothing came by %v: %v", way, s.ways[way])
		}
	}
	for _, path := range []string{"/slow", "/events", "/chat", "/upload"} {
		for o, n := range s.targets[path] {
			if o != engine.OutcomeCompleted {
				t.Errorf("%s: %d times %v", path, n, o)
			}
		}
		if s.targets[path][engine.OutcomeCompleted] == 0 {
			t.Errorf("%s never completed", path)
		}
	}
	faulty := s.targets["/faulty"]
	if faulty[engine.OutcomeOriginFailed] == 0 || faulty[engine.OutcomeTruncated] == 0 || faulty[engine.OutcomeCompleted] == 0 {
		t.Errorf("/faulty: %v", faulty)
	}
	for _, id := range []string{"fast", "shop", "slow", "faulty", "stream", "echo", "classic", "flapping"} {
		if !s.greeted[id] {
			t.Errorf("client %s never came", id)
		}
	}
	if !s.classic {
		t.Error("nobody spoke wsp")
	}
	// Something to see on every part of the screen, within what this test takes.
	if s.rejected == 0 {
		t.Error("no greeting was rejected")
	}
	if s.ways[engine.WayRequest][engine.OutcomeRefused] == 0 {
		t.Error("no destination was refused")
	}
	for _, class := range []int{2, 4, 5} {
		if s.statuses[class] == 0 {
			t.Errorf("no status %dxx: %v", class, s.statuses)
		}
	}
	checkMessages(t, &s.chat, &s.prices)
	if len(s.methods) < 3 {
		t.Errorf("methods %v", s.methods)
	}
	if most := uint64(2.5 * 80); s.finished > most {
		t.Errorf("%d requests in 2.5 s: the demo is to be light", s.finished)
	}
}

// checkMessages finds what can't be read of a conversation and of a stream.
func checkMessages(t *testing.T, chat, prices *engine.Content) {
	t.Helper()
	var got []string
	for _, m := range chat.Messages {
		if m.Kind != engine.MessagePong { // comes when it comes
			got = append(got, fmt.Sprintf("%v %v %s", m.Kind, m.FromCaller, m.Data))
		}
	}
	want := []string{"ping true still there?"}
	for _, line := range talk {
		want = append(want, "text true "+string(said("visitor", line[0])), "text false "+string(said("shop", line[1])))
	}
	want = append(want, "close true \x03\xe8thank you", "close false \x03\xe8")
	if !slices.Equal(got, want) {
		t.Errorf("the chat reads\n%q\nwant\n%q", got, want)
	}
	if len(prices.Messages) != 8 {
		t.Fatalf("the stream has %d events", len(prices.Messages))
	}
	for i, m := range prices.Messages {
		if want := strings.TrimSuffix(price(i), "\n\n"); m.Kind != engine.MessageEvent || m.FromCaller || string(m.Data) != want {
			t.Errorf("event %d is %v %q, want %q", i, m.Kind, m.Data, want)
		}
	}
}

// What the demo prints for people to try must work.
func TestCommandsThatTheDemoShowsWork(t *testing.T) {
	bus := observe.NewBus()
	defer bus.Close()
	d, err := New(Options{Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	for _, m := range d.clients {
		<-m.ready
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", d.listener.Addr().String())
	}}
	for _, line := range d.Commands()[:4] {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, line[strings.LastIndex(line, " ")+1:], nil)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		rt := transport
		switch {
		case strings.Contains(line, "X-PROXY-DESTINATION"):
			_, rest, _ := strings.Cut(line, "X-PROXY-DESTINATION: ")
			destination, _, _ := strings.Cut(rest, "'")
			r.Header.Set("X-PROXY-DESTINATION", destination)
		case strings.Contains(line, " -x "):
			_, rest, _ := strings.Cut(line, " -x ")
			address, _, _ := strings.Cut(rest, " ")
			proxy, err := url.Parse(address)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			rt = &http.Transport{Proxy: http.ProxyURL(proxy)}
		}
		resp, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 8)); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d, %v", line, resp.StatusCode, err)
		}
		resp.Body.Close()
		rt.CloseIdleConnections()
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestDemoThatIsClosedEndsSoon(t *testing.T) {
	bus := observe.NewBus()
	defer bus.Close()
	d, err := New(Options{Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- d.Run(t.Context()) }()
	for _, m := range d.clients {
		<-m.ready
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-ran:
	case <-time.After(5 * time.Second):
		t.Fatal("still running 5 s after Close")
	}
}
