package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"adit/engine"
)

// maxExpose bounds the routes of one greeting.
const maxExpose = 1000

// claims is who holds which client id and which port, and who is banned.
type claims struct {
	mu     sync.Mutex
	ids    map[string]*claim
	ports  map[uint16]*tcpPort
	banned map[string]bool
	closed bool
}

// A claim is a client id held by one process, through native connections. Wsp
// clients tell no instance: any number of them may share an id.
type claim struct {
	instance string
	links    []*link
}

func (c *claims) init() {
	c.ids = make(map[string]*claim)
	c.ports = make(map[uint16]*tcpPort)
	c.banned = make(map[string]bool)
}

// take claims what the greeting of l asks for: all of it, or nothing with the
// closing handshake that says why.
func (c *claims) take(s *Server, l *link) *refusal {
	if refused := s.checkExpose(l.greeting.Expose); refused != nil {
		return refused
	}
	if refused := l.checkScope(); refused != nil {
		return refused
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		code, reason := s.farewell()
		return &refusal{code, reason}
	}
	if c.banned[l.client] {
		return &refusal{engine.CloseBanned, "this client id is banned"}
	}
	if l.native {
		if refused := c.takeID(s, l); refused != nil {
			return refused
		}
	}
	for i, e := range l.greeting.Expose {
		if e.TCP == 0 {
			s.dispatch.know(e.Host)
			continue
		}
		p := c.ports[e.TCP]
		if p == nil {
			var err error
			if p, err = s.bind(e.TCP); err != nil {
				c.releaseLocked(l, l.greeting.Expose[:i])
				return &refusal{engine.ClosePolicy, engine.Bound(fmt.Sprintf("tcp port %d: %v", e.TCP, err))}
			}
			c.ports[e.TCP] = p
		}
		p.refs++
	}
	return nil
}

// takeID claims the id; under mu. Another process gets it only when the one
// that holds it shows no life: it may have died without its connections having
// been seen to end, and must then not be locked out of its own name for ever.
func (c *claims) takeID(s *Server, l *link) *refusal {
	held := c.ids[l.client]
	if held == nil {
		c.ids[l.client] = &claim{instance: l.greeting.Instance, links: []*link{l}}
		return nil
	}
	if held.instance == l.greeting.Instance {
		held.links = append(held.links, l)
		return nil
	}
	// A peer pings once in an interval, with a jitter of a fifth.
	silence := s.o.Limits.Ping + s.o.Limits.Ping/4
	for _, other := range held.links {
		if other.alive(silence) {
			return &refusal{engine.CloseIDTaken, "this client id is held by another instance"}
		}
	}
	for _, other := range held.links {
		s.spawn(func() { other.end(engine.CloseIDTaken, "taken over by another instance") })
	}
	c.ids[l.client] = &claim{instance: l.greeting.Instance, links: []*link{l}}
	return nil
}

// alive reports whether a connection may still have a peer. It is asked each
// time another process wants the id; bytes that came in between are life.
func (l *link) alive(silence time.Duration) bool {
	if !l.registered.Load() {
		return true
	}
	select {
	case <-l.conn.Done():
		return false
	default:
	}
	var c engine.Connection
	l.conn.Status(&c)
	if c.State == engine.StateDraining || c.State == engine.StateClosing {
		return false
	}
	now, bytes := time.Now(), l.counters.BytesIn()
	if l.probeAt.IsZero() || bytes != l.probeBytes {
		l.probeAt, l.probeBytes = now, bytes
		return true
	}
	return now.Sub(l.probeAt) < silence
}

// release gives back what l claimed.
func (c *claims) release(s *Server, l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked(l, l.greeting.Expose)
}

func (c *claims) releaseLocked(l *link, exposed []engine.Expose) {
	if held := c.ids[l.client]; held != nil {
		if i := slices.Index(held.links, l); i >= 0 {
			held.links = slices.Delete(held.links, i, i+1)
			if len(held.links) == 0 {
				delete(c.ids, l.client)
			}
		}
	}
	for _, e := range exposed {
		if e.TCP != 0 {
			c.unbind(e.TCP)
		}
	}
}

// unbind ends one's use of a port, which the last one closes; under mu.
func (c *claims) unbind(port uint16) {
	p := c.ports[port]
	if p == nil {
		return
	}
	if p.refs--; p.refs == 0 {
		p.ln.Close()
		delete(c.ports, port)
	}
}

// close unbinds every port and takes no claim any more.
func (c *claims) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.ports {
		p.ln.Close()
	}
}

func (c *claims) isBanned(client string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.banned[client]
}

// checkExpose says what is not allowed in a greeting's routes, and puts names
// into lower case.
func (s *Server) checkExpose(exposed []engine.Expose) *refusal {
	no := func(format string, args ...any) *refusal {
		return &refusal{engine.ClosePolicy, engine.Bound(fmt.Sprintf(format, args...))}
	}
	if len(exposed) > maxExpose {
		return no("%d routes are exposed, at most %d may be", len(exposed), maxExpose)
	}
	for i := range exposed {
		e := &exposed[i]
		switch {
		case e.Host != "" && e.TCP != 0, e.Host == "" && e.TCP == 0:
			return no("route %d is neither a host nor a tcp port", i+1)
		case e.TCP != 0 && s.o.TCPFirst == 0:
			return no("tcp port %d: this server exposes no tcp ports", e.TCP)
		case e.TCP != 0 && !s.portsOpen():
			return no("tcp port %d: callers of a port can't show the credential that this server asks for; its --open-callers=exposed opens ports", e.TCP)
		case e.TCP != 0 && (e.TCP < s.o.TCPFirst || e.TCP > s.o.TCPLast):
			return no("tcp port %d is outside %d-%d", e.TCP, s.o.TCPFirst, s.o.TCPLast)
		case e.Host != "" && s.domain == "":
			return no("host %q: this server exposes no names", e.Host)
		case e.Host != "" && !isLabel(e.Host):
			return no("host %q is not one dns label", e.Host)
		}
		e.Host = strings.ToLower(e.Host)
	}
	return nil
}

// isLabel reports whether s is one DNS label (RFC 1123 §2.1).
func isLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
