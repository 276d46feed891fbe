package observe

import (
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"adit/engine"
)

// AppendEvent appends e as one JSON object with the names of product.md (JSON), without a newline.
// A string that is empty and a duration that is negative are left out. Whatever
// a terminal would not print as a character is escaped.
func AppendEvent(dst []byte, e *engine.Event) []byte {
	dst = append(dst, `{"time":"`...)
	dst = appendTime(dst, e.Time)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"kind":"`...)
	dst = append(dst, e.Kind.String()...)
	dst = append(dst, '"')

	connection, client, protocol, reason := e.Connection, e.Client, e.Protocol, e.Reason
	if r := e.Request; r != nil {
		if connection == 0 {
			connection = r.Connection
		}
		if client == "" {
			client = r.Client
		}
		if protocol == 0 {
			protocol = r.Protocol
		}
		if reason == "" {
			reason = r.Reason
		}
	}
	if connection != 0 {
		dst = append(dst, `,"conn":"c-`...)
		dst = strconv.AppendUint(dst, uint64(connection), 10)
		dst = append(dst, '"')
	}
	dst = appendText(dst, `,"client":`, client)
	dst = appendText(dst, `,"peer":`, e.Peer)
	if protocol != 0 {
		dst = appendText(dst, `,"protocol":`, protocol.String())
	}
	if e.Kind == engine.KindNotice {
		dst = appendText(dst, `,"text":`, reason)
	} else {
		dst = appendText(dst, `,"reason":`, reason)
	}
	return append(appendKind(dst, e), '}')
}

// appendKind appends the fields that belong to one kind.
func appendKind(dst []byte, e *engine.Event) []byte {
	switch e.Kind {
	case engine.KindReady:
		dst = appendText(dst, `,"listen":`, e.Listen)
		dst = appendText(dst, `,"server":`, e.Server)
	case engine.KindGreetingReceived:
		dst = appendGreeting(dst, e.Greeting)
	case engine.KindGreetingRejected:
		dst = appendUint(dst, `,"code":`, uint64(e.Code))
		dst = appendGreeting(dst, e.Greeting)
	case engine.KindConnectionClosed:
		dst = appendUint(dst, `,"code":`, uint64(e.Code))
		dst = appendMicros(dst, `,"duration_us":`, e.Duration)
		if t := e.Closed; t != nil {
			dst = appendUint(dst, `,"bytes_in":`, t.BytesIn)
			dst = appendUint(dst, `,"bytes_out":`, t.BytesOut)
			dst = appendFrames(dst, `,"frames_in":`, t.FramesIn)
			dst = appendFrames(dst, `,"frames_out":`, t.FramesOut)
		}
	case engine.KindRequestStarted:
		if e.Request != nil {
			dst = appendRequestHead(dst, e.Request)
		}
	case engine.KindRequestFinished:
		if e.Request != nil {
			dst = appendRequestHead(dst, e.Request)
			dst = AppendMarks(appendRequestEnd(dst, e.Request), e.Request)
		}
	case engine.KindDialFailed:
		dst = appendText(dst, `,"server":`, e.Server)
		if e.Duration > 0 {
			dst = appendMicros(dst, `,"retry_us":`, e.Duration)
		}
	case engine.KindAdmissionRefused:
		dst = appendUint(dst, `,"status":`, uint64(e.Code))
		if e.Count > 1 {
			dst = appendInt(dst, `,"count":`, int64(e.Count))
			dst = appendMicros(dst, `,"within_us":`, e.Duration)
		}
	case engine.KindOperatorAction:
		dst = appendText(dst, `,"action":`, string(e.Action))
		dst = appendText(dst, `,"operator":`, e.Operator)
		dst = appendText(dst, `,"target":`, e.Target)
	case engine.KindDraining:
		dst = appendInt(dst, `,"exchanges":`, int64(e.Count))
	case engine.KindLimitReached:
		dst = appendText(dst, `,"limit":`, e.Target)
		dst = appendInt(dst, `,"count":`, int64(e.Count))
	case engine.KindStopped:
		if t := e.Totals; t != nil {
			dst = appendUint(dst, `,"requests":`, t.Requests)
			dst = appendUint(dst, `,"failed":`, t.Failed)
			dst = appendUint(dst, `,"bytes_in":`, t.BytesIn)
			dst = appendUint(dst, `,"bytes_out":`, t.BytesOut)
		}
		dst = appendMicros(dst, `,"uptime_us":`, e.Duration)
	}
	return dst
}

