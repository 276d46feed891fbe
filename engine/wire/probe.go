package wire

import (
	"strconv"
	"strings"
	"time"
)

// ProbeSubprotocol is the WebSocket subprotocol of a probe: a WebSocket at the
// register path that is no connection of a client, and by which adit doctor asks
// a way what a tunnel never would. Who opens it shows the credential of a client
// and is admitted like one. The server's first message is a text, the [Probe];
// then it sends back every message, text and binary, as it came, whole or in
// frames of its own size, and answers pings. It sends nothing by itself, so that
// silence on the way is silence. It ends a probe with 1009 for a message above
// [ProbeMessage], with 1008 after [ProbeBytes] or [ProbeTime], or when the
// credential does not hold any more, with 1001 when the server stops. Of one address,
// and of one credential, it lets 16 in at once, of all 32; to others it answers 429.
//
// A server that does not know it does not select it: an older adit selects
// adit.v1 where that is offered beside, wsp selects nothing.
const ProbeSubprotocol = "adit.probe.v1"

// What one probe may cost a server.
const (
	ProbeMessage = 1 << 20          // bytes of one message
	ProbeBytes   = 64 << 20         // bytes of all messages that come, pings too
	ProbeTime    = 10 * time.Minute // from the handshake
)

const (
	maxScopeItem  = 512      // bytes of an item of a scope, as policy has it
	maxScopeItems = 1024     // of one list
	maxProbeScope = 40 << 10 // bytes that all lists may have in the text
)

// A Probe is what a server says of itself and of who probes it. It holds no
// credential.
type Probe struct {
	Server       string
	Version      string
	Time         time.Time // by the server's clock when it wrote this
	Peer         string    // address and port that the WebSocket came from, as the server sees it
	Protocols    []string  // that clients may speak: "adit.v1", "wsp"
	PingInterval time.Duration
	Domain       string // exposed names live below it; "" none
	TCPFirst     int    // range of ports that clients may expose; 0 none
	TCPLast      int

	Credential string // name of the credential that was shown; "" none is asked for
	Expires    time.Time
	// What it may: as in policy.Scope; all empty is everything.
	IDs, Hosts, Ports, Destinations []string
	Cut                             bool // there is more of these than the text has room for
}

var probeMembers = [...]string{"type", "server", "version", "time", "peer", "protocols", "ping_interval_ms",
	"domain", "tcp_first", "tcp_last", "credential", "expires", "ids", "hosts", "ports", "destinations", "cut"}

// AppendProbe appends the text of a probe. Lists that do not fit are left out, and
// Cut says so.
func AppendProbe(dst []byte, p *Probe) []byte {
	dst = append(dst, `{"type":"probe","server":`...)
	dst = appendBounded(dst, p.Server)
	for _, m := range [...]struct{ name, value string }{
		{"version", p.Version}, {"time", timeText(p.Time)}, {"peer", p.Peer}, {"domain", p.Domain},
		{"credential", p.Credential}, {"expires", timeText(p.Expires)},
	} {
		if m.value != "" {
			dst = appendBounded(appendMember(dst, m.name), m.value)
		}
	}
	for _, m := range [...]struct {
		name  string
		value int64
	}{{"ping_interval_ms", p.PingInterval.Milliseconds()}, {"tcp_first", int64(p.TCPFirst)}, {"tcp_last", int64(p.TCPLast)}} {
		if m.value > 0 {
			dst = strconv.AppendInt(appendMember(dst, m.name), m.value, 10)
		}
	}
	left, over := maxProbeScope, p.Cut
	for _, l := range [...]struct {
		name  string
		items []string
	}{{"protocols", p.Protocols}, {"ids", p.IDs}, {"hosts", p.Hosts}, {"ports", p.Ports}, {"destinations", p.Destinations}} {
		list := appendTexts(nil, l.items)
		if left -= len(list); left < 0 || len(l.items) > maxScopeItems {
			over = true
			continue
		}
		if len(l.items) > 0 {
			dst = append(appendMember(dst, l.name), list...)
		}
	}
	if over {
		dst = append(appendMember(dst, "cut"), "1"...)
	}
	return append(dst, '}')
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func appendTexts(dst []byte, items []string) []byte {
	dst = append(dst, '[')
	for i, s := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, strings.ToValidUTF8(s, "?"))
	}
	return append(dst, ']')
}

// ParseProbe reads the text of a probe, by the rules of [ParseHello]. The ping
// interval is clamped as that of a welcome.
func ParseProbe(text []byte) (*Probe, error) {
	const op = "parse probe"
	r, err := newJSONReader(text, MaxTextMessage)
	if err != nil {
		return nil, err.in(op)
	}
	p := &Probe{PingInterval: defaultPing}
	kind := ""
	var once members
	err = r.object(func(name string) *ruleError {
		if !once.first(name, probeMembers[:]) {
			return framing("member given twice")
		}
		if list := p.list(name); list != nil {
			return r.array(func() *ruleError { return r.scopeItem(list) })
		}
		switch name {
		case "type":
			return r.text(&kind)
		case "server":
			return r.text(&p.Server)
		case "version":
			return r.text(&p.Version)
		case "time":
			return r.time(&p.Time)
		case "peer":
			return r.text(&p.Peer)
		case "domain":
			return r.text(&p.Domain)
		case "credential":
			return r.text(&p.Credential)
		case "expires":
			return r.time(&p.Expires)
		case "ping_interval_ms":
			var ms int
			err := r.clamped(&ms, int(minPing/time.Millisecond), int(maxPing/time.Millisecond))
			p.PingInterval = time.Duration(ms) * time.Millisecond
			return err
		case "tcp_first":
			return r.bounded(&p.TCPFirst, 0, 65535)
		case "tcp_last":
			return r.bounded(&p.TCPLast, 0, 65535)
		case "cut":
			var n int
			err := r.bounded(&n, 0, 1)
			p.Cut = n == 1
			return err
		}
		return r.skip()
	})
	if err == nil {
		err = r.end()
	}
	if err == nil && kind != "probe" {
		err = framing("not a probe")
	}
	if err != nil {
		return nil, err.in(op)
	}
	return p, nil
}

// list returns the list that a member is, nil for others.
func (p *Probe) list(name string) *[]string {
	switch name {
	case "protocols":
		return &p.Protocols
	case "ids":
		return &p.IDs
	case "hosts":
		return &p.Hosts
	case "ports":
		return &p.Ports
	case "destinations":
		return &p.Destinations
	}
	return nil
}

func (r *jsonReader) scopeItem(list *[]string) *ruleError {
	if len(*list) == maxScopeItems {
		return framing("a list above 1024 items")
	}
	s, err := r.str()
	if err != nil {
		return err
	}
	if len(s) > maxScopeItem {
		return framing("an item above 512 bytes")
	}
	*list = append(*list, strings.Clone(s))
	return nil
}

func (r *jsonReader) time(into *time.Time) *ruleError {
	var text string
	if err := r.text(&text); err != nil {
		return err
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if t = t.UTC(); err != nil || t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return framing("no time")
	}
	*into = t
	return nil
}
