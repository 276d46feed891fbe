package server

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"

	"adit/engine"
	"adit/engine/limit"
	"adit/engine/proxyproto"
)

// A meeting is how a connection of a load balancer begins: with a header that says
// who connects.
type meeting struct {
	header proxyproto.Greeting
	once   sync.Once
	err    error
}

// expect has c begin with a header where it comes from a load balancer of ours.
// From anybody else a header is content, and makes no request.
func (c *callerConn) expect() {
	if l := c.s.live(); len(l.ProxyProtocol) > 0 && among(l.ProxyProtocol, proxyproto.Addr(c.Conn.RemoteAddr())) {
		c.meeting = new(meeting)
	}
}

// meet waits for that header, the first time, and has the caller counted in the
// place of the load balancer. It is called on the goroutine of the connection: who
// accepts waits for nobody.
func (c *callerConn) meet() error {
	m := c.meeting
	if m == nil {
		return nil
	}
	addr, err := m.header.Meet(c.Conn)
	m.once.Do(func() {
		if m.err = err; err != nil {
			c.s.unmet(c, err)
			return
		}
		m.err = c.seat.rename(proxyproto.Addr(addr))
	})
	return m.err
}

// RemoteAddr returns the address of the caller, which a load balancer may have to
// tell first.
func (c *callerConn) RemoteAddr() net.Addr {
	if c.meeting == nil {
		return c.Conn.RemoteAddr()
	}
	_ = c.meet() // Read says it
	addr, _ := c.meeting.header.Meet(c.Conn)
	return addr
}

// Balancer reports whether an address is of a load balancer that says for whom it
// connects.
func (s *Server) Balancer(a netip.Addr) bool { return among(s.live().ProxyProtocol, a) }

// unmet tells that a load balancer did not say who connects. One that connects and
// leaves only looks whether we are there.
func (s *Server) unmet(c *callerConn, err error) {
	if err == io.EOF || s.base.Err() != nil || errors.Is(err, net.ErrClosed) {
		return
	}
	if !errors.Is(err, proxyproto.ErrHeader) {
		err = errors.Join(proxyproto.ErrHeader, err)
	}
	s.refused(engine.Event{Peer: c.Conn.RemoteAddr().String(), Code: 400,
		Reason: engine.Bound("load balancer: " + err.Error())})
}

// rename has a seat count for another address, for whose connections there may be no
// room.
func (p *seat) rename(addr netip.Addr) error {
	if p == nil || p.ofAddress || !addr.IsValid() || p.s.speaksForMany(addr) {
		return nil
	}
	most := p.s.live().Caps.ConnectionsPerAddress
	if most < 0 {
		return nil
	}
	key := limit.KeyOf(addr)
	if !p.s.limits.addresses.Add(key, most) {
		why := tooManyOf(most)
		p.s.limits.reached(limitConnectionsPerAddress, "", key, why)
		return errors.New(why)
	}
	p.mu.Lock()
	left := p.left.Load()
	if !left {
		p.key, p.ofAddress = key, true
	}
	p.mu.Unlock()
	if left {
		p.s.limits.addresses.Done(key)
		return net.ErrClosed
	}
	return nil
}
