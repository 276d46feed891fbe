package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/enginetest"
	"adit/engine/filter"
)

var started = time.Date(2026, 11, 22, 18, 4, 5, 60_000_000, time.UTC)

// scene is a server with n connections.
func scene(n int) engine.Snapshot {
	s := engine.Snapshot{
		Role: engine.RoleServer, Name: "edge", Instance: "i-1", Version: "1.4.0", Started: started,
		Listen: []string{"127.0.0.1:8080"}, Banned: []string{"mallory"}, Waiting: 3,
		Closes:  []engine.CloseCount{{Code: 1000, Count: 4}, {Code: 4000, Count: 1}},
		Limits:  []engine.LimitCount{{Name: "handshake-rate", Count: 12}},
		Totals:  engine.Totals{Requests: 100, Failed: 2, BytesIn: 1 << 40, FramesIn: engine.Frames{Binary: 7}, Statuses: [6]uint64{0, 0, 98, 0, 0, 2}},
		Capture: engine.CaptureState{Capture: engine.Capture{Mode: engine.CaptureHeads, Content: []string{"client:a"}}, Bytes: 12, Limit: 64 << 20, Sampling: 1},
	}
	for i := range n {
		s.Connections = append(s.Connections, engine.Connection{
			ID: engine.ConnectionID(i + 1), Client: fmt.Sprintf("client-%d", i%6), Peer: "192.0.2.7:50123",
			Protocol: engine.ProtocolNative, State: engine.StateIdle, Opened: started,
			Greeting: &engine.Greeting{ID: fmt.Sprintf("client-%d", i%6), PoolSize: 7, Version: "1.4.0", OS: "linux", Arch: "arm64",
				Labels: map[string]string{"region": "sin"}, Expose: []engine.Expose{{Host: "app"}}, Raw: "{}", Size: 2},
			GreetingReady: started, PingEvery: 30 * time.Second, RTT: 12 * time.Millisecond, RTTMin: 11 * time.Millisecond,
		})
	}
	return s
}

// A fakeLog keeps what it is given.
type fakeLog struct {
	mu       sync.Mutex
	records  []engine.Request
	contents map[engine.RequestID]*engine.Content
	events   []engine.Event
}

func (l *fakeLog) Requests(_ context.Context, q engine.RequestQuery, into *engine.RequestPage) error {
	f, err := filter.Parse(filter.Requests, q.Filter)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	*into = engine.RequestPage{Requests: into.Requests[:0], Kept: len(l.records), Capacity: 100}
	for i := range l.records {
		r := l.records[i]
		into.Oldest, into.Newest = l.records[0].ID, r.ID
		_, marked := slices.BinarySearch(q.Marked, r.ID)
		if f.Request(&r, &filter.Context{Now: time.Now(), Marked: func(uint64) bool { return marked }}) && (q.Until == 0 || r.ID <= q.Until) {
			r.Heads = nil
			into.Requests = append(into.Requests, r)
		}
	}
	if !q.Ascending {
		slices.Reverse(into.Requests)
	}
	into.Matched = len(into.Requests)
	into.Offset = min(q.Offset, into.Matched)
	into.Requests = into.Requests[into.Offset:min(into.Matched, into.Offset+q.Count)]
	return nil
}

func (l *fakeLog) Request(_ context.Context, id engine.RequestID) (engine.Request, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if r.ID == id {
			return r, nil
		}
	}
	return engine.Request{}, fmt.Errorf("request %v: %w", id, engine.ErrNotFound)
}

func (l *fakeLog) Content(_ context.Context, id engine.RequestID, into *engine.Content) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.contents[id]; c != nil {
		*into = *c
		return nil
	}
	return engine.ErrNotFound
}

func (l *fakeLog) Events(_ context.Context, q engine.EventQuery, into *engine.EventPage) error {
	f, err := filter.Parse(filter.Events, q.Filter)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	*into = engine.EventPage{}
	for i, e := range slices.Backward(l.events) {
		if key := uint64(i + 1); (q.Before == 0 || key < q.Before) && f.Event(&e, &filter.Context{Now: time.Now()}) {
			if len(into.Events) == q.Count {
				into.More = true
				break
			}
			into.Events, into.Keys = append(into.Events, e), append(into.Keys, key)
		}
	}
	return nil
}

