package command

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/control"
	"adit/engine/enginetest"
	"adit/engine/filter"
)

// A fakeRun is the engine of another process, and its log.
type fakeRun struct {
	*enginetest.FakeLinked
	mu       sync.Mutex
	requests []engine.Request // in order of ID
	events   []engine.Event   // in order of time
	content  map[engine.RequestID]engine.Content
	settings []engine.Setting
	waitErr  error
	closed   bool
	heard    chan struct{} // told of each subscription
}

func newFakeRun() *fakeRun {
	at := time.Date(2026, 11, 23, 15, 4, 11, 761_000_000, time.UTC)
	opened := at.Add(-3 * time.Minute)
	s := engine.Snapshot{
		Name: "edge", Role: engine.RoleServer, Time: at, Started: opened, Banned: []string{"edge-9"},
		Connections: []engine.Connection{
			{ID: 7, Client: "edge-1", Peer: "192.0.2.1:5", Protocol: engine.ProtocolNative, State: engine.StateBusy, Opened: opened, InFlight: 2,
				Exchanges: 40, Failed: 1, RTT: 3 * time.Millisecond, RTTMin: time.Millisecond, Traffic: engine.Traffic{BytesIn: 1500, BytesOut: 9 << 20},
				Greeting: &engine.Greeting{ID: "edge-1", PoolSize: 2, Version: "1.2.3", Hostname: "pi", Labels: map[string]string{"zone": "west"}, Expose: []engine.Expose{{Host: "app"}, {TCP: 5432}}}},
			{ID: 8, Client: "edge-1", Peer: "192.0.2.1:6", Protocol: engine.ProtocolNative, State: engine.StateIdle, Opened: opened},
			{ID: 9, Client: "edge-2\x1b[2J", Peer: "192.0.2.2:5", Protocol: engine.ProtocolClassic, State: engine.StateIdle, Opened: opened},
		},
	}
	return &fakeRun{FakeLinked: enginetest.NewFakeLinked(s, at), content: map[engine.RequestID]engine.Content{}, heard: make(chan struct{}, 8)}
}

func (f *fakeRun) add(r ...engine.Request) *fakeRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, r...)
	return f
}

func (f *fakeRun) Requests(ctx context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	fl, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	*into = engine.RequestPage{Requests: into.Requests[:0]}
	for i := range f.requests {
		if fl.Request(&f.requests[i], &filter.Context{Now: time.Now()}) {
			into.Requests = append(into.Requests, f.requests[i])
		}
	}
	if !q.Ascending {
		slices.Reverse(into.Requests)
	}
	into.Matched = len(into.Requests)
	into.Requests = into.Requests[min(q.Offset, into.Matched):min(q.Offset+q.Count, into.Matched)]
	return nil
}

func (f *fakeRun) Request(_ context.Context, id engine.RequestID) (engine.Request, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.requests {
		if f.requests[i].ID == id {
			return f.requests[i], nil
		}
	}
	return engine.Request{}, engine.ErrNotFound
}

