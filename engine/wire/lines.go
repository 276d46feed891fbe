package wire

import "strings"

// Lines returns fields as lines "name: value", each ended by \n, after a first
// line for host where that is not empty, at most limit bytes. What does not fit,
// or could not stand on a line, is left out whole: cut says so.
func Lines(host string, fields []Field, limit int) (lines string, cut bool) {
	size := len("host: \n") + len(host)
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value) + len(": \n")
	}
	var b strings.Builder
	b.Grow(min(size, limit))
	add := func(name, value string) {
		if b.Len()+len(name)+len(value)+len(": \n") > limit || !isToken(name) || strings.ContainsAny(value, "\r\n") {
			cut = true
			return
		}
		b.WriteString(name)
		b.WriteString(": ")
		b.WriteString(value)
		b.WriteByte('\n')
	}
	if host != "" {
		add("host", host)
	}
	for i := range fields {
		add(fields[i].Name, fields[i].Value)
	}
	return b.String(), cut
}
