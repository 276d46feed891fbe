package server

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/net/http/httpguts"

	"adit/engine"
	"adit/engine/policy"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// register admits a client and serves its WebSocket until it ends.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	if s.tooSoon(w, r, ofClients) {
		return
	}
	under := s.live()
	identity, reason, text := s.admitClient(r, under)
	if reason != engine.ReasonNone {
		s.wrongCredential(r, ofClients, reason)
		status := s.statusOf(0, reason, false)
		if reason == engine.ReasonMalformed && text != "" {
			status = http.StatusUpgradeRequired
		}
		s.refuseClient(w, r, status, reason, text)
		return
	}
	if tunnel.IsProbe(r) {
		s.greeting.Add(-1) // it lasts for minutes, and probes have a bound of their own
		s.probe(w, r, under, identity)
		return
	}
	defer s.greeting.Add(-1)
	l := &link{id: engine.ConnectionID(s.lastLink.Add(1)), peer: r.RemoteAddr, opened: time.Now()}
	if r.TLS != nil {
		facts := tunnel.Secured(r.TLS)
		l.secured = &facts
	}
	l.admitted(identity)
	hijack := &linkHijacker{ResponseWriter: w, s: s, l: l, under: under}
	reg, err := tunnel.Accept(hijack, r, tunnel.AcceptOptions{
		ID: l.id, Limits: s.o.Limits, Protocol: s.o.Protocol, Growth: s.growth, Counters: &l.counters,
		OnRelease: func() { s.dispatch.handOver(l) },
		OnEnd:     func() { defer s.work.Done(); defer s.caught(); s.half(l) },
		OnPanic:   s.o.OnPanic,
	})
	if !hijack.opened {
		text := "opening handshake failed"
		if err != nil {
			text = err.Error()
		}
		s.refused(engine.Event{Peer: l.peer, Code: uint16(hijack.status),
			Reason: engine.Bound(text)})
		return
	}
	defer s.work.Done()
	defer s.caught()
	settled := false
	defer func() {
		if !settled && l.registered.Load() {
			s.half(l) // after a panic too its end takes it out of its pools
		}
	}()
	s.settleLink(l, reg, err)
	settled = true
}

// admitClient decides on a request for /register, before any state is made for
// it. A text with ReasonMalformed says that it is no WebSocket handshake. On
// ReasonNone it has counted a greeting.
func (s *Server) admitClient(r *http.Request, under *Live) (identity policy.Identity, reason engine.Reason, text string) {
	identity, err := under.Clients.Admit(&policy.Presented{Header: r.Header, TLS: r.TLS})
	if err != nil {
		reason = engine.ReasonOf(err)
		switch {
		case reason != engine.ReasonUnauthorized:
		case errors.Is(err, policy.ErrExpired):
			text = policy.ErrExpired.Error()
		case errors.Is(err, policy.ErrCertificate):
			text = policy.ErrCertificate.Error()
		default:
			text = "credential missing or wrong: a client shows one by --secret, or by --tls-cert"
		}
		return identity, reason, text
	}
	if len(r.Header["Origin"]) > 0 {
		return identity, engine.ReasonDenied, "browsers may not register"
	}
	if r.Method != http.MethodGet || r.ProtoMajor != 1 ||
		!httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") ||
		!httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket") ||
		r.Header.Get("Sec-Websocket-Version") != "13" {
		return identity, engine.ReasonMalformed, "/register wants a websocket handshake (version 13) over http/1.1"
	}
	if s.draining.Load() {
		return identity, engine.ReasonDraining, ""
	}
	if s.greeting.Add(1) > maxGreetings {
		s.greeting.Add(-1)
		return identity, engine.ReasonQueueFull, "too many clients are registering: try again"
	}
	return identity, engine.ReasonNone, ""
}

func (s *Server) refuseClient(w http.ResponseWriter, r *http.Request, status int, reason engine.Reason, text string) {
	if text == "" {
		text = explain(reason)
	}
	s.refused(engine.Event{Peer: r.RemoteAddr, Code: uint16(status), Reason: text})
	s.answer(w, r, status, reason, text)
}

