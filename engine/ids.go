package engine

import (
	"fmt"
	"strconv"
	"strings"
)

// A ConnectionID names one WebSocket for as long as the process lives. It is
// never reused; 0 means none. Its text form is "c-17".
type ConnectionID uint64

// String returns the text form, or "" for 0.
func (id ConnectionID) String() string { return prefixed("c-", uint64(id)) }

// MarshalText implements [encoding.TextMarshaler].
func (id ConnectionID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ParseConnectionID reads the text form. Anything else is an error.
func ParseConnectionID(s string) (ConnectionID, error) {
	n, err := parsePrefixed("c-", s)
	if err != nil {
		return 0, fmt.Errorf("connection id %q: want c-NUMBER", Bound(s))
	}
	return ConnectionID(n), nil
}

// A RequestID names one exchange for as long as the process lives. It is never
// reused; 0 means none. Its text form is "r-4711".
type RequestID uint64

// String returns the text form, or "" for 0.
func (id RequestID) String() string { return prefixed("r-", uint64(id)) }

// MarshalText implements [encoding.TextMarshaler].
func (id RequestID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// ParseRequestID reads the text form. Anything else is an error.
func ParseRequestID(s string) (RequestID, error) {
	n, err := parsePrefixed("r-", s)
	if err != nil {
		return 0, fmt.Errorf("request id %q: want r-NUMBER", Bound(s))
	}
	return RequestID(n), nil
}

func prefixed(prefix string, n uint64) string {
	if n == 0 {
		return ""
	}
	return prefix + strconv.FormatUint(n, 10)
}

func parsePrefixed(prefix, s string) (uint64, error) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err == nil && n == 0 {
		err = strconv.ErrRange
	}
	return n, err
}

// MaxText is the bound, in bytes, of every string in an [Event], a [Connection]
// or a [Request].
const MaxText = 256

// Bound cuts s to at most [MaxText] bytes without splitting a UTF-8 sequence.
func Bound(s string) string {
	if len(s) <= MaxText {
		return s
	}
	end := MaxText
	for end > MaxText-4 && s[end]&0xC0 == 0x80 {
		end--
	}
	return strings.Clone(s[:end])
}
