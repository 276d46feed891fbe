package server

import (
	"context"
	"net"
	"net/http"
	"time"

	"adit/engine"
)

const (
	// restarting is what clients are told by a server whose successor accepts.
	restarting = "the server restarts: dial again"

	// A successor has callers wait for clients for up to returnWait, since it
	// began for less than returnTime.
	returnWait = 5 * time.Second
	returnTime = 10 * time.Second

	// heldPort is for how long a successor keeps a port that no client exposes.
	heldPort = 30 * time.Second

	// lingerMost is for how long callers' connections that were there before may
	// bring more requests: each answer says that it is the last one there. For
	// loneLinger a client's only connection stays for them.
	lingerMost = 3 * time.Second
	loneLinger = 500 * time.Millisecond
	lingerLook = 10 * time.Millisecond

	// Clients are sent away at sendRate a second, so that they do not all dial in
	// the same moment, but within sendMost.
	sendRate = 2000
	sendMost = 500 * time.Millisecond

	// idsBetween is how many ids a server may still give after its successor was
	// told where to begin.
	idsBetween = 100_000
)

// A State is what a server tells its successor. It is JSON between versions of
// this program: members are added, none changes its meaning.
type State struct {
	Hosts           []string        `json:"hosts,omitempty"`  // exposed names that are known
	Banned          []string        `json:"banned,omitempty"` // client ids
	FirstRequest    uint64          `json:"first_request,omitempty"`
	FirstConnection uint64          `json:"first_connection,omitempty"`
	Capture         *engine.Capture `json:"capture,omitempty"` // where it was set in the run
}

// State returns what a successor that serves from now on has to know. Its ids
// begin far enough above those of this server.
func (s *Server) State() State {
	st := State{
		FirstRequest:    beyond(s.calls.last.Load()),
		FirstConnection: beyond(s.lastLink.Load()),
	}
	s.dispatch.hosts.Range(func(name, _ any) bool {
		st.Hosts = append(st.Hosts, name.(string))
		return true
	})
	s.claims.mu.Lock()
	for client := range s.claims.banned {
		st.Banned = append(st.Banned, client)
	}
	s.claims.mu.Unlock()
	if s.captured.Load() {
		var c engine.CaptureState
		s.keeper.State(&c)
		st.Capture = &c.Capture
	}
	return st
}

func beyond(id uint64) uint64 { return (id/idsBetween+2)*idsBetween + 1 }

// succeed takes over what a former process has told.
func (s *Server) succeed() {
	st := s.o.Former
	if st == nil {
		return
	}
	s.dispatch.backBy = s.started.Add(returnTime)
	for _, host := range st.Hosts {
		if isLabel(host) {
			s.dispatch.know(host)
		}
	}
	for _, client := range st.Banned {
		s.claims.banned[client] = true
	}
	if st.Capture != nil {
		if err := s.keeper.Set(*st.Capture); err != nil {
			s.log.Warn("what is captured was not taken over", "err", err)
		} else {
			s.captured.Store(true)
		}
	}
	s.calls.last.Store(max(s.calls.last.Load(), max(st.FirstRequest, 1)-1))
	s.lastLink.Store(max(s.lastLink.Load(), max(st.FirstConnection, 1)-1))
}

// patience is for how long a caller waits for a connection.
func (s *Server) patience() time.Duration {
	if s.dispatch.returning() {
		return max(s.o.Wait, returnWait)
	}
	return s.o.Wait
}

// returning reports whether clients of a former process may still come back.
func (d *dispatcher) returning() bool {
	return !d.backBy.IsZero() && time.Now().Before(d.backBy)
}

// openPorts begins to accept on ports that the process was started with.
func (s *Server) openPorts() {
	for _, port := range s.claimPorts() {
		s.log.Warn("an inherited port is outside of those that may be exposed", "port", port)
	}
}

// claimPorts is openPorts, and returns the ports that it has closed.
func (s *Server) claimPorts() (outside []uint16) {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	for port, ln := range s.o.Ports {
		if s.o.TCPFirst == 0 || port < s.o.TCPFirst || port > s.o.TCPLast || s.claims.closed {
			outside = append(outside, port)
			ln.Close()
			continue
		}
		p, err := s.serveOn(ln, port)
		if err != nil {
			continue // the server has ended
		}
		p.refs = 1
		s.claims.ports[port] = p
		if s.o.Former == nil {
			continue // a service manager listens as well: closed here, callers would hang
		}
		s.spawn(func() {
			held := time.NewTimer(heldPort)
			defer held.Stop()
			select {
			case <-held.C:
			case <-s.base.Done():
				return
			}
			s.claims.mu.Lock()
			defer s.claims.mu.Unlock()
			s.claims.unbind(port)
		})
	}
	return outside
}

