package server

import (
	"net/http"
	"strconv"

	"adit/engine"
)

// Statuses of wsp, which has no others.
const (
	statusProxyError  = 526 // the server refused
	statusClientError = 527 // the client or its origin failed
)

// statusOf returns the status for a reason. behind says that a client had the
// request already.
func (s *Server) statusOf(way engine.Way, reason engine.Reason, behind bool) int {
	status := reason.Status()
	if !s.o.CompatStatus {
		return status
	}
	switch status {
	case http.StatusUnauthorized, http.StatusServiceUnavailable:
		return statusProxyError
	case http.StatusForbidden:
		if behind {
			return statusClientError
		}
		return statusProxyError
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return statusClientError
	case http.StatusBadRequest:
		if way == engine.WayRequest {
			return statusProxyError
		}
	}
	return status
}

// refuse answers a call that has no response head yet, and notes why.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, c *call, reason engine.Reason, text string) {
	c.fail(reason, text)
	if c.reason == engine.ReasonCallerGone {
		c.end()
		panic(http.ErrAbortHandler)
	}
	status := s.statusOf(c.rec.Way, c.reason, c.rec.Connection != 0)
	c.rec.Status = status
	switch c.reason {
	case engine.ReasonUnauthorized, engine.ReasonProxyAuth, engine.ReasonDenied, engine.ReasonTooMany:
		if c.rec.Connection != 0 {
			break // the client refused
		}
		s.refused(engine.Event{Peer: c.rec.Caller, Client: c.rec.Client, Way: c.rec.Way,
			Code: uint16(status), Reason: c.rec.Reason})
	}
	if text == "" {
		text = explain(c.reason)
	}
	defer c.end()
	s.reply(w, r, status, c.reason, text, c.up.unread(r))
}

// answer is reply to a request whose content nobody has read.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, status int, reason engine.Reason, text string) {
	s.reply(w, r, status, reason, text, hasContent(r))
}

// reply writes a response of our own: one line of text, the reason in
// Proxy-Status (RFC 9209) and what the status needs. unread says that request
// content may still come.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, status int, reason engine.Reason, text string, unread bool) {
	h := w.Header()
	retry := h["Retry-After"]
	clear(h)
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Content-Length"] = []string{strconv.Itoa(len(text) + 1)}
	if token := reason.ProxyStatus(); token != "" {
		h["Proxy-Status"] = []string{"adit; error=" + token}
	}
	switch reason {
	case engine.ReasonUnauthorized:
		h["Www-Authenticate"] = []string{`Bearer realm="adit"`, `Basic realm="adit"`}
	case engine.ReasonProxyAuth:
		h["Proxy-Authenticate"] = []string{`Basic realm="adit"`, `Bearer realm="adit"`}
	}
	switch reason.Status() {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if h["Retry-After"] = retry; retry == nil {
			h["Retry-After"] = []string{"1"}
		}
	}
	if status == http.StatusUpgradeRequired && r.ProtoMajor == 1 {
		h["Upgrade"], h["Connection"] = []string{"websocket"}, []string{"Upgrade"}
		h["Sec-Websocket-Version"] = []string{"13"}
	}
	if r.ProtoMajor == 1 && unread {
		// Nobody reads the content: without this net/http would first wait for
		// it, as long as the caller likes.
		http.NewResponseController(w).EnableFullDuplex()
		h["Connection"] = []string{"close"}
		lingerAfter(r)
		pastReadDeadline(w)
	}
	s.sendElsewhere(h)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(append([]byte(text), '\n'))
	}
}

// explain says what happened and what to do, for reasons that have no better
// text at hand. Nothing internal stands in it.
func explain(reason engine.Reason) string {
	switch reason {
	case engine.ReasonUnauthorized:
		return "credential missing or wrong: send a token as bearer, or as the password of basic"
	case engine.ReasonProxyAuth:
		return "proxy credential missing or wrong: send a token as the password of proxy-authorization"
	case engine.ReasonDenied:
		return "forbidden: a rule does not allow this destination"
	case engine.ReasonNoRoute:
		return "no such name: no client has exposed it"
	case engine.ReasonHeadTooBig:
		return "the request head is too big: at most 64 KiB and 256 fields pass"
	case engine.ReasonUnsupported:
		return "not supported: only wsp clients are connected, which carry no upgrade, no connect and no trailers"
	case engine.ReasonOriginFailed:
		return "the origin could not be reached, or its answer was broken"
	case engine.ReasonTunnelFailed:
		return "the connection to the client ended before the answer came"
	case engine.ReasonTunnelSilent:
		return "the connection to the client is dead"
	case engine.ReasonNoClient:
		return "no client is connected that could serve this: try again"
	case engine.ReasonQueueFull:
		return "too many callers wait for this client: try again"
	case engine.ReasonRefused:
		return "the client is busy: try again"
	case engine.ReasonDraining:
		return "this server is stopping: try again"
	case engine.ReasonTimedOut:
		return "the origin did not answer in time"
	case engine.ReasonLoop:
		return "loop detected: this request has passed here before"
	case engine.ReasonMalformed:
		return "the request is malformed"
	}
	return reason.String()
}
