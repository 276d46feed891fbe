package observe

import (
	"net"
	"strconv"
	"strings"
	"time"

	"adit/engine"
)

// A Level says how much an event matters.
type Level uint8

// Levels, the least first.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
)

var levelNames = [...]string{"debug", "info", "warn", "error"}

func (l Level) String() string { return levelNames[min(int(l), len(levelNames)-1)] }

// LevelOf returns how much e matters: error for what was refused or broke, warn
// for what a peer or the network did and for notices, info for the course of
// things and for what an operator asked for, debug for single requests, unless
// they failed.
func LevelOf(e *engine.Event) Level {
	switch e.Kind {
	case engine.KindGreetingRejected, engine.KindConnectionClosed:
		return closeLevel(e.Kind, engine.CloseCode(e.Code))
	case engine.KindAdmissionRefused:
		return LevelError
	case engine.KindDialFailed:
		if e.Duration > 0 {
			return LevelWarn // it is tried again
		}
		return LevelError
	case engine.KindNotice, engine.KindLimitReached:
		return LevelWarn
	case engine.KindRequestStarted:
		return LevelDebug
	case engine.KindRequestFinished:
		if e.Request != nil && e.Request.HasFailed() {
			return LevelWarn
		}
		return LevelDebug
	}
	return LevelInfo
}

func closeLevel(k engine.Kind, code engine.CloseCode) Level {
	switch code {
	case engine.CloseNormal, engine.CloseGoingAway, engine.CloseRestart, engine.CloseKilled:
		return LevelInfo
	case engine.CloseBanned:
		if k == engine.KindConnectionClosed {
			return LevelInfo
		}
		return LevelWarn // somebody who is banned tries again
	case engine.CloseAbnormal, engine.CloseTryLater:
		return LevelWarn
	case engine.ClosePolicy, engine.CloseIDTaken:
		if k == engine.KindConnectionClosed {
			return LevelWarn
		}
	}
	return LevelError
}

// AppendSource appends who e is about: "edge-1/c-17", a peer's address without
// its port, an operator, a server's host and port, or "server" and "client" for the end
// itself, "engine" where it does not say which it is. The text is not sanitised.
func AppendSource(b []byte, e *engine.Event) []byte {
	switch e.Kind {
	case engine.KindOperatorAction:
		return orElse(b, e.Operator, "operator")
	case engine.KindReady, engine.KindDraining, engine.KindStopped:
		if e.Client != "" {
			return append(b, "client"...)
		}
		return append(b, "server"...)
	case engine.KindDialFailed:
		return orElse(b, authority(e.Server), "client")
	case engine.KindAdmissionRefused:
		return orElse(b, host(e.Peer), "server")
	case engine.KindLimitReached:
		if e.Client == "" {
			return orElse(b, host(e.Peer), "server")
		}
	}
	connection, client := e.Connection, e.Client
	if e.Kind == engine.KindGreetingRejected && client == "" {
		client = host(e.Peer) // who it was is all that there is to act on
	}
	if r := e.Request; r != nil {
		if client == "" {
			client = r.Client
		}
		if connection == 0 {
			connection = r.Connection
		}
	}
	switch {
	case client != "" && connection != 0:
		return append(append(append(b, client...), '/'), connection.String()...)
	case client != "":
		return append(b, client...)
	case connection != 0:
		return append(b, connection.String()...)
	case e.Request != nil:
		return orElse(b, host(e.Request.Caller), "engine")
	}
	return orElse(b, host(e.Peer), "engine")
}

// authority returns what tells a server's URL from those of others: host and
// port. A list has no room for the rest.
func authority(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		return strings.TrimSuffix(rest, "/register")
	}
	return url
}

// host returns an address without its port.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

func orElse(b []byte, s, other string) []byte {
	if s == "" {
		s = other
	}
	return append(b, s...)
}

