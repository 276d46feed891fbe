package origin

import (
	"net"
	"sync"
	"time"
)

// A http1Conn is a connection to a plain-HTTP origin. It belongs to one
// exchange, or to its pool while it is idle; an idle one owns no buffer.
type http1Conn struct {
	net.Conn
	origin origin
	reused bool // it has carried an exchange before
	tick   uint32

	// canceled ends the connection when an exchange's context does.
	canceled func()
	ended    chan struct{} // of 1: canceled has run

	// armed is the read deadline that the socket has, zero for none. It may be
	// earlier than the one that is meant; see http1Exchange.read.
	armed time.Time

	socket *http1Socket // nil where the connection is watched while idle

	watch chan bool // of 1: the watching read has ended, the connection alive
	byte1 [1]byte
}

func newHTTP1Conn(c net.Conn, o origin) *http1Conn {
	own := &http1Conn{Conn: c, origin: o, ended: make(chan struct{}, 1), socket: newHTTP1Socket(c)}
	own.canceled = func() {
		own.Conn.Close()
		own.ended <- struct{}{}
	}
	return own
}

// arm has reads end at deadline or before; zero: never.
func (c *http1Conn) arm(deadline time.Time) {
	c.armed = deadline
	c.SetReadDeadline(deadline)
}

// rest begins the idle time of a connection. Where nothing says later what came
// meanwhile a goroutine reads; alive and end join it.
func (c *http1Conn) rest() {
	if c.socket != nil {
		return
	}
	if !c.armed.IsZero() {
		c.arm(time.Time{})
	}
	if c.watch == nil {
		c.watch = make(chan bool, 1)
	}
	go func() {
		n, err := c.Conn.Read(c.byte1[:])
		timeout, ok := err.(net.Error)
		c.watch <- n == 0 && ok && timeout.Timeout()
	}()
}

// alive ends the idle time and reports whether the connection was silent and is
// open as far as this end can know. Whatever came while nothing was asked for
// would be taken for the next answer (R1).
func (c *http1Conn) alive() bool {
	if c.socket != nil {
		return c.socket.alive()
	}
	if c.Conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		c.Conn.Close()
	}
	return <-c.watch && c.Conn.SetReadDeadline(time.Time{}) == nil
}

// end closes an idle connection.
func (c *http1Conn) end() {
	c.Conn.Close()
	if c.socket == nil {
		<-c.watch
	}
}

// http1Conns keeps the idle connections to plain-HTTP origins.
type http1Conns struct {
	maxIdle  int           // of each origin
	interval time.Duration // between two ticks

	mu     sync.Mutex
	pools  map[origin]*http1Pool
	tick   uint32
	timer  *time.Timer // nil: no pool
	timers sync.WaitGroup
	idle   int
	closed bool
}

// A http1Pool has the idle connections of one origin, the newest last.
type http1Pool struct{ idle []*http1Conn }

const (
	idleTicks = 4    // an idle connection is closed at the latest after so many
	maxIdle   = 1024 // connections of all origins
)

func (p *http1Conns) init(o Options) {
	p.maxIdle = o.MaxIdle
	p.interval = max(o.IdleTimeout/idleTicks, time.Millisecond)
	p.pools = make(map[origin]*http1Pool)
}

// take returns the newest idle connection, or nil. One that has a socket is
// still to be asked whether it is alive.
func (p *http1Conns) take(o origin) *http1Conn {
	for {
		c := p.pop(o)
		if c == nil || c.socket != nil || c.alive() {
			return c
		}
		c.Conn.Close()
	}
}

func (p *http1Conns) pop(o origin) *http1Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	pool := p.pools[o]
	if pool == nil || len(pool.idle) == 0 {
		return nil
	}
	last := len(pool.idle) - 1
	c := pool.idle[last]
	pool.idle[last] = nil
	pool.idle = pool.idle[:last]
	p.idle--
	return c
}

// put makes c idle, or closes it where there are enough.
func (p *http1Conns) put(c *http1Conn) {
	c.reused = true
	c.rest()
	if !p.push(c) {
		c.end()
	}
}

func (p *http1Conns) push(c *http1Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.idle >= maxIdle {
		return false
	}
	pool := p.pools[c.origin]
	if pool == nil {
		pool = &http1Pool{}
		p.pools[c.origin] = pool
		p.schedule()
	}
	if len(pool.idle) >= p.maxIdle {
		return false
	}
	c.tick = p.tick
	pool.idle = append(pool.idle, c)
	p.idle++
	return true
}

// schedule has the next tick come. The lock is held.
func (p *http1Conns) schedule() {
	if p.timer != nil {
		return
	}
	p.timers.Add(1)
	p.timer = time.AfterFunc(p.interval, p.reap)
}

// reap closes what was idle for long, and forgets origins that have none.
func (p *http1Conns) reap() {
	defer p.timers.Done()
	p.mu.Lock()
	p.timer = nil
	p.tick++
	var old []*http1Conn
	for o, pool := range p.pools {
		n := 0
		for n < len(pool.idle) && p.tick-pool.idle[n].tick >= idleTicks {
			n++
		}
		old = append(old, pool.idle[:n]...)
		pool.idle = append(pool.idle[:0], pool.idle[n:]...)
		clear(pool.idle[len(pool.idle):cap(pool.idle)])
		p.idle -= n
		if len(pool.idle) == 0 {
			delete(p.pools, o)
		}
	}
	if len(p.pools) > 0 && !p.closed {
		p.schedule()
	}
	p.mu.Unlock()
	for _, c := range old {
		c.end()
	}
}

// close ends the idle connections and keeps no more.
func (p *http1Conns) close() {
	p.mu.Lock()
	p.closed = true
	var all []*http1Conn
	for _, pool := range p.pools {
		all = append(all, pool.idle...)
	}
	p.pools, p.idle = nil, 0
	if p.timer != nil && p.timer.Stop() {
		p.timers.Done()
	}
	p.mu.Unlock()
	for _, c := range all {
		c.end()
	}
	p.timers.Wait()
}
