package configuration

import (
	"strconv"
	"strings"

	"adit/engine"
	"adit/tui/format"
	"adit/tui/pane"
)

// appendRun appends what is so now and no setting: what is captured, what is
// kept, and the way to the engine.
func appendRun(lines []line, f *pane.Frame) []line {
	first := len(lines)
	add := func(name, value string) { lines = append(lines, line{kind: fact, name: name, value: value}) }
	if f.Snapshot != nil && f.Snapshot.Capture.Mode != 0 {
		c := &f.Snapshot.Capture
		add("capture", c.Mode.String())
		for i, filter := range c.Content {
			name := ""
			if i == 0 {
				name = "content of"
			}
			add(name, filter)
		}
		if c.Limit > 0 && (c.Bytes > 0 || c.Mode == engine.CaptureContent || len(c.Content) > 0) {
			value := format.Size(uint64(max(c.Bytes, 0))) + " of " + format.Size(uint64(c.Limit))
			if c.Sampling > 1 {
				value = "1 in " + strconv.Itoa(c.Sampling) + ", " + value
			}
			add("content", value+", "+format.Exact(c.Dropped)+" dropped")
		}
	}
	if s := &f.Store; s.Known {
		add("ring", format.Exact(uint64(max(s.Kept, 0)))+" of "+format.Exact(uint64(max(s.Capacity, 0)))+" requests")
		if s.Stored > 0 {
			add("history", format.Exact(uint64(s.Stored))+" more requests")
		}
		if s.Lost > 0 {
			add("not recorded", format.Exact(s.Lost)+" requests came too fast")
		}
		if s.Problem != "" {
			lines = append(lines, line{kind: warning, name: "SUSPENDED", value: s.Problem})
		}
	}
	if l := f.Link; l != nil {
		add("engine", l.Address)
		who := l.Name
		if l.ReadOnly {
			who += ", may only look"
		}
		if who != "" {
			add("attached as", strings.TrimPrefix(who, ", "))
		}
	}
	if p := f.Playback; p != nil {
		add("recording", p.Path)
	}
	if f.Attached > 0 {
		add("attached", format.Plural(f.Attached, "operator"))
	}
	if len(lines) == first {
		return lines
	}
	lines = append(lines, line{})
	copy(lines[first+1:], lines[first:])
	lines[first] = line{kind: heading, name: "Now"}
	return append(lines, line{})
}
