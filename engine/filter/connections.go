package filter

import (
	"strconv"

	"adit/engine"
)

func connectionFields() []field[engine.Connection] {
	type X = engine.Connection
	type C = Context
	number := func(name string, f form, help, example string, read func(*X, *C) (int64, bool)) field[X] {
		return field[X]{described: described{Field{Name: name, Help: help, Example: example}, f}, number: read}
	}
	text := func(name, help, example string, read func(*X, *C) string) field[X] {
		return field[X]{described: described{Field{Name: name, Help: help, Example: example}, formText}, text: read}
	}
	choice := func(name, help, example string, values []string, read func(*X, *C) uint64) field[X] {
		return field[X]{described: described{Field{name, help, example, values}, formChoice}, choice: read}
	}
	greeted := func(name, help, example string, read func(*engine.Greeting) string) field[X] {
		return text(name, help, example, func(x *X, _ *C) string {
			if x.Greeting == nil {
				return ""
			}
			return read(x.Greeting)
		})
	}
	age := number("age", formDuration, "time since it was opened", "age:<5m", func(x *X, c *C) (int64, bool) { return since(x.Opened, c) })
	age.needs = NeedsNow
	is := choice("is", "a state or a mark", "is:marked", connectionStates[:], connectionState)
	is.needs = NeedsMarked
	return []field[X]{
		{described: described{Field{Help: "client id, peer or server"}, formText}, named: func(x *X, _ *C, _ string, m []matcher) bool {
			return anyMatches(m, x.Client) || anyMatches(m, x.Peer) || x.Server != "" && anyMatches(m, x.Server)
		}},
		text("client", "client id", "client:edge-*", func(x *X, _ *C) string { return x.Client }),
		number("conn", formConnectionID, "connection", "conn:c-17", func(x *X, _ *C) (int64, bool) { return int64(x.ID), true }),
		text("f", "characters of the client id, in order", "f:edg1", func(x *X, _ *C) string { return x.Client }),
		text("peer", "address of the other end", "peer:203.0.113.", func(x *X, _ *C) string { return x.Peer }),
		text("server", "the server's URL, at a client", "server:example.com", func(x *X, _ *C) string { return x.Server }),
		choice("protocol", "adit.v1 or wsp", "protocol:wsp", protocolNames(), func(x *X, _ *C) uint64 { return bit(int(x.Protocol)) }),
		choice("state", "where it is in its life", "state:busy", stateNames(), func(x *X, _ *C) uint64 { return bit(int(x.State)) }),
		age,
		number("rtt", formDuration, "round trip of the newest answered ping", "rtt:>100ms", func(x *X, _ *C) (int64, bool) { return int64(x.RTT), x.RTT > 0 }),
		number("pool", formNumber, "connections that the client keeps idle", "pool:>=8", func(x *X, _ *C) (int64, bool) {
			if x.Greeting == nil {
				return 0, false
			}
			return int64(x.Greeting.PoolSize), true
		}),
		number("in", formSize, "bytes that this end read", "in:>1MiB", func(x *X, _ *C) (int64, bool) { return int64(x.BytesIn), true }),
		number("out", formSize, "bytes that this end wrote", "out:>1MiB", func(x *X, _ *C) (int64, bool) { return int64(x.BytesOut), true }),
		number("size", formSize, "bytes both ways", "size:>1G", func(x *X, _ *C) (int64, bool) { return int64(x.BytesIn + x.BytesOut), true }),
		number("inflight", formNumber, "exchanges in flight", "inflight:>0", func(x *X, _ *C) (int64, bool) { return int64(x.InFlight), true }),
		number("exchanges", formNumber, "exchanges that ended", "exchanges:>100", func(x *X, _ *C) (int64, bool) { return int64(x.Exchanges), true }),
		number("failed", formNumber, "of these, failed", "failed:>0", func(x *X, _ *C) (int64, bool) { return int64(x.Failed), true }),
		greeted("hostname", "host name that the client told", "hostname:rpi", func(g *engine.Greeting) string { return g.Hostname }),
		greeted("version", "version of the client", "version:0.9*", func(g *engine.Greeting) string { return g.Version }),
		greeted("os", "operating system of the client", "os:linux", func(g *engine.Greeting) string { return g.OS }),
		greeted("arch", "architecture of the client", "arch:arm64", func(g *engine.Greeting) string { return g.Arch }),
		greeted("instance", "process of the client", "instance:0190*", func(g *engine.Greeting) string { return g.Instance }),
		{described: described{Field{Name: "expose", Help: "a host name or TCP port that the client exposes", Example: "expose:shop"}, formText}, named: exposes},
		text("credential", "name of what admitted it", "credential:ci", func(x *X, _ *C) string { return x.Credential }),
		number("time", formTime, "when it was opened", "time:-5m..", func(x *X, _ *C) (int64, bool) { return x.Opened.UnixNano(), !x.Opened.IsZero() }),
		is,
		labelOfGreeting(),
	}
}

// labelOfGreeting reads labels where they came in.
func labelOfGreeting() field[engine.Connection] {
	f := labelField(func(x *engine.Connection) string { return x.Client })
	f.named = func(x *engine.Connection, c *Context, name string, m []matcher) bool {
		if x.Greeting != nil {
			value, ok := x.Greeting.Labels[name]
			return ok && anyMatches(m, value)
		}
		value, ok := c.label(x.Client, name)
		return ok && anyMatches(m, value)
	}
	return f
}

func exposes(x *engine.Connection, _ *Context, _ string, m []matcher) bool {
	if x.Greeting == nil {
		return false
	}
	var digits [8]byte
	for i := range x.Greeting.Expose {
		e := &x.Greeting.Expose[i]
		if e.Host != "" && anyMatches(m, e.Host) || e.URL != "" && anyMatches(m, e.URL) {
			return true
		}
		if e.TCP != 0 && anyMatches(m, string(strconv.AppendUint(digits[:0], uint64(e.TCP), 10))) {
			return true
		}
	}
	return false
}

func stateNames() []string { return namesFrom(engine.StateClosing) }

// connectionStates are what is: takes, in the order of the bits of
// connectionState.
var connectionStates = [...]string{"greeting", "idle", "busy", "draining", "closing", "native", "classic", "failed", "marked"}

func connectionState(x *engine.Connection, c *Context) uint64 {
	set := bit(int(x.State))
	if x.Protocol == engine.ProtocolNative {
		set |= 1 << 5
	}
	if x.Protocol == engine.ProtocolClassic {
		set |= 1 << 6
	}
	if x.Failed > 0 {
		set |= 1 << 7
	}
	if c.marked(uint64(x.ID)) {
		set |= 1 << 8
	}
	return set
}
