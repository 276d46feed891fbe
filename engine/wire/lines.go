package wire

import "strings"

// Lines returns fields as lines "name: value", each ended by \n, after a first
// line for host where that is not empty, at most limit bytes. What does not fit,
// or could not stand on a line, is left out whole: cut says so.
func Lines(host string, fields []Field, limit int) (lines string, cut bool) {
	size := 0
	fits := func(name, value string) bool {
		n := len(name) + len(value) + len(": \n")
		if n > limit-size || !isToken(name) || strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
			cut = true
			return false
		}
		size += n
		return true
	}
	// Twice: what is left out must not take memory either.
	hosted := host != "" && fits("host", host)
	for i := range fields {
		fits(fields[i].Name, fields[i].Value)
	}
	var b strings.Builder
	b.Grow(size)
	size = 0
	all := !cut // nothing is left out: nothing has to be looked at again
	add := func(name, value string) {
		b.WriteString(name)
		b.WriteString(": ")
		b.WriteString(value)
		b.WriteByte('\n')
	}
	if hosted && (all || fits("host", host)) {
		add("host", host)
	}
	for i := range fields {
		if all || fits(fields[i].Name, fields[i].Value) {
			add(fields[i].Name, fields[i].Value)
		}
	}
	return b.String(), cut
}