// record is one that ended well.
func record(id engine.RequestID) engine.Request {
	return engine.Request{
		ID: id, Connection: 1, Client: "client-0", Caller: "192.0.2.9:4711", Way: engine.WayHost, Protocol: engine.ProtocolNative,
		Method: "GET", Target: "http://app.example.com/orders?page=3", Status: 200, RequestBytes: 3, ResponseBytes: 345,
		Arrived: started, Queued: 10 * time.Microsecond, Sent: 20 * time.Microsecond, Connect: -1, FirstByte: 3 * time.Millisecond,
		LastByte: 4 * time.Millisecond, Outcome: engine.OutcomeCompleted,
		Heads: &engine.Heads{Request: "host: app.example.com\nauthorization: Bearer abcdef\n", Response: "content-type: text/plain; charset=utf-8\nset-cookie: s=1\n"},
	}
}

// A rig is a server on a socket of its own, its engine and its log.
type rig struct {
	engine *enginetest.Fake
	log    *fakeLog
	server *Server
	path   string
}

func newLog() *fakeLog {
	return &fakeLog{
		records: []engine.Request{record(1), record(2), record(3)},
		contents: map[engine.RequestID]*engine.Content{2: {
			Request:  engine.Part{Data: []byte("a=1"), Size: 3, Over: true},
			Response: engine.Part{Data: []byte("hello \xff"), Size: 1000},
			Messages: []engine.Message{
				{Time: started, FromCaller: true, Kind: engine.MessageText, Data: []byte("hi"), Size: 2},
				{Time: started, Kind: engine.MessageBinary, Compressed: true, Data: []byte{1, 2, 3}, Size: 3},
			},
			MessagesLost: 4,
		}},
		events: []engine.Event{{Seq: 1, Time: started, Kind: engine.KindReady, Listen: "127.0.0.1:8080"},
			{Seq: 2, Time: started, Kind: engine.KindConnectionOpened, Connection: 1, Peer: "192.0.2.7:1"}},
	}
}

// socketPath returns the path of a socket that is not there yet.
func socketPath(t testing.TB) string { return filepath.Join(t.TempDir(), "run", "a.sock") }

func newRig(t testing.TB, snapshot engine.Snapshot, change ...func(*Options)) *rig {
	r := &rig{engine: enginetest.NewFake(snapshot), log: newLog(), path: socketPath(t)}
	r.start(t, change...)
	t.Cleanup(func() {
		_ = r.server.Close()
		r.engine.End()
	})
	return r
}

// start serves at the rig's path.
func (r *rig) start(t testing.TB, change ...func(*Options)) {
	t.Helper()
	o := Options{Engine: r.engine, Log: r.log,
		Settings: []engine.Setting{{Name: "listen", Value: "127.0.0.1:8080", Source: "flag", Help: "where"}}, Commands: []string{"curl -x …"},
		Restart: func(context.Context, engine.Operator) (Restarted, error) { return Restarted{PID: 4711}, nil },
		Reload: func(context.Context, engine.Operator) (Reloaded, error) {
			return Reloaded{Changed: []string{"secret"}, Restart: []string{"listen"}}, nil
		}}
	for _, c := range change {
		c(&o)
	}
	r.server = NewServer(o)
	ln, err := Listen(r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.serve(t, ln)
}

func (r *rig) serve(t testing.TB, ln net.Listener) {
	served := make(chan error, 1)
	s := r.server
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// client speaks HTTP with the rig's socket.
func (r *rig) client(t testing.TB) *http.Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", r.path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// get makes a call and returns its status and what it says.
func get(t testing.TB, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// dial attaches to the rig and waits for data.
func dial(t testing.TB, address string, o DialOptions) *Remote {
	t.Helper()
	r, err := Dial(context.Background(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

// patience bounds what should not take long on a machine that is not busy.
const patience = 40 * time.Second

// eventually waits until ok, which is asked every few milliseconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func as[E error](err error) (target E, ok bool) {
	ok = errors.As(err, &target)
	return target, ok
}

func copyAll(w io.Writer, resp *http.Response) (int64, error) { return io.Copy(w, resp.Body) }
