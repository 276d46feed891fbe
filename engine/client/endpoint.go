package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"adit/engine"
)

const (
	classicCheck = time.Second // between two looks at a classic pool, as wsp has it
	maxOpening   = 8           // dials to one server at a time
	maxLeaving   = 256         // connections that were replaced and finish; with more none is replaced

	// renewGrace is for what runs over a connection that was replaced: nothing
	// asks it to end.
	renewGrace = 30 * 24 * time.Hour
)

// An endpoint keeps the connections to one server. One goroutine (maintain)
// decides; each connection has one of its own, which reports to it.
type endpoint struct {
	c       *Client
	url     string // to dial
	text    string // for people and records: no user information, no query
	scheme  string // ws or wss
	address string // host:port
	reports chan report

	// Owned by maintain.
	live     map[*connection]struct{} // opened or opening
	leaving  map[*connection]struct{} // the server sends nothing more over them
	opening  int
	pooled   engine.Protocol // of the newest connection; 0 unknown
	fill     bool            // a classic pool is due for a look
	ready    bool            // KindReady was published
	back     backoff
	resumeAt time.Time // no dial before
	refused  *force    // the last one that the server has refused; nil: none since

	idle  atomic.Int32  // open classic connections without an exchange
	full  atomic.Bool   // there are PoolMax connections: a look would open none
	short chan struct{} // capacity 1: a classic pool is due for a look; never closed

	updated chan struct{} // capacity 1: something else is in force; never closed

	mu     sync.Mutex // guards status, for snapshots
	status engine.Server
	urls   []string // of the newest welcome, in the order of the routes
}

// A report is what a connection's goroutine tells maintain.
type report struct {
	n    *connection
	kind reportKind
	f    failure // of reportFailed and reportEnded
}

type reportKind uint8

const (
	reportFailed reportKind = iota + 1 // the dial failed
	reportOpened
	reportLeaving
	reportEnded
)

func newEndpoint(c *Client, server string) (*endpoint, error) {
	u, err := url.Parse(server)
	if err != nil {
		// The error of url.Parse would quote user information.
		return nil, errors.New("server url: malformed")
	}
	shown := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("server %s: user information in the url: use --secret", shown)
	case u.Scheme != "ws" && u.Scheme != "wss":
		return nil, fmt.Errorf("server %s: want a url like ws://host:8080/register", shown)
	case u.Hostname() == "" || u.Opaque != "" || u.Fragment != "":
		return nil, fmt.Errorf("server %s: want a url like ws://host:8080/register", shown)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/register"
	}
	shown.Path = u.Path
	scheme := "http"
	if u.Scheme == "wss" {
		scheme = "https"
	}
	e := &endpoint{
		c:       c,
		url:     u.String(),
		text:    engine.Bound(shown.String()),
		scheme:  u.Scheme,
		address: hostPort(scheme, u.Host),
		reports: make(chan report),
		short:   make(chan struct{}, 1),

		updated: make(chan struct{}, 1),
		live:    make(map[*connection]struct{}),
		leaving: make(map[*connection]struct{}),
		pooled:  c.o.Protocol,
		back:    backoff{random: func() float64 { return c.random() }},
	}
	e.status.URL = e.text
	if c.o.Egress != nil {
		e.status.Through = engine.Bound(c.o.Egress.Way(e.scheme, e.address))
	}
	e.status.Wanted = c.o.Pool
	if e.pooled == engine.ProtocolClassic {
		e.status.Wanted = c.o.PoolIdle
	}
	return e, nil
}

