package exchange

import (
	"strings"

	"adit/engine"
	"adit/engine/inspect"
	"adit/tui/pane"
)

// Curl returns a line for a POSIX shell that sends the request of r again, as
// far as the record says what it was: content is not kept, and values of secret
// fields only stand there if revealed.
func Curl(r *engine.Request, revealed bool) string {
	var b strings.Builder
	b.WriteString("curl")
	if m := r.Method; m != "" && m != "GET" {
		if m == "HEAD" {
			b.WriteString(" --head")
		} else {
			b.WriteString(" -X " + Quote(m))
		}
	}
	host := ""
	note := ""
	if r.Heads != nil {
		for line := range strings.SplitSeq(r.Heads.Request, "\n") {
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			value = strings.TrimSpace(value)
			switch strings.ToLower(name) {
			case "host":
				host = value
				continue
			case "content-length", "transfer-encoding", "connection":
				continue // of the content and the connection that curl makes itself
			}
			b.WriteString(" \\\n  -H " + Quote(name+": "+inspect.Value(name, value, revealed)))
		}
		if r.Heads.Cut {
			note += " # some fields were too long to be kept"
		}
	}
	if r.RequestBytes > 0 {
		b.WriteString(" \\\n  --data-binary @content")
		note += " # its content was not kept: put it in the file content"
	}
	b.WriteString(" \\\n  " + Quote(URL(r, host)) + note)
	return b.String()
}

// URL returns where r was sent to; host is its Host field, for a target that
// has none of its own.
func URL(r *engine.Request, host string) string {
	switch {
	case strings.Contains(r.Target, "://"):
		return r.Target
	case strings.HasPrefix(r.Target, "/") && host != "":
		return "http://" + host + r.Target
	}
	return r.Target
}

// HostOf returns the Host field of r, "" if it is not known.
func HostOf(r *engine.Request) string {
	if r.Heads == nil {
		return ""
	}
	for line := range strings.SplitSeq(r.Heads.Request, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "host") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Quote returns s as one word of a POSIX shell. Control characters, which would
// do something to the terminal that it is pasted into, are left out.
func Quote(s string) string {
	plain := s != ""
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_./:@%+,=", c) >= 0) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		switch {
		case r == '\'':
			b.WriteString(`'\''`)
		case r < ' ' || r >= 0x7F && r < 0xA0:
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// Choices are what can be copied of a record: what it does not have is not
// among them.
func Choices(r *engine.Request, revealed bool) []pane.Choice {
	all := [...]pane.Choice{
		{Title: "url", Text: URL(r, HostOf(r))},
		{Title: "request id", Text: r.ID.String()},
		{Title: "curl", Text: Curl(r, revealed)},
		{Title: "connection id", Text: r.Connection.String()},
		{Title: "client id", Text: r.Client},
		{Title: "caller", Text: r.Caller},
		{Title: "reason", Text: r.Reason},
	}
	choices := make([]pane.Choice, 0, len(all))
	for _, c := range all {
		if c.Text != "" {
			choices = append(choices, c)
		}
	}
	return choices
}
