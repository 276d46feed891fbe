// Package server is the public end: it admits clients at /register, keeps their
// connections in pools, and carries callers to them by four ways: /request, the
// forward proxy, host names and TCP ports.
package server

import (
	"context"
	"log/slog"
	"net"
	"time"

	"adit/engine"
	"adit/engine/observe"
	"adit/engine/policy"
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

	Clients *policy.Clients
	Callers *policy.Callers
	Rules   *policy.Rules // nil allows all: the client decides

	Wait         time.Duration // of a caller for a connection; default 1 s
	MaxWaiting   int           // callers that wait per client or route; default 1,000
	Stall        time.Duration // a caller moves no byte that is due; default 60 s
	Limits       tunnel.Limits
	Grace        time.Duration   // for exchanges in flight at a stop; default 30 s
	Protocol     engine.Protocol // 0 auto, else only that one
	CompatStatus bool            // wsp's 526 and 527 in place of 401/403/502/503/504
	IdleTimeout  time.Duration   // wsp's idletimeout: idle classic connections beyond the client's pool size close; 0 never

	Bus     *observe.Bus // of the caller of New, who closes it after Done
	Logger  *slog.Logger // nil: discards
	OnPanic func(v any)  // nil: panics go on
}

// A Server is an [engine.Engine].
type Server struct { /* unexported */
}

// New returns a server that does nothing yet.
func New(o Options) (*Server, error) { panic("in work") }

// Serve accepts on ln, which it closes, until the server ends: nil after
// Shutdown, Close or Drain. It publishes KindReady when it accepts.
func (s *Server) Serve(ln net.Listener) error { panic("in work") }

// Shutdown drains: no new request is taken, what runs may finish within
// Options.Grace or until ctx ends; then it closes. It returns when every
// goroutine has ended and KindStopped is published.
func (s *Server) Shutdown(ctx context.Context) error { panic("in work") }

// Close ends everything now and returns when every goroutine has ended.
func (s *Server) Close() error { panic("in work") }