// AppendMessage appends what e tells, as one line for people, without time,
// level and source. The text is not sanitised.
func AppendMessage(b []byte, e *engine.Event) []byte {
	switch e.Kind {
	case engine.KindReady:
		if e.Server != "" {
			b = appendPair(append(b, "connected"...), " to ", e.Server)
			if e.Protocol != 0 {
				b = appendPair(b, ", ", e.Protocol.String())
			}
			return b
		}
		return appendPair(append(b, "ready"...), ", listening on ", e.Listen)
	case engine.KindConnectionOpened:
		return appendPair(append(b, "websocket open"...), " ", e.Peer)
	case engine.KindGreetingReceived:
		return appendGreetingText(append(b, "greeting ok"...), e.Greeting)
	case engine.KindGreetingRejected:
		b = appendGreetingText(append(b, "greeting refused"...), e.Greeting)
		b = appendReason(b, e.Reason)
		return appendCode(b, e.Code)
	case engine.KindConnectionClosed:
		code := engine.CloseCode(e.Code)
		b = strconv.AppendUint(append(b, "closed "...), uint64(code), 10)
		b = appendPair(b, " ", code.Text())
		if e.Reason != code.Text() {
			b = appendReason(b, e.Reason)
		}
		return b
	case engine.KindRequestStarted, engine.KindRequestFinished:
		return appendRequestText(b, e)
	case engine.KindDialFailed:
		b = appendReason(append(b, "dial failed"...), e.Reason)
		if e.Duration > 0 {
			b = appendPair(b, "; next try in ", rounded(e.Duration))
		}
		return b
	case engine.KindAdmissionRefused:
		if e.Way == 0 {
			b = append(b, "handshake refused"...)
		} else {
			b = appendPair(append(b, "caller refused"...), " by way of ", e.Way.String())
		}
		if e.Count > 1 {
			b = append(strconv.AppendInt(append(b, ", "...), int64(e.Count), 10), " times"...)
			b = appendPair(b, " within ", rounded(e.Duration))
		}
		return appendCode(appendReason(b, e.Reason), e.Code)
	case engine.KindOperatorAction:
		b = append(b, strings.ToUpper(string(e.Action))...)
		b = orElse(append(b, ' '), e.Target, "everything")
		b = orElse(append(b, " by "...), e.Operator, "an operator")
		if e.Reason != "" {
			b = append(append(append(b, `: "`...), e.Reason...), '"')
		}
		return b
	case engine.KindDraining:
		b = strconv.AppendInt(append(b, "draining, exchanges in flight: "...), int64(e.Count), 10)
		return appendReason(b, e.Reason)
	case engine.KindNotice:
		return orElse(b, e.Reason, "notice")
	case engine.KindLimitReached:
		b = appendPair(append(b, "limit reached"...), ": ", e.Target)
		if e.Count > 1 {
			b = append(strconv.AppendInt(append(b, ", "...), int64(e.Count), 10), " times"...)
		}
		return appendReason(b, e.Reason)
	case engine.KindStopped:
		b = appendPair(append(b, "stopped"...), " after ", rounded(e.Duration))
		if t := e.Totals; t != nil {
			b = strconv.AppendUint(append(b, ", requests: "...), t.Requests, 10)
			b = strconv.AppendUint(append(b, ", of these not completed: "...), t.Failed, 10)
		}
		return b
	}
	return append(b, e.Kind.String()...)
}

func appendGreetingText(b []byte, g *engine.Greeting) []byte {
	if g == nil {
		return b
	}
	b = strconv.AppendInt(append(b, " pool="...), int64(g.PoolSize), 10)
	b = appendPair(b, " version=", g.Version)
	if n := len(g.Expose); n > 0 {
		b = strconv.AppendInt(append(b, " exposes="...), int64(n), 10)
	}
	if g.Size > 0 {
		b = append(strconv.AppendInt(append(b, " ("...), int64(g.Size), 10), " B)"...)
	}
	return b
}

func appendRequestText(b []byte, e *engine.Event) []byte {
	r := e.Request
	if r == nil {
		return append(b, e.Kind.String()...)
	}
	b = append(b, r.ID.String()...)
	b = appendPair(b, " ", r.Method)
	b = appendPair(b, " ", r.Target)
	if e.Kind == engine.KindRequestStarted {
		return append(b, " began"...)
	}
	if r.Status != 0 {
		b = strconv.AppendInt(append(b, ' '), int64(r.Status), 10)
	}
	b = appendPair(b, " ", r.Outcome.String())
	if r.LastByte >= 0 {
		b = appendPair(b, " after ", rounded(r.LastByte))
	}
	return appendReason(b, r.Reason)
}

func appendReason(b []byte, reason string) []byte { return appendPair(b, ": ", reason) }

// appendPair appends nothing where value is "".
func appendPair(b []byte, before, value string) []byte {
	if value == "" {
		return b
	}
	return append(append(b, before...), value...)
}

func appendCode(b []byte, code uint16) []byte {
	if code == 0 {
		return b
	}
	return append(strconv.AppendUint(append(b, " ("...), uint64(code), 10), ')')
}

// rounded returns d with three digits or so.
func rounded(d time.Duration) string {
	if d < time.Millisecond { // in ASCII, which time.Duration is not there
		return strconv.FormatInt(max(d, 0).Microseconds(), 10) + "us"
	}
	for _, step := range [...]time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
		if d < 1000*step {
			return d.Round(step).String()
		}
	}
	return d.Round(time.Second).String()
}
