// Package handover passes listening sockets between processes: from a service
// manager to this one (the LISTEN_FDS convention), and from this one to its
// successor, which takes over without a connection being refused. It imports
// nothing of ours.
package handover

import (
	"context"
	"log/slog"
	"net"
)

// Sockets are the listeners that this process was started with, by name.
type Sockets struct{}

// Inherited takes them from the environment, which it clears of them, so that no
// process started later believes they were its own. It is called once.
func Inherited() (*Sockets, error) { return new(Sockets), nil }

// Take returns the listener of that name, or one that is bound to addr, and
// forgets it; nil where there is none.
func (s *Sockets) Take(name, addr string) net.Listener { return nil }

// State is what a process tells its successor beside the sockets.
type State struct {
	Hosts []string // exposed names that are known
}

// State returns what the former process told; the zero State without one.
func (s *Sockets) State() State { return State{} }

// Successor reports whether a former process waits for Ready.
func (s *Sockets) Successor() bool { return false }

// Ready tells the service manager, and a former process, that this one serves.
func (s *Sockets) Ready() error { return nil }

// Options of Start.
type Options struct {
	Listeners map[string]net.Listener // by name, as Take will be asked
	State     State
	Logger    *slog.Logger
}

// Start starts this program anew, as it was started, with the listeners, and
// returns when the new process is ready: then it accepts on them too. On an error,
// or when ctx ends before, it has ended the new process and nothing has changed.
func Start(ctx context.Context, o Options) error { return nil }