// netDial reaches the server.
func (e *endpoint) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	switch o := &e.c.o; {
	case o.NetDial != nil:
		return o.NetDial(ctx, network, addr)
	case o.Egress != nil:
		return o.Egress.DialContext(ctx, e.scheme, addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// tls returns what a wss connection is made with, nil for the defaults.
func (e *endpoint) tls() *tls.Config {
	if e.c.o.Egress == nil {
		return nil
	}
	return e.c.o.Egress.TLS()
}

// maintain dials until ctx ends and returns when no connection is left.
func (e *endpoint) maintain(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	stopping := ctx.Done()
	for {
		if stopping != nil && ctx.Err() == nil {
			e.dialMissing(ctx)
		}
		if ctx.Err() != nil && len(e.live)+len(e.leaving) == 0 {
			return
		}
		timer.Reset(e.nextLook())
		select {
		case <-stopping:
			stopping = nil
		case r := <-e.reports:
			e.take(ctx, r)
		case <-e.short:
			e.fill = true
		case <-e.updated:
			for n := range e.live {
				e.renew(n)
			}
			e.reconsider()
		case <-timer.C:
			e.fill = true
		}
	}
}

// nextLook is when something may have to be dialled without a report.
func (e *endpoint) nextLook() time.Duration {
	if wait := time.Until(e.resumeAt); wait > 0 {
		return wait
	}
	if e.pooled == engine.ProtocolClassic {
		return classicCheck
	}
	return time.Hour
}

func (e *endpoint) dialMissing(ctx context.Context) {
	if time.Until(e.resumeAt) > 0 {
		return
	}
	for n := e.missing(); n > 0; n-- {
		conn := e.newConnection()
		e.live[conn] = struct{}{}
		e.opening++
		go conn.run(ctx)
	}
	e.fill = false
	e.full.Store(len(e.live) >= e.c.o.PoolMax)
}

// taken follows a classic connection's change from idle to busy. It wakes
// maintain only where that may have something to do.
func (e *endpoint) taken() {
	if int(e.idle.Add(-1)) >= e.c.o.PoolIdle || e.full.Load() {
		return
	}
	select {
	case e.short <- struct{}{}:
	default:
	}
}

// missing returns how many connections to open now. The first one goes alone:
// it finds out what the server speaks.
func (e *endpoint) missing() int {
	open := len(e.live) - e.opening
	switch {
	case len(e.leaving) >= maxLeaving:
		return 0 // a server that drains whatever it gets would have us open sockets for ever
	case len(e.live) == 0:
		return 1
	case open == 0:
		return 0
	case e.pooled != engine.ProtocolClassic:
		return min(e.c.o.Pool-len(e.live), maxOpening-e.opening)
	case !e.fill:
		return 0
	}
	idle := e.opening + int(e.idle.Load())
	return min(e.c.o.PoolIdle-idle, e.c.o.PoolMax-len(e.live), maxOpening-e.opening)
}

// take acts on what a connection reports.
func (e *endpoint) take(ctx context.Context, r report) {
	switch r.kind {
	case reportOpened:
		e.opening--
		if r.n.session.Protocol() == engine.ProtocolClassic && r.n.joinPool() {
			e.fill = true
		}
		e.opened(r.n)
		e.renew(r.n)
	case reportFailed:
		e.opening--
		delete(e.live, r.n)
		if ctx.Err() == nil {
			wait := e.wait(r.n, r.f)
			e.c.o.Bus.Publish(engine.Event{Kind: engine.KindDialFailed, Client: e.c.o.ID, Server: e.text,
				Reason: engine.Bound(r.f.err.Error()), Duration: wait})
			e.c.giveUp(r.f, e.ready)
		}
	case reportLeaving:
		// Another one takes its place at once, while its exchanges finish. With
		// Once there is none.
		if !e.c.o.Once {
			delete(e.live, r.n)
			e.leaving[r.n] = struct{}{}
		}
	case reportEnded:
		_, left := e.leaving[r.n]
		delete(e.leaving, r.n)
		delete(e.live, r.n)
		r.n.leavePool()
		e.mu.Lock()
		e.status.Connected--
		e.mu.Unlock()
		switch {
		case ctx.Err() != nil:
		case r.f.spent:
			e.fill = true
		case left && !r.f.refused && r.f.retryAfter == 0:
			e.ended()
		default:
			e.wait(r.n, r.f)
			e.c.giveUp(r.f, true)
		}
	}
}

// renew replaces a connection whose greeting does not hold any more.
func (e *endpoint) renew(n *connection) {
	if !n.open.Load() || n.session.Protocol() != engine.ProtocolNative ||
		n.force.greeting.ExposedOnly == e.c.now.Load().greeting.ExposedOnly {
		return
	}
	delete(e.live, n)
	e.leaving[n] = struct{}{}
	e.c.drain(n, renewGrace, "the rules of the client have changed")
}

// ended follows the end of a connection that had been replaced, or could not be
// because its server was stopping: now that server may be there anew, whatever
// the dials so far have come to.
func (e *endpoint) ended() {
	if len(e.live) > 0 {
		return
	}
	e.back.failures = 0
	if at := time.Now().Add(e.back.jitter(backoffBase)); at.Before(e.resumeAt) {
		e.resumeAt = at
	}
}

func (e *endpoint) opened(n *connection) {
	welcome := n.session.Welcome()
	e.pooled = n.session.Protocol()
	e.refused, e.back.eager = nil, 0
	e.mu.Lock()
	failed := e.status.LastError != ""
	e.status.Connected++
	e.status.Wanted = e.c.o.Pool
	if e.pooled == engine.ProtocolClassic {
		e.status.Wanted = e.c.o.PoolIdle
	}
	e.status.LastError = ""
	e.status.RetryAt = time.Time{}
	if welcome != nil {
		e.status.Name = engine.Bound(welcome.Server)
		e.urls = welcome.URLs
	}
	e.mu.Unlock()
	if e.ready {
		if failed {
			e.c.log.Info("connected again", "server", e.text)
		}
		return
	}
	e.ready = true
	e.c.o.Bus.Publish(engine.Event{Kind: engine.KindReady, Client: e.c.o.ID, Server: e.text,
		Connection: n.id, Protocol: e.pooled})
	if welcome != nil && len(welcome.URLs) > 0 {
		e.c.log.Info("exposed", "server", e.text, "urls", strings.Join(welcome.URLs, " "))
	}
}

// reconsider dials at once where what was refused has been replaced.
func (e *endpoint) reconsider() {
	if e.refused != nil && e.refused.live.Secret != e.c.now.Load().live.Secret {
		e.refused, e.resumeAt = nil, time.Now()
		e.back.eager = eagerDials
	}
}

// wait sets when the next dial after the failure of n may be, and returns the
// time until then, 0 for never: with Once there is none. When several connections are lost at once, that is one failure.
func (e *endpoint) wait(n *connection, f failure) time.Duration {
	now := time.Now()
	if waiting := e.resumeAt.Sub(now); waiting <= 0 || f.refused || f.retryAfter > waiting {
		if at := now.Add(e.back.after(f)); at.After(e.resumeAt) {
			e.resumeAt = at
		}
	}
	if f.refused {
		e.refused = n.force
		e.reconsider() // it may have been replaced meanwhile
	}
	e.mu.Lock()
	e.status.LastError = engine.Bound(f.err.Error())
	if !e.c.o.Once {
		e.status.RetryAt = e.resumeAt
	}
	e.mu.Unlock()
	if e.c.o.Once {
		e.c.log.Warn("no connection", "server", e.text, "error", f.err)
		return 0
	}
	e.c.log.Warn("no connection", "server", e.text, "error", f.err, "retry", e.resumeAt.Sub(now).Round(time.Millisecond).String())
	return max(e.resumeAt.Sub(now), 0)
}

// A closedError is the end of a session.
type closedError struct {
	code   engine.CloseCode
	reason string
}

func (e *closedError) Error() string {
	if e.reason == "" {
		return fmt.Sprintf("connection closed: %d", e.code)
	}
	return fmt.Sprintf("connection closed: %d %s", e.code, e.reason)
}

// snapshot returns the state and what callers reach the routes by.
func (e *endpoint) snapshot() (engine.Server, []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status, e.urls
}