// linkHijacker notes when the WebSocket opens.
type linkHijacker struct {
	http.ResponseWriter
	s      *Server
	l      *link
	under  *Live // what it was admitted under
	opened bool
	status int
}

func (h *linkHijacker) WriteHeader(status int) {
	h.status = status
	h.ResponseWriter.WriteHeader(status)
}

// Hijack hands over the connection of the operating system: the deadlines of
// a WebSocket are the tunnel's. Who opened counts as a goroutine to wait for.
func (h *linkHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if !h.s.hold() {
		return nil, nil, engine.ErrDraining
	}
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		h.s.work.Done()
		return nil, nil, err
	}
	sock := conn
	if c := callerConnOf(conn); c != nil {
		conn, sock = c.strip(conn), c.Conn
		h.l.seat = c.seat
	}
	h.opened = true
	h.l.mu.Lock()
	h.l.sock = sock // below TLS, whose Close may wait
	h.l.mu.Unlock()
	h.s.links.add(h.l)
	h.s.checkNew(h.l, h.under)
	h.s.publish(engine.Event{Kind: engine.KindConnectionOpened, Connection: h.l.id, Peer: h.l.peer})
	if h.s.stopping.Load() {
		h.l.abort(engine.CloseGoingAway, "the server is stopping")
	}
	return conn, rw, nil
}

// settleLink goes on after the opening: it answers the greeting and puts the
// connection into its pools. It does not wait for its end: nothing of net/http
// stays with a connection, neither goroutine nor buffers.
func (s *Server) settleLink(l *link, reg *tunnel.Registration, opening error) {
	if opening != nil {
		code, reason := s.openingFailed(l, opening)
		s.closed(l, 0, code, reason)
	} else if refused := s.settle(l, reg); refused != nil {
		s.greetingRejected(l, reg.Greeting, *refused)
		s.closed(l, reg.Protocol, refused.code, refused.reason)
	} else {
		s.half(l)
	}
}

// half is called when a connection is settled and when it has ended, in either
// order: the second time it leaves its pools.
func (s *Server) half(l *link) {
	if l.halves.Add(1) < 2 {
		return
	}
	s.dispatch.leave(l)
	s.claims.release(s, l)
	code, reason := l.conn.Ended()
	s.closed(l, l.conn.Protocol(), code, reason)
}

// closed publishes how a connection ended.
func (s *Server) closed(l *link, protocol engine.Protocol, code engine.CloseCode, reason string) {
	traffic := l.counters.Traffic()
	s.limits.leave(l)
	l.seat.leave()
	s.links.remove(l, func() { s.totals.ConnectionEnded(traffic, code) })
	s.publish(engine.Event{Kind: engine.KindConnectionClosed, Connection: l.id, Client: l.client, Peer: l.peer,
		Protocol: protocol, Code: uint16(code), Reason: engine.Bound(reason),
		Duration: time.Since(l.opened), Closed: &traffic})
}

// openingFailed publishes why no greeting came.
func (s *Server) openingFailed(l *link, err error) (engine.CloseCode, string) {
	refused := refusal{engine.CloseAbnormal, err.Error()}
	var greeting *engine.Greeting
	var opening *tunnel.OpeningError
	if errors.As(err, &opening) {
		if opening.Code != 0 {
			refused.code = opening.Code
		}
		if greeting = opening.Greeting; opening.Err != nil {
			refused.reason = opening.Err.Error()
		}
	}
	if refused.reason == "" {
		refused.reason = "the client closed the connection and gave no reason"
	}
	if order, ok := l.order(); ok {
		refused = refusal(order)
	}
	s.greetingRejected(l, greeting, refused)
	return refused.code, refused.reason
}

