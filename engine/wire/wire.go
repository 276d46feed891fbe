// Package wire has the messages of both wire protocols as pure functions:
// greeting, welcome, drain, heads and records of adit.v1, greeting and heads of
// wsp. It does no I/O, starts no goroutine and keeps no state. What it parses
// is hostile: every parser bounds what it allocates by the length of its input
// and returns an error that says which rule was broken.
//
// Start with record.go; the names are those of RFC 9110.
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
	Status    int
	Connect   uint64 // microseconds since the client read REQUEST until the origin connection was ready
	FirstByte uint64 // microseconds until the origin's first byte
	Fields    []Field
}
