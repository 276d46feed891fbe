package server

import (
	"errors"

	"adit/engine"
	"adit/engine/observe"
)

// Ready says why the server takes no request now, nil where it does: for whoever
// decides whether to send it any.
func (s *Server) Ready() error {
	select {
	case <-s.done:
		return engine.ErrClosed
	default:
	}
	if s.draining.Load() {
		return engine.ErrDraining
	}
	if s.listenAddr() == "" {
		return errors.New("the listener is not bound yet")
	}
	return nil
}

// RequestCounts fills into with the requests that ended.
func (s *Server) RequestCounts(into *observe.RequestCounts) { s.totals.RequestCounts(into) }
