package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"

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
// closing handshake that says why. It may wait for a sign of life of who holds
// the id.
func (c *claims) take(s *Server, l *link) *refusal {
	if refused := s.checkExpose(l.greeting.Expose); refused != nil {
		return refused
	}
	if refused := l.checkScope(); refused != nil {
		return refused
	}
	refused, holders := c.tryTake(s, l, nil)
	if holders == nil {
		return refused
	}
	if lives(holders) {
		return &refusal{engine.CloseIDTaken, idTaken}
	}
	refused, _ = c.tryTake(s, l, holders)
	return refused
}

// tryTake is take without waiting. Where another instance holds the id it
// returns the connections to ask for a sign of life, and claims nothing; silent
// are those that gave none.
func (c *claims) tryTake(s *Server, l *link, silent []*link) (refused *refusal, holders []*link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		code, reason := s.farewell()
		return &refusal{code, reason}, nil
	}
	if c.banned[l.client] {
		return &refusal{engine.CloseBanned, "this client id is banned"}, nil
	}
	if l.native {
		if refused, holders = c.takeID(s, l, silent); refused != nil {
			return refused, holders
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
				return &refusal{engine.ClosePolicy, engine.Bound(fmt.Sprintf("tcp port %d: %v", e.TCP, err))}, nil
			}
			c.ports[e.TCP] = p
		}
		p.refs++
	}
	return nil, nil
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
