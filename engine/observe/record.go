package observe

import (
	"time"

	"adit/engine"
)

// AppendMarks appends what few records are, each with a comma before it.
func AppendMarks(dst []byte, r *engine.Request) []byte {
	if r.Upgraded {
		dst = append(dst, `,"upgraded":true`...)
	}
	if r.Replay {
		dst = append(dst, `,"replay":true`...)
	}
	return dst
}

// AppendTime appends t in UTC as RFC 3339 with nanoseconds, without quotes.
func AppendTime(dst []byte, t time.Time) []byte { return appendTime(dst, t) }
