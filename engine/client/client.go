// Package client is the private end: it dials servers, keeps connections to
// them for ever, and carries what comes through them to origins under its rules.
package client

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
	Secret  string   // credential for the servers; "" none
	Labels  map[string]string

	Pool     int // native connections per server; default 2
	PoolIdle int // classic: idle connections; default 10
	PoolMax  int // classic: connections in all; default 100

	Expose      []Expose
	RewriteHost bool           // Host at an exposed origin is the exposed URL's
	Rules       *policy.Rules  // for destinations that callers choose
	Dialer      *policy.Dialer // nil: made from Rules

	Protocol    engine.Protocol // 0 auto
	ClassicPing time.Duration   // default 30 s
	Limits      tunnel.Limits
	Grace       time.Duration // default 30 s
	Once        bool          // end with an error instead of trying again

	// NetDial replaces the dial to servers in tests.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)

	Bus     *observe.Bus // of the caller of New, who closes it after Done
	Logger  *slog.Logger
	OnPanic func(v any)
}

// A Client is an [engine.Engine].
type Client struct { /* unexported */
}

// New returns a client that does nothing yet.
func New(o Options) (*Client, error) { panic("in work") }

// Run keeps connections to every server until ctx ends (then it drains), or,
// with Once, until one is refused or lost: *RunError says how. It returns when
// every goroutine has ended and KindStopped is published.
func (c *Client) Run(ctx context.Context) error { panic("in work") }

// Close ends everything now and returns when every goroutine has ended.
func (c *Client) Close() error { panic("in work") }

// A RunError says why a client with Once ended.
type RunError struct {
	Phase Phase
	Err   error
}

// A Phase is how far a client came; it decides the exit code.
type Phase uint8

const (
	PhaseDial    Phase = iota + 1 // could not dial: exit 3
	PhaseRefused                  // credential or rule: exit 4
	PhaseLost                     // the connection was lost for good: exit 5
)
