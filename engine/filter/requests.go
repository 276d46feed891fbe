package filter

import (
	"strings"
	"time"

	"adit/engine"
)

func requestFields() []field[engine.Request] {
	type R = engine.Request
	type C = Context
	number := func(name string, f form, help, example string, read func(*R, *C) (int64, bool)) field[R] {
		return field[R]{described: described{Field{Name: name, Help: help, Example: example}, f}, number: read}
	}
	text := func(name, help, example string, read func(*R, *C) string) field[R] {
		return field[R]{described: described{Field{Name: name, Help: help, Example: example}, formText}, text: read}
	}
	choice := func(name, help, example string, values []string, read func(*R, *C) uint64) field[R] {
		return field[R]{described: described{Field{name, help, example, values}, formChoice}, choice: read}
	}
	target := func(r *R, _ *C) string { return r.Target }
	is := choice("is", "a state or a mark", "is:inflight", requestStates[:], requestState)
	is.needs = NeedsMarked
	age := number("age", formDuration, "time since it arrived", "age:<5m", func(r *R, c *C) (int64, bool) { return since(r.Arrived, c) })
	age.needs = NeedsNow
	kind := text("type", "media type of the response, while its head is kept", "type:json", func(r *R, _ *C) string { return mediaType(r) })
	kind.needs = NeedsHeads
	return []field[R]{
		text("", "the target", "", target),
		number("status", formStatus, "status code", "status:>=500", func(r *R, _ *C) (int64, bool) { return int64(r.Status), r.Status > 0 }),
		text("method", "request method", "method:POST,PUT", func(r *R, _ *C) string { return r.Method }),
		text("path", "path of the target", "path:/api", func(r *R, _ *C) string { _, path, _ := cutTarget(r.Target); return path }),
		text("f", "characters of the target, in order", "f:apiord", target),
		text("host", "host of the target", "host:*.example.com", func(r *R, _ *C) string { host, _, _ := cutTarget(r.Target); return host }),
		text("query", "query of the target, secrets masked", "query:page=2", func(r *R, _ *C) string { _, _, query := cutTarget(r.Target); return query }),
		number("dur", formDuration, "duration, so far while it is in flight", "dur:>200ms", duration),
		number("ttfb", formDuration, "time to the first byte of the response", "ttfb:>=1s", func(r *R, _ *C) (int64, bool) { return int64(r.FirstByte), r.FirstByte >= 0 }),
		number("wait", formDuration, "time until a connection was found", "wait:>10ms", func(r *R, _ *C) (int64, bool) { return int64(r.Queued), r.Queued >= 0 }),
		number("in", formSize, "content of the request", "in:>1MiB", func(r *R, _ *C) (int64, bool) { return r.RequestBytes, true }),
		number("out", formSize, "content of the response", "out:>1MiB", func(r *R, _ *C) (int64, bool) { return r.ResponseBytes, true }),
		number("size", formSize, "content both ways", "size:10K..1M", func(r *R, _ *C) (int64, bool) { return r.RequestBytes + r.ResponseBytes, true }),
		text("client", "client id", "client:edge-*", func(r *R, _ *C) string { return r.Client }),
		number("conn", formConnectionID, "connection", "conn:c-17", func(r *R, _ *C) (int64, bool) { return int64(r.Connection), r.Connection > 0 }),
		number("id", formRequestID, "request", "id:r-12", func(r *R, _ *C) (int64, bool) { return int64(r.ID), true }),
		text("caller", "address of the caller", "caller:192.0.2.", func(r *R, _ *C) string { return r.Caller }),
		text("credential", "name of what admitted the caller", "credential:robot", func(r *R, _ *C) string { return r.Credential }),
		choice("way", "how the caller came in", "way:host", wayNames(), func(r *R, _ *C) uint64 { return bit(int(r.Way)) }),
		choice("protocol", "of the connection", "protocol:wsp", protocolNames(), func(r *R, _ *C) uint64 { return bit(int(r.Protocol)) }),
		choice("outcome", "how it ended", "outcome:timed_out", outcomeNames(), func(r *R, _ *C) uint64 { return bit(int(r.Outcome)) }),
		text("reason", "why it did not complete", "reason:refused", func(r *R, _ *C) string { return r.Reason }),
		number("time", formTime, "time of arrival", "time:-5m..", func(r *R, _ *C) (int64, bool) { return r.Arrived.UnixNano(), !r.Arrived.IsZero() }),
		age,
		is,
		kind,
		{described: described{Field{Name: "header.", Help: "a header field of request or response, while the heads are kept", Example: "header.x-request-id:0190*"}, formText},
			needs: NeedsHeads, named: func(r *R, _ *C, name string, m []matcher) bool { return headerMatches(r, name, m) }},
		labelField(func(r *R) string { return r.Client }),
	}
}

