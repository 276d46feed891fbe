package enginetest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// mixed is an oracle with every misbehaviour.
func mixed(o *Origin, do func(*http.Request) (*http.Response, error)) *Oracle {
	return &Oracle{Do: do, Target: "http://origin.test", Origin: o, Requests: 500, Concurrency: 16, Seed: 1,
		MaxContent: 64 << 10, Timeout: 10 * time.Second, CancelShare: 0.05, EarlyShare: 0.05, AbortShare: 0.05}
}

func TestOracleFindsNothingOnADirectPath(t *testing.T) {
	withOrigin(t, func(t *testing.T, o *Origin, tr *http.Transport) {
		r := mixed(o, tr.RoundTrip).Run(t.Context())
		t.Log(r)
		if r.Violated() || r.Sent != 500 || r.Completed < 350 || r.Cancelled == 0 || r.Failed == 0 {
			t.Fatal("want 500 sent, most completed, some cancelled and failed, none violated")
		}
	})
}

// TestHangingHeadDoesNotBlockItsConnection: a response to HEAD is over with its
// head, so the connection is used again while the handler still runs.
func TestHangingHeadDoesNotBlockItsConnection(t *testing.T) {
	withOrigin(t, func(t *testing.T, _ *Origin, tr *http.Transport) {
		for _, target := range []string{"/hang?head=1", "/size?n=1"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			resp, err := tr.RoundTrip(request(t, ctx, "HEAD", target, Token{6}, nil))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
	})
}

func TestOracleStopsWithItsContext(t *testing.T) {
	withOrigin(t, func(t *testing.T, o *Origin, tr *http.Transport) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		m := mixed(o, tr.RoundTrip)
		m.Requests = 0
		if r := m.Run(ctx); r.Sent != 0 {
			t.Fatal(r)
		}
	})
}

// TestOracleCatches puts each fault into a path and expects the oracle to say so.
func TestOracleCatches(t *testing.T) {
	type do = func(*http.Request) (*http.Response, error)
	replace := func(resp *http.Response, change func([]byte) []byte) *http.Response {
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil {
			b = change(b)
		}
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b), errorReader{err}))
		return resp
	}
	tests := []struct {
		name  string
		fault func(next do) do
		want  func(*Report) int
	}{
		{"crossed answers", func(next do) do {
			// Answers go to the request before.
			var mu sync.Mutex
			var held *http.Response
			return func(req *http.Request) (*http.Response, error) {
				resp, err := next(req)
				if err != nil || resp.StatusCode != 200 {
					return resp, err
				}
				resp = replace(resp, func(b []byte) []byte { return b })
				mu.Lock()
				defer mu.Unlock()
				if held == nil {
					held = resp
					resp = &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody}
				} else {
					held, resp = resp, held
				}
				return resp, nil
			}
		}, func(r *Report) int { return r.Crossed }},
		{"crossed content under the right field", func(next do) do {
			return func(req *http.Request) (*http.Response, error) {
				resp, err := next(req)
				if err != nil {
					return resp, err
				}
				return replace(resp, func(b []byte) []byte {
					if len(b) >= TokenSize {
						copy(b, Token{9}.String())
					}
					return b
				}), nil
			}
		}, func(r *Report) int { return r.Crossed }},
		{"crossed content at the origin", func(next do) do {
			return func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodPut && req.Body != nil {
					b, _ := io.ReadAll(req.Body)
					if len(b) >= TokenSize {
						copy(b, Token{9}.String())
					}
					req.Body = io.NopCloser(bytes.NewReader(b))
				}
				return next(req)
			}
		}, func(r *Report) int { return r.Crossed }},
		{"duplicates", func(next do) do {
			return func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodGet {
					if resp, err := next(Once(req.Clone(req.Context()))); err == nil {
						_ = resp.Body.Close()
					}
				}
				return next(req)
			}
		}, func(r *Report) int { return r.Duplicated }},
		{"success from nowhere", func(do) do {
			return func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody}, nil
			}
		}, func(r *Report) int { return r.Lost }},
		{"hanging", func(next do) do {
			return func(req *http.Request) (*http.Response, error) {
				if req.Method == http.MethodPatch {
					<-req.Context().Done()
					return nil, req.Context().Err()
				}
				return next(req)
			}
		}, func(r *Report) int { return r.Lost }},
		{"an abort that looks complete", func(next do) do {
			return func(req *http.Request) (*http.Response, error) {
				resp, err := next(req)
				if err == nil && strings.HasPrefix(req.URL.Path, "/abort") {
					b, _ := io.ReadAll(resp.Body)
					resp.Body = io.NopCloser(bytes.NewReader(b))
				}
				return resp, err
			}
		}, func(r *Report) int { return r.Truncated }},
		{"a byte that is lost", func(next do) do {
			return func(req *http.Request) (*http.Response, error) {
				resp, err := next(req)
				if err != nil {
					return resp, err
				}
				return replace(resp, func(b []byte) []byte { return b[:max(len(b)-1, 0)] }), nil
			}
		}, func(r *Report) int { return r.Truncated }},
		{"content in an answer to HEAD", func(next do) do {
			return func(req *http.Request) (*http.Response, error) {
				resp, err := next(req)
				if err == nil && req.Method == http.MethodHead {
					resp.Body = io.NopCloser(strings.NewReader("x"))
				}
				return resp, err
			}
		}, func(r *Report) int { return r.Truncated }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withOrigin(t, func(t *testing.T, o *Origin, tr *http.Transport) {
				m := mixed(o, tt.fault(tr.RoundTrip))
				finished := 0
				var mu sync.Mutex
				m.Finished = func(Result) { mu.Lock(); finished++; mu.Unlock() }
				r := m.Run(t.Context())
				if tt.want(r) == 0 || !r.Violated() || len(r.Violations) == 0 {
					t.Fatalf("not seen: %v", r)
				}
				if finished != 500 {
					t.Fatalf("told of %d requests", finished)
				}
			})
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) {
	if r.err == nil {
		return 0, io.EOF
	}
	return 0, r.err
}
