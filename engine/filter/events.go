package filter

import (
	"adit/engine"
	"adit/engine/observe"
)

func eventFields() []field[engine.Event] {
	type E = engine.Event
	type C = Context
	number := func(name string, f form, help, example string, read func(*E, *C) (int64, bool)) field[E] {
		return field[E]{described: described{Field{Name: name, Help: help, Example: example}, f}, number: read}
	}
	text := func(name, help, example string, read func(*E, *C) string) field[E] {
		return field[E]{described: described{Field{Name: name, Help: help, Example: example}, formText}, text: read}
	}
	age := number("age", formDuration, "time since it happened", "age:<5m", func(e *E, c *C) (int64, bool) { return since(e.Time, c) })
	age.needs = NeedsNow
	marked := field[E]{described: described{Field{"is", "a mark", "is:marked", []string{"marked"}}, formChoice}, needs: NeedsMarked,
		choice: func(e *E, c *C) uint64 {
			if c.marked(e.Seq) {
				return 1
			}
			return 0
		}}
	return []field[E]{
		{described: described{Field{Help: "message or source"}, formText}, named: func(e *E, c *C, _ string, m []matcher) bool {
			return anyMatches(m, message(e, c)) || anyMatches(m, source(e, c))
		}},
		{described: described{Field{"level", "how much it matters", "level:>=warn", levelNames()}, formLevel},
			number: nil, choice: func(e *E, _ *C) uint64 { return 1 << observe.LevelOf(e) }},
		text("source", "who it is about", "source:edge-1", source),
		text("text", "what it tells", "text:timeout", message),
		text("f", "characters of what it tells, in order", "f:tmout", message),
		{described: described{Field{"kind", "what happened", "kind:dial_failed", kindNames()}, formChoice}, choice: func(e *E, _ *C) uint64 { return bit(int(e.Kind)) }},
		text("client", "client id", "client:edge-*", func(e *E, _ *C) string { return e.Client }),
		number("conn", formConnectionID, "connection", "conn:c-17", func(e *E, _ *C) (int64, bool) {
			if e.Connection == 0 && e.Request != nil {
				return int64(e.Request.Connection), e.Request.Connection > 0
			}
			return int64(e.Connection), e.Connection > 0
		}),
		number("id", formRequestID, "request", "id:r-12", func(e *E, _ *C) (int64, bool) {
			if e.Request == nil {
				return 0, false
			}
			return int64(e.Request.ID), true
		}),
		text("peer", "address of the other end", "peer:203.0.113.", func(e *E, _ *C) string { return e.Peer }),
		text("server", "the server's URL, at a client", "server:example.com", func(e *E, _ *C) string { return e.Server }),
		{described: described{Field{"protocol", "adit.v1 or wsp", "protocol:wsp", protocolNames()}, formChoice}, choice: func(e *E, _ *C) uint64 { return bit(int(e.Protocol)) }},
		text("reason", "why", "reason:silent", func(e *E, _ *C) string { return e.Reason }),
		number("code", formNumber, "close code, or status of a refusal", "code:1006", func(e *E, _ *C) (int64, bool) { return int64(e.Code), e.Code > 0 }),
		text("operator", "who did it", "operator:local", func(e *E, _ *C) string { return e.Operator }),
		text("action", "what an operator did", "action:kill", func(e *E, _ *C) string { return string(e.Action) }),
		text("limit", "which limit was reached", "limit:handshake-rate", func(e *E, _ *C) string {
			if e.Kind != engine.KindLimitReached {
				return ""
			}
			return e.Target
		}),
		number("time", formTime, "when it happened", "time:15:00..15:04", func(e *E, _ *C) (int64, bool) { return e.Time.UnixNano(), !e.Time.IsZero() }),
		age,
		marked,
		labelField(func(e *E) string { return e.Client }),
	}
}

func levelNames() []string {
	return append([]string{observe.LevelDebug.String()}, namesFrom(observe.LevelError)...)
}

func kindNames() []string { return namesFrom(engine.KindStopped) }

func source(e *engine.Event, c *Context) string { return made(e, c, observe.AppendSource) }

func message(e *engine.Event, c *Context) string { return made(e, c, observe.AppendMessage) }

// made returns a text that an event has to be asked for.
func made(e *engine.Event, c *Context, write func([]byte, *engine.Event) []byte) string {
	if c == nil {
		return string(write(nil, e))
	}
	c.scratch = write(c.scratch[:0], e)
	return string(c.scratch)
}