func (s *Server) greetingRejected(l *link, g *engine.Greeting, why refusal) {
	e := engine.Event{Kind: engine.KindGreetingRejected, Connection: l.id, Peer: l.peer, Greeting: g,
		Code: uint16(why.code), Reason: engine.Bound(why.reason)}
	if g != nil {
		e.Client = engine.Bound(g.ID)
	}
	s.publish(e)
}

// A refusal is the closing handshake that answers a greeting.
type refusal struct {
	code   engine.CloseCode
	reason string
}

// settle answers the greeting: what it claims is taken, ports are bound, then
// comes the welcome, then callers. On a refusal the connection is closed.
func (s *Server) settle(l *link, reg *tunnel.Registration) *refusal {
	greeting := *reg.Greeting // the published one has urls
	greeting.Expose = append([]engine.Expose(nil), greeting.Expose...)
	l.native = reg.Protocol == engine.ProtocolNative
	l.client, l.greeting = greeting.ID, &greeting

	// First: who may not be this client takes none of its places.
	refused := l.checkScope()
	if refused == nil {
		refused = s.limits.open(l)
	}
	if refused == nil {
		refused = s.claims.take(s, l)
	}
	if refused == nil {
		if order, ok := l.order(); ok {
			r := refusal(order)
			refused = &r
			s.claims.release(s, l)
		}
	}
	if refused != nil {
		reg.Reject(refused.code, refused.reason)
		return refused
	}
	urls := make([]string, len(greeting.Expose))
	for i := range greeting.Expose {
		urls[i] = s.exposedURL(&greeting.Expose[i])
		greeting.Expose[i].URL = engine.Bound(urls[i])
	}
	s.work.Add(1) // OnEnd's
	conn, err := reg.Welcome(&wire.Welcome{
		Connection: l.id.String(), Server: s.o.Name, Version: s.o.Version,
		PingInterval: s.o.Limits.Ping, MaxExchanges: s.o.Limits.MaxExchanges, Window: s.o.Limits.Window,
		URLs: urls,
	})
	if err != nil {
		s.work.Done()
		s.claims.release(s, l)
		return &refusal{engine.CloseAbnormal, err.Error()}
	}
	l.mu.Lock()
	l.conn, l.ready, l.sock = conn, time.Now(), nil
	l.registered.Store(true)
	l.mu.Unlock()
	// Before the first request can be told of.
	s.publish(engine.Event{Kind: engine.KindGreetingReceived, Connection: l.id, Client: l.client, Peer: l.peer,
		Protocol: reg.Protocol, Greeting: &greeting})
	s.dispatch.join(l)
	s.overtaken(l)
	return nil
}

// overtaken ends a connection that was ordered to end while it registered.
func (s *Server) overtaken(l *link) {
	if order, ok := l.order(); ok {
		l.conn.Close(order.code, order.reason)
		return
	}
	if refused := l.checkScope(); refused != nil { // it has changed meanwhile
		l.conn.Close(refused.code, refused.reason)
		return
	}
	if s.claims.isBanned(l.client) {
		l.conn.Close(engine.CloseBanned, "this client id is banned")
		return
	}
	if s.draining.Load() {
		s.sendAway(l)
	}
}

// exposedURL returns how callers reach an exposed name or port.
func (s *Server) exposedURL(e *engine.Expose) string {
	listen := s.listenAddr()
	if e.TCP != 0 {
		host := s.o.TCPHost
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			if host = s.o.Domain; host == "" {
				host, _, _ = net.SplitHostPort(listen)
			}
		}
		return "tcp://" + net.JoinHostPort(host, strconv.Itoa(int(e.TCP)))
	}
	scheme, port := "http", ""
	if s.o.TLS != nil {
		scheme = "https"
	}
	if s.o.PublicURL != "" {
		if u, err := url.Parse(s.o.PublicURL); err == nil {
			scheme, port = u.Scheme, u.Port()
		}
	} else if _, p, err := net.SplitHostPort(listen); err == nil {
		port = p
	}
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return scheme + "://" + e.Host + s.domain
	}
	return scheme + "://" + e.Host + s.domain + ":" + port
}
