package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine"
)

// withMetrics has the rig answer GET /metrics.
func withMetrics(o *Options) {
	o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "adit_up 1\n") })
}

func TestProbeThatIsNotTold(t *testing.T) {
	var why atomic.Pointer[error]
	rig := newRig(t, scene(1), func(o *Options) {
		o.Ready = func() error {
			if err := why.Load(); err != nil {
				return *err
			}
			return nil
		}
	})
	c := rig.client(t)
	for _, probe := range []struct {
		path   string
		why    error
		status int
		says   string
	}{
		{"/healthz", nil, 200, "ok\n"},
		{"/readyz", nil, 200, "ready\n"},
		{"/readyz", engine.ErrDraining, 503, "draining\n"},
		{"/readyz", errors.New("not registered at any server"), 503, "not registered at any server\n"},
		{"/healthz", engine.ErrDraining, 200, "ok\n"},
		{"/metrics", nil, 404, `{"error":"there are no metrics here"}` + "\n"},
	} {
		if why.Store(nil); probe.why != nil {
			why.Store(&probe.why)
		}
		if status, says := get(t, c, "http://adit"+probe.path); status != probe.status || says != probe.says {
			t.Errorf("%s, not ready because of %v: %d %q, want %d %q", probe.path, probe.why, status, says, probe.status, probe.says)
		}
	}
}

// Over TCP the two probes are open, metrics are for any token, and profiles, which
// hold what memory holds, for those who may do everything.
func TestWhoMayWatchTheProcess(t *testing.T) {
	rig := newRig(t, scene(1), withMetrics, withTokens)
	addr, trust := rig.secure(t)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: trust}}
	defer client.CloseIdleConnections()
	for _, x := range []struct {
		path, token string
		status      int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200},
		{"/metrics", "", 401}, {"/metrics", "wrong", 401}, {"/metrics", "only-looking", 200}, {"/metrics", "all-powerful", 200},
		{"/debug/pprof/heap", "", 401}, {"/debug/pprof/heap", "only-looking", 403}, {"/debug/pprof/heap", "all-powerful", 200},
		{"/debug/pprof/", "only-looking", 403}, {"/debug/pprof/profile?seconds=1", "only-looking", 403},
		{"/debug/pprof/cmdline", "all-powerful", 404},
		{"/debug/pprof/profile?seconds=301", "all-powerful", 400}, {"/debug/pprof/trace?seconds=x", "all-powerful", 400},
	} {
		r, err := http.NewRequest(http.MethodGet, "https://"+addr+x.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if x.token != "" {
			r.Header.Set("Authorization", "Bearer "+x.token)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != x.status {
			t.Errorf("%s with %q: %s %.100s, want %d", x.path, x.token, resp.Status, text, x.status)
		}
	}
}

// A deadlineWriter notes until when it may be written to.
type deadlineWriter struct {
	http.ResponseWriter
	until time.Time
}

func (w *deadlineWriter) SetWriteDeadline(t time.Time) error {
	w.until = t
	return nil
}

// A profile takes longer than another answer may.
func TestProfileThatIsCutShort(t *testing.T) {
	for query, least := range map[string]time.Duration{"": 30 * time.Second, "?seconds=120": 120 * time.Second} {
		w := &deadlineWriter{}
		x := &exchange{w: w, r: httptest.NewRequest(http.MethodGet, "/debug/pprof/profile"+query, http.NoBody)}
		var given time.Duration
		if err := profiled(func(http.ResponseWriter, *http.Request) { given = time.Until(w.until) })(nil, x); err != nil {
			t.Fatal(err)
		}
		if given <= least || given > least+profileWait {
			t.Errorf("%q may take %v, want more than %v", query, given, least)
		}
	}
}

// What needs no token must not be read by a page of a browser on this machine, whose
// name somebody has made resolve to it.
func TestPageWhoseNameResolvesToThisMachine(t *testing.T) {
	srv := httptest.NewServer(NotRebound(Health(), "adit.internal"))
	defer srv.Close()
	away := NotRebound(Health(), "")
	for host, want := range map[string]int{
		"127.0.0.1:9090": 200, "127.0.0.1": 200, "[::1]:9090": 200, "localhost:9090": 200, "LOCALHOST": 200, "adit.internal:9090": 200,
		"evil.example:9090": 421, "evil.example": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example:9090": 421, "adit.internal.evil.example": 421,
	} {
		r, err := http.NewRequest("GET", srv.URL+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", host, resp.StatusCode, want)
		}
		// An address that others reach is known by names that nobody here knows.
		ctx := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9090})
		answer := httptest.NewRecorder()
		if away.ServeHTTP(answer, r.WithContext(ctx)); answer.Code != 200 {
			t.Errorf("%s, of an address that others reach: status %d", host, answer.Code)
		}
	}
}
