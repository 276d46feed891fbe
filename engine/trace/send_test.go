package trace

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"adit/engine"
	"adit/engine/enginetest"
)

// notices are what people were told.
type notices struct {
	mu   sync.Mutex
	said []string
}

func (n *notices) add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, text)
}

func (n *notices) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.said)
}

// export starts an exporter of a server that waits no longer than pause.
func export(t testing.TB, url string, pause time.Duration, headers ...string) (*Exporter, *enginetest.Fake, *notices) {
	t.Helper()
	e := enginetest.NewFake(engine.Snapshot{Role: engine.RoleServer})
	told := &notices{}
	x, err := newExporter(Options{Engine: e, URL: url, Headers: headers, Service: "adit-server", Name: "edge", Version: "1.2.3", Notice: told.add})
	if err != nil {
		t.Fatal(err)
	}
	x.pause = func(int) time.Duration { return pause }
	if err := x.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.End()
		x.Close()
	})
	return x, e, told
}

// end publishes the ends of n requests, one of two traced.
func end(e *enginetest.Fake, n int) {
	events := make([]engine.Event, 0, 2*n)
	for range n {
		with, without := traced(), traced()
		without.Trace = nil
		events = append(events, engine.Event{Kind: engine.KindRequestFinished, Request: &with}, engine.Event{Kind: engine.KindRequestFinished, Request: &without})
	}
	e.Publish(events...)
}

func TestSpanThatDoesNotArrive(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	x, e, told := export(t, r.URL, time.Millisecond, "Authorization=Bearer collector-key", "x-tenant = a=b")
	end(e, 1000)
	r.await(t, 1000)
	eventually(t, "they are counted", func() bool { sent, lost := x.Counts(); return sent == 1000 && lost == 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attempts > 20 {
		t.Errorf("%d messages for 1,000 spans", r.attempts)
	}
	if r.resource["service.name"] != "adit-server" || r.resource["service.instance.id"] != "edge" || r.resource["service.version"] != "1.2.3" {
		t.Errorf("resource %v", r.resource)
	}
	if r.header.Get("Authorization") != "Bearer collector-key" || r.header.Get("X-Tenant") != "a=b" {
		t.Errorf("fields %v", r.header)
	}
	if said := told.all(); len(said) != 0 {
		t.Errorf("it says %q", said)
	}
}

func TestCollectorThatIsBusyForAWhile(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 502, 503, 504} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, func(attempt int, w http.ResponseWriter) bool {
				if attempt < 3 {
					w.WriteHeader(status)
				}
				return attempt >= 3
			})
			x, e, told := export(t, r.URL, time.Millisecond)
			end(e, 5)
			r.await(t, 5)
			eventually(t, "they are counted", func() bool { sent, lost := x.Counts(); return sent == 5 && lost == 0 })
			eventually(t, "people were told twice", func() bool { return len(told.all()) == 2 })
			if said := told.all(); !strings.Contains(said[0], "takes no traces: it answers") || said[1] != "the collector takes traces again; 0 spans were lost" {
				t.Errorf("it says %q", said)
			}
		})
	}
}

func TestCollectorThatSaysWhenToComeAgain(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(attempt int, w http.ResponseWriter) bool {
		if attempt == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		return attempt > 1
	})
	_, e, _ := export(t, r.URL, time.Millisecond)
	began := time.Now()
	end(e, 1)
	r.await(t, 1)
	if took := time.Since(began); took < time.Second {
		t.Errorf("it came again after %v", took)
	}
}

func TestCollectorThatRefuses(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(_ int, w http.ResponseWriter) bool {
		w.WriteHeader(http.StatusUnauthorized)
		return false
	})
	x, e, told := export(t, r.URL, time.Millisecond)
	end(e, 7)
	eventually(t, "they are lost", func() bool { _, lost := x.Counts(); return lost == 7 })
	eventually(t, "people are told", func() bool { return len(told.all()) == 1 })
	if n := r.tried(); n != 1 {
		t.Errorf("%d attempts", n)
	}
	if said := told.all()[0]; !strings.Contains(said, "401 Unauthorized, check --otlp and --otlp-header") {
		t.Errorf("it says %q", said)
	}
}

