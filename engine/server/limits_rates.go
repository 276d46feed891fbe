package server

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"adit/engine"
	"adit/engine/limit"
)

// Whose credentials: each kind has rates of its own, since a caller's field may
// hold the origin's credential and say nothing of him.
const (
	ofClients = iota
	ofCallers
)

// tooSoon refuses a request for which the rates of its address have no room, or
// the process no memory. No state is made for it, no record and no event but
// limit_reached.
func (s *Server) tooSoon(w http.ResponseWriter, r *http.Request, who int) bool {
	if s.shortOfMemory() {
		// Clients too: who could serve no request until there is memory again
		// loses nothing, and a storm of them is what memory runs out by.
		s.answer(w, r, http.StatusServiceUnavailable, engine.ReasonQueueFull, textMemory)
		return true
	}
	if who == ofCallers && !s.limits.failed[ofCallers].Load() {
		return false
	}
	key, exempt := s.keyOf(r.RemoteAddr)
	if exempt {
		return false
	}
	caps := &s.live().Caps
	id, wait, text := limitFailureRate, time.Duration(0), "too many wrong credentials came from this address: try again later"
	if s.limits.failed[who].Load() && hasCredential(r) {
		wait = s.limits.failures[who].Wait(key, caps.FailureRate, burstFactor*caps.FailureRate)
	}
	if wait == 0 && who == ofClients {
		id, text = limitHandshakeRate, "too many registrations come from this address: try again later"
		wait = s.limits.handshakes.Take(key, caps.HandshakeRate, burstFactor*caps.HandshakeRate)
	}
	if wait == 0 {
		return false
	}
	s.limits.reached(id, "", key, text)
	w.Header().Set("Retry-After", seconds(wait))
	s.answer(w, r, http.StatusTooManyRequests, engine.ReasonTooMany, text)
	return true
}

const textMemory = "the server is short of memory: try again"

// shortOfMemory reports whether nothing new is taken, and tells it.
func (s *Server) shortOfMemory() bool {
	over := s.limits.memory.over.Load()
	if over {
		s.limits.reached(limitMemory, "", limit.Key{}, "the process has more memory than it may use for anything new")
	}
	return over
}

// seconds returns what stands in Retry-After: whole seconds, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(max(d.Seconds(), 1)))) }

// wrongCredential counts a refusal against the address, if anything was shown.
func (s *Server) wrongCredential(r *http.Request, who int, reason engine.Reason) {
	if reason != engine.ReasonUnauthorized && reason != engine.ReasonProxyAuth || !hasCredential(r) {
		return
	}
	key, exempt := s.keyOf(r.RemoteAddr)
	if exempt {
		return
	}
	caps := &s.live().Caps
	s.limits.failed[who].Store(true)
	s.limits.failures[who].Take(key, caps.FailureRate, burstFactor*caps.FailureRate)
}

// hasCredential reports whether a request shows anything that could be wrong.
func hasCredential(r *http.Request) bool {
	return len(r.Header["Authorization"]) > 0 || len(r.Header["Proxy-Authorization"]) > 0 || len(r.Header["X-Secret-Key"]) > 0 ||
		r.TLS != nil && len(r.TLS.PeerCertificates) > 0
}
