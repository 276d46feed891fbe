package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An Oracle sends requests whose answers it can check, and afterwards compares
// three sets: what was sent, what the origin saw, what was answered.
type Oracle struct {
	// Do performs one request; what it returns is the caller's view. It must
	// not send a request twice: [Once] keeps net/http's transport from it.
	Do func(*http.Request) (*http.Response, error)
	// Target is the URL of the origin as the requests name it, without a path.
	Target string
	Origin *Origin

	Requests    int           // how many; 0: until ctx ends
	Concurrency int           // at once; default 64
	Seed        uint64        // of tokens, methods, sizes and behaviours
	MaxContent  int           // largest content, either way; default 1 MiB
	Timeout     time.Duration // for each request; what takes longer hangs; default 30 s

	// Shares of misbehaviour, 0 to 1.
	CancelShare, EarlyShare, AbortShare float64

	// Finished, if set, is told of every request; it may be called from many
	// goroutines.
	Finished func(Result)

	// Stuck, if set, is told of every request that has taken three quarters of
	// Timeout, while it still hangs.
	Stuck func(Token)
}

// A Result is what became of one request.
type Result struct {
	Token    Token
	Began    time.Time
	Took     time.Duration
	Behave   string // what was asked for: "echo", "size", "early", "abort", "cancel"
	Status   int    // 0: no response
	Complete bool   // the response's content came to a clean end
	Hung     bool   // Timeout passed
	Err      error  // of the transport or the content

	origin bool // the answer has the request's token
}

// A Report is what an [Oracle] found.
type Report struct {
	Sent, Completed, Failed, Cancelled int
	Status                             map[int]int // of responses, complete or not
	Slowest                            time.Duration

	Crossed    int // I1: an answer, or content at the origin, with another's token
	Duplicated int // I2: the origin saw a token twice
	Lost       int // I3: success that the origin never saw, or no end at all
	Truncated  int // I4: a clean end, but not the bytes that the origin sent
	Hung       int // of Lost: no end within Timeout

	Violations []string // the first 20, in words
}

// Violated reports whether anything happened that must never happen.
func (r *Report) Violated() bool { return r.Crossed+r.Duplicated+r.Lost+r.Truncated > 0 }

// String returns one line, and one more for each violation.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent: %d completed, %d failed, %d cancelled; crossed %d, duplicated %d, lost %d, truncated as complete %d; slowest %v; status",
		r.Sent, r.Completed, r.Failed, r.Cancelled, r.Crossed, r.Duplicated, r.Lost, r.Truncated, r.Slowest.Round(time.Millisecond))
	codes := make([]int, 0, len(r.Status))
	for code := range r.Status {
		codes = append(codes, code)
	}
	sort.Ints(codes)
	for _, code := range codes {
		fmt.Fprintf(&b, " %d×%d", code, r.Status[code])
	}
	for _, v := range r.Violations {
		b.WriteString("\n\t" + v)
	}
	return b.String()
}

// Once makes req one that [http.Transport] sends at most once: it repeats a
// request without content after a connection broke.
func Once(req *http.Request) *http.Request {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		if req.Body == nil || req.Body == http.NoBody {
			req.Body = emptyContent{} // a body that cannot be had again; it is probed, and not sent
		}
	}
	req.GetBody = nil
	return req
}

type emptyContent struct{}

func (emptyContent) Read([]byte) (int, error) { return 0, io.EOF }
func (emptyContent) Close() error             { return nil }

// Run sends the requests and compares. It returns when every request has ended
// and ctx's end only stops it from sending more.
func (o *Oracle) Run(ctx context.Context) *Report {
	run := &oracleRun{o: o, report: Report{Status: map[int]int{}}}
	run.concurrency, run.maxContent, run.timeout = o.Concurrency, o.MaxContent, o.Timeout
	if run.concurrency <= 0 {
		run.concurrency = 64
	}
	if run.maxContent <= 0 {
		run.maxContent = 1 << 20
	}
	if run.timeout <= 0 {
		run.timeout = 30 * time.Second
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	for worker := range run.concurrency {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(o.Seed, uint64(worker)))
			for ctx.Err() == nil && (o.Requests == 0 || next.Add(1) <= int64(o.Requests)) {
				run.one(rng)
			}
		})
	}
	wg.Wait()
	run.compare()
	return &run.report
}

