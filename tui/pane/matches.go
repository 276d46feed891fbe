package pane

import (
	"strconv"
	"time"

	"adit/tui/format"
)

// Matches says how much a filter selects.
type Matches struct {
	Matched, Of int
	Least       bool          // at least Matched: more than that is not counted
	Searching   bool          // not everything has been looked at: Matched will grow
	Took        time.Duration // what finding them took; 0 is not told
}

// AppendCount appends how many match.
func (m *Matches) AppendCount(b []byte) []byte {
	if m.Least {
		return append(format.AppendCount(b, uint64(max(m.Matched, 0))), '+')
	}
	return format.AppendExact(b, uint64(max(m.Matched, 0)))
}

// Append appends how many match of how many, and what finding them took: in short
// where f is compact.
func (m *Matches) Append(b []byte, f *Frame) []byte {
	if f.Class == Compact {
		if m.Least {
			b = m.AppendCount(b)
		} else {
			b = strconv.AppendInt(b, int64(m.Matched), 10)
		}
		b = format.AppendShort(append(b, '/'), uint64(max(m.Of, 0)))
		if m.Searching {
			b = append(append(b, " searching"...), f.Glyphs.Ellipsis...)
		}
		return b
	}
	b = m.AppendCount(b)
	b = format.AppendExact(append(b, " of "...), uint64(max(m.Of, 0)))
	switch {
	case m.Searching:
		b = append(append(append(b, ' '), f.Glyphs.Dot...), " searching"...)
		b = append(b, f.Glyphs.Ellipsis...)
	case m.Took > 0:
		b = append(append(append(b, ' '), f.Glyphs.Dot...), ' ')
		b = append(format.AppendMillis(b, float64(m.Took)/float64(time.Millisecond)), " ms"...)
	}
	return b
}
