package control

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
)

// Bounds of a Server.
const (
	maxStreams     = 64        // answers that do not end by themselves
	maxConnections = 256       // sockets of one listener: strangers over TCP must not keep the owner out
	maxHeader      = 128 << 10 // bytes of a request head
	maxBody        = 64 << 10  // bytes of a request body
	maxReplayBody  = 2 << 20   // the same, with the content of a replay in base64
	writeWait      = 2 * time.Second
	readWait       = 10 * time.Second
)

// Options of a Server. They are not changed after NewServer.
type Options struct {
	Engine     engine.Engine
	Log        engine.RequestLog // nil: calls that need it answer 503
	Settings   []engine.Setting
	Commands   []string       // lines for a shell that are worth showing
	Tokens     []string       // over TCP: may do everything; "NAME=SECRET" where the audit is to have a name
	ReadTokens []string       // may only look
	ClientCA   *x509.CertPool // a certificate of it, over TLS, may do everything; nil: none does
	// Reload loads the configuration again; nil: it can't be.
	Reload func(ctx context.Context, by engine.Operator) (Reloaded, error)

	// Restart starts a successor; nil: it can't be.
	Restart func(ctx context.Context, by engine.Operator) (Restarted, error)
	Metrics http.Handler // GET /metrics; nil: 404
	Ready   func() error // why GET /readyz is to say no; nil: it never does
	Logger  *slog.Logger
	OnPanic func(v any) // told of a panic while a call is answered, which then fails alone; nil: it is logged
}

// A Server answers the admin API.
type Server struct {
	o         Options
	http      *http.Server
	tokens    atomic.Pointer[[]token]
	certified certified
	instance  string // where the engine has none
	ledger    ledger

	settingsNow atomic.Pointer[[]engine.Setting]

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	attached atomic.Int32 // operators: streams that say they are for a dashboard
	streams  atomic.Int32
	sockets  atomic.Int32 // of all listeners

	mu        sync.Mutex
	closed    bool
	left      bool
	listeners map[net.Listener]struct{}
	wg        sync.WaitGroup // sockets, the ledger
}

// NewServer returns a server that does nothing yet but to follow the engine's
// events. Close releases it.
func NewServer(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, instance: newInstance(), listeners: map[net.Listener]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	tokens := s.newTokens(o.Tokens, o.ReadTokens)
	s.tokens.Store(&tokens)
	s.settingsNow.Store(&o.Settings)
	s.certified.update(o.ClientCA)
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
		BaseContext:       func(ln net.Listener) context.Context { return context.WithValue(s.ctx, sharedKey{}, isShared(ln)) },
		ConnContext:       withPeer,
	}
	s.ledger.follow(s)
	return s
}

// Serve accepts on ln, which it closes, until Close: nil then. What comes over a
// Unix socket is who its peer's user is; over anything else a token or a
// certificate is needed, and TLS: a plain TCP listener is refused.
func (s *Server) Serve(ln net.Listener) error {
	if _, plain := ln.(*net.TCPListener); plain {
		_ = ln.Close()
		return errors.New("control listener: plain TCP would carry the token in the clear: give a certificate, or use a Unix socket")
	}
	if ln.Addr().Network() != "unix" && len(*s.tokens.Load()) == 0 && s.certified.now() == nil {
		_ = ln.Close()
		return errors.New("control listener: without a token or an authority nobody could use it over TCP: give one")
	}
	s.mu.Lock()
	if s.closed || s.left {
		s.mu.Unlock()
		_ = ln.Close()
		return nil
	}
	s.listeners[ln] = struct{}{}
	s.mu.Unlock()
	err := s.http.Serve(&countedListener{Listener: ln, s: s})
	s.mu.Lock()
	delete(s.listeners, ln)
	closed := s.closed || s.left
	s.mu.Unlock()
	if closed || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("control listener: %w", err)
}

// Shutdown lets streams say their last words, those of an engine that has ended,
// until ctx ends, and closes.
func (s *Server) Shutdown(ctx context.Context) error {
	_ = s.http.Shutdown(ctx) // what it did not wait for Close ends
	return s.Close()
}

// Close ends what runs and returns when it has ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	err := s.http.Close()
	s.wg.Wait()
	return err
}

// Leave ends accepting, for somebody else does it on the same sockets: their files
// stay. Who is connected is served until Close.
func (s *Server) Leave() {
	s.mu.Lock()
	s.left = true
	listeners := slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	for _, ln := range listeners {
		if own, ok := ln.(*socket); ok {
			own.once.Do(func() {}) // its file is not removed
		}
		_ = ln.Close()
	}
}

// Attached returns how many operators are attached.
func (s *Server) Attached() int { return int(s.attached.Load()) }

// A countedListener hands out at most maxConnections sockets, and says so to who
// comes then.
type countedListener struct {
	net.Listener
	s       *Server
	sockets atomic.Int32
}

// tooMany is a whole answer, for who is not worth a goroutine.
const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\n" +
	"Connection: close\r\nContent-Length: 70\r\n\r\n" +
	`{"error":"too many connections to the control socket; end some first"}`

func (l *countedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		s := l.s
		if l.sockets.Add(1) > maxConnections {
			l.sockets.Add(-1)
			if _, unix := c.(*net.UnixConn); unix {
				_ = c.SetDeadline(time.Now().Add(10 * time.Millisecond))
				_, _ = c.Write([]byte(tooMany))
			}
			_ = c.Close()
			continue
		}
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.wg.Add(1)
		}
		s.mu.Unlock()
		if closed {
			l.sockets.Add(-1)
			_ = c.Close()
			return nil, net.ErrClosed
		}
		s.sockets.Add(1)
		return &countedConn{Conn: c, l: l}, nil
	}
}

// A countedConn is one socket.
type countedConn struct {
	net.Conn
	l    *countedListener
	once sync.Once
}

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.l.sockets.Add(-1)
		c.l.s.sockets.Add(-1)
		c.l.s.wg.Done()
	})
	return err
}

// CloseWrite lets net/http end an answer before its request has come whole.
func (c *countedConn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// A token is what a bearer shows. Only its hash is kept.
type token struct {
	hash     [sha256.Size]byte
	name     string
	readOnly bool

	holds context.Context // until the token is taken away
	end   context.CancelFunc
}
