// Package control is the admin API of a running server or client: its server
// half, on a Unix socket or over TCP with TLS and a token, and its client half,
// which is an Engine and a RequestLog itself.
package control

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"

	"adit/engine"
)

// Options of a Server. They are not changed after NewServer.
type Options struct {
	Engine     engine.Engine
	Log        engine.RequestLog
	Settings   []engine.Setting
	Commands   []string // lines for a shell that are worth showing
	Tokens     []string // over TCP: may do everything
	ReadTokens []string // may only look
	Logger     *slog.Logger
	OnPanic    func(v any)
}

// A Server answers the admin API.
type Server struct{}

// NewServer returns a server that does nothing yet.
func NewServer(o Options) *Server { return &Server{} }

// Serve accepts on ln, which it closes, until Close: nil then. What comes over a
// Unix socket is who its peer's user is; over anything else a token is needed.
func (s *Server) Serve(ln net.Listener) error { return errors.New("not yet") }

// Close ends what runs and returns when it has ended.
func (s *Server) Close() error { return nil }

// Attached returns how many operators are attached.
func (s *Server) Attached() int { return 0 }

// Listen opens a Unix socket at path, mode 0600, in a directory of mode 0700. A
// file that nobody listens on any more is replaced; ErrInUse where somebody does.
func Listen(path string) (net.Listener, error) { return nil, errors.New("not yet") }

// ErrInUse says that another process listens there.
var ErrInUse = errors.New("in use by another process")

// DialOptions of a Remote.
type DialOptions struct {
	Token  string      // over TCP
	TLS    *tls.Config // over TCP; nil: the system's authorities
	Client string      // who this is, for the audit where the other end knows nothing better: "root@host"
	Logger *slog.Logger
}

// A Remote is the engine of another process, and its log.
type Remote struct {
	engine.Linked
	engine.RequestLog
}

// Dial returns the engine at address: the path of a Unix socket, or
// https://host:port. It answers at once: an engine that is not there yet is a
// Remote whose link is lost. Close releases it.
func Dial(ctx context.Context, address string, o DialOptions) (*Remote, error) {
	return nil, errors.New("not yet")
}

// Wait returns when data has come, or with why not when ctx ends.
func (r *Remote) Wait(ctx context.Context) error { return nil }

// About returns what the other end said of itself that is in no snapshot.
func (r *Remote) About(ctx context.Context) ([]engine.Setting, []string, error) { return nil, nil, nil }

// Close ends the link and returns when its goroutines have ended.
func (r *Remote) Close() {}