// labelField reads the labels that a subject's client gave itself.
func labelField[S any](client func(*S) string) field[S] {
	return field[S]{described: described{Field{Name: "label.", Help: "a label that the client gave itself", Example: "label.region:sin"}, formText},
		needs: NeedsLabels, named: func(s *S, c *Context, name string, m []matcher) bool {
			value, ok := c.label(client(s), name)
			return ok && anyMatches(m, value)
		}}
}

// bit returns the set of the n-th name, counted from 1.
func bit(n int) uint64 {
	if n <= 0 {
		return 0
	}
	return 1 << (n - 1)
}

// namesFrom returns the names of 1, 2 and so on up to last.
func namesFrom[T interface {
	~uint8
	String() string
}](last T) []string {
	var all []string
	for n := T(1); n <= last; n++ {
		all = append(all, n.String())
	}
	return all
}

func wayNames() []string      { return namesFrom(engine.WayTCP) }
func protocolNames() []string { return namesFrom(engine.ProtocolClassic) }
func outcomeNames() []string  { return namesFrom(engine.OutcomeTruncated) }

// requestStates are what is: takes, in the order of the bits of requestState.
var requestStates = [...]string{"inflight", "ended", "failed", "aborted", "upgraded", "replay", "unseen", "marked"}

func requestState(r *engine.Request, c *Context) uint64 {
	var set uint64
	put := func(i int, is bool) {
		if is {
			set |= 1 << i
		}
	}
	put(0, r.Live != nil)
	put(1, r.Outcome != engine.OutcomeNone)
	put(2, r.Status >= 500 || r.Outcome > engine.OutcomeCallerGone)
	put(3, r.Outcome == engine.OutcomeCallerGone || r.Outcome == engine.OutcomeTruncated)
	put(4, r.Upgraded)
	put(5, r.Replay)
	put(6, r.Live == nil && r.Outcome == engine.OutcomeNone)
	put(7, c.marked(uint64(r.ID)))
	return set
}

// duration is how long an exchange took or, in flight, has taken so far.
func duration(r *engine.Request, c *Context) (int64, bool) {
	if r.LastByte < 0 && r.Live != nil {
		return since(r.Arrived, c)
	}
	return int64(r.LastByte), r.LastByte >= 0
}

func since(t time.Time, c *Context) (int64, bool) {
	if c == nil || c.Now.IsZero() || t.IsZero() {
		return 0, false
	}
	return int64(c.Now.Sub(t)), true
}

// cutTarget splits the target of a record: "https://host:1/path?query",
// "/path?query", "host:1" of a CONNECT.
func cutTarget(target string) (host, path, query string) {
	if i := strings.Index(target, "://"); i > 0 && !strings.Contains(target[:i], "/") {
		target = target[i+len("://"):]
	}
	end := strings.IndexAny(target, "/?")
	if end < 0 {
		end = len(target)
	}
	host = target[:end]
	path, query, _ = strings.Cut(target[end:], "?")
	return host, path, query
}

// Path returns the path of a record's target, "" where it has none.
func Path(target string) string {
	_, path, _ := cutTarget(target)
	return path
}

// mediaType returns the Content-Type of the response without parameters.
func mediaType(r *engine.Request) string {
	if r.Heads == nil {
		return ""
	}
	head := r.Heads.Response
	for head != "" {
		var line string
		if line, head, _ = strings.Cut(head, "\n"); isNamed(line, "content-type") {
			value := strings.TrimSpace(line[len("content-type:"):])
			value, _, _ = strings.Cut(value, ";")
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// isNamed reports whether a line of a head is a field of that name.
func isNamed(line, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(line[:len(name)], name)
}

// headerMatches reports whether a field of that name, of either head, is met.
func headerMatches(r *engine.Request, name string, m []matcher) bool {
	if r.Heads == nil {
		return false
	}
	for _, head := range [...]string{r.Heads.Request, r.Heads.Response} {
		for head != "" {
			var line string
			if line, head, _ = strings.Cut(head, "\n"); isNamed(line, name) && anyMatches(m, strings.TrimSpace(line[len(name)+1:])) {
				return true
			}
		}
	}
	return false
}
