// Package client is the private end: it dials servers, keeps connections to
// them for ever, and carries what comes through them to origins under its rules.
//
// Start here; run.go is the life of a client, endpoint.go keeps the connections
// to one server, serve.go carries one exchange to an origin, raw.go a byte
// stream, control.go is the engine.Engine.
package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/egress"
	"adit/engine/observe"
	"adit/engine/origin"
	"adit/engine/policy"
	"adit/engine/tunnel"
)

// An Expose is one route: where it leads stays at the client.
type Expose struct {
	Host   string // one DNS label, or "" for TCP
	TCP    uint16 // port at the server
	Origin string // URL with scheme http, https or h2c for Host; host:port for TCP
}

// Options configure a Client. They are not changed after New.
type Options struct {
	ID      string
	Version string
	Servers []string // ws(s)://…/register
	Labels  map[string]string

	Pool     int // native connections per server; default 2
	PoolIdle int // classic: idle connections; default 10
	PoolMax  int // classic: connections in all; default 100

	Expose      []Expose
	RewriteHost bool           // Host at an exposed origin is the exposed URL's
	Live                       // what is in force from the start
	Dialer      *policy.Dialer // nil: the system's resolver and sockets

	Protocol    engine.Protocol // 0 auto
	ClassicPing time.Duration   // default 30 s
	Limits      tunnel.Limits
	Grace       time.Duration // default 30 s
	Once        bool          // end with an error instead of trying again

	Capture       engine.Capture // what is kept of exchanges from the start
	CaptureMemory int64          // bytes of content; 0 capture.DefaultLimit

	// Where ids begin: behind those of former runs in the same history. 0 is 1.
	FirstRequest    engine.RequestID
	FirstConnection engine.ConnectionID

	Egress *egress.Dialer // the way to servers; nil: straight

	// NetDial replaces the dial to servers in tests.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	Tracer *observe.Tracer // which requests are traced, and given a traceparent; nil: none

	Bus     *observe.Bus // of the caller of New, who closes it after Done
	Logger  *slog.Logger // nil: discards
	OnPanic func(v any)  // nil: panics go on
}

const (
	defaultPool        = 2
	defaultPoolIdle    = 10
	defaultPoolMax     = 100
	defaultClassicPing = 30 * time.Second
	defaultGrace       = 30 * time.Second
	maxPool            = 100_000          // protocol.md §1
	growthBudget       = 64 << 20         // bytes by which windows may grow
	copyBuffer         = tunnel.PieceSize // bytes read from an origin at once
	idLimit            = 128              // bytes of an id
	originDial         = 10 * time.Second
	originIdle         = 512 // connections kept to one origin: below the callers at once, every second request dials
)

// A Client is an [engine.Engine].
type Client struct {
	o         Options
	log       *slog.Logger
	process   string  // of this one, in greetings
	routes    []route // route n of a record is routes[n-1]
	endpoints []*endpoint
	now       atomic.Pointer[force]
	growth    *tunnel.Budget
	buffers   sync.Pool // of *[copyBuffer]byte
	started   time.Time
	totals    observe.Totals
	keeper    *capture.Keeper
	instance  string // of this process, in snapshots
	late      *observe.Sweeper

	connectionIDs atomic.Uint64
	requestIDs    atomic.Uint64

	dial   func(context.Context, tunnel.DialOptions) (tunnel.Session, error) // tunnel.Dial but in tests
	random func() float64                                                    // in [0, 1)

	drainAsked chan struct{} // closed by Drain
	closeAsked chan struct{} // closed by Close
	failed     chan struct{} // closed by the first fault of a client with Once
	done       chan struct{} // closed when everything has ended
	closers    sync.WaitGroup
	replays    *replayer
	replayWork sync.WaitGroup // replays; none is added but where state is running
	retired    sync.WaitGroup // what is retiring

	mu       sync.Mutex // guards what follows; held around no wait
	state    state
	asked    bool // drainAsked is closed
	closed   bool // closeAsked is closed
	failure  *RunError
	retiring map[*origin.Transport]*time.Timer // of former rules
	drainBy  string
	sessions map[engine.ConnectionID]*connection
}

