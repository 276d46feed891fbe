package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"adit/engine/limit"
)

// A seat is one socket's place among those that are counted. It is given back
// when the socket closes, whoever has it by then.
type seat struct {
	s         *Server
	key       limit.Key
	ofAddress bool // counted for key too
	left      atomic.Bool

	mu sync.Mutex // of what rename changes, until left is true
}

// leave gives the seat back, once. A nil seat was never taken.
func (p *seat) leave() {
	if p == nil {
		return
	}
	p.mu.Lock()
	was := p.left.Swap(true)
	p.mu.Unlock()
	if was {
		return
	}
	p.s.limits.sockets.Add(-1)
	if p.ofAddress {
		p.s.limits.addresses.Done(p.key)
	}
}

// take takes a seat for a socket from addr; otherwise it says which limit is
// reached and why.
func (x *limits) take(addr netip.Addr) (*seat, limitID, string) {
	caps := &x.s.live().Caps
	p := &seat{s: x.s, key: limit.KeyOf(addr)}
	if n := x.sockets.Add(1); caps.Connections >= 0 && n > int64(caps.Connections) {
		x.sockets.Add(-1)
		return nil, limitConnections, fmt.Sprintf("%d connections are open", caps.Connections)
	}
	if caps.ConnectionsPerAddress >= 0 && !x.s.speaksForMany(addr) {
		if !x.addresses.Add(p.key, caps.ConnectionsPerAddress) {
			x.sockets.Add(-1)
			return nil, limitConnectionsPerAddress, tooManyOf(caps.ConnectionsPerAddress)
		}
		p.ofAddress = true
	}
	return p, 0, ""
}

func tooManyOf(most int) string { return fmt.Sprintf("%d connections of this address are open", most) }

// accept returns the next connection that there is room for. It ends with ln or
// with the server, not before: whatever else goes wrong, files that ran out above
// all, it tries again, less and less often up to once a second. full is told of
// connections there is no room for; closed ends a pause, if it is not nil.
func (s *Server) accept(ln net.Listener, closed <-chan struct{}, full func(net.Conn)) (*callerConn, error) {
	const least, most = 5 * time.Millisecond, time.Second
	pause := least
	for {
		conn, err := ln.Accept()
		if err == nil {
			p, id, why := s.limits.take(addressOf(conn.RemoteAddr()))
			if p != nil {
				c := newCallerConn(conn, s)
				c.seat = p
				c.expect()
				return c, nil
			}
			s.limits.reached(id, "", limit.KeyOf(addressOf(conn.RemoteAddr())), why)
			full(conn)
			continue
		}
		if errors.Is(err, net.ErrClosed) || s.base.Err() != nil {
			return nil, err
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			s.limits.reached(limitConnections, "", limit.Key{}, "no file is left to accept a connection with: "+err.Error())
		} else {
			s.log.Warn("accept", "listener", ln.Addr().String(), "error", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-closed:
			timer.Stop()
			return nil, net.ErrClosed
		case <-s.base.Done():
			timer.Stop()
			return nil, net.ErrClosed
		}
		pause = min(2*pause, most)
	}
}

func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}

// unavailable is what a caller gets whom nobody serves, without a goroutine of
// his own and whatever he asks for.
const unavailable = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n" +
	"Proxy-Status: adit; error=connection_limit_reached\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 33\r\n\r\n" +
	"too many connections: try again.\n"

// turnAway answers a caller for whom there is no room. The buffer of a new socket
// takes the answer without a wait.
func (s *Server) turnAway(conn net.Conn) {
	if s.o.TLS != nil {
		reset(conn)
		return
	}
	if conn.SetWriteDeadline(time.Now().Add(time.Millisecond)) == nil {
		if _, err := conn.Write([]byte(unavailable)); err == nil {
			s.limits.farewell.add(conn)
			return
		}
	}
	conn.Close()
}

// reset closes a connection whose peer is not to take that for an end.
func reset(conn net.Conn) {
	if lc, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = lc.SetLinger(0)
	}
	conn.Close()
}

const (
	maxFarewells = 8
	farewellTime = lingerTime
)

// A farewell keeps the newest connections that were answered unheard open for a
// moment: a close would reset them, since they have bytes that nobody reads, and
// take the answer away.
type farewell struct {
	mu     sync.Mutex
	conns  [maxFarewells]net.Conn
	next   int
	closed bool
	timer  *time.Timer
}

func (f *farewell) add(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		conn.Close()
		return
	}
	if old := f.conns[f.next]; old != nil {
		old.Close()
	}
	f.conns[f.next] = conn
	f.next = (f.next + 1) % maxFarewells
	if f.timer == nil {
		f.timer = time.AfterFunc(farewellTime, f.empty)
	} else {
		f.timer.Reset(farewellTime)
	}
}

// empty closes them all, when none has come for a while.
func (f *farewell) empty() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, conn := range f.conns {
		if conn != nil {
			conn.Close()
			f.conns[i] = nil
		}
	}
}

func (f *farewell) close() {
	f.mu.Lock()
	f.closed = true
	if f.timer != nil {
		f.timer.Stop()
	}
	f.mu.Unlock()
	f.empty()
}
