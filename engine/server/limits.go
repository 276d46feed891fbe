package server

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"adit/engine"
	"adit/engine/limit"
)

// A limitID is one limit of Caps.
type limitID uint8

const (
	limitHeaderBytes limitID = iota
	limitHeaderFields
	limitHeaderTimeout
	limitStall
	limitBody
	limitConnections
	limitConnectionsPerAddress
	limitConnectionsPerClient
	limitHandshakeRate
	limitFailureRate
	limitExchanges
	limitWaiting
	limitBandwidth
	limitMemory
	limitCount
)

// limitNames are those of the settings. Between two requests a connection may end
// at any time: keep-alive is no limit that somebody runs into.
var limitNames = [limitCount]string{"max-header-bytes", "max-header-fields", "header-timeout", "stall", "max-body",
	"max-connections", "max-connections-per-address", "max-connections-per-client", "handshake-rate", "failure-rate",
	"max-exchanges-per-client", "max-waiting", "bandwidth-per-client", "memory"}

func (id limitID) String() string { return limitNames[id] }

const (
	addressesFor = 1 << 16 // addresses whose rate is known, of each kind
	burstFactor  = 10      // seconds of a rate that may come at once
)

// limits is what a server knows of its peers to hold them to Caps.
type limits struct {
	s      *Server
	counts [limitCount]atomic.Uint64

	sockets    atomic.Int64
	addresses  limit.Count[limit.Key]
	farewell   farewell
	handshakes *limit.Rate
	failures   [2]*limit.Rate // of clients, of callers
	failed     [2]atomic.Bool // one has: before nobody needs to be looked up
	clients    clientBooks
	memory     memoryGuard

	told     digest[bite]
	refusals digest[turnedAway]
}

func (x *limits) init(s *Server) {
	x.s = s
	x.told.s, x.refusals.s = s, s
	x.handshakes = limit.NewRate(addressesFor)
	for i := range x.failures {
		x.failures[i] = limit.NewRate(addressesFor)
	}
	x.memory.init()
	s.dispatch.reached = func(id limitID, client, reason string) { x.reached(id, client, limit.Key{}, reason) }
}

// close tells what is pending, and nothing more.
func (x *limits) close() {
	x.told.close()
	x.refusals.close()
	x.farewell.close()
	x.memory.close()
}

// snapshot appends how often each limit was reached.
func (x *limits) snapshot(into []engine.LimitCount) []engine.LimitCount {
	for id := range x.counts {
		if n := x.counts[id].Load(); n > 0 {
			into = append(into, engine.LimitCount{Name: limitNames[id], Count: n})
		}
	}
	return into
}

// update puts in force what is not read at use.
func (x *limits) update(c *Caps) {
	d := x.s.dispatch
	d.maxWaiting.Store(int64(c.Waiting))
	d.maxInFlight.Store(int64(c.ExchangesPerClient))
	x.memory.update(x.s, c.Memory)
}

// keyOf returns what rates and counts know a peer by, from an address with or
// without a port. exempt says that it stands for many: it is this machine, or one
// that is trusted to say for whom it speaks.
func (s *Server) keyOf(remote string) (key limit.Key, exempt bool) {
	addr, err := netip.ParseAddr(callerIP(remote))
	if err != nil {
		return limit.Key{}, false
	}
	return limit.KeyOf(addr), s.speaksForMany(addr)
}

func (s *Server) speaksForMany(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.IsLoopback() {
		return true
	}
	l := s.live()
	within := func(p netip.Prefix) bool { return p.Contains(addr) }
	return slices.ContainsFunc(l.TrustedProxies, within) || slices.ContainsFunc(l.ProxyProtocol, within)
}

// settle fills in defaults.
func (c *Caps) settle() {
	orDefault(&c.HeaderTimeout, headerTimeout)
	orDefault(&c.KeepAlive, idleTimeout)
	orDefault(&c.Stall, time.Minute)
	or(&c.HeaderBytes, maxHeader)
	or(&c.HeaderFields, 256)
	or(&c.Connections, defaultConnections())
	or(&c.ConnectionsPerAddress, 4096)
	or(&c.ConnectionsPerClient, 1000)
	or(&c.HandshakeRate, 100)
	or(&c.FailureRate, 5)
	or(&c.ExchangesPerClient, 10_000)
	or(&c.Waiting, 1000)
}

func or[T int | float64](v *T, fallback T) {
	if *v == 0 {
		*v = fallback
	}
}

// reserved is how many files the process has beside sockets of callers and
// clients: control, history, logs, and what it says goodbye to.
const reserved = 24 + maxFarewells

// defaultConnections returns how many sockets the open files of the process
// allow: nine of ten, less what else it needs; -1, no bound, where that is not
// known.
func defaultConnections() int {
	files := openFiles()
	if files <= 0 {
		return -1
	}
	return max(files/10*9+files%10-reserved, files/4, 1)
}
