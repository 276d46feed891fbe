package wire

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// Subprotocol is the WebSocket subprotocol of the native protocol.
const Subprotocol = "adit.v1"

// Bounds of the members of greeting and welcome.
const (
	maxID        = 128
	maxPool      = 100_000
	maxExpose    = 256
	maxLabels    = 64
	maxURL       = 512 // bytes
	maxExchanges = 100_000
	minWindow    = 16 << 10
	maxWindow    = 8 << 20
	minPing      = time.Second
	maxPing      = 120 * time.Second
)

// Defaults of members that are absent.
const (
	defaultExchanges = 1000
	defaultWindow    = 64 << 10
	defaultPing      = 20 * time.Second
)

// featureExposedOnly is said by a client that takes no destination which a caller
// chooses, and answered by a server that will send it none. Features are what a
// greeting and its welcome have agreed on beyond adit.v1; names that are not
// known mean nothing.
const featureExposedOnly = "exposed-only"

// Hello is a native greeting: the public part and the limits of its writer.
type Hello struct {
	Greeting     engine.Greeting
	MaxExchanges int // 1–100,000
	Window       int // bytes granted on each exchange, 16 KiB – 8 MiB
}

// Welcome is the server's answer to a native greeting.
type Welcome struct {
	Connection   string // "c-17"
	Server       string
	Version      string
	PingInterval time.Duration // clamped to 1–120 s
	MaxExchanges int           // 1–100,000
	Window       int           // bytes granted on each exchange, 16 KiB – 8 MiB
	URLs         []string      // of the exposed routes
	ExposedOnly  bool          // the greeting's is heeded
}

// AppendHello appends the text of a native greeting. What the writer's machine
// says of itself is cut to what ParseHello accepts; the id, the routes and the
// names of labels are for their owner to choose within its bounds.
func AppendHello(dst []byte, h *Hello) []byte {
	g := &h.Greeting
	dst = append(dst, `{"type":"greeting","id":`...)
	dst = appendJSON(dst, g.ID)
	dst = append(dst, `,"pool_size":`...)
	dst = strconv.AppendInt(dst, int64(g.PoolSize), 10)
	for _, m := range [...]struct{ name, value string }{
		{"version", g.Version}, {"hostname", g.Hostname}, {"os", g.OS}, {"arch", g.Arch}, {"instance", g.Instance},
	} {
		if m.value != "" {
			dst = appendMember(dst, m.name)
			dst = appendBounded(dst, m.value)
		}
	}
	if len(g.Expose) > 0 {
		dst = appendMember(dst, "expose")
		dst = appendExpose(dst, g.Expose)
	}
	if len(g.Labels) > 0 {
		dst = appendMember(dst, "labels")
		dst = append(dst, '{')
		for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
			dst = appendMember(dst, name)
			dst = appendBounded(dst, g.Labels[name])
		}
		dst = append(dst, '}')
	}
	dst = appendLimits(dst, h.MaxExchanges, h.Window)
	dst = appendFeatures(dst, g.ExposedOnly)
	return append(dst, '}')
}

func appendFeatures(dst []byte, exposedOnly bool) []byte {
	if !exposedOnly {
		return dst
	}
	return append(dst, `,"features":["`+featureExposedOnly+`"]`...)
}

