package observe

import (
	"time"

	"adit/engine"
)

// AppendRecord appends r as one JSON object with the names of an event line,
// arrived, upgraded and replay beside them: a record as the verbs and the admin
// API tell it. One that runs has no outcome, and counts as far as it is.
func AppendRecord(dst []byte, r *engine.Request) []byte {
	now := *r
	connection := r.Connection
	if live := r.Live; live != nil {
		if id := live.Connection.Load(); id != 0 {
			connection = engine.ConnectionID(id)
		}
		if status := live.Status.Load(); status != 0 {
			now.Status = int(status)
		}
		now.RequestBytes = max(now.RequestBytes, live.RequestBytes.Load())
		now.ResponseBytes = max(now.ResponseBytes, live.ResponseBytes.Load())
	}
	dst = append(dst, `{"arrived":"`...)
	dst = append(appendTime(dst, r.Arrived), '"')
	dst = appendText(dst, `,"conn":`, connection.String())
	dst = appendText(dst, `,"client":`, r.Client)
	if r.Protocol != 0 {
		dst = appendText(dst, `,"protocol":`, r.Protocol.String())
	}
	dst = appendText(dst, `,"reason":`, r.Reason)
	dst = appendRequestHead(dst, &now)
	dst = appendRequestEnd(dst, &now)
	return append(AppendMarks(dst, r), '}')
}

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

// AppendString appends s as a JSON string that does nothing to a terminal.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }

// AppendDropped appends the line that says how many events were lost just before
// a batch, with its newline.
func AppendDropped(dst []byte, b engine.Batch) []byte { return appendDropped(dst, b) }
