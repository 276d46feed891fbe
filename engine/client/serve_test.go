package client

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

func TestRequestsReachTheirOrigins(t *testing.T) {
	h := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", r.Method+" "+r.Host+r.RequestURI)
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		if n := r.Header.Get("X-Status"); n != "" {
			code, _ := strconv.Atoi(n)
			w.WriteHeader(code)
		}
		if r.Header.Get("X-Status") == "" {
			io.WriteString(w, "content")
		}
	}
	addr := serveHTTP(t, h)
	h2c := httptest.NewUnstartedServer(http.HandlerFunc(h))
	h2c.Config.Protocols = new(http.Protocols)
	h2c.Config.Protocols.SetUnencryptedHTTP2(true)
	h2c.Start()
	defer h2c.Close()
	for _, rewrite := range []bool{false, true} {
		g := newRig(t, Options{Live: Live{Rules: anyRules(t)}, RewriteHost: rewrite, Expose: []Expose{
			{Host: "app", Origin: "http://" + addr},
			{TCP: 5432, Origin: addr},
			{Host: "grpc", Origin: "h2c://" + h2c.Listener.Addr().String()},
		}})
		public := "app.example"
		if rewrite {
			public = addr
		}
		for _, tt := range []struct {
			request *wire.Request
			route   uint64
			status  int
			seen    string
			content string
		}{
			{request("GET", addr, "/a?b=c"), 0, 200, "GET " + addr + "/a?b=c", "content"},
			{request("BREW", addr, "/pot"), 0, 200, "BREW " + addr + "/pot", "content"},
			{request("GET", "app.example", "/"), 1, 200, "GET " + public + "/", "content"},
			{request("HEAD", addr, "/"), 0, 200, "HEAD " + addr + "/", ""},
			{request("GET", addr, "/", wire.Field{Name: "x-status", Value: "204"}), 0, 204, "GET " + addr + "/", ""},
			{request("GET", addr, "/", wire.Field{Name: "x-status", Value: "304"}), 0, 304, "GET " + addr + "/", ""},
			{request("GET", addr, "/", wire.Field{Name: "x-status", Value: "500"}), 0, 500, "GET " + addr + "/", ""},
			{request("GET", addr, "/", wire.Field{Name: "x-status", Value: "302"}), 0, 302, "GET " + addr + "/", ""},
		} {
			tt.request.Route = tt.route
			resp, content, err := g.do(t, tt.request)
			if err != nil {
				t.Errorf("%s %s: %v", tt.request.Method, tt.request.Path, err)
				continue
			}
			if resp.Status != tt.status || content != tt.content || wire.Get(resp.Fields, "x-seen") != tt.seen {
				t.Errorf("%s %s: %d %q %v", tt.request.Method, tt.request.Path, resp.Status, content, resp.Fields)
			}
			var cookies []string
			for _, f := range resp.Fields {
				if f.Name == "Set-Cookie" {
					cookies = append(cookies, f.Value)
				}
			}
			if !slices.Equal(cookies, []string{"a=1", "b=2"}) {
				t.Errorf("cookies %q", cookies)
			}
			if tt.status == 204 && wire.Get(resp.Fields, "content-length") != "" {
				t.Error("204 with a content-length")
			}
			if tt.content != "" && wire.Get(resp.Fields, "content-length") != "7" {
				t.Errorf("content-length lost: %v", resp.Fields)
			}
		}
		grpc := request("POST", "grpc.example", "/")
		grpc.Route = 3
		if resp, _, err := g.do(t, grpc); err != nil || resp.Status != 200 {
			t.Errorf("h2c: %v %v", resp, err)
		}
		for _, rec := range g.records() {
			if rec.Outcome != engine.OutcomeCompleted || rec.Client != "edge-3" || rec.Way != 0 || rec.Caller == "" ||
				rec.Status == 0 || rec.FirstByte <= 0 || rec.LastByte < rec.FirstByte || rec.Queued >= 0 {
				t.Errorf("record %+v", rec)
			}
		}
	}
}

// RFC 9110 §15 ends at 599, but some sites answer 999 to whom they take for a
// robot: that is the caller's to see, not a fault of the origin.
func TestStatusBeyond599ReachesTheCaller(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		w.WriteHeader(code)
		io.WriteString(w, "denied")
	})
	for _, protocol := range []engine.Protocol{engine.ProtocolNative, engine.ProtocolClassic} {
		for _, code := range []int{600, 999} {
			g := newRig(t, Options{Live: Live{Rules: anyRules(t)}, Protocol: protocol})
			resp, content, err := g.do(t, request("GET", addr, "/?code="+strconv.Itoa(code)))
			if err != nil || resp.Status != code || content != "denied" {
				t.Errorf("%v %d: %+v %q, %v", protocol, code, resp, content, err)
			}
		}
	}
}

