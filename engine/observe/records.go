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

// AppendConnection appends c as one JSON object with the names of product.md
// (JSON). What is not known is left out.
func AppendConnection(dst []byte, c *engine.Connection) []byte {
	dst = append(dst, `{"conn":"`...)
	dst = append(append(dst, c.ID.String()...), '"')
	dst = appendText(dst, `,"client":`, c.Client)
	dst = appendText(dst, `,"peer":`, c.Peer)
	dst = appendText(dst, `,"server":`, c.Server)
	if c.Protocol != 0 {
		dst = appendText(dst, `,"protocol":`, c.Protocol.String())
	}
	if c.State != 0 {
		dst = appendText(dst, `,"state":`, c.State.String())
	}
	if !c.Opened.IsZero() {
		dst = append(appendTime(append(dst, `,"opened":"`...), c.Opened), '"')
	}
	dst = appendInt(dst, `,"in_flight":`, int64(c.InFlight))
	dst = appendUint(dst, `,"exchanges":`, c.Exchanges)
	dst = appendUint(dst, `,"failed":`, c.Failed)
	if c.RTT > 0 {
		dst = appendMicros(dst, `,"rtt_us":`, c.RTT)
	}
	if c.RTTMin > 0 {
		dst = appendMicros(dst, `,"rtt_min_us":`, c.RTTMin)
	}
	dst = appendUint(dst, `,"bytes_in":`, c.BytesIn)
	dst = appendUint(dst, `,"bytes_out":`, c.BytesOut)
	dst = appendFrames(dst, `,"frames_in":`, c.FramesIn)
	dst = appendFrames(dst, `,"frames_out":`, c.FramesOut)
	if c.LateRecords > 0 {
		dst = appendUint(dst, `,"late_records":`, c.LateRecords)
	}
	dst = appendText(dst, `,"credential":`, c.Credential)
	if g := c.Greeting; g != nil {
		// The members of a greeting are those of its event, in an object of its own.
		at := len(dst)
		dst = appendGreeting(append(dst, `,"greeting":{`...), g)
		if n := at + len(`,"greeting":{`); n < len(dst) && dst[n] == ',' {
			dst = append(dst[:n], dst[n+1:]...)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// AppendString appends s as a JSON string that does nothing to a terminal.
func AppendString(dst []byte, s string) []byte { return appendString(dst, s) }
