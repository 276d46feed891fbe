package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// A fakeSession is a connection without a network.
type fakeSession struct {
	o        tunnel.DialOptions
	protocol engine.Protocol
	welcome  *wire.Welcome
	done     chan struct{}

	mu       sync.Mutex
	ended    bool
	code     engine.CloseCode
	reason   string
	drained  time.Duration // grace of the drain; 0 none
	stubborn bool          // does not end when drained
}

func (s *fakeSession) ID() engine.ConnectionID   { return s.o.ID }
func (s *fakeSession) Protocol() engine.Protocol { return s.protocol }
func (s *fakeSession) Welcome() *wire.Welcome    { return s.welcome }
func (s *fakeSession) Done() <-chan struct{}     { return s.done }

func (s *fakeSession) Drain(grace time.Duration, reason string) {
	s.mu.Lock()
	s.drained = grace
	stubborn := s.stubborn
	s.mu.Unlock()
	if !stubborn {
		s.Close(engine.CloseGoingAway, reason)
	}
}

func (s *fakeSession) Close(code engine.CloseCode, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.code, s.reason = true, code, reason
		close(s.done)
	}
}

func (s *fakeSession) Status(c *engine.Connection) {
	c.State = engine.StateIdle
}

func (s *fakeSession) Ended() (engine.CloseCode, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code, s.reason
}

// A fakeNet is what a client under test dials.
type fakeNet struct {
	mu       sync.Mutex
	protocol engine.Protocol
	refuse   func(url string) error // nil: every dial succeeds
	dials    []time.Time
	open     []*fakeSession // every one so far
}

func (f *fakeNet) dial(ctx context.Context, o tunnel.DialOptions) (tunnel.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials = append(f.dials, time.Now())
	if f.refuse != nil {
		if err := f.refuse(o.URL); err != nil {
			return nil, err
		}
	}
	s := &fakeSession{o: o, protocol: f.protocol, done: make(chan struct{})}
	if s.protocol == 0 {
		s.protocol = engine.ProtocolNative
	}
	if s.protocol == engine.ProtocolNative {
		s.welcome = &wire.Welcome{Server: "edge"}
		for _, e := range o.Greeting.Expose {
			s.welcome.URLs = append(s.welcome.URLs, "http://"+e.Host+".example")
		}
	}
	f.open = append(f.open, s)
	return s, nil
}

func (f *fakeNet) refuseWith(err error) {
	f.mu.Lock()
	f.refuse = func(string) error { return err }
	f.mu.Unlock()
}

func (f *fakeNet) allow() {
	f.mu.Lock()
	f.refuse = nil
	f.mu.Unlock()
}

// alive returns the sessions that have not ended.
func (f *fakeNet) alive() []*fakeSession {
	f.mu.Lock()
	defer f.mu.Unlock()
	var alive []*fakeSession
	for _, s := range f.open {
		s.mu.Lock()
		if !s.ended {
			alive = append(alive, s)
		}
		s.mu.Unlock()
	}
	return alive
}

func (f *fakeNet) dialled() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.dials)
}

type dialFunc = func(context.Context, tunnel.DialOptions) (tunnel.Session, error)

// A run is a client under test.
type run struct {
	*Client
	cancel context.CancelFunc
	result chan error
	events <-chan engine.Batch
}

// start runs a client on a fake network. Its random source is random.
func start(t *testing.T, net *fakeNet, random float64, o Options) *run {
	t.Helper()
	return startWith(t, net.dial, random, o)
}

func startWith(t *testing.T, dial dialFunc, random float64, o Options) *run {
	t.Helper()
	if o.ID == "" {
		o.ID = "edge-3"
	}
	if o.Servers == nil {
		o.Servers = []string{"ws://server.example:8080/register"}
	}
	o.Bus = observe.NewBus()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.dial = dial
	c.random = func() float64 { return random }
	events, err := c.Subscribe(context.Background(), engine.SubscribeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{Client: c, cancel: cancel, result: make(chan error, 1), events: events}
	go func() { r.result <- c.Run(ctx) }()
	return r
}

// stop ends the client and returns everything that it published.
func (r *run) stop(t *testing.T) []engine.Event {
	t.Helper()
	r.cancel()
	<-r.Done()
	closed := make(chan struct{})
	go func() {
		r.o.Bus.Close()
		close(closed)
	}()
	var all []engine.Event
	for b := range r.events {
		if b.Dropped > 0 {
			t.Errorf("%d events dropped", b.Dropped)
		}
		all = append(all, b.Events...)
	}
	<-closed
	if len(all) == 0 || all[len(all)-1].Kind != engine.KindStopped {
		t.Error("the last event is not stopped")
	}
	for i, e := range all {
		if strings.Contains(e.Reason, "hush") || strings.Contains(e.Server, "hush") {
			t.Errorf("event %d tells the secret: %+v", i, e)
		}
	}
	return all
}

func count(events []engine.Event, kind engine.Kind) int {
	n := 0
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func only(events []engine.Event, kinds ...engine.Kind) []engine.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e engine.Event) bool { return !slices.Contains(kinds, e.Kind) })
}

var errNoServer = &tunnel.DialError{Err: errors.New("dial: connection refused")}
