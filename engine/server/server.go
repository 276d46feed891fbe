package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/capture"
	"adit/engine/observe"
	"adit/engine/tunnel"
)

// Options configure a Server. They are not changed after New.
type Options struct {
	Name    string
	Version string

	Domain    string // exposed names live directly below it; "" none
	PublicURL string // scheme and port of exposed names in the welcome's urls: "http://host:port"; "" means from the listener
	TCPFirst  uint16 // range of ports that clients may expose; 0 none
	TCPLast   uint16
	TCPHost   string // address the TCP ports bind; that of --listen

	Live // what is in force from the start

	// TLS secures what Serve is given; nil: it is served in clear.
	TLS *tls.Config

	// Former is what the process has told whose successor this one is, and whose
	// clients are coming: callers wait for them for longer. Nil: there was none.
	Former *State

	// Ports are listeners of TCP ports that the process was started with. Callers
	// are accepted from the start; of a former process those are closed that no
	// client exposes within 30 s.
	Ports map[uint16]net.Listener

	Wait         time.Duration // of a caller for a connection; default 1 s
	Limits       tunnel.Limits
	Grace        time.Duration   // for exchanges in flight at a stop; default 30 s
	Protocol     engine.Protocol // 0 auto, else only that one
	CompatStatus bool            // wsp's 526 and 527 in place of 401/403/502/503/504
	IdleTimeout  time.Duration   // wsp's idletimeout: idle classic connections beyond the client's pool size close; 0 never

	Capture       engine.Capture // what is kept of exchanges from the start
	CaptureMemory int64          // bytes of content; 0 capture.DefaultLimit

	// Where ids begin: behind those of former runs in the same history. 0 is 1.
	FirstRequest    engine.RequestID
	FirstConnection engine.ConnectionID

	Tracer *observe.Tracer // which requests are traced, and given a traceparent; nil: none

	Bus     *observe.Bus // of the caller of New, who closes it after Done
	Logger  *slog.Logger // nil: discards
	OnPanic func(v any)  // nil: panics go on
}

const (
	headerTimeout = 10 * time.Second  // for a caller's request head
	idleTimeout   = 120 * time.Second // between requests of a caller
	maxHeader     = 64 << 10          // bytes of a caller's request head
	maxStreams    = 250               // that a caller may have open on one connection of HTTP/2
	maxGreetings  = 2000              // connections between /register and welcome
	windowGrowth  = 256 << 20         // bytes by which windows may grow in all
)

// A Server is an [engine.Engine].
type Server struct {
	o         Options
	domain    string    // with a leading dot and in lower case, or ""
	pseudonym string    // our received-by in Via, new in every process
	instance  string    // of this process, in snapshots
	vias      [3]string // our element of Via for HTTP/1.0, 1.1 and 2
	started   time.Time

	now    atomic.Pointer[Live]
	expiry expiry
	bus    *observe.Bus
	ownBus bool // made here because Options had none
	log    *slog.Logger
	totals observe.Totals
	growth *tunnel.Budget
	keeper *capture.Keeper

	replaying  atomic.Int32
	replayIdle time.Duration // replayIdle but in tests

	http     *http.Server
	base     context.Context // ends when everything is to stop now
	cancel   context.CancelFunc
	dispatch *dispatcher
	calls    calls
	links    links
	probes   probes
	claims   claims
	limits   limits

	lastLink atomic.Uint64
	greeting atomic.Int64 // links that are not registered yet
	draining atomic.Bool
	leaving  atomic.Bool  // a successor accepts in our place
	webCount atomic.Int64 // connections of callers at net/http
	captured atomic.Bool  // what is captured was set in the run
	stopping atomic.Bool  // no lingering any more

	rechecking sync.Mutex // held while what was admitted is looked at again

	life      sync.Mutex
	ended     bool           // no goroutine may be added to work
	listeners []net.Listener // of Serve
	work      sync.WaitGroup // goroutines beside those of net/http
	accepting sync.WaitGroup // calls of Serve
	webWork   sync.WaitGroup // connection goroutines of net/http
	watch     callerWatch

	drainOnce sync.Once
	stopOnce  sync.Once
	hardStop  chan struct{} // closed to cut a drain short
	hardOnce  sync.Once
	done      chan struct{} // closed when the server has ended
}

var _ engine.Engine = (*Server)(nil)

