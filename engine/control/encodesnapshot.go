package control

import (
	"maps"
	"slices"
	"strconv"

	"adit/engine"
	"adit/engine/observe"
)

// maxChunk is about how many bytes of a snapshot go into one line of a stream.
const maxChunk = 128 << 10

func sortedNames(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// AppendSnapshot appends s as one JSON object.
func AppendSnapshot(dst []byte, s *engine.Snapshot) []byte {
	e := encoder{b: dst}
	e.raw("{")
	e.summary(s, &engine.Snapshot{})
	e.name("connections")
	e.raw("[")
	for i := range s.Connections {
		e.item()
		e.connection(&s.Connections[i], nil)
	}
	e.raw("]}")
	return e.b
}

// summary writes the members of a snapshot but for its connections.
func (e *encoder) summary(s, before *engine.Snapshot) {
	e.uint("seq", s.Seq, before.Seq)
	e.time("time", s.Time, before.Time)
	e.text("role", s.Role.String(), before.Role.String())
	e.text("name", s.Name, before.Name)
	e.text("instance", s.Instance, before.Instance)
	e.text("version", s.Version, before.Version)
	e.time("started", s.Started, before.Started)
	e.bool("draining", s.Draining, before.Draining)
	if !e.compare || !slices.Equal(s.Listen, before.Listen) {
		e.texts("listen", s.Listen)
	}
	if !e.compare || !slices.Equal(s.Servers, before.Servers) {
		e.servers(s.Servers)
	}
	if !e.compare || !slices.Equal(s.Expose, before.Expose) {
		e.exposes("expose", s.Expose)
	}
	if !e.compare || !slices.Equal(s.Banned, before.Banned) {
		e.texts("banned", s.Banned)
	}
	e.int("waiting", int64(s.Waiting), int64(before.Waiting))
	if !e.compare || !slices.Equal(s.Closes, before.Closes) {
		e.closes(s.Closes)
	}
	if !e.compare || !slices.Equal(s.Limits, before.Limits) {
		e.limits(s.Limits)
	}
	if !e.compare || s.Totals != before.Totals {
		e.name("totals")
		e.raw("{")
		e.totals(&s.Totals, &before.Totals)
		e.raw("}")
	}
	if !e.compare || !sameCapture(&s.Capture, &before.Capture) {
		e.name("capture")
		e.whole(func() { e.capture(&s.Capture) })
	}
}

func (e *encoder) servers(list []engine.Server) {
	e.name("servers")
	e.raw("[")
	for i := range list {
		x := &list[i]
		e.item()
		e.raw("{")
		e.whole(func() {
			e.text("server", x.URL, "")
			e.text("name", x.Name, "")
			e.text("through", x.Through, "")
			e.int("connected", int64(x.Connected), 0)
			e.int("wanted", int64(x.Wanted), 0)
			e.time("retry_at", x.RetryAt, zeroTime())
			e.text("last_error", x.LastError, "")
		})
		e.raw("}")
	}
	e.raw("]")
}

func (e *encoder) closes(list []engine.CloseCount) {
	e.name("closes")
	e.raw("[")
	for _, x := range list {
		e.item()
		e.raw(`{"code":`)
		e.b = strconv.AppendUint(e.b, uint64(x.Code), 10)
		e.raw(`,"count":`)
		e.b = strconv.AppendUint(e.b, x.Count, 10)
		e.raw("}")
	}
	e.raw("]")
}

func (e *encoder) limits(list []engine.LimitCount) {
	e.name("limits")
	e.raw("[")
	for _, x := range list {
		e.item()
		e.raw("{")
		e.whole(func() {
			e.text("limit", x.Name, "")
			e.uint("count", x.Count, 0)
		})
		e.raw("}")
	}
	e.raw("]")
}

func (e *encoder) totals(t, before *engine.Totals) {
	e.uint("requests", t.Requests, before.Requests)
	e.uint("failed", t.Failed, before.Failed)
	e.uint("bytes_in", t.BytesIn, before.BytesIn)
	e.uint("bytes_out", t.BytesOut, before.BytesOut)
	e.frames("frames_in", t.FramesIn, before.FramesIn)
	e.frames("frames_out", t.FramesOut, before.FramesOut)
	if !e.compare || t.Statuses != before.Statuses {
		e.counts("statuses", t.Statuses[:])
	}
}

func sameCapture(a, b *engine.CaptureState) bool {
	return a.Mode == b.Mode && slices.Equal(a.Content, b.Content) && a.Bytes == b.Bytes && a.Limit == b.Limit &&
		a.Sampling == b.Sampling && a.Dropped == b.Dropped
}

// capture writes an object.
func (e *encoder) capture(c *engine.CaptureState) {
	e.raw("{")
	if c.Mode != 0 {
		e.text("mode", c.Mode.String(), "")
	}
	e.texts("content", c.Content)
	e.int("bytes", c.Bytes, 0)
	e.int("limit", c.Limit, 0)
	e.int("sampling", int64(c.Sampling), 0)
	e.uint("dropped", c.Dropped, 0)
	e.raw("}")
}

// delta writes what has changed from before to s as lines of a stream, the last
// of which has no "more". With a nil before it is everything, and says so.
func (e *encoder) delta(s, before *engine.Snapshot, attached int, emit func(line []byte) error) error {
	full := before == nil
	if full {
		before = &engine.Snapshot{}
	}
	e.compare = !full
	e.b = append(e.b[:0], `{"snapshot":{`...)
	e.bool("full", full, false)
	e.summary(s, before)
	if attached >= 0 {
		e.name("attached")
		e.b = strconv.AppendInt(e.b, int64(attached), 10)
	}
	e.int("elapsed_us", e.elapsed.Microseconds(), 0)
	begun := false
	var removed []engine.ConnectionID
	prev := before.Connections
	for i := range s.Connections {
		x := &s.Connections[i]
		for len(prev) > 0 && prev[0].ID < x.ID {
			removed = append(removed, prev[0].ID)
			prev = prev[1:]
		}
		var was *engine.Connection
		if len(prev) > 0 && prev[0].ID == x.ID {
			was, prev = &prev[0], prev[1:]
			if sameConnection(x, was) {
				continue
			}
		}
		if !begun {
			e.name("connections")
			e.raw("[")
			begun = true
		}
		e.item()
		e.connection(x, was)
		if len(e.b) > maxChunk {
			e.raw(`],"more":true}}`)
			if err := emit(e.b); err != nil {
				return err
			}
			e.b = append(e.b[:0], `{"snapshot":{`...)
			begun = false
		}
	}
	for i := range prev {
		removed = append(removed, prev[i].ID)
	}
	if begun {
		e.raw("]")
	}
	if len(removed) > 0 {
		e.name("removed")
		e.raw("[")
		for _, id := range removed {
			e.item()
			e.b = observe.AppendString(e.b, id.String())
		}
		e.raw("]")
	}
	e.raw("}}")
	return emit(e.b)
}

// sameConnection reports whether there is nothing to tell.
func sameConnection(a, b *engine.Connection) bool {
	return a.Traffic == b.Traffic && a.State == b.State && a.InFlight == b.InFlight && a.Exchanges == b.Exchanges &&
		a.Failed == b.Failed && a.RTT == b.RTT && a.RTTMin == b.RTTMin && a.Greeting == b.Greeting &&
		a.Client == b.Client && a.Peer == b.Peer && a.Server == b.Server && a.Protocol == b.Protocol &&
		a.ShapeIn == b.ShapeIn && a.ShapeOut == b.ShapeOut && a.LateRecords == b.LateRecords &&
		a.Credential == b.Credential && a.TLS == b.TLS && a.PingEvery == b.PingEvery &&
		a.Opened.Equal(b.Opened) && a.GreetingReady.Equal(b.GreetingReady) && a.PingNext.Equal(b.PingNext)
}
