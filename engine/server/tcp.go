package server

import (
	"context"
	"net"
	"strconv"

	"adit/engine"
	"adit/engine/policy"
)

// A tcpPort is an exposed port that is bound; shared by the clients that
// expose it.
type tcpPort struct {
	ln   net.Listener
	refs int // guarded by claims.mu
}

// bind binds an exposed port.
func (s *Server) bind(port uint16) (*tcpPort, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(s.o.TCPHost, strconv.Itoa(int(port))))
	if err != nil {
		return nil, err
	}
	return s.serveOn(ln, port)
}

// serveOn accepts on an exposed port, which it closes where the server has ended.
func (s *Server) serveOn(ln net.Listener, port uint16) (*tcpPort, error) {
	p := &tcpPort{ln: ln}
	if !s.spawn(func() { s.acceptTCP(p, port) }) {
		ln.Close()
		return nil, engine.ErrDraining
	}
	return p, nil
}

// acceptTCP accepts until the listener is closed.
func (s *Server) acceptTCP(p *tcpPort, port uint16) {
	for {
		conn, err := s.accept(p.ln, nil, reset)
		if err != nil {
			return
		}
		if !s.spawn(func() { s.serveTCP(conn, port) }) {
			conn.Close()
			return
		}
	}
}

// serveTCP carries one caller of an exposed port. A stream that can't be
// carried is reset, so that the caller sees more than an empty answer.
func (s *Server) serveTCP(conn *callerConn, port uint16) {
	stop := context.AfterFunc(s.base, func() { conn.Conn.Close() })
	defer stop()
	if s.shortOfMemory() || conn.meet() != nil {
		reset(conn.Conn)
		conn.Close()
		return
	}
	c := s.begin(engine.WayTCP, conn.RemoteAddr().String())
	if c == nil {
		conn.Close()
		return
	}
	defer c.release()
	c.rec.Target = "tcp:" + strconv.Itoa(int(port))
	c.trace(nil)
	admitted := s.admitCaller(c, &policy.Presented{}) // before the record of the start may be read
	c.started()
	end := connEnd{conn}
	refuse := func(reason engine.Reason) {
		c.fail(reason, "")
		c.end()
		end.finish(true)
	}
	if admitted != nil {
		refuse(engine.ReasonOf(admitted))
		return
	}
	if s.draining.Load() {
		refuse(engine.ReasonDraining)
		return
	}
	o := connect{to: destination{kind: toPort, port: port, native: true}, out: conn, end: end, refuse: refuse}
	ex, resp, ok := s.openConnect(s.base, c, &o)
	if !ok {
		return
	}
	c.waterfall(ex, resp)
	c.answered(0, resp)
	c.rec.Upgraded = true
	s.raw(s.base, c, ex, end, nil, o.up)
}