type oracleRun struct {
	o           *Oracle
	concurrency int
	maxContent  int
	timeout     time.Duration

	mu      sync.Mutex
	report  Report
	answers []answer
}

// An answer is what is kept of a request until the sets are compared.
type answer struct {
	token   Token
	success bool // the origin's answer came, or a 2xx
}

func (run *oracleRun) violation(counter *int, format string, args ...any) {
	run.mu.Lock()
	defer run.mu.Unlock()
	*counter++
	if len(run.report.Violations) < 20 {
		run.report.Violations = append(run.report.Violations, fmt.Sprintf(format, args...))
	}
}

// A plan is one request before it is sent.
type plan struct {
	token    Token
	behave   string
	method   string
	target   string
	content  int64 // of the request
	unknown  bool  // its length is not told
	answer   int64 // bytes of content that a complete response has
	promised int64 // of these, if it aborts, how many come at most
	cancel   time.Duration
}

func (run *oracleRun) plan(rng *rand.Rand) plan {
	p := plan{token: NewToken(rng)}
	// Small sizes are common, all magnitudes occur, 0 too.
	size := func() int64 {
		n := int64(rng.Float64() * float64(int64(1)<<rng.IntN(21)))
		return min(n, int64(run.maxContent))
	}
	p.content, p.answer = size(), size()
	p.unknown = rng.IntN(3) == 0
	chunked := ""
	if rng.IntN(3) == 0 {
		chunked = "&chunked=1"
	}
	x := rng.Float64()
	o := run.o
	switch {
	case x < o.EarlyShare:
		p.behave, p.method = "early", http.MethodPost
		p.content = int64(run.maxContent) / 2
		p.target, p.answer = "/early?code=413", 0
	case x < o.EarlyShare+o.AbortShare:
		p.behave, p.method, p.content = "abort", http.MethodGet, 0
		p.answer++
		p.promised = rng.Int64N(p.answer)
		p.target = fmt.Sprintf("/abort?n=%d&at=%d%s", p.answer, p.promised, chunked)
	case rng.IntN(2) == 0:
		p.behave = "echo"
		p.method = [...]string{http.MethodPost, http.MethodPut, http.MethodPatch}[rng.IntN(3)]
		p.target, p.answer = "/echo", p.content
	default:
		p.behave = "size"
		p.method = [...]string{http.MethodGet, http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions, http.MethodPost}[rng.IntN(6)]
		if p.method != http.MethodPost {
			p.content = 0
		}
		p.target = fmt.Sprintf("/size?n=%d%s", p.answer, chunked)
	}
	if rng.Float64() < o.CancelShare {
		p.behave = "cancel"
		p.cancel = time.Duration(rng.ExpFloat64() * float64(3*time.Millisecond))
		if rng.IntN(4) == 0 {
			p.target, p.answer = "/hang?head=1", 0
			p.cancel += 5 * time.Millisecond
		}
	}
	return p
}

func (run *oracleRun) request(ctx context.Context, p plan) (*http.Request, error) {
	var body io.Reader
	if p.content > 0 {
		body = NewPattern(p.token, p.content)
	}
	req, err := http.NewRequestWithContext(ctx, p.method, run.o.Target+p.target, body)
	if err != nil {
		return nil, err
	}
	if p.content > 0 {
		req.ContentLength = p.content
		if p.unknown {
			req.ContentLength = -1
		}
	}
	req.Header.Set(TokenField, p.token.String())
	return Once(req), nil
}

var errHung = errors.New("no end within the oracle's timeout")