// Ports returns the listeners of exposed TCP ports.
func (s *Server) Ports() map[uint16]net.Listener {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	ports := make(map[uint16]net.Listener, len(s.claims.ports))
	for port, p := range s.claims.ports {
		ports[port] = p.ln
	}
	return ports
}

// farewell is the closing handshake of a server that ends.
func (s *Server) farewell() (engine.CloseCode, string) {
	if s.leaving.Load() {
		return engine.CloseRestart, restarting
	}
	return engine.CloseGoingAway, "the server is stopping"
}

// awaitLinks lets drained connections close by themselves: clients should hear of
// the drain first.
func (s *Server) awaitLinks(ctx context.Context) {
	look := time.NewTicker(lingerLook)
	defer look.Stop()
	for len(s.links.list()) > 0 && ctx.Err() == nil {
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
}

// sendAway drains a connection.
func (s *Server) sendAway(l *link) {
	_, reason := s.farewell()
	if s.leaving.Load() {
		l.conn.Restart(s.o.Grace, reason)
		return
	}
	l.conn.Drain(s.o.Grace, reason)
}

// sendElsewhere says in a response, once a successor accepts, that the next
// request has to come over another connection.
func (s *Server) sendElsewhere(h http.Header) {
	if s.leaving.Load() {
		h["Connection"] = []string{"close"}
	}
}

// Handover is Shutdown for a server whose successor accepts on the same sockets:
// it stops accepting, which leaves those who wait there to the successor, and
// sends clients away with 1012. Callers that are connected here may bring one more
// request; for them a client's last connection stays for a moment. It returns as
// Shutdown does, within Options.Grace.
func (s *Server) Handover(ctx context.Context) error {
	if s.leaving.Swap(true) {
		return s.Shutdown(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Grace)
	defer cancel()
	s.publish(engine.Event{Kind: engine.KindDraining, Reason: restarting, Count: s.calls.running()})
	s.life.Lock()
	listeners := s.listeners
	s.life.Unlock()
	for _, ln := range listeners {
		ln.Close() // of this process: the socket is the successor's too
	}
	s.claims.close()
	s.probes.close(s.farewell())
	s.linger(ctx)
	return s.Shutdown(ctx)
}

// linger sends clients away but for what late requests may need, and waits until
// none can come any more.
func (s *Server) linger(ctx context.Context) {
	began := time.Now()
	most := min(lingerMost, s.o.Grace/2)
	spare, lone := s.partLinks()
	if !s.sendAll(ctx, spare) {
		return
	}
	look := time.NewTicker(lingerLook)
	defer look.Stop()
	for {
		if s.webCount.Load() == 0 && s.dispatch.waiting.Load() == 0 || time.Since(began) > most {
			return
		}
		if lone != nil && time.Since(began) > loneLinger && s.dispatch.waiting.Load() == 0 {
			if !s.sendAll(ctx, lone) {
				return
			}
			lone = nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		case <-s.hardStop:
			return
		}
	}
}

// partLinks tells the connections that clients can do without from those of
// clients that then could not be reached through this server.
func (s *Server) partLinks() (spare, lone []*link) {
	type owner struct{ client, instance string }
	groups := map[owner][]*link{}
	for _, l := range s.links.list() {
		if !l.registered.Load() {
			continue // its greeting is refused with 1012
		}
		o := owner{client: l.client}
		if l.native {
			o.instance = l.greeting.Instance
		}
		groups[o] = append(groups[o], l)
	}
	for _, links := range groups {
		keep := 1
		if !links[0].native {
			keep = (len(links) + 1) / 2 // each carries one exchange
		}
		if len(links) == keep || !links[0].native {
			lone = append(lone, links[:keep]...)
		}
		spare = append(spare, links[keep:]...)
	}
	return spare, lone
}

// sendAll sends connections away, a few at a time. It reports false where that
// was cut short.
func (s *Server) sendAll(ctx context.Context, links []*link) bool {
	began := time.Now()
	rate := max(sendRate, float64(len(links))/sendMost.Seconds())
	for i, l := range links {
		due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 5*time.Millisecond {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			case <-s.hardStop:
			}
			timer.Stop()
			if ctx.Err() != nil || s.cutAlready() {
				return false
			}
		}
		s.sendAway(l)
	}
	return true
}

func (s *Server) cutAlready() bool {
	select {
	case <-s.hardStop:
		return true
	default:
		return false
	}
}
