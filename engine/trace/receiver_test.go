package trace

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A receiver is a collector: it takes what OTLP/HTTP allows and decodes it with the
// official messages.
type receiver struct {
	*httptest.Server
	answer func(attempt int, w http.ResponseWriter) (taken bool) // nil: it takes everything

	mu       sync.Mutex
	attempts int
	spans    []*tracepb.Span
	resource map[string]string // attributes of the newest
	header   http.Header       // of the newest attempt
}

func newReceiver(t testing.TB, answer func(int, http.ResponseWriter) bool) *receiver {
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodPost || q.URL.Path != "/v1/traces" || q.Header.Get("Content-Type") != "application/x-protobuf" || q.Header.Get("Content-Encoding") != "gzip" {
		http.Error(w, "this is no OTLP", http.StatusBadRequest)
		return
	}
	z, err := gzip.NewReader(q.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text, err := io.ReadAll(z)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var message collectorpb.ExportTraceServiceRequest
	if err := proto.Unmarshal(text, &message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.attempts++
	r.header = q.Header.Clone()
	attempt := r.attempts
	r.mu.Unlock()
	if r.answer != nil && !r.answer(attempt, w) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range message.GetResourceSpans() {
		r.resource = map[string]string{}
		for _, a := range of.GetResource().GetAttributes() {
			r.resource[a.GetKey()] = a.GetValue().GetStringValue()
		}
		for _, in := range of.GetScopeSpans() {
			r.spans = append(r.spans, in.GetSpans()...)
		}
	}
}

// got returns the spans so far.
func (r *receiver) got() []*tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*tracepb.Span(nil), r.spans...)
}

func (r *receiver) tried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.attempts
}

// await waits until there are n spans, and returns them by the service.
func (r *receiver) await(t testing.TB, n int) []*tracepb.Span {
	t.Helper()
	eventually(t, "all spans have come", func() bool { return len(r.got()) >= n })
	return r.got()
}

// attributesOf returns what a span says.
func attributesOf(s *tracepb.Span) map[string]any {
	all := map[string]any{}
	for _, a := range s.GetAttributes() {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.GetKey()] = v.IntValue
		case *commonpb.AnyValue_BoolValue:
			all[a.GetKey()] = v.BoolValue
		}
	}
	return all
}

func hexed(b []byte) string { return hex.EncodeToString(b) }

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
