package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"adit/engine"
	"adit/engine/observe"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// serveWay carries one request of a caller to a client and back.
func (s *Server) serveWay(w http.ResponseWriter, r *http.Request, t *target) {
	if s.tooSoon(w, r, ofCallers) {
		return
	}
	c := s.begin(t.way, r.RemoteAddr)
	if c == nil {
		s.answer(w, r, http.StatusServiceUnavailable, engine.ReasonDraining, explain(engine.ReasonDraining))
		return
	}
	defer c.release()
	c.rec.Method = observe.Method(r.Method)
	c.trace(r.Header)
	if err := s.admitCaller(c, &policy.Presented{Header: r.Header, TLS: r.TLS}); err != nil {
		c.target(strings.Clone(r.Host))
		reason, text := engine.ReasonOf(err), ""
		s.wrongCredential(r, ofCallers, reason)
		if reason == engine.ReasonMalformed || errors.Is(err, policy.ErrExpired) || errors.Is(err, policy.ErrCertificate) || s.live().Callers.Closed() {
			text = errors.Unwrap(err).Error()
		}
		s.refuse(w, r, c, reason, text)
		return
	}
	if err := s.resolve(r, t); err != nil {
		c.target(strings.Clone(r.Host))
		s.refuse(w, r, c, engine.ReasonMalformed, err.Error())
		return
	}
	if s.bus.Wants(engine.KindRequestFinished) || s.bus.Wants(engine.KindRequestStarted) || s.bus.WantsLate() {
		c.target(t.record())
		c.started()
	}
	if c.ask(r.Method, t); !c.asked.within(c.asked.caller) {
		s.refuse(w, r, c, engine.ReasonDenied, textCallerScope)
		return
	}
	if reason, text := s.permit(r, c, t); reason != engine.ReasonNone {
		s.refuse(w, r, c, reason, text)
		return
	}
	if text := s.contentTooBig(r, c); text != "" {
		s.refuse(w, r, c, engine.ReasonContentTooBig, text)
		return
	}
	if t.way == engine.WayConnect {
		s.serveConnect(w, r, c, t)
		return
	}
	s.forward(w, r, c, t)
}

// permit says why a request that is well-formed is not taken, if so.
func (s *Server) permit(r *http.Request, c *call, t *target) (engine.Reason, string) {
	if s.draining.Load() {
		return engine.ReasonDraining, ""
	}
	if s.looped(r) {
		return engine.ReasonLoop, ""
	}
	if t.way == engine.WayHost && s.dispatch.lookup(t.to) == nil {
		return engine.ReasonNoRoute, ""
	}
	rules := s.live().Rules
	if rules == nil {
		return engine.ReasonNone, ""
	}
	q := policy.Query{Method: r.Method, Fields: r.Header}
	if rules.AskFrom() {
		q.From = callerAddress(r.RemoteAddr)
	}
	return engine.ReasonOf(allowed(rules, c, &q, t)), ""
}

// forward finds a connection, opens an exchange on it and relays both ways. If
// nothing of it reached an origin and no content was taken from the caller, it
// tries once more on another connection (rule R2).
func (s *Server) forward(w http.ResponseWriter, r *http.Request, c *call, t *target) {
	content := hasContent(r)
	for attempt := 1; ; attempt++ {
		sl, err := s.dispatch.acquire(r.Context(), t.to, c.rec.ID, s.patience())
		if err != nil {
			s.refuse(w, r, c, engine.ReasonOf(err), whyForbidden(err))
			return
		}
		c.found(sl)
		t.route = sl.route
		// In an upgrade no END: what follows is raw.
		head := s.head(&c.sent, r, t, sl.l.native)
		if text := s.headTooBig(c); text != "" {
			sl.l.conn.Unreserve()
			s.refuse(w, r, c, engine.ReasonHeadTooBig, text)
			return
		}
		ex, err := sl.l.conn.Open(r.Context(), head, !content && t.upgrade == "")
		if err != nil {
			sl.l.conn.Unreserve()
			reason := engine.ReasonOf(err)
			if reason == engine.ReasonHeadTooBig {
				s.headDidNotPass(c)
			}
			if attempt == 1 && reason == engine.ReasonTunnelFailed {
				t.to.not = sl.l
				continue
			}
			s.refuse(w, r, c, reason, "")
			return
		}
		out, _ := w.(writeDeadliner)
		c.opened(sl.l, ex, out)
		if content {
			c.up.start(w, r, ex, c, sl.l.native && expectsContinue(r))
		} else if t.upgrade == "" {
			c.tee.EndRequest()
		}
		if s.relay(w, r, c, t, ex, attempt == 1) {
			return
		}
		c.again()
		t.to.not = sl.l
	}
}

