package control

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"adit/engine"
	"adit/engine/observe"
)

// An encoder appends JSON with the names of product.md. While it compares it
// writes only what differs from what was told before, zero values among them.
type encoder struct {
	b       []byte
	compare bool
	elapsed time.Duration // since the stream began, for deltas; 0 left out
}

func (e *encoder) last() byte {
	if len(e.b) == 0 {
		return 0
	}
	return e.b[len(e.b)-1]
}

// name begins a member of an object.
func (e *encoder) name(name string) {
	if e.last() != '{' {
		e.b = append(e.b, ',')
	}
	e.b = append(e.b, '"')
	e.b = append(e.b, name...)
	e.b = append(e.b, '"', ':')
}

// item begins an element of an array.
func (e *encoder) item() {
	if e.last() != '[' {
		e.b = append(e.b, ',')
	}
}

func (e *encoder) raw(s string) { e.b = append(e.b, s...) }

func (e *encoder) text(name, now, before string) {
	if now != before || !e.compare && now != "" {
		e.name(name)
		e.b = observe.AppendString(e.b, now)
	}
}

func (e *encoder) uint(name string, now, before uint64) {
	if now != before || !e.compare {
		e.name(name)
		e.b = strconv.AppendUint(e.b, now, 10)
	}
}

func (e *encoder) int(name string, now, before int64) {
	if now != before || !e.compare {
		e.name(name)
		e.b = strconv.AppendInt(e.b, now, 10)
	}
}

// micros leaves out what is negative, and where nothing is compared what is 0.
func (e *encoder) micros(name string, now, before time.Duration) {
	n, b := now.Microseconds(), before.Microseconds()
	if n >= 0 && (n != b || !e.compare && n != 0) {
		e.name(name)
		e.b = strconv.AppendInt(e.b, n, 10)
	}
}

func (e *encoder) bool(name string, now, before bool) {
	if now != before || !e.compare && now {
		e.name(name)
		e.b = strconv.AppendBool(e.b, now)
	}
}

func (e *encoder) time(name string, now, before time.Time) {
	if now.Equal(before) && (e.compare || now.IsZero()) {
		return
	}
	e.name(name)
	e.b = append(e.b, '"')
	if !now.IsZero() {
		e.b = observe.AppendTime(e.b, now)
	}
	e.b = append(e.b, '"')
}

func (e *encoder) texts(name string, list []string) {
	e.name(name)
	e.raw("[")
	for _, s := range list {
		e.item()
		e.b = observe.AppendString(e.b, s)
	}
	e.raw("]")
}

func (e *encoder) base64(name string, data []byte) {
	e.name(name)
	e.raw(`"`)
	e.b = base64.StdEncoding.AppendEncode(e.b, data)
	e.raw(`"`)
}

// bytes writes text as it is where it is UTF-8, else in base64 under another
// name: heads and greetings are hostile, and what is sent again must be what came.
func (e *encoder) bytes(name, s string) {
	switch {
	case s == "":
	case utf8.ValidString(s):
		e.text(name, s, "")
	default:
		e.base64(name+"_base64", []byte(s))
	}
}

func (e *encoder) frames(name string, now, before engine.Frames) {
	if e.compare && now == before {
		return
	}
	e.name(name)
	e.raw("{")
	e.uint("text", now.Text, before.Text)
	e.uint("binary", now.Binary, before.Binary)
	e.uint("continuation", now.Continuation, before.Continuation)
	e.uint("close", now.Close, before.Close)
	e.uint("ping", now.Ping, before.Ping)
	e.uint("pong", now.Pong, before.Pong)
	e.raw("}")
}

func (e *encoder) counts(name string, list []uint64) {
	e.name(name)
	e.raw("[")
	for _, n := range list {
		e.item()
		e.b = strconv.AppendUint(e.b, n, 10)
	}
	e.raw("]")
}

func (e *encoder) shape(name string, now, before engine.FrameShape) {
	if e.compare && now == before {
		return
	}
	e.name(name)
	e.raw("{")
	if !e.compare || now.Sizes != before.Sizes {
		e.counts("sizes", now.Sizes[:])
	}
	e.uint("fragmented", now.Fragmented, before.Fragmented)
	e.uint("last_opcode", uint64(now.LastOpcode), uint64(before.LastOpcode))
	e.uint("last_length", now.LastLength, before.LastLength)
	e.raw("}")
}

