package engine

import (
	"errors"
	"fmt"
	"net/http"
)

// A Reason says why an exchange or a connection failed. One table maps it to
// what a caller, a peer and a log see.
type Reason uint8

const (
	ReasonNone          Reason = iota
	ReasonInternal             // a fault of ours
	ReasonMalformed            // the request is not valid HTTP, or not for a proxy
	ReasonUnauthorized         // credential missing or wrong, asked for by an origin-form target
	ReasonProxyAuth            // credential missing or wrong, asked for by a forward proxy
	ReasonDenied               // a rule forbids it
	ReasonNoRoute              // nobody exposes this name
	ReasonHeadTooBig           // head above 64 KiB or 256 fields
	ReasonContentTooBig        // content above the configured limit
	ReasonTooMany              // a rate limit
	ReasonUnsupported          // only classic connections could serve it, and they can't carry it
	ReasonOriginFailed         // DNS, dial, TLS, broken or oversize answer
	ReasonTunnelFailed         // the connection to the client ended
	ReasonTunnelSilent         // the connection to the client was found dead by ping
	ReasonNoClient             // no such client, or none at all, within the wait
	ReasonQueueFull            // too many callers wait for this client
	ReasonRefused              // the client refused, nothing was processed
	ReasonDraining             // this end is stopping
	ReasonTimedOut             // an origin or tunnel deadline
	ReasonLoop                 // the request has passed here before
	ReasonCallerGone           // the caller left or stalled
	ReasonOperator             // an operator ended it
)

type reasonText struct {
	text        string
	status      int
	proxyStatus string // RFC 9209 §2.3
}

// reasons is the one table from reasons to HTTP. It is never written to.
var reasons = [...]reasonText{
	ReasonNone:          {"none", http.StatusOK, ""},
	ReasonInternal:      {"internal error", http.StatusBadGateway, "proxy_internal_error"},
	ReasonMalformed:     {"malformed request", http.StatusBadRequest, "http_request_error"},
	ReasonUnauthorized:  {"credential missing or wrong", http.StatusUnauthorized, "http_request_denied"},
	ReasonProxyAuth:     {"credential missing or wrong", http.StatusProxyAuthRequired, "http_request_denied"},
	ReasonDenied:        {"forbidden by a rule", http.StatusForbidden, "http_request_denied"},
	ReasonNoRoute:       {"no such route", http.StatusNotFound, "destination_not_found"},
	ReasonHeadTooBig:    {"head too big", http.StatusRequestHeaderFieldsTooLarge, "http_request_error"},
	ReasonContentTooBig: {"content too big", http.StatusRequestEntityTooLarge, "http_request_error"},
	ReasonTooMany:       {"too many requests", http.StatusTooManyRequests, "http_request_denied"},
	ReasonUnsupported:   {"not carried by the wsp protocol", http.StatusNotImplemented, "http_request_error"},
	ReasonOriginFailed:  {"origin failed", http.StatusBadGateway, "destination_unavailable"},
	ReasonTunnelFailed:  {"tunnel failed", http.StatusBadGateway, "connection_terminated"},
	ReasonTunnelSilent:  {"tunnel silent", http.StatusGatewayTimeout, "connection_timeout"},
	ReasonNoClient:      {"no client", http.StatusServiceUnavailable, "destination_unavailable"},
	ReasonQueueFull:     {"too many callers wait", http.StatusServiceUnavailable, "connection_limit_reached"},
	ReasonRefused:       {"refused by the client", http.StatusServiceUnavailable, "connection_refused"},
	ReasonDraining:      {"stopping", http.StatusServiceUnavailable, "destination_unavailable"},
	ReasonTimedOut:      {"timed out", http.StatusGatewayTimeout, "http_response_timeout"},
	ReasonLoop:          {"loop detected", http.StatusLoopDetected, "proxy_loop_detected"},
	ReasonCallerGone:    {"caller gone", StatusCallerGone, "http_request_error"},
	ReasonOperator:      {"ended by an operator", http.StatusBadGateway, "connection_terminated"},
}

// StatusCallerGone stands in records where a caller left before a status was
// sent. It is never sent.
const StatusCallerGone = 499

// String returns a few words for people.
func (r Reason) String() string { return r.row().text }

// Status returns the HTTP status code a caller gets if no head is out.
func (r Reason) Status() int { return r.row().status }

// ProxyStatus returns the error token of RFC 9209 §2.3, or "".
func (r Reason) ProxyStatus() string { return r.row().proxyStatus }

func (r Reason) row() reasonText {
	if int(r) >= len(reasons) {
		return reasons[ReasonInternal]
	}
	return reasons[r]
}

// A CloseCode is a status code of the closing handshake (RFC 6455 §7.4).
type CloseCode uint16

const (
	CloseNormal        CloseCode = 1000
	CloseGoingAway     CloseCode = 1001
	CloseProtocolError CloseCode = 1002
	CloseWrongType     CloseCode = 1003
	CloseAbnormal      CloseCode = 1006 // never sent: no Close frame came
	CloseInvalidText   CloseCode = 1007
	ClosePolicy        CloseCode = 1008
	CloseTooBig        CloseCode = 1009
	CloseInternal      CloseCode = 1011
	CloseRestart       CloseCode = 1012
	CloseTryLater      CloseCode = 1013
	CloseKilled        CloseCode = 4000 // by an operator
	CloseBanned        CloseCode = 4001
	CloseIDTaken       CloseCode = 4002 // the id is held by another instance
)

// Text returns the code in words for people, "" for one that nobody has given a
// meaning.
func (c CloseCode) Text() string {
	switch c {
	case CloseNormal:
		return "normal"
	case CloseGoingAway:
		return "going away"
	case CloseProtocolError:
		return "protocol error"
	case CloseWrongType:
		return "wrong type"
	case 1005:
		return "no code" // in the peer's Close frame
	case CloseAbnormal:
		return "no close frame"
	case CloseInvalidText:
		return "invalid text"
	case ClosePolicy:
		return "policy"
	case CloseTooBig:
		return "too big"
	case CloseInternal:
		return "internal error"
	case CloseRestart:
		return "restart"
	case CloseTryLater:
		return "try later"
	case CloseKilled:
		return "killed"
	case CloseBanned:
		return "banned"
	case CloseIDTaken:
		return "id taken"
	}
	return ""
}

// Sentinel errors of [Engine] methods and of the layers below; tested with
// errors.Is.
var (
	ErrNotFound   = errors.New("not found")
	ErrClosed     = errors.New("closed")
	ErrDraining   = errors.New("draining")
	ErrNotRunning = errors.New("not running")
	ErrReadOnly   = errors.New("read-only")
	ErrLost       = errors.New("the link is lost")
	ErrRecorded   = errors.New("this is a recording")
	ErrTooMuch    = errors.New("too much")
)

// An Error is what crosses a package boundary: the operation, the reason that
// decides status and outcome, and the cause. Its text names no credential.
type Error struct {
	Op     string // the operation in a few words: "dial origin"
	Reason Reason
	Err    error // cause; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op + ": " + e.Reason.String()
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Fail returns an [*Error].
func Fail(op string, reason Reason, cause error) *Error {
	return &Error{Op: op, Reason: reason, Err: cause}
}

// ReasonOf returns the reason of the first [*Error] in err's tree,
// ReasonInternal for any other error, ReasonNone for nil.
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonNone
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ReasonInternal
}