func (run *oracleRun) one(rng *rand.Rand) {
	p := run.plan(rng)
	ctx, cancel := context.WithTimeoutCause(context.Background(), run.timeout, errHung)
	defer cancel()
	if p.behave == "cancel" {
		stop := time.AfterFunc(p.cancel, cancel)
		defer stop.Stop()
	}
	if run.o.Stuck != nil {
		watch := time.AfterFunc(run.timeout*3/4, func() { run.o.Stuck(p.token) })
		defer watch.Stop()
	}
	res := Result{Token: p.token, Began: time.Now(), Behave: p.behave}
	if req, err := run.request(ctx, p); err != nil {
		res.Err = err
	} else if resp, err := run.o.Do(req); err != nil {
		res.Err = err
	} else {
		res.Status = resp.StatusCode
		run.read(p, resp, &res)
	}
	res.Took = time.Since(res.Began)
	res.Hung = errors.Is(context.Cause(ctx), errHung)
	run.record(p, res)
	if run.o.Finished != nil {
		run.o.Finished(res)
	}
}

// read checks one answer against what was asked for.
func (run *oracleRun) read(p plan, resp *http.Response, res *Result) {
	defer resp.Body.Close()
	got := newDigest()
	_, res.Err = io.Copy(got, resp.Body)
	res.Complete = res.Err == nil
	r := &run.report
	told := resp.Header.Get(TokenField)
	if told != "" && told != p.token.String() {
		run.violation(&r.Crossed, "I1 the answer to %v (%s) has the field of %s", p.token, p.behave, told)
		return
	}
	res.origin = told != ""
	if !res.origin || resp.StatusCode != http.StatusOK {
		return
	}
	if at := string(got.head); len(at) == TokenSize && at != p.token.String() {
		run.violation(&r.Crossed, "I1 the answer to %v (%s) has content of %q", p.token, p.behave, at)
		return
	}
	if !res.Complete || p.behave == "cancel" && strings.HasPrefix(p.target, "/hang") {
		return
	}
	switch {
	case p.method == http.MethodHead:
		if got.n != 0 {
			run.violation(&r.Truncated, "I4 the answer to HEAD %v has %d bytes of content", p.token, got.n)
		}
	case p.behave == "abort":
		run.violation(&r.Truncated, "I4 %v: the origin aborted after %d of %d bytes, the caller saw a clean end after %d", p.token, p.promised, p.answer, got.n)
	case got.n != p.answer || got.hex() != PatternDigest(p.token, p.answer) ||
		resp.Header.Get(DigestField) != got.hex():
		run.violation(&r.Truncated, "I4 %v (%s): a clean end after %d bytes of %d, digest %s, the origin's %s", p.token, p.behave, got.n, p.answer, got.hex(), resp.Header.Get(DigestField))
	}
}

func (run *oracleRun) record(p plan, res Result) {
	if res.Hung {
		run.violation(&run.report.Lost, "I3 %v (%s %s): no end within %v, status %d; at the origin %+v",
			p.token, p.method, p.target, run.timeout, res.Status, run.o.Origin.Seen(p.token))
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	r := &run.report
	if res.Hung {
		r.Hung++
	}
	r.Sent++
	r.Slowest = max(r.Slowest, res.Took)
	if res.Status != 0 {
		r.Status[res.Status]++
	}
	switch {
	case p.behave == "cancel":
		r.Cancelled++
	case res.Complete && res.Status < 500:
		r.Completed++
	default:
		r.Failed++
	}
	run.answers = append(run.answers, answer{p.token, res.origin || res.Status/100 == 2})
}

// compare looks for what only all three sets together show.
func (run *oracleRun) compare() {
	r := &run.report
	for _, a := range run.answers {
		seen := run.o.Origin.Seen(a.token)
		if seen.Requests > 1 {
			run.violation(&r.Duplicated, "I2 the origin saw %v %d times", a.token, seen.Requests)
		}
		if a.success && seen.Requests == 0 {
			run.violation(&r.Lost, "I3 %v succeeded, the origin never saw it", a.token)
		}
	}
	for _, c := range run.o.Origin.Crossed() {
		run.violation(&r.Crossed, "I1 %s", c)
	}
}