func TestFailuresHaveTheirCodesAndOutcomes(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			panic(http.ErrAbortHandler)
		case "/hang":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		case "/big":
			w.Header().Set("X-Big", strings.Repeat("a", 70<<10))
		case "/many":
			for i := range 300 {
				w.Header().Set(fmt.Sprintf("X-%d", i), "a")
			}
		}
	})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	rules, err := (&policy.RuleSet{Allow: []string{addr, closed.Addr().String()}}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	limits := tunnel.DefaultLimits()
	limits.Head = time.Second // each of the others answers sooner, on a busy machine too
	g := newRig(t, Options{Live: Live{Rules: rules}, Limits: limits, Expose: []Expose{
		{Host: "app", Origin: "http://" + addr}, {TCP: 5432, Origin: addr},
	}})
	for _, tt := range []struct {
		name    string
		request *wire.Request
		route   uint64
		reason  engine.Reason // as the server understands it
		outcome engine.Outcome
	}{
		{"denied", request("GET", "127.0.0.1:1", "/"), 0, engine.ReasonDenied, engine.OutcomeRefused},
		{"metadata", request("GET", "169.254.169.254", "/"), 0, engine.ReasonDenied, engine.OutcomeRefused},
		{"route beyond", request("GET", "x.example", "/"), 3, engine.ReasonDenied, engine.OutcomeRefused},
		{"route to tcp", request("GET", "x.example", "/"), 2, engine.ReasonDenied, engine.OutcomeRefused},
		{"nobody listens", request("GET", closed.Addr().String(), "/"), 0, engine.ReasonOriginFailed, engine.OutcomeOriginFailed},
		{"aborts", request("GET", addr, "/abort"), 0, engine.ReasonOriginFailed, engine.OutcomeOriginFailed},
		{"hangs", request("GET", addr, "/hang"), 0, engine.ReasonTimedOut, engine.OutcomeTimedOut},
		{"head too big", request("GET", addr, "/big"), 0, engine.ReasonOriginFailed, engine.OutcomeOriginFailed},
		{"too many fields", request("GET", addr, "/many"), 0, engine.ReasonOriginFailed, engine.OutcomeOriginFailed},
	} {
		tt.request.Route = tt.route
		if _, _, err := g.do(t, tt.request); engine.ReasonOf(err) != tt.reason {
			t.Errorf("%s: %v (%v)", tt.name, err, engine.ReasonOf(err))
		}
	}
	for i, rec := range g.records() {
		want := []engine.Outcome{engine.OutcomeRefused, engine.OutcomeRefused, engine.OutcomeRefused, engine.OutcomeRefused,
			engine.OutcomeOriginFailed, engine.OutcomeOriginFailed, engine.OutcomeTimedOut, engine.OutcomeOriginFailed, engine.OutcomeOriginFailed}[i]
		if rec.Outcome != want || rec.Reason == "" || rec.Status < 400 {
			t.Errorf("record %d: %v, want %v: %+v", i, rec.Outcome, want, rec)
		}
	}
	totals := g.client.totals.Load()
	if totals.Requests != 9 || totals.Failed != 9 {
		t.Errorf("totals %+v", totals)
	}
}

// R3: what the origin did not finish must not look finished.
func TestOriginThatDiesWithinItsAnswerAborts(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, "part")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	for _, path := range []string{"/length", "/chunked"} {
		// The RESET may overtake the head at the server: a 502 then.
		resp, content, err := g.do(t, request("GET", addr, path))
		if engine.ReasonOf(err) != engine.ReasonOriginFailed {
			t.Errorf("%s: %v %q %v", path, resp, content, err)
		}
	}
	for _, rec := range g.records() {
		if rec.Outcome != engine.OutcomeTruncated || rec.Status != 200 {
			t.Errorf("record %+v", rec)
		}
	}
}

func TestContentAndTrailersGoBothWays(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n))
		w.Header().Set(http.TrailerPrefix+"X-Late", r.Trailer.Get("X-End"))
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.open(t, t.Context(), request("POST", addr, "/", wire.Field{Name: "trailer", Value: "x-end"}), false)
	const size = 3 << 20
	go func() {
		piece := []byte(strings.Repeat("x", 64<<10))
		for range size / len(piece) {
			x.Write(piece)
		}
		x.CloseWrite([]wire.Field{{Name: "x-end", Value: "yes"}})
	}()
	resp, err := x.ReadResponse()
	if err != nil {
		t.Fatal(err)
	}
	if wire.Get(resp.Fields, "trailer") != "X-Sum" {
		t.Errorf("head %v", resp.Fields)
	}
	if n, err := io.Copy(io.Discard, x); n != size || err != nil {
		t.Errorf("%d bytes came back, %v", n, err)
	}
	trailers := x.Trailers()
	if wire.Get(trailers, "x-sum") != fmt.Sprint(size) || wire.Get(trailers, "x-late") != "yes" {
		t.Errorf("trailers %v", trailers)
	}
	x.Close()
	if rec := g.records()[0]; rec.RequestBytes != size || rec.ResponseBytes != size {
		t.Errorf("record %+v", rec)
	}
}

