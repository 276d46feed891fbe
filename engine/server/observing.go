package server

import (
	"errors"
	"net/http"

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

// trace puts the call into the trace that its caller has told, or a new one, and
// that into what goes on to the origin. h is nil for a byte stream.
func (c *call) trace(h http.Header) {
	t := c.s.o.Tracer
	if t == nil {
		return
	}
	var add string
	if c.rec.Trace, add = t.Begin(h["Traceparent"], h["Tracestate"]); add != "" && h != nil {
		h["Traceparent"] = []string{add}
		delete(h, "Tracestate") // it belongs to the traceparent that was none
	}
}