// relay waits for the response and delivers it. It reports false where the
// exchange is to be tried again; otherwise the call has ended.
func (s *Server) relay(w http.ResponseWriter, r *http.Request, c *call, t *target, ex tunnel.Exchange, mayRetry bool) bool {
	resp, err := ex.ReadResponse()
	for err == nil && resp.Status < 200 && resp.Status != http.StatusSwitchingProtocols {
		c.up.informational(w, r, resp)
		resp, err = ex.ReadResponse()
	}
	if err == nil && resp.Status == http.StatusSwitchingProtocols {
		if sameProtocol(t.upgrade, wire.Get(resp.Fields, "upgrade")) {
			c.waterfall(ex, resp)
			s.serveUpgrade(w, r, c, ex, resp)
			return true
		}
		ex.Reset(wire.ResetCancelled, "switched to a protocol that was not asked for")
		err = engine.Fail("upgrade", engine.ReasonOriginFailed, nil)
	}
	if err != nil {
		// Content taken from the caller can't be sent twice.
		retry := mayRetry && !hasContent(r) && ex.Retryable() && !c.cancelled.Load() && r.Context().Err() == nil
		reason := c.blame(r.Context(), err)
		ex.Reset(wire.ResetCancelled, "")
		c.close(ex)
		if retry {
			return false
		}
		s.refuse(w, r, c, reason, "")
		return true
	}
	c.waterfall(ex, resp)
	s.deliver(w, r, c, ex, resp)
	return true
}

// close joins the upload and gives the slot back.
func (c *call) close(ex tunnel.Exchange) {
	c.up.stop()
	c.rec.RequestBytes = c.up.n
	c.attach(nil, nil)
	ex.Close()
}

// deliver writes the final response to the caller. A failure from here on
// aborts the caller: it must never take a part for the whole.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, c *call, ex tunnel.Exchange, resp *wire.Response) {
	c.up.answered()
	h := w.Header()
	copyHead(h, resp.Fields)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http guesses one
	}
	if r.ProtoMajor == 1 && c.up.active && !c.up.eof.Load() {
		// What is left of the content would be read as the next request.
		h["Connection"] = []string{"close"}
		lingerAfter(r)
	}
	s.sendElsewhere(h)
	trailers := announced(h)
	c.answered(resp.Status, resp)
	w.WriteHeader(resp.Status)
	for name := range trailers {
		delete(h, name) // net/http would send a field of the head again
	}

	err := c.copyContent(w, r, ex)
	if err == nil && len(ex.Trailers()) > 0 {
		err = flush(w) // the head must be out, in chunks, before trailers can follow
		setTrailers(h, ex.Trailers(), trailers)
	}
	if err != nil {
		reason := c.blame(r.Context(), err)
		ex.Reset(wire.ResetCancelled, "the caller left or stalled")
		c.close(ex)
		c.fail(reason, "")
		c.end()
		panic(http.ErrAbortHandler)
	}
	c.close(ex)
	c.end()
}

// copyContent writes content piece by piece as it comes, and flushes whenever
// nothing more is there yet.
func (c *call) copyContent(w http.ResponseWriter, r *http.Request, ex tunnel.Exchange) error {
	watch := newStallWatch(c, w, r)
	defer watch.close()
	if !ex.Buffered() {
		if err := flush(w); err != nil {
			return err
		}
	}
	for {
		piece, err := ex.Next()
		if err == io.EOF {
			c.tee.EndResponse()
			return nil
		}
		if err != nil {
			return err
		}
		c.on.pace(r.Context(), c.s, false, c.rec.ResponseBytes, len(piece), c.cancelled.Load)
		watch.begin()
		n, err := w.Write(piece)
		c.received(piece[:n])
		if err != nil {
			return errCallerLeft
		}
		if !ex.Buffered() {
			err = flush(w)
		}
		watch.end()
		if err != nil {
			return err
		}
	}
}

// errCallerLeft is what a write to a caller fails with.
var errCallerLeft = engine.Fail("write to the caller", engine.ReasonCallerGone, errors.New("the caller left or stalled"))

// blame returns the reason for a failure of an exchange. That the caller has
// gone is believed only where it has: a peer may say so as well.
func (c *call) blame(ctx context.Context, err error) engine.Reason {
	reason := engine.ReasonOf(err)
	if fault := c.up.fault(); fault != engine.ReasonNone {
		return fault
	}
	if errors.Is(err, errCallerLeft) {
		return engine.ReasonCallerGone
	}
	if reason == engine.ReasonCallerGone {
		switch {
		case c.s.base.Err() != nil:
			return engine.ReasonDraining
		case ctx.Err() == nil:
			return engine.ReasonOriginFailed
		}
	}
	return reason
}

func flush(w http.ResponseWriter) error {
	f, ok := w.(interface{ FlushError() error })
	if !ok {
		return nil
	}
	if err := f.FlushError(); err != nil {
		return errCallerLeft
	}
	return nil
}

// setTrailers puts trailers where net/http finds them after the content.
func setTrailers(h http.Header, fields []wire.Field, announced map[string]bool) {
	for _, f := range fields {
		name := http.CanonicalHeaderKey(f.Name)
		if !announced[name] {
			name = http.TrailerPrefix + name
		}
		h[name] = append(h[name], f.Value)
	}
}
