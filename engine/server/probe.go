package server

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/limit"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

const (
	maxProbes       = 32 // at once
	maxProbesOfOne  = 16 // of one address, and of one credential
	probesToldEvery = time.Minute
	textProbes      = "too many probes are under way: try again later"
)

// probes are the probes of adit doctor that run: no connections of clients, and in
// no pool.
type probes struct {
	mu          sync.Mutex
	all         map[*probe]struct{}
	addresses   limit.Count[limit.Key]
	credentials limit.Count[string]
	told        map[string]time.Time // when an operator was told of an address, of at most maxProbes
	closed      bool
}

// A probe is one of them. While it opens it has no tunnel.Probe yet.
type probe struct {
	peer       string
	key        limit.Key
	ofAddress  bool // counted for key
	credential string
	identity   atomic.Pointer[policy.Identity]
	seat       *seat

	// Guarded by probes.mu.
	open    *tunnel.Probe
	ordered bool
	code    engine.CloseCode
	why     string
}

// probe serves a probe to whom the server has admitted as a client, until it ends.
func (s *Server) probe(w http.ResponseWriter, r *http.Request, under *Live, identity policy.Identity) {
	p := &probe{peer: r.RemoteAddr, credential: identity.Name}
	p.identity.Store(&identity)
	key, exempt := s.keyOf(r.RemoteAddr)
	p.key, p.ofAddress = key, !exempt
	if !s.hold() {
		s.refuseClient(w, r, http.StatusServiceUnavailable, engine.ReasonDraining, "")
		return
	}
	defer s.work.Done()
	defer s.caught()
	told, ok := s.probes.enter(p)
	if !ok {
		w.Header().Set("Retry-After", "60")
		s.refuseClient(w, r, http.StatusTooManyRequests, engine.ReasonTooMany, textProbes)
		return
	}
	defer s.probes.leave(p)
	if told {
		s.publish(engine.Event{Kind: engine.KindNotice, Peer: p.peer, Reason: engine.Bound("doctor from " + p.peer +
			" probes the way" + ofCredential(identity.Name))})
	}
	s.checkProbe(p, under)
	open, err := tunnel.AcceptProbe(&probeHijacker{w, p}, r, s.probeHello(p, r))
	defer func() { p.seat.leave() }()
	if err != nil {
		return
	}
	s.probes.opened(p, open)
	open.Echo()
}

func ofCredential(name string) string {
	if name == "" {
		return ""
	}
	return " (credential " + strconv.Quote(name) + ")"
}

// probeHello says what whoever probes may know.
func (s *Server) probeHello(p *probe, r *http.Request) *wire.Probe {
	id := p.identity.Load()
	hello := &wire.Probe{
		Server: s.o.Name, Version: s.o.Version, Time: time.Now(), Peer: r.RemoteAddr,
		Protocols: []string{wire.Subprotocol, "wsp"}, PingInterval: s.o.Limits.Ping, Domain: s.o.Domain,
		TCPFirst: int(s.o.TCPFirst), TCPLast: int(s.o.TCPLast), Credential: id.Name, Expires: id.Expires,
	}
	switch s.o.Protocol {
	case engine.ProtocolNative:
		hello.Protocols = hello.Protocols[:1]
	case engine.ProtocolClassic:
		hello.Protocols = hello.Protocols[1:]
	}
	if scope := id.Scope; scope != nil {
		hello.IDs, hello.Hosts, hello.Ports, hello.Destinations = scope.IDs, scope.Hosts, scope.Ports, scope.Destinations
	}
	return hello
}

// probeHijacker takes the connection from net/http as linkHijacker does.
type probeHijacker struct {
	http.ResponseWriter
	p *probe
}

func (h *probeHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if c := callerConnOf(conn); c != nil {
		conn = c.strip(conn)
		h.p.seat = c.seat
	}
	return conn, rw, nil
}

// enter counts a probe in, and reports whether there is room for it and whether an
// operator is to be told: once a minute of each address.
func (x *probes) enter(p *probe) (told, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || len(x.all) >= maxProbes {
		return false, false
	}
	if p.ofAddress && !x.addresses.Add(p.key, maxProbesOfOne) {
		return false, false
	}
	if p.credential != "" && !x.credentials.Add(p.credential, maxProbesOfOne) {
		if p.ofAddress {
			x.addresses.Done(p.key)
		}
		return false, false
	}
	if x.all == nil {
		x.all, x.told = make(map[*probe]struct{}), make(map[string]time.Time)
	}
	x.all[p] = struct{}{}
	now, from := time.Now(), p.key.String()
	if at, known := x.told[from]; known && now.Sub(at) < probesToldEvery {
		return false, true
	}
	for k, at := range x.told {
		if len(x.told) >= maxProbes || now.Sub(at) >= probesToldEvery {
			delete(x.told, k)
		}
	}
	x.told[from] = now
	return true, true
}

func (x *probes) leave(p *probe) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.all, p)
	if p.ofAddress {
		x.addresses.Done(p.key)
	}
	if p.credential != "" {
		x.credentials.Done(p.credential)
	}
}

// opened notes what can be ended from now on; what was ordered before holds.
func (x *probes) opened(p *probe, open *tunnel.Probe) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p.open = open
	if p.ordered {
		open.End(p.code, p.why)
	}
}

// end orders the end of a probe; under mu.
func (p *probe) end(code engine.CloseCode, why string) {
	if p.ordered {
		return
	}
	p.ordered, p.code, p.why = true, code, why
	if p.open != nil {
		p.open.End(code, why)
	}
}

// close ends all probes and lets none begin.
func (x *probes) close(code engine.CloseCode, why string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	for p := range x.all {
		p.end(code, why)
	}
}

// recheckProbes ends the probes whose credential does not hold any more; under
// rechecking.
func (s *Server) recheckProbes() {
	s.probes.mu.Lock()
	defer s.probes.mu.Unlock()
	for p := range s.probes.all {
		s.recheckProbe(p)
	}
}

func (s *Server) recheckProbe(p *probe) {
	was := p.identity.Load()
	id, ok := s.live().Clients.Renew(was)
	if !ok {
		p.end(engine.ClosePolicy, closeText(whyOver(was)))
		return
	}
	p.identity.Store(&id)
	s.expireAt(id.Expires)
}

// checkProbe looks at a probe that an update may have missed.
func (s *Server) checkProbe(p *probe, under *Live) {
	s.rechecking.Lock()
	defer s.rechecking.Unlock()
	if s.live() == under {
		s.expireAt(p.identity.Load().Expires)
		return
	}
	s.probes.mu.Lock()
	defer s.probes.mu.Unlock()
	s.recheckProbe(p)
}
