// Package handover passes listening sockets between processes: from a service
// manager to this one (the LISTEN_FDS convention, sd_listen_fds(3)), and from this
// one to its successor, which takes over without a connection being refused. It
// imports nothing of ours.
//
// A successor is this program started anew. It has the listening sockets as its
// file descriptors from 3 on and after them one end of a pair of sockets, the
// line. On it the two tell each other, as JSON: the successor asks for the state
// when it is about to serve, says that it is ready, or why it can't be; that the
// line ends tells it that the former process is gone.
//
// Start with sockets.go for what came in, start_unix.go for what goes out.
package handover

import (
	"context"
	"encoding/json"
	"errors"
	"net"
)

// ErrUnsupported says that this system has no way to hand listening sockets on.
var ErrUnsupported = errors.New("restart without a gap does not exist on this system: stop the process and start it again")

// Options of Start.
type Options struct {
	Listeners []Listener

	// State returns what the successor is told when it asks, just before it
	// serves: JSON. Nil: nothing.
	State func() ([]byte, error)
}

// A Listener is what is handed on.
type Listener struct {
	Name  string // as Take will be asked; without a colon
	Asked string // the address that it was asked for by; see [Sockets.Take]
	net.Listener
}

// PortName is the name of the listener of an exposed TCP port.
const PortName = "tcp-" // and the number

// What tells a process about its sockets.
const (
	envFDs      = "LISTEN_FDS"
	envNames    = "LISTEN_FDNAMES"
	envPID      = "LISTEN_PID"
	envFormer   = "ADIT_HANDOVER" // number of sockets before the line: there is a former process
	envNotify   = "NOTIFY_SOCKET"
	firstFD     = 3
	maxSockets  = 4096
	maxFailures = 4 << 10 // bytes of an error's text
)

// A message is what stands on the line, one value after the other.
type message struct {
	Ask    bool            `json:"ask,omitempty"`    // successor: what is the state
	State  json.RawMessage `json:"state,omitempty"`  // former process: this
	Ready  bool            `json:"ready,omitempty"`  // successor: it serves
	Error  string          `json:"error,omitempty"`  // successor: why it can't be
	Asked  []string        `json:"asked,omitempty"`  // former process, at first: addresses by order of the sockets
	Claims []bool          `json:"claims,omitempty"` // and which of them hold whatever address is asked for
}

// Start starts this program anew, as it was started, with the listeners, and
// returns its process id when it is ready: then it accepts on them too. On an
// error, or when ctx ends before, it has ended the new process and nothing has
// changed. The successor is told of the end of this process by that end.
func (s *Sockets) Start(ctx context.Context, o Options) (pid int, err error) {
	if s == nil {
		return 0, ErrUnsupported
	}
	return s.start(ctx, o)
}
