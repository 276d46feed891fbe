package observe

import "adit/engine"

// AppendRequest appends r as one JSON object with the names of product.md
// (JSON): those of request_finished, and arrived, upgraded and replay. What is
// not known is left out, the outcome of a request in flight too.
func AppendRequest(dst []byte, r *engine.Request) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(append(dst, r.ID.String()...), '"')
	if !r.Arrived.IsZero() {
		dst = append(appendTime(append(dst, `,"arrived":"`...), r.Arrived), '"')
	}
	if r.Connection != 0 {
		dst = appendText(dst, `,"conn":`, r.Connection.String())
	}
	dst = appendText(dst, `,"client":`, r.Client)
	if r.Protocol != 0 {
		dst = appendText(dst, `,"protocol":`, r.Protocol.String())
	}
	if r.Way != 0 {
		dst = appendText(dst, `,"way":`, r.Way.String())
	}
	dst = appendText(dst, `,"caller":`, r.Caller)
	dst = appendText(dst, `,"credential":`, r.Credential)
	dst = appendText(dst, `,"method":`, r.Method)
	dst = appendText(dst, `,"target":`, r.Target)
	if r.Outcome != engine.OutcomeNone {
		dst = appendRequestEnd(dst, r)
	} else {
		if r.Status != 0 {
			dst = appendInt(dst, `,"status":`, int64(r.Status))
		}
		dst = appendInt(dst, `,"request_bytes":`, r.RequestBytes)
		dst = appendInt(dst, `,"response_bytes":`, r.ResponseBytes)
		dst = appendMicros(dst, `,"queued_us":`, r.Queued)
		dst = appendMicros(dst, `,"sent_us":`, r.Sent)
		dst = appendMicros(dst, `,"connect_us":`, r.Connect)
		dst = appendMicros(dst, `,"first_byte_us":`, r.FirstByte)
	}
	dst = appendText(dst, `,"reason":`, r.Reason)
	return append(AppendMarks(dst, r), '}')
}

// AppendString appends s as a JSON string that does nothing to a terminal.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }
