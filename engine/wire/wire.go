// Package wire has the messages of both wire protocols as pure functions:
// greeting, welcome, drain, heads and records of adit.v1, greeting and heads of
// wsp. It does no I/O, starts no goroutine and keeps no state. What it parses
// is hostile: every parser bounds what it allocates by the length of its input
// and returns an error that says which rule was broken.
//
// Start with record.go, then head.go and fields.go for adit.v1; hello.go has its
// text messages, probe.go is that of adit.probe.v1, classic.go is wsp, json.go the
// strict JSON of all. The names are those of RFC 9110.
package wire

import "errors"

// Limits of adit.v1 that are fixed (no flag changes them).
const (
	MaxHead          = 64 << 10  // bytes of an encoded head or trailer section
	MaxFields        = 256       // fields in a head or trailer section
	MaxTextMessage   = 64 << 10  // bytes
	MaxMessage       = 256 << 10 // bytes of a binary message
	MaxReason        = 256       // bytes of a RESET's reason
	MaxInformational = 8         // 1xx responses per exchange
	MaxCredit        = 1<<31 - 1 // bytes outstanding on one exchange
	MaxGreeting      = 4 << 10   // bytes of a wsp greeting
)

// Errors of framing close the connection with 1002 (or 1009 for size); those
// that wrap ErrHTTP are invalid HTTP in good framing and reset one exchange
// with ResetMalformed.
var (
	ErrFraming = errors.New("broken framing")
	ErrHTTP    = errors.New("invalid http")
	ErrTooBig  = errors.New("too big")
)

// A ruleError says which rule a message broke. It never quotes the message,
// which is hostile and may hold credentials.
type ruleError struct {
	kind error  // one of the three above
	op   string // what was parsed or checked
	rule string
}

func (e *ruleError) Error() string { return e.op + ": " + e.rule + ": " + e.kind.Error() }
func (e *ruleError) Unwrap() error { return e.kind }

func framing(rule string) *ruleError { return &ruleError{kind: ErrFraming, rule: rule} }
func invalid(rule string) *ruleError { return &ruleError{kind: ErrHTTP, rule: rule} }
func tooBig(rule string) *ruleError  { return &ruleError{kind: ErrTooBig, rule: rule} }

// in names the operation of a fresh error.
func (e *ruleError) in(op string) error {
	e.op = op
	return e
}

// A Field is one field line (RFC 9110 §5).
type Field struct{ Name, Value string }

// Request is the head of a REQUEST record.
type Request struct {
	Route     uint64 // n ≥ 1: the n-th expose of the greeting; 0: scheme and authority decide
	Method    string
	Scheme    string // "http" or "https"
	Authority string
	Path      string // with query; "*" for OPTIONS
	Fields    []Field
}

// Response is the head of a RESPONSE record.
type Response struct {
	Status    int    // 100–999
	Connect   uint64 // microseconds since the client read REQUEST until the origin connection was ready
	FirstByte uint64 // microseconds until the origin's first byte
	Fields    []Field
}