// New returns a server that does nothing yet.
func New(o Options) (*Server, error) {
	if o.TCPFirst > o.TCPLast {
		return nil, fmt.Errorf("tcp ports %d-%d: the first is above the last", o.TCPFirst, o.TCPLast)
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("public url %q: want http://host[:port] or https://host[:port]", engine.Bound(o.PublicURL))
		}
	}
	domain := strings.ToLower(strings.Trim(o.Domain, "."))
	if domain != "" {
		domain = "." + domain
	}
	orDefault(&o.Wait, time.Second)
	orDefault(&o.Grace, 30*time.Second)
	limits := tunnel.DefaultLimits()
	orDefault(&o.Limits.Ping, limits.Ping)
	orDefault(&o.Limits.HalfClosed, limits.HalfClosed)
	if o.Limits.MaxExchanges <= 0 {
		o.Limits.MaxExchanges = limits.MaxExchanges
	}
	if o.Limits.Window <= 0 {
		o.Limits.Window = limits.Window
	}
	o.Live.settle()
	keeper, err := capture.New(capture.Options{Capture: o.Capture, Limit: o.CaptureMemory})
	if err != nil {
		return nil, err
	}
	var name, instance [8]byte
	rand.Read(name[:])
	rand.Read(instance[:])
	s := &Server{
		o:         o,
		domain:    domain,
		pseudonym: "adit-" + hex.EncodeToString(name[:]),
		instance:  hex.EncodeToString(instance[:]),
		keeper:    keeper,

		replayIdle: replayIdle,
		started:    time.Now(),
		bus:        o.Bus,
		log:        o.Logger,
		growth:     tunnel.NewBudget(windowGrowth),
		dispatch:   newDispatcher(o.Caps.Waiting),
		hardStop:   make(chan struct{}),
		done:       make(chan struct{}),
	}
	if s.bus == nil {
		s.bus, s.ownBus = observe.NewBus(), true
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.now.Store(&o.Live)
	s.calls.last.Store(uint64(max(o.FirstRequest, 1) - 1))
	s.lastLink.Store(uint64(max(o.FirstConnection, 1) - 1))
	s.base, s.cancel = context.WithCancel(context.Background())
	s.claims.init()
	s.dispatch.perLink = int64(o.Limits.MaxExchanges)
	s.limits.init(s)
	s.limits.update(&o.Caps)
	s.succeed()
	s.calls.late = observe.NewSweeper(func(before time.Time) bool {
		defer s.caught()
		return s.calls.announce(before)
	})
	for i, version := range []string{"1.0 ", "1.1 ", "2.0 "} {
		s.vias[i] = version + s.pseudonym
	}

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(o.TLS != nil && slices.Contains(o.TLS.NextProtos, "h2"))
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout:            headMark,
		IdleTimeout:                  o.Caps.KeepAlive,
		MaxHeaderBytes:               o.Caps.HeaderBytes,
		Protocols:                    &protocols,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		TLSConfig:                    o.TLS,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return s.base },
		ConnContext:                  withCallerConn,
		ConnState:                    s.countCaller,
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func orDefault(v *time.Duration, d time.Duration) {
	if *v <= 0 {
		*v = d
	}
}

// Serve accepts on ln, which it closes, until the server ends: nil after
// Shutdown, Close or Drain. It publishes KindReady when it accepts.
func (s *Server) Serve(ln net.Listener) error {
	s.life.Lock()
	if s.ended || s.draining.Load() {
		s.life.Unlock()
		ln.Close()
		return fmt.Errorf("serve: %w", engine.ErrClosed)
	}
	first := len(s.listeners) == 0
	s.listeners = append(s.listeners, ln)
	if first && s.o.IdleTimeout > 0 {
		s.work.Add(1)
		go s.sweepIdle()
	}
	s.accepting.Add(1)
	s.life.Unlock()
	if first {
		s.openPorts()
	}
	s.watch.begin(ln)

	s.publish(engine.Event{Kind: engine.KindReady, Listen: ln.Addr().String()})
	err := s.serve(&callerListener{Listener: ln, s: s, closed: make(chan struct{})})
	s.accepting.Done()
	if errors.Is(err, http.ErrServerClosed) || s.leaving.Load() {
		<-s.done
		return nil
	}
	return fmt.Errorf("accept callers: %w", err)
}

// serve accepts callers. TLS stands above callerConn, so that deadlines and limits
// are those of the socket.
func (s *Server) serve(ln net.Listener) error {
	if s.o.TLS != nil {
		return s.http.ServeTLS(ln, "", "")
	}
	return s.http.Serve(ln)
}

// spawn runs f on a goroutine that the end of the server waits for. It reports
// false, and runs nothing, when the server has ended.
func (s *Server) spawn(f func()) bool {
	if !s.hold() {
		return false
	}
	s.run(f)
	return true
}

// hold counts a goroutine in, and reports false when the server has ended.
func (s *Server) hold() bool {
	s.life.Lock()
	defer s.life.Unlock()
	if s.ended {
		return false
	}
	s.work.Add(1)
	return true
}

// run runs f on a goroutine that was counted in.
func (s *Server) run(f func()) {
	go func() {
		defer s.work.Done()
		defer s.caught()
		f()
	}()
}

// caught, deferred, hands a panic to Options.OnPanic.
func (s *Server) caught() {
	if s.o.OnPanic == nil {
		return
	}
	if v := recover(); v != nil {
		s.o.OnPanic(v)
	}
}

func (s *Server) publish(e engine.Event) { s.bus.Publish(e) }

// listenAddr returns the address of the first listener; "" before Serve.
func (s *Server) listenAddr() string {
	s.life.Lock()
	defer s.life.Unlock()
	if len(s.listeners) == 0 {
		return ""
	}
	return s.listeners[0].Addr().String()
}
