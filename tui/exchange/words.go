// Package exchange has what several screens say of one exchange, and do with it:
// how it ended, where its time went, its header fields with credentials masked; to
// copy, save, export it and send it again.
package exchange

import (
	"net/http"
	"strings"
	"time"

	"adit/engine"
	"adit/engine/filter"
	"adit/themes"
	"adit/tui/canvas"
)

// Failed reports whether r counts as failed: its end was neither completion nor
// the caller's will, or the answer was an error of the origin.
func Failed(r *engine.Request) bool {
	if r.Outcome == engine.OutcomeNone {
		return r.Status >= 500
	}
	return r.HasFailed()
}

// Duration returns how long r took, or has taken at now; false if nobody knows.
func Duration(r *engine.Request, now time.Time) (time.Duration, bool) {
	switch {
	case r.InFlight():
		return max(now.Sub(r.Arrived), 0), true
	case r.Outcome == engine.OutcomeNone || r.LastByte < 0:
		return 0, false
	}
	return r.LastByte, true
}

// CaptureFilter returns the filter of requests to the same host and path, and in
// words what it selects; "" where there is no path.
func CaptureFilter(r *engine.Request) (text, what string) {
	host, path := SplitTarget(r.Target)
	path, _, _ = strings.Cut(path, "?")
	if host == "" || !strings.HasPrefix(path, "/") {
		return "", ""
	}
	return "host:=" + filter.Quote(host) + " path:=" + filter.Quote(path), host + path
}

// CaptureClient is CaptureFilter for all that goes to a client.
func CaptureClient(name string) (text, what string) {
	if name == "" {
		return "", ""
	}
	return "client:=" + filter.Quote(name), name
}

// StatusStyle returns the style of a status code.
func StatusStyle(status int) canvas.Style {
	switch status / 100 {
	case 1, 2:
		return canvas.Of(themes.OK)
	case 3:
		return canvas.Of(themes.Info)
	case 4:
		return canvas.Of(themes.Warn)
	}
	return canvas.Of(themes.Err)
}

// StatusText returns what a status code is called, "" if it has no name.
func StatusText(status int) string {
	if status == engine.StatusCallerGone {
		return "caller gone"
	}
	return http.StatusText(status)
}

// SplitTarget returns host and path of a target: absolute-form has both,
// origin-form no host, authority-form is all path.
func SplitTarget(target string) (host, path string) {
	i := strings.Index(target, "://")
	if i < 0 || strings.HasPrefix(target, "/") {
		return "", target
	}
	rest := target[i+len("://"):]
	if j := strings.IndexAny(rest, "/?#"); j >= 0 {
		return rest[:j], rest[j:]
	}
	return rest, "/"
}

// Raw reports whether r carried bytes instead of a request and a response: a
// TCP connection, or a tunnel that a CONNECT or an upgrade opened.
func Raw(r *engine.Request) bool {
	return r.Upgraded || r.Way == engine.WayTCP || r.Way == engine.WayConnect || strings.HasPrefix(r.Target, "tcp:")
}

// Outcome says in words how r ended, without its reason.
func Outcome(r *engine.Request) string {
	switch r.Outcome {
	case engine.OutcomeNone:
		if r.InFlight() {
			return "in flight"
		}
		return "not known"
	case engine.OutcomeCompleted:
		if Raw(r) {
			return "completed: both ends closed"
		}
		return "completed: request and response went to their ends"
	case engine.OutcomeCallerGone:
		return "the caller left or stalled"
	case engine.OutcomeOriginFailed:
		return "the origin failed before or within its answer"
	case engine.OutcomeTunnelFailed:
		return "the connection between server and client failed"
	case engine.OutcomeRefused:
		return "refused"
	case engine.OutcomeTimedOut:
		return "a deadline passed"
	case engine.OutcomeTruncated:
		return "cut: the head was out, the content did not reach its end"
	}
	return r.Outcome.String()
}
