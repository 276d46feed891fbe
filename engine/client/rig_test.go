package client

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/frame"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A rig is a client that runs against the server end of a real connection.
type rig struct {
	client *Client
	conn   tunnel.Conn
	stop   func()

	mu       sync.Mutex
	finished []*engine.Request
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	conns := make(chan tunnel.Conn, 1)
	// A client that stops may be dialling: a classic connection that served is
	// replaced.
	var stopping atomic.Bool
	register := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reg, err := tunnel.Accept(w, r, tunnel.AcceptOptions{ID: 1, Limits: tunnel.DefaultLimits(),
			Protocol: o.Protocol, Counters: new(frame.Counters)})
		if err != nil {
			if !stopping.Load() {
				t.Errorf("accept: %v", err)
			}
			return
		}
		var urls []string
		for _, e := range reg.Greeting.Expose {
			urls = append(urls, "http://"+e.Host+strconv.Itoa(int(e.TCP))+".example")
		}
		conn, err := reg.Welcome(&wire.Welcome{Connection: "c-1", Server: "edge", PingInterval: time.Minute,
			MaxExchanges: 1000, Window: 64 << 10, URLs: urls})
		if err != nil {
			if !stopping.Load() {
				t.Errorf("welcome: %v", err)
			}
			return
		}
		conns <- conn
	}))
	t.Cleanup(register.Close)
	if o.ID == "" {
		o.ID = "edge-3"
	}
	o.Servers = []string{"ws" + strings.TrimPrefix(register.URL, "http") + "/register"}
	o.Pool, o.PoolMax = 1, 1
	if o.Bus == nil {
		o.Bus = observe.NewBus()
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{client: c}
	events, err := c.Subscribe(context.Background(), engine.SubscribeOptions{Kinds: engine.KindSet(engine.KindRequestFinished)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for b := range events {
			for _, e := range b.Events {
				if e.Kind == engine.KindRequestFinished {
					g.mu.Lock()
					g.finished = append(g.finished, e.Request)
					g.mu.Unlock()
				}
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
		o.Bus.Close()
	})
	g.conn = <-conns
	g.stop = sync.OnceFunc(func() {
		stopping.Store(true)
		cancel()
		wg.Wait()
		g.conn.Close(engine.CloseGoingAway, "")
	})
	t.Cleanup(g.stop)
	return g
}

// records ends the client and returns the records of its requests.
func (g *rig) records() []*engine.Request {
	g.stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.SortFunc(g.finished, func(a, b *engine.Request) int { return cmp.Compare(a.ID, b.ID) })
	return g.finished
}

// An opened exchange is closed once, at the end of the test if not before.
type opened struct {
	tunnel.Exchange
	close func()
}

func newOpened(t testing.TB, x tunnel.Exchange) *opened {
	o := &opened{x, sync.OnceFunc(x.Close)}
	t.Cleanup(o.close)
	return o
}

func (o *opened) Close() { o.close() }

// open begins an exchange as the server does.
func (g *rig) open(t testing.TB, ctx context.Context, r *wire.Request, end bool) *opened {
	t.Helper()
	if !g.conn.Reserve() {
		t.Fatal("no slot")
	}
	x, err := g.conn.Open(ctx, r, end)
	if err != nil {
		g.conn.Unreserve()
		t.Fatalf("open: %v", err)
	}
	return newOpened(t, x)
}

func (g *rig) connect(t testing.TB, route uint64, target string) *opened {
	t.Helper()
	if !g.conn.Reserve() {
		t.Fatal("no slot")
	}
	x, err := g.conn.OpenConnect(t.Context(), route, target)
	if err != nil {
		g.conn.Unreserve()
		t.Fatalf("open: %v", err)
	}
	return newOpened(t, x)
}

// do performs one request without content.
func (g *rig) do(t testing.TB, r *wire.Request) (*wire.Response, string, error) {
	t.Helper()
	x := g.open(t, t.Context(), r, true)
	defer x.Close()
	resp, err := x.ReadResponse()
	if err != nil {
		return nil, "", err
	}
	content, err := io.ReadAll(x)
	return resp, string(content), err
}

func anyRules(t testing.TB) *policy.Rules {
	t.Helper()
	rules, err := (&policy.RuleSet{AllowAll: true}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func serveHTTP(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func request(method, authority, path string, fields ...wire.Field) *wire.Request {
	return &wire.Request{Method: method, Scheme: "http", Authority: authority, Path: path, Fields: fields}
}