func TestCollectorThatTakesAPart(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(_ int, w http.ResponseWriter) bool {
		text, _ := proto.Marshal(&collectorpb.ExportTraceServiceResponse{PartialSuccess: &collectorpb.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "too old"}})
		_, _ = w.Write(text)
		return true
	})
	x, e, told := export(t, r.URL, time.Millisecond)
	end(e, 5)
	eventually(t, "they are counted", func() bool { sent, lost := x.Counts(); return sent == 3 && lost == 2 })
	eventually(t, "people are told", func() bool { return len(told.all()) == 1 })
}

// A collector that is gone costs spans, a bounded number of them waiting, and the
// end of the process is not held up.
func TestCollectorThatIsGone(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	x, e, told := export(t, gone.URL, time.Hour)
	const all = 20 * (maxQueued / 10)
	for range 20 {
		end(e, all/20)
	}
	eventually(t, "some are lost", func() bool { _, lost := x.Counts(); return lost > 0 })
	eventually(t, "people are told", func() bool { return len(told.all()) == 1 })
	if n := len(x.queue); n > maxQueued {
		t.Errorf("%d wait", n)
	}
	began := time.Now()
	e.End()
	x.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("the end took %v", took)
	}
	// Of what the engine told too fast it is not known what was traced.
	if sent, lost := x.Counts(); sent != 0 || lost < all || lost > 2*all {
		t.Errorf("%d sent and %d lost of %d", sent, lost, all)
	}
}

// One that takes the connection and does not answer holds nobody up either.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newReceiver(t, func(int, http.ResponseWriter) bool { <-release; return false })
	defer close(release)
	x, e, _ := export(t, r.URL, time.Millisecond)
	end(e, 3)
	eventually(t, "it is asked", func() bool { return r.tried() == 1 })
	began := time.Now()
	e.End()
	x.Close()
	if took := time.Since(began); took < lastWords/2 || took > 2*lastWords {
		t.Errorf("the end took %v, want %v", took, lastWords)
	}
	if _, lost := x.Counts(); lost != 3 {
		t.Errorf("%d lost of 3", lost)
	}
}

// What is left at the end is sent.
func TestLastSpansThatAreNotSent(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, nil)
	x, e, _ := export(t, r.URL, time.Millisecond)
	end(e, 42)
	e.End()
	x.Close()
	if n := len(r.got()); n != 42 {
		t.Errorf("%d of 42 spans", n)
	}
}

// A redirect would take our credential to somebody else.
func TestCollectorThatSendsUsElsewhere(t *testing.T) {
	t.Parallel()
	other := newReceiver(t, nil)
	r := newReceiver(t, func(_ int, w http.ResponseWriter) bool {
		w.Header().Set("Location", other.URL+"/v1/traces")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return false
	})
	x, e, _ := export(t, r.URL, time.Millisecond, "authorization=secret")
	end(e, 1)
	eventually(t, "it is lost", func() bool { _, lost := x.Counts(); return lost == 1 })
	if other.tried() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestCollectorWhoseURLIsUnderstoodWrongly(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://c:4318":               "http://c:4318/v1/traces",
		"http://c:4318/":              "http://c:4318/v1/traces",
		"https://c/otlp":              "https://c/otlp/v1/traces",
		"https://c/otlp/v1/traces":    "https://c/otlp/v1/traces",
		"https://c/?key=1":            "https://c/v1/traces?key=1",
		"ftp://c":                     "",
		"c:4318":                      "",
		"http://":                     "",
		"http://c:4318/v1/traces\x7f": "",
	} {
		x, err := newExporter(Options{URL: given})
		if (err == nil) != (want != "") || err == nil && x.to != want {
			t.Errorf("%q: %v, want %q", given, err, want)
		}
	}
	if _, err := newExporter(Options{URL: "http://c", Headers: []string{"s3cret"}}); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a field without a name: %v", err)
	}
}

func TestBackoffThatGrowsWithoutEnd(t *testing.T) {
	t.Parallel()
	for attempt, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 100: maxPause} {
		if d := backoff(attempt); d < most/2 || d > most {
			t.Errorf("attempt %d: %v", attempt, d)
		}
	}
}
