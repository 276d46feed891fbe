package connection

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"adit/engine"
	"adit/engine/inspect"
	"adit/tui/format"
	"adit/tui/pane"
)

// A field is one line of the greeting pane.
type field struct{ name, value string }

// A Greeting is what a client said of itself, in words. It is made once for each
// connection, not for each frame.
type Greeting struct {
	of    engine.Connection // without its counters: what the words were made of
	open  int
	want  int
	utc   bool
	ascii bool

	refused string // why it was refused, set before Update; "" it was not
	said    string // refused, of the last Update

	fields []field
	raw    []string // lines of the message as it came, secrets masked
	masked bool     // something in raw is
}

// Update makes the words of x, if they are of something else yet. open is how
// many connections the client has, want how many it was asked to hold; 0 unknown.
func (g *Greeting) Update(f *pane.Frame, x *engine.Connection, open, want int) {
	if g.of.ID == x.ID && g.of.Greeting == x.Greeting && g.of.GreetingReady.Equal(x.GreetingReady) &&
		g.of.Credential == x.Credential && g.of.TLS == x.TLS && g.open == open && g.want == want &&
		g.utc == f.UTC && g.ascii == f.Glyphs.ASCII && g.said == g.refused {
		return
	}
	g.of = engine.Connection{ID: x.ID, Greeting: x.Greeting, GreetingReady: x.GreetingReady, Credential: x.Credential, TLS: x.TLS}
	g.open, g.want, g.utc, g.ascii, g.said = open, want, f.UTC, f.Glyphs.ASCII, g.refused
	g.fields = g.fields[:0]
	add := func(name string, parts ...string) {
		parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
		if len(parts) > 0 {
			g.fields = append(g.fields, field{name, strings.Join(parts, "  ")})
		}
	}
	s := f.Snapshot
	said := x.Greeting
	if said == nil {
		said = new(engine.Greeting)
	}
	add("client id", x.Client)
	add("server", x.Server)
	add("pool", poolWords(said.PoolSize, open, want))
	if x.Greeting != nil {
		received := ""
		if !x.GreetingReady.IsZero() {
			received = string(format.AppendTime(nil, x.GreetingReady, f.UTC))
		}
		size := ""
		if said.Size > 0 {
			size = "1st text frame, " + strconv.Itoa(said.Size) + " B"
		}
		if s.Role == engine.RoleClient {
			add("sent", received, size)
		} else {
			add("received", received, size)
		}
	} else if g.refused == "" {
		add("received", "no greeting yet")
	}
	add("refused", g.refused)
	add("proto", x.Protocol.String(), codec(x.Protocol))
	platform := ""
	if said.OS != "" || said.Arch != "" {
		platform = said.OS + "/" + said.Arch
	}
	add("version", said.Version, platform, said.Hostname)
	add("labels", labelWords(said.Labels, f.Glyphs.Masked))
	add("peer", x.Peer)
	add("tls", x.TLS.Version, x.TLS.Cipher)
	add("tls peer", x.TLS.Peer)
	switch {
	case s.Role == engine.RoleClient:
	case x.Credential != "":
		add("secret", x.Credential, "ok")
	case x.Greeting != nil && g.refused == "":
		add("secret", "none was asked for")
	}
	if !x.Opened.IsZero() && x.GreetingReady.After(x.Opened) {
		arrow := "101" + f.Glyphs.Arrow + "greeting "
		add("latency", arrow+string(format.AppendDuration(nil, x.GreetingReady.Sub(x.Opened))))
	}
	expose := said.Expose
	if s.Role == engine.RoleClient && len(s.Expose) > 0 {
		expose = s.Expose
	}
	add("routes", routeWords(expose, x.Greeting, s.Role))
	if x.Protocol == engine.ProtocolNative {
		add("compress", "permessage-deflate: off")
	}
	add("instance", said.Instance)
	g.raw = rawLines(said.Raw, f.Glyphs.Masked)
	g.masked = slices.ContainsFunc(g.raw, func(line string) bool { return strings.Contains(line, f.Glyphs.Masked) })
}

// poolWords says how big the pool is meant to be and how big it is.
func poolWords(size, open, want int) string {
	var parts []string
	if want > 0 {
		size = want
	}
	if size > 0 {
		parts = append(parts, strconv.Itoa(size))
	}
	if open > 0 {
		parts = append(parts, "("+strconv.Itoa(open)+" open)")
	}
	return strings.Join(parts, " ")
}

func codec(p engine.Protocol) string {
	switch p {
	case engine.ProtocolNative:
		return "codec json+records"
	case engine.ProtocolClassic:
		return "codec json+bin, one exchange at a time"
	}
	return ""
}

func labelWords(labels map[string]string, masked string) string {
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		value := labels[name]
		if inspect.Secret(name) {
			value = masked
		}
		names[i] = name + "=" + value
	}
	return strings.Join(names, " ")
}

// routeWords says what can be reached through the client.
func routeWords(expose []engine.Expose, g *engine.Greeting, role engine.Role) string {
	var parts []string
	for _, e := range expose {
		parts = append(parts, RouteOf(e))
	}
	if g != nil && !g.ExposedOnly && role == engine.RoleServer {
		parts = append(parts, "any destination that its rules allow")
	}
	return strings.Join(parts, "  ")
}

// RouteOf says how callers reach what e exposes.
func RouteOf(e engine.Expose) string {
	switch {
	case e.URL != "":
		return e.URL
	case e.TCP != 0:
		return "tcp:" + strconv.Itoa(int(e.TCP))
	}
	return e.Host
}

// rawLines returns the message as it came; if it is JSON with one member a line
// and the values of secrets masked.
func rawLines(raw, masked string) []string {
	if raw == "" {
		return nil
	}
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(raw), "", "  ") != nil {
		if strings.HasPrefix(strings.TrimSpace(raw), "{") {
			// Cut at its bound: no JSON any more, so nobody knows where a value ends.
			return []string{maskCut(raw, masked)}
		}
		return []string{raw}
	}
	var lines []string
	depth := -1 // of a secret whose value has lines of its own
	for line := range strings.Lines(indented.String()) {
		line = strings.TrimRight(line, "\n")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if depth >= 0 {
			if indent > depth {
				continue
			}
			depth = -1
			if strings.HasPrefix(strings.TrimSpace(line), "]") || strings.HasPrefix(strings.TrimSpace(line), "}") {
				continue
			}
		}
		if name, quoted, value, ok := member(line[indent:]); ok && inspect.Secret(name) {
			if strings.HasSuffix(value, "{") || strings.HasSuffix(value, "[") {
				depth = indent
			}
			line = line[:indent] + quoted + `: "` + masked + `"`
		}
		lines = append(lines, line)
	}
	return lines
}

// member reads a line `"name": value` of indented JSON: the name, the name as it
// stands there, and the value.
func member(line string) (name, quoted, value string, ok bool) {
	if !strings.HasPrefix(line, `"`) {
		return "", "", "", false
	}
	end := 1
	for end < len(line) && line[end] != '"' {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(line) || json.Unmarshal([]byte(line[:end+1]), &name) != nil {
		return "", "", "", false
	}
	value, ok = strings.CutPrefix(line[end+1:], ": ")
	return name, line[:end+1], value, ok
}

// maskCut hides everything from the first name on that says secret, and all of
// what may spell one otherwise.
func maskCut(raw, masked string) string {
	if strings.Contains(raw, `\u`) || strings.ContainsFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return masked
	}
	if end := inspect.SecretEnd(raw); end >= 0 {
		return raw[:end] + " " + masked
	}
	return raw
}