func (e *encoder) exposes(name string, list []engine.Expose) {
	e.name(name)
	e.raw("[")
	for _, x := range list {
		e.item()
		e.raw("{")
		if x.TCP != 0 {
			e.name("tcp")
			e.b = strconv.AppendUint(e.b, uint64(x.TCP), 10)
		}
		if x.Host != "" {
			e.name("host")
			e.b = observe.AppendString(e.b, x.Host)
		}
		if x.URL != "" {
			e.name("url")
			e.b = observe.AppendString(e.b, x.URL)
		}
		e.raw("}")
	}
	e.raw("]")
}

// whole runs write without comparing.
func (e *encoder) whole(write func()) {
	compare := e.compare
	e.compare = false
	write()
	e.compare = compare
}

// greeting writes the members of a greeting.
func (e *encoder) greeting(g *engine.Greeting) {
	e.text("id", g.ID, "")
	e.int("pool_size", int64(g.PoolSize), 0)
	e.text("version", g.Version, "")
	e.text("hostname", g.Hostname, "")
	if len(g.Labels) > 0 {
		e.name("labels")
		e.raw("{")
		for _, name := range sortedNames(g.Labels) {
			if e.last() != '{' {
				e.raw(",")
			}
			e.b = observe.AppendString(e.b, name)
			e.raw(":")
			e.b = observe.AppendString(e.b, g.Labels[name])
		}
		e.raw("}")
	}
	if len(g.Expose) > 0 {
		e.exposes("expose", g.Expose)
	}
	e.greetingMore(g)
}

// greetingMore writes what an event line does not tell of a greeting.
func (e *encoder) greetingMore(g *engine.Greeting) {
	e.text("os", g.OS, "")
	e.text("arch", g.Arch, "")
	e.text("instance", g.Instance, "")
	e.bool("exposed_only", g.ExposedOnly, false)
	e.bytes("raw", g.Raw)
	e.int("size", int64(g.Size), 0)
}

// connection writes x whole, or what differs from what was told of it before.
func (e *encoder) connection(x, before *engine.Connection) {
	compare := e.compare
	if before == nil {
		before, e.compare = &engine.Connection{}, false
	}
	e.raw(`{"conn":"`)
	e.raw(x.ID.String())
	e.raw(`"`)
	e.text("client", x.Client, before.Client)
	e.text("peer", x.Peer, before.Peer)
	e.text("server", x.Server, before.Server)
	e.text("protocol", x.Protocol.String(), before.Protocol.String())
	e.text("state", x.State.String(), before.State.String())
	e.time("opened", x.Opened, before.Opened)
	if x.Greeting != nil && x.Greeting != before.Greeting {
		e.name("greeting")
		e.raw("{")
		e.whole(func() { e.greeting(x.Greeting) })
		e.raw("}")
	}
	e.uint("bytes_in", x.BytesIn, before.BytesIn)
	e.uint("bytes_out", x.BytesOut, before.BytesOut)
	e.frames("frames_in", x.FramesIn, before.FramesIn)
	e.frames("frames_out", x.FramesOut, before.FramesOut)
	e.shape("shape_in", x.ShapeIn, before.ShapeIn)
	e.shape("shape_out", x.ShapeOut, before.ShapeOut)
	e.int("in_flight", int64(x.InFlight), int64(before.InFlight))
	e.uint("exchanges", x.Exchanges, before.Exchanges)
	e.uint("failed", x.Failed, before.Failed)
	e.micros("rtt_us", x.RTT, before.RTT)
	e.micros("rtt_min_us", x.RTTMin, before.RTTMin)
	e.uint("late_records", x.LateRecords, before.LateRecords)
	e.time("registered", x.GreetingReady, before.GreetingReady)
	e.micros("ping_every_us", x.PingEvery, before.PingEvery)
	e.time("ping_next", x.PingNext, before.PingNext)
	e.text("credential", x.Credential, before.Credential)
	e.text("tls_version", x.TLS.Version, before.TLS.Version)
	e.text("tls_cipher", x.TLS.Cipher, before.TLS.Cipher)
	e.text("tls_peer", x.TLS.Peer, before.TLS.Peer)
	e.raw("}")
	e.compare = compare
}

// AppendConnection appends x as one JSON object with the names of product.md
// (JSON), as GET /v1/connections/c-17 answers.
func AppendConnection(dst []byte, x *engine.Connection) []byte {
	e := encoder{b: dst}
	e.connection(x, nil)
	return e.b
}