func (f *fakeRun) Content(_ context.Context, id engine.RequestID, into *engine.Content) error {
	if f.Link().ReadOnly {
		return engine.ErrReadOnly
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.content[id]
	if !ok {
		return engine.ErrNotFound
	}
	*into = c
	return nil
}

func (f *fakeRun) Events(_ context.Context, q engine.EventQuery, into *engine.EventPage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	*into = engine.EventPage{}
	for i := len(f.events) - 1; i >= 0; i-- {
		if key := uint64(i + 1); (q.Before == 0 || key < q.Before) && len(into.Events) < q.Count {
			into.Events, into.Keys = append(into.Events, f.events[i]), append(into.Keys, key)
			into.More = i > 0
		}
	}
	return nil
}

func (f *fakeRun) Subscribe(ctx context.Context, o engine.SubscribeOptions) (<-chan engine.Batch, error) {
	batches, err := f.FakeLinked.Subscribe(ctx, o)
	f.heard <- struct{}{}
	return batches, err
}

func (f *fakeRun) Wait(context.Context) error { return f.waitErr }

func (f *fakeRun) About(context.Context) ([]engine.Setting, []string, error) {
	return f.settings, nil, nil
}

func (f *fakeRun) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// ask runs a verb against the run.
func (f *fakeRun) ask(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return f.askWith(t, t.Context(), &Process{}, args...)
}

func (f *fakeRun) askWith(t *testing.T, ctx context.Context, p *Process, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, report bytes.Buffer
	p.Stdout, p.Stderr = &out, &report
	p.dial = func(context.Context, string, control.DialOptions) (remote, error) { return f, nil }
	root := Root(p)
	root.SilenceUsage = true
	root.SetArgs(append(args, "--addr", "/run/adit/server-edge.sock"))
	code = p.Finish(root.ExecuteContext(ctx))
	if code != codeUsage && !f.closed {
		t.Error("the link was left open")
	}
	return code, out.String(), report.String()
}

func request(id engine.RequestID, status int, change func(*engine.Request)) engine.Request {
	r := engine.Request{
		ID: id, Connection: 7, Client: "edge-1", Method: "GET", Target: "http://app.example.test/api", Status: status, Way: engine.WayHost,
		ResponseBytes: 1200, Arrived: time.Date(2026, 11, 23, 15, 4, 11, 761_000_000, time.Local), Outcome: engine.OutcomeCompleted,
		Sent: time.Millisecond, Connect: 0, FirstByte: 40 * time.Millisecond, LastByte: 66 * time.Millisecond,
	}
	if change != nil {
		change(&r)
	}
	return r
}

func TestListOfConnections(t *testing.T) {
	code, out, report := newFakeRun().ask(t, "ls")
	const want = "" +
		"CONN  CLIENT       STATE   AGE  RTT MS    IN   OUT  IN FLIGHT  REQUESTS  FAILED  PROTOCOL  PEER\n" +
		"c-7   edge-1       busy  3m00s     3.0  1.5K  9.0M          2        40       1  adit.v1   192.0.2.1:5\n" +
		"c-8   edge-1       idle  3m00s            0B    0B          0         0       0  adit.v1   192.0.2.1:6\n" +
		"c-9   edge-2?[2J   idle  3m00s            0B    0B          0         0       0  wsp       192.0.2.2:5\n"
	if code != 0 || report != "" {
		t.Errorf("exit code %d: %s", code, report)
	}
	if squeeze(out) != squeeze(want) {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	_, out, _ = newFakeRun().ask(t, "ls", "--filter", "label.zone:west")
	if strings.Count(out, "\n") != 3 || strings.Contains(out, "c-9") {
		t.Errorf("a label selects\n%s", out)
	}
	_, out, _ = newFakeRun().ask(t, "ls", "clients")
	if !strings.Contains(out, "edge-9") || !strings.Contains(out, "banned") || !strings.Contains(out, "app tcp:5432") {
		t.Errorf("clients\n%s", out)
	}
}

// squeeze makes one space of several: widths are tested elsewhere.
func squeeze(s string) string {
	for strings.Contains(s, "  ") {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

func TestEveryLineOfJSONIsAnObject(t *testing.T) {
	for _, args := range [][]string{
		{"ls"}, {"ls", "clients"}, {"ls", "requests"}, {"ls", "events"},
		{"show", "c-7"}, {"show", "r-1"}, {"show", "r-1", "--content"}, {"show", "edge-1"}, {"kill", "c-7"}, {"ban", "edge-1\x07"},
	} {
		f := newFakeRun().add(request(1, 200, func(r *engine.Request) {
			r.Heads = &engine.Heads{Request: "host: a\nauthorization: Bearer hunter2\n", Response: "content-type: application/json\n"}
		}))
		f.content[1] = engine.Content{Response: engine.Part{Data: []byte(`{"a":1}`), Size: 7, Over: true},
			Messages: []engine.Message{{Kind: engine.MessageText, Data: []byte("\xff")}, {Kind: engine.MessageText, Data: []byte("hi")}}}
		f.events = []engine.Event{{Kind: engine.KindNotice, Reason: "x\x1b"}}
		code, out, report := f.ask(t, append(args, "--json")...)
		if code != 0 || out == "" {
			t.Errorf("%v: exit code %d: %s", args, code, report)
		}
		for line := range strings.Lines(out) {
			var members map[string]any
			if err := json.Unmarshal([]byte(line), &members); err != nil || strings.ContainsAny(line, "\x1b\x07") {
				t.Errorf("%v: %v: %q", args, err, line)
			}
		}
		if strings.Contains(out, "hunter2") {
			t.Errorf("%v shows a credential: %s", args, out)
		}
	}
}

func TestRequestsAreListedTheNewestLast(t *testing.T) {
	f := newFakeRun().add(request(1, 200, nil), request(2, 502, func(r *engine.Request) {
		r.Outcome, r.Reason = engine.OutcomeOriginFailed, "dial\x1b"
	}), request(3, 200, func(r *engine.Request) { r.Outcome, r.LastByte = engine.OutcomeNone, -1 }))
	_, out, _ := f.ask(t, "ls", "requests", "-n", "2")
	lines := strings.Split(out, "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "15:04:11.761  r-2 ") || !strings.Contains(lines[1], "(origin_failed: dial?)") ||
		!strings.Contains(lines[2], "r-3") || !strings.Contains(lines[2], "(in flight)") {
		t.Errorf("got\n%s", out)
	}
	code, out, report := f.ask(t, "ls", "requests", "--filter", "status:>=500 fot:1")
	if code != codeUsage || out != "" || !strings.Contains(report, "  status:>=500 fot:1\n               ^^^") {
		t.Errorf("exit code %d: %s", code, report)
	}
}

func TestActionsNameWhatWasNotThere(t *testing.T) {
	f := newFakeRun()
	code, out, report := f.ask(t, "kill", "c-7", "c-99", "--reason", "leaks")
	if code != codeFailed || out != "c-7 closed\n" || !strings.Contains(report, "c-99: not found") {
		t.Errorf("exit code %d, %q: %s", code, out, report)
	}
	if by := f.Actions()[0].By; by.Reason != "leaks" {
		t.Errorf("the reason is %+v", by)
	}
	for _, c := range []struct {
		refuse error
		code   int
		says   string
	}{
		{engine.ErrReadOnly, codeRefused, "--control-token"},
		{engine.ErrLost, codeLost, "lost"},
	} {
		f := newFakeRun()
		f.Refuse(c.refuse)
		code, _, report := f.ask(t, "kill", "c-7", "c-8")
		if code != c.code || !strings.Contains(report, c.says) || len(f.Actions()) != 1 {
			t.Errorf("%v: exit code %d after %d tries: %s", c.refuse, code, len(f.Actions()), report)
		}
	}
}

func TestFilterOfAnActionOnlyListsWithoutYes(t *testing.T) {
	for _, verb := range []string{"kill", "drain"} {
		f := newFakeRun()
		code, out, report := f.ask(t, verb, "--filter", "client:edge-1")
		if code != 0 || len(f.Actions()) != 0 || !strings.Contains(out, "c-8") || !strings.Contains(report, "2 connections would be") {
			t.Errorf("%s: exit code %d, %d actions: %s%s", verb, code, len(f.Actions()), out, report)
		}
		f = newFakeRun()
		if code, _, report := f.ask(t, verb, "--filter", "client:edge-1", "--yes"); code != 0 || len(f.Actions()) != 2 {
			t.Errorf("%s --yes: exit code %d, %d actions: %s", verb, code, len(f.Actions()), report)
		}
	}
}

func TestVerbsWithNothingToActOn(t *testing.T) {
	for _, args := range [][]string{
		{"kill"}, {"kill", "edge-1"}, {"kill", "c-7", "--filter", "client:a"}, {"kill", "--filter", "nope:"}, {"cancel"}, {"cancel", "c-7"},
		{"ban"}, {"unban"}, {"drain"}, {"drain", "--all", "c-7"}, {"drain", "r-7"}, {"show"}, {"replay"}, {"replay", "c-7"},
		{"replay", "r-7", "--set", "nothing"}, {"replay", "r-7", "--diff", "--wait=false"}, {"export", "r-7"}, {"export", "--har", "-"},
		{"export", "r-7", "--har", "-", "--curl"}, {"export", "r-7", "r-8", "--content", "response"}, {"export", "r-7", "--content", "all"},
		{"ls", "things"}, {"ls", "-n", "-1"}, {"ls", "--order", "age"}, {"tail", "clients"}, {"record"}, {"play"}, {"top", "-n", "-1"}, {"attach"},
	} {
		f := newFakeRun()
		if code, out, report := f.ask(t, args...); code != codeUsage || out != "" || report == "" || len(f.Actions()) != 0 {
			t.Errorf("%v: exit code %d, %d actions: %s%s", args, code, len(f.Actions()), out, report)
		}
	}
}

func TestTailFollowsWhatTheFilterSelects(t *testing.T) {
	f := newFakeRun().add(request(1, 500, nil), request(2, 200, nil))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.heard
		for i := engine.RequestID(3); i < 6; i++ {
			r := request(i, 500+int(i)%2*-300, nil)
			f.Publish(engine.Event{Kind: engine.KindRequestFinished, Request: &r})
		}
		time.Sleep(300 * time.Millisecond)
		cancel()
	}()
	code, out, report := f.askWith(t, ctx, &Process{}, "tail", "-n", "5", "--filter", "status:>=500", "--json")
	if code != 0 || report != "" {
		t.Errorf("exit code %d: %s", code, report)
	}
	var ids []string
	for line := range strings.Lines(out) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, members["id"].(string))
	}
	if !slices.Equal(ids, []string{"r-1", "r-4"}) {
		t.Errorf("it printed %v", ids)
	}
}

func TestTailOnceEndsWhenTheRunGoes(t *testing.T) {
	f := newFakeRun()
	f.Lose("EOF", time.Now())
	if code, _, report := f.ask(t, "tail", "--once"); code != codeLost || !strings.Contains(report, "EOF") {
		t.Errorf("exit code %d: %s", code, report)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	f = newFakeRun()
	f.Lose("EOF", time.Now())
	time.AfterFunc(500*time.Millisecond, func() { f.Recover("2", time.Now()) })
	code, _, report := f.askWith(t, ctx, &Process{}, "tail")
	if code != 0 || !strings.Contains(report, "is gone: EOF") || !strings.Contains(report, "is back") {
		t.Errorf("exit code %d: %s", code, report)
	}
}