func appendRequestHead(dst []byte, r *engine.Request) []byte {
	if r.ID != 0 {
		dst = append(dst, `,"id":"r-`...)
		dst = strconv.AppendUint(dst, uint64(r.ID), 10)
		dst = append(dst, '"')
	}
	if r.Way != 0 {
		dst = appendText(dst, `,"way":`, r.Way.String())
	}
	dst = appendText(dst, `,"caller":`, r.Caller)
	dst = appendText(dst, `,"credential":`, r.Credential)
	dst = appendText(dst, `,"method":`, r.Method)
	return appendText(dst, `,"target":`, r.Target)
}

func appendRequestEnd(dst []byte, r *engine.Request) []byte {
	dst = appendInt(dst, `,"status":`, int64(r.Status))
	dst = appendInt(dst, `,"request_bytes":`, r.RequestBytes)
	dst = appendInt(dst, `,"response_bytes":`, r.ResponseBytes)
	dst = appendMicros(dst, `,"queued_us":`, r.Queued)
	dst = appendMicros(dst, `,"sent_us":`, r.Sent)
	dst = appendMicros(dst, `,"connect_us":`, r.Connect)
	dst = appendMicros(dst, `,"first_byte_us":`, r.FirstByte)
	dst = appendMicros(dst, `,"last_byte_us":`, r.LastByte)
	return appendText(dst, `,"outcome":`, r.Outcome.String())
}

func appendGreeting(dst []byte, g *engine.Greeting) []byte {
	if g == nil {
		return dst
	}
	dst = appendText(dst, `,"id":`, g.ID)
	dst = appendInt(dst, `,"pool_size":`, int64(g.PoolSize))
	dst = appendText(dst, `,"version":`, g.Version)
	dst = appendText(dst, `,"hostname":`, g.Hostname)
	if len(g.Labels) > 0 {
		names := make([]string, 0, len(g.Labels))
		for name := range g.Labels {
			names = append(names, name)
		}
		slices.Sort(names)
		dst = append(dst, `,"labels":{`...)
		for i, name := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, name)
			dst = append(dst, ':')
			dst = appendString(dst, g.Labels[name])
		}
		dst = append(dst, '}')
	}
	if len(g.Expose) > 0 {
		dst = append(dst, `,"expose":[`...)
		for i, x := range g.Expose {
			if i > 0 {
				dst = append(dst, ',')
			}
			if x.TCP != 0 {
				dst = appendUint(dst, `{"tcp":`, uint64(x.TCP))
			} else {
				dst = append(dst, `{"host":`...)
				dst = appendString(dst, x.Host)
			}
			dst = append(appendText(dst, `,"url":`, x.URL), '}')
		}
		dst = append(dst, ']')
	}
	return dst
}

func appendFrames(dst []byte, name string, f engine.Frames) []byte {
	dst = append(dst, name...)
	dst = appendUint(dst, `{"text":`, f.Text)
	dst = appendUint(dst, `,"binary":`, f.Binary)
	dst = appendUint(dst, `,"continuation":`, f.Continuation)
	dst = appendUint(dst, `,"close":`, f.Close)
	dst = appendUint(dst, `,"ping":`, f.Ping)
	dst = appendUint(dst, `,"pong":`, f.Pong)
	return append(dst, '}')
}

func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

func appendUint(dst []byte, name string, n uint64) []byte {
	return strconv.AppendUint(append(dst, name...), n, 10)
}

func appendInt(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(dst, name...), n, 10)
}

func appendMicros(dst []byte, name string, d time.Duration) []byte {
	if d < 0 {
		return dst
	}
	return appendInt(dst, name, d.Microseconds())
}

// appendTime appends t as RFC 3339 with nine digits after the second, so that
// lines sort as text.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, min(max(year, 0), 9999), 4)
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	dst = appendDigits(append(dst, '.'), t.Nanosecond(), 9)
	return append(dst, 'Z')
}

// appendDigits appends n, which has at most width digits, with leading zeros.
func appendDigits(dst []byte, n, width int) []byte {
	for range width {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; n > 0; i-- {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}

// appendString appends s as a JSON string (RFC 8259 §7). Invalid UTF-8 becomes
// U+FFFD; controls, separators, format and bidirectional characters, private
// and unassigned code points are escaped, so that the line does nothing to a
// terminal.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7F && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
			if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		i += size
		start = i
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r > 0xFFFF:
			r -= 0x10000
			dst = appendUnit(dst, 0xD800|r>>10)
			dst = appendUnit(dst, 0xDC00|r&0x3FF)
		default:
			dst = appendUnit(dst, r)
		}
	}
	return append(append(dst, s[start:]...), '"')
}

// appendUnit appends a UTF-16 code unit as \uXXXX.
func appendUnit(dst []byte, u rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}