// Each piece of a stream is passed on as it comes.
func TestStreamIsNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			io.WriteString(w, "data: x\n\n")
			http.NewResponseController(w).Flush()
			<-next
		}
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.open(t, t.Context(), request("GET", addr, "/"), true)
	if _, err := x.ReadResponse(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if piece, err := x.Next(); string(piece) != "data: x\n\n" || err != nil {
			t.Errorf("piece %q, %v", piece, err)
		}
		next <- struct{}{}
	}
	if _, err := x.Next(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestInformationalAndContinue(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(103)
		w.Header().Del("Link")
		io.Copy(w, r.Body) // 5 bytes
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	x := g.open(t, t.Context(), request("POST", addr, "/", wire.Field{Name: "expect", Value: "100-continue"},
		wire.Field{Name: "content-length", Value: "5"}), false)
	var got []int
	for {
		resp, err := x.ReadResponse()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, resp.Status)
		if resp.Status == 103 && wire.Get(resp.Fields, "link") != "</a>" {
			t.Errorf("103 with %v", resp.Fields)
		}
		if resp.Status == 100 {
			io.WriteString(x, "hello")
			x.CloseWrite(nil)
		}
		if resp.Status >= 200 {
			break
		}
	}
	if content, err := io.ReadAll(x); string(content) != "hello" || err != nil {
		t.Errorf("content %q, %v", content, err)
	}
	if !slices.Equal(got, []int{103, 100, 200}) {
		t.Errorf("heads %v", got)
	}
}

// R6: an origin may answer before it has read, and then neither reads.
func TestEarlyResponseEndsExchange(t *testing.T) {
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, "big")
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	for range 20 {
		x := g.open(t, t.Context(), request("POST", addr, "/"), false)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			piece := make([]byte, 16<<10)
			for {
				if _, err := x.Write(piece); err != nil {
					return
				}
			}
		}()
		resp, err := x.ReadResponse()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(x)
		if resp.Status != 413 || string(content) != "big" || err != nil {
			t.Errorf("got %d %q %v", resp.Status, content, err)
		}
		<-sent
		x.Close()
	}
	for _, rec := range g.records() {
		if rec.Outcome != engine.OutcomeCompleted {
			t.Errorf("record %+v", rec)
		}
	}
}

// R4: the origin learns that its caller left.
func TestCallerAbortReachesTheOrigin(t *testing.T) {
	arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/answering" {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	for _, path := range []string{"/waiting", "/answering"} {
		x := g.open(t, t.Context(), request("GET", addr, path), true)
		<-arrived
		start := time.Now()
		x.Reset(wire.ResetCancelled, "caller gone")
		<-gone
		if took := time.Since(start); took > time.Second { // no timeout of anybody
			t.Errorf("%s: took %v", path, took)
		}
		x.Close()
	}
	for _, rec := range g.records() {
		if rec.Outcome != engine.OutcomeCallerGone {
			t.Errorf("record %+v", rec)
		}
	}
}

// A connection that is lost cancels what runs on it.
func TestLostConnectionReachesTheOrigin(t *testing.T) {
	arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	addr := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	g := newRig(t, Options{Live: Live{Rules: anyRules(t)}})
	g.open(t, t.Context(), request("GET", addr, "/"), true)
	<-arrived
	g.conn.Close(engine.CloseRestart, "")
	<-gone
	if recs := g.records(); len(recs) != 1 || recs[0].Outcome != engine.OutcomeTunnelFailed {
		t.Errorf("records %+v", recs[0])
	}
}

func BenchmarkSmallGet(b *testing.B) {
	addr := serveHTTP(b, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello world\n") })
	g := newRig(b, Options{Live: Live{Rules: anyRules(b)}})
	b.ReportAllocs()
	for b.Loop() {
		if !g.conn.Reserve() {
			b.Fatal("no slot")
		}
		x, err := g.conn.Open(b.Context(), request("GET", addr, "/"), true)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.ReadResponse(); err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, x); err != nil {
			b.Fatal(err)
		}
		x.Close()
	}
}