func appendExpose(dst []byte, expose []engine.Expose) []byte {
	dst = append(dst, '[')
	for i, e := range expose {
		if i > 0 {
			dst = append(dst, ',')
		}
		if e.TCP != 0 {
			dst = append(dst, `{"tcp":`...)
			dst = strconv.AppendUint(dst, uint64(e.TCP), 10)
		} else {
			dst = append(dst, `{"host":`...)
			dst = appendJSON(dst, e.Host)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendLimits(dst []byte, exchanges, window int) []byte {
	dst = append(dst, `,"limits":{"max_exchanges":`...)
	dst = strconv.AppendInt(dst, int64(exchanges), 10)
	dst = append(dst, `,"window":`...)
	dst = strconv.AppendInt(dst, int64(window), 10)
	return append(dst, '}')
}

func appendBounded(dst []byte, s string) []byte {
	return appendJSON(dst, engine.Bound(strings.ToValidUTF8(s, "?")))
}

// ParseHello reads a native greeting. Unknown members are ignored; a known one
// of another type, null or given twice is ErrFraming, as is a value out of
// bounds, but for limits, which are clamped. Labels and the like may hold any
// character: front ends sanitise them.
func ParseHello(text []byte) (*Hello, error) {
	const op = "parse greeting"
	r, err := newJSONReader(text, MaxTextMessage)
	if err != nil {
		return nil, err.in(op)
	}
	h := &Hello{MaxExchanges: defaultExchanges, Window: defaultWindow}
	g := &h.Greeting
	kind := ""
	var once members
	err = r.object(func(name string) *ruleError {
		if !once.first(name, helloMembers[:]) {
			return framing("member given twice")
		}
		switch name {
		case "type":
			return r.text(&kind)
		case "id":
			return r.text(&g.ID)
		case "pool_size":
			return r.bounded(&g.PoolSize, 0, maxPool)
		case "version":
			return r.text(&g.Version)
		case "hostname":
			return r.text(&g.Hostname)
		case "os":
			return r.text(&g.OS)
		case "arch":
			return r.text(&g.Arch)
		case "instance":
			return r.text(&g.Instance)
		case "expose":
			return r.array(func() *ruleError { return r.expose(g) })
		case "labels":
			return r.labels(g)
		case "limits":
			return r.limits(&h.MaxExchanges, &h.Window)
		case "features":
			return r.features(&g.ExposedOnly)
		}
		return r.skip()
	})
	if err == nil {
		err = r.end()
	}
	switch {
	case err != nil:
	case kind != "greeting":
		err = framing("not a greeting")
	case !isID(g.ID):
		err = framing("id is not 1 to 128 visible ASCII characters")
	}
	if err != nil {
		return nil, err.in(op)
	}
	return h, nil
}

func isID(s string) bool { return s != "" && len(s) <= maxID && isVisible(s) }

// AppendWelcome appends the text of a welcome. URLs are at most 256 of at most
// 512 bytes.
func AppendWelcome(dst []byte, w *Welcome) []byte {
	dst = append(dst, `{"type":"welcome","connection":`...)
	dst = appendBounded(dst, w.Connection)
	dst = append(dst, `,"server":`...)
	dst = appendBounded(dst, w.Server)
	dst = append(dst, `,"version":`...)
	dst = appendBounded(dst, w.Version)
	dst = append(dst, `,"ping_interval_ms":`...)
	dst = strconv.AppendInt(dst, w.PingInterval.Milliseconds(), 10)
	dst = appendLimits(dst, w.MaxExchanges, w.Window)
	if len(w.URLs) > 0 {
		dst = append(dst, `,"urls":[`...)
		for i, u := range w.URLs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, u)
		}
		dst = append(dst, ']')
	}
	dst = appendFeatures(dst, w.ExposedOnly)
	return append(dst, '}')
}

// ParseWelcome reads a welcome, by the rules of ParseHello. The ping interval is
// clamped too.
func ParseWelcome(text []byte) (*Welcome, error) {
	const op = "parse welcome"
	r, err := newJSONReader(text, MaxTextMessage)
	if err != nil {
		return nil, err.in(op)
	}
	w := &Welcome{PingInterval: defaultPing, MaxExchanges: defaultExchanges, Window: defaultWindow}
	kind := ""
	var once members
	err = r.object(func(name string) *ruleError {
		if !once.first(name, welcomeMembers[:]) {
			return framing("member given twice")
		}
		switch name {
		case "type":
			return r.text(&kind)
		case "connection":
			return r.text(&w.Connection)
		case "server":
			return r.text(&w.Server)
		case "version":
			return r.text(&w.Version)
		case "ping_interval_ms":
			var ms int
			err := r.clamped(&ms, int(minPing/time.Millisecond), int(maxPing/time.Millisecond))
			w.PingInterval = time.Duration(ms) * time.Millisecond
			return err
		case "limits":
			return r.limits(&w.MaxExchanges, &w.Window)
		case "urls":
			return r.array(func() *ruleError { return r.url(w) })
		case "features":
			return r.features(&w.ExposedOnly)
		}
		return r.skip()
	})
	if err == nil {
		err = r.end()
	}
	if err == nil && kind != "welcome" {
		err = framing("not a welcome")
	}
	if err != nil {
		return nil, err.in(op)
	}
	return w, nil
}

// AppendDrain appends the text of a drain; the reason is cut to 256 bytes.
func AppendDrain(dst []byte, reason string) []byte {
	dst = append(dst, `{"type":"drain","reason":`...)
	dst = appendBounded(dst, reason)
	return append(dst, '}')
}

// ParseText reads the type of a later text message; reason is that of a drain.
// Unknown types are no error, whatever their members are; bad JSON and an
// object without a type are ErrFraming. Both strings are cut to 256 bytes.
func ParseText(text []byte) (kind, reason string, err error) {
	const op = "parse text message"
	r, rule := newJSONReader(text, MaxTextMessage)
	if rule != nil {
		return "", "", rule.in(op)
	}
	var once members
	typed := false
	textual := true
	rule = r.object(func(name string) *ruleError {
		if !once.first(name, textMembers[:]) {
			return framing("member given twice")
		}
		switch {
		case name == "type":
			typed = true
			var err *ruleError
			kind, err = r.str()
			return err
		case name == "reason" && r.peek() == '"':
			var err *ruleError
			reason, err = r.str()
			return err
		case name == "reason":
			textual = false
		}
		return r.skip()
	})
	if rule == nil {
		rule = r.end()
	}
	switch {
	case rule != nil:
	case !typed:
		rule = framing("no type")
	case kind == "drain" && !textual:
		rule = framing("json value of another type")
	}
	if rule != nil {
		return "", "", rule.in(op)
	}
	if kind != "drain" {
		reason = ""
	}
	return strings.Clone(engine.Bound(kind)), strings.Clone(engine.Bound(reason)), nil
}