// state is where a client is in its life.
type state uint8

const (
	stateNew state = iota
	stateRunning
	stateDraining
	stateEnded
)

// A RunError says why a client with Once ended.
type RunError struct {
	Phase Phase
	Err   error
}

func (e *RunError) Error() string { return e.Err.Error() }
func (e *RunError) Unwrap() error { return e.Err }

// A Phase is how far a client came; it decides the exit code.
type Phase uint8

const (
	PhaseDial    Phase = iota + 1 // could not dial: exit 3
	PhaseRefused                  // credential or rule: exit 4
	PhaseLost                     // the connection was lost for good: exit 5
)

// New returns a client that does nothing yet.
func New(o Options) (*Client, error) {
	if o.Bus == nil {
		return nil, errors.New("client: no event bus")
	}
	if !validID(o.ID) {
		return nil, fmt.Errorf("client id: want 1 to %d visible ASCII characters", idLimit)
	}
	if len(o.Servers) == 0 {
		return nil, errors.New("client: no server to dial")
	}
	o.Pool = within(o.Pool, defaultPool)
	o.PoolIdle = within(o.PoolIdle, defaultPoolIdle)
	o.PoolMax = within(o.PoolMax, defaultPoolMax)
	o.PoolIdle = min(o.PoolIdle, o.PoolMax)
	if o.ClassicPing <= 0 {
		o.ClassicPing = defaultClassicPing
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		o:          o,
		log:        o.Logger,
		growth:     tunnel.NewBudget(growthBudget),
		started:    time.Now(),
		dial:       tunnel.Dial,
		random:     mathrand.Float64,
		drainAsked: make(chan struct{}),
		closeAsked: make(chan struct{}),
		failed:     make(chan struct{}),
		done:       make(chan struct{}),
		sessions:   make(map[engine.ConnectionID]*connection),
		retiring:   make(map[*origin.Transport]*time.Timer),
	}
	c.late = observe.NewSweeper(c.announce)
	c.replays = newReplayer(c)
	c.buffers.New = func() any { return new([copyBuffer]byte) }
	c.requestIDs.Store(uint64(max(o.FirstRequest, 1) - 1))
	c.connectionIDs.Store(uint64(max(o.FirstConnection, 1) - 1))
	var name [8]byte
	rand.Read(name[:])
	c.instance = hex.EncodeToString(name[:])
	var err error
	if c.keeper, err = capture.New(capture.Options{Capture: o.Capture, Limit: o.CaptureMemory}); err != nil {
		return nil, err
	}
	if c.routes, err = parseRoutes(o.Expose); err != nil {
		return nil, err
	}
	for _, server := range o.Servers {
		e, err := newEndpoint(c, server)
		if err != nil {
			return nil, err
		}
		for _, other := range c.endpoints {
			if other.url == e.url {
				return nil, fmt.Errorf("server %s: named twice", e.text)
			}
		}
		c.endpoints = append(c.endpoints, e)
	}
	c.process = instance()
	first, err := c.newForce(o.Live)
	if err != nil {
		return nil, err
	}
	c.now.Store(first)
	return c, nil
}

// newGreeting says who this client is, under rules.
func (c *Client) newGreeting(rules *policy.Rules) *engine.Greeting {
	hostname, err := os.Hostname()
	if err != nil {
		hostname = "" // it only helps people
	}
	g := &engine.Greeting{
		ID:       c.o.ID,
		PoolSize: c.o.Pool,
		Version:  engine.Bound(c.o.Version),
		Hostname: engine.Bound(hostname),
		OS:       runtime.GOOS,
		Arch:     runtime.GOARCH,
		Instance: c.process,
		Labels:   c.o.Labels,

		ExposedOnly: rules.AllowNothing(),
	}
	for _, r := range c.routes {
		g.Expose = append(g.Expose, engine.Expose{Host: r.host, TCP: r.tcp})
	}
	return g
}

// instance names this process, as a random UUID (RFC 9562 §5.4).
func instance() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func within(n, byDefault int) int {
	if n <= 0 {
		return byDefault
	}
	return min(n, maxPool)
}

func validID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= idLimit
}
