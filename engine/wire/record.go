package wire

import (
	"strings"
	"unicode/utf8"
)

// A Type is the type of a record.
type Type uint8

// The types of records (adit.v1).
const (
	TypeRequest  Type = 1
	TypeResponse Type = 2
	TypeData     Type = 3
	TypeTrailers Type = 4
	TypeWindow   Type = 5
	TypeReset    Type = 6
	TypeConnect  Type = 7
)

// String returns the name of protocol.md, "" for an unknown type.
func (t Type) String() string {
	switch t {
	case TypeRequest:
		return "REQUEST"
	case TypeResponse:
		return "RESPONSE"
	case TypeData:
		return "DATA"
	case TypeTrailers:
		return "TRAILERS"
	case TypeWindow:
		return "WINDOW"
	case TypeReset:
		return "RESET"
	case TypeConnect:
		return "CONNECT"
	}
	return ""
}

// FlagEnd says that this side sends no more content.
const FlagEnd = 0x01

// A ResetCode is the code of a RESET record.
type ResetCode uint64

// The codes of RESET. 0 and 5 are reserved; a receiver takes an unknown one for
// ResetInternal.
const (
	ResetCancelled    ResetCode = 1 // the caller went away or stalled
	ResetOriginFailed ResetCode = 2 // DNS, dial, TLS, broken or oversize answer
	ResetTimedOut     ResetCode = 3
	ResetRefused      ResetCode = 4 // nothing was processed
	ResetInternal     ResetCode = 6
	ResetDenied       ResetCode = 7 // a rule forbids it
	ResetMalformed    ResetCode = 8
)

// A Record is one record of a binary message; Payload aliases the message.
type Record struct {
	Type     Type
	End      bool
	Exchange uint64
	Payload  []byte
}

// Connect is the payload of a CONNECT record.
type Connect struct {
	Route  uint64
	Target string // host:port; may be empty with a route
}

// MaxRecordHeader is the most bytes that AppendRecordHeader adds.
const MaxRecordHeader = 2 + maxVarint + maxVarint

// AppendRecordHeader appends type, flags, exchange and payload length.
func AppendRecordHeader(dst []byte, t Type, end bool, exchange uint64, length int) []byte {
	var flags byte
	if end {
		flags = FlagEnd
	}
	dst = append(dst, byte(t), flags)
	dst = appendVarint(dst, exchange)
	return appendVarint(dst, uint64(length))
}

// NextRecord splits the first record off a message, which is whole when rest is
// empty. ErrFraming for an empty message, an unknown type or flag, exchange 0,
// a varint that is too long, a length beyond the message, an END where the type
// forbids it, TRAILERS without it, or DATA with neither content nor END.
func NextRecord(msg []byte) (r Record, rest []byte, err error) {
	if len(msg) < 4 {
		return Record{}, nil, framing("message ends inside a record header").in("read record")
	}
	t, flags := Type(msg[0]), msg[1]
	if flags&^FlagEnd != 0 {
		return Record{}, nil, framing("unknown flag").in("read record")
	}
	end := flags == FlagEnd

	exchange, n := varint(msg[2:])
	if n == 0 {
		return Record{}, nil, framing("broken varint").in("read record")
	}
	if exchange == 0 {
		return Record{}, nil, framing("exchange 0").in("read record")
	}
	body := msg[2+n:]
	length, n := varint(body)
	if n == 0 {
		return Record{}, nil, framing("broken varint").in("read record")
	}
	body = body[n:]
	if length > uint64(len(body)) {
		return Record{}, nil, framing("length beyond the message").in("read record")
	}

	switch t {
	case TypeRequest, TypeResponse:
	case TypeData:
		if length == 0 && !end {
			return Record{}, nil, framing("empty DATA without END").in("read record")
		}
	case TypeTrailers:
		if !end {
			return Record{}, nil, framing("TRAILERS without END").in("read record")
		}
	case TypeWindow, TypeReset, TypeConnect:
		if end {
			return Record{}, nil, framing("END where it is forbidden").in("read record")
		}
	default:
		return Record{}, nil, framing("unknown type").in("read record")
	}
	return Record{Type: t, End: end, Exchange: exchange, Payload: body[:length:length]}, body[length:], nil
}

// PeekRecord reads the header of the first record of a message from the message's
// beginning: its type, flag and exchange, and how many bytes of the message the
// record takes. ok is false where that is not a header, or not all of one.
func PeekRecord(first []byte) (r Record, size uint64, ok bool) {
	if len(first) < 4 || Type(first[0]).String() == "" {
		return Record{}, 0, false
	}
	exchange, n := varint(first[2:])
	if n == 0 {
		return Record{}, 0, false
	}
	length, m := varint(first[2+n:])
	if m == 0 {
		return Record{}, 0, false
	}
	return Record{Type: Type(first[0]), End: first[1]&FlagEnd != 0, Exchange: exchange}, uint64(2+n+m) + length, true
}

// AppendConnect appends the payload of a CONNECT record.
func AppendConnect(dst []byte, c Connect) []byte {
	dst = appendVarint(dst, c.Route)
	return appendString(dst, c.Target)
}

// ParseConnect reads the payload of a CONNECT record. ErrHTTP for a target that
// is not host:port; it may be empty where a route says where to go.
func ParseConnect(payload []byte) (Connect, error) {
	const op = "parse CONNECT"
	if len(payload) > MaxHead {
		return Connect{}, tooBig("head above 64 KiB").in(op)
	}
	cur := cursor{s: string(payload)}
	c := Connect{Route: cur.varint(), Target: cur.str()}
	if cur.bad || cur.s != "" {
		return Connect{}, framing("payload does not match its lengths").in(op)
	}
	if c.Target == "" && c.Route != 0 {
		return c, nil
	}
	if port, ok := splitAuthority(c.Target); !ok || port == "" {
		return Connect{}, invalid("target is not host:port").in(op)
	}
	return c, nil
}

// AppendWindow appends the payload of a WINDOW record.
func AppendWindow(dst []byte, credit uint64) []byte { return appendVarint(dst, credit) }

// ParseWindow reads the payload of a WINDOW record: the bytes of credit added,
// from 1 to MaxCredit.
func ParseWindow(payload []byte) (uint64, error) {
	credit, n := varint(payload)
	if n == 0 || n != len(payload) {
		return 0, framing("payload is not one varint").in("parse WINDOW")
	}
	if credit < 1 || credit > MaxCredit {
		return 0, framing("credit out of range").in("parse WINDOW")
	}
	return credit, nil
}

// AppendReset appends the payload of a RESET record. The reason is cut to
// MaxReason bytes, and what is not UTF-8 in it is replaced: a fault in a text
// for logs must not cost the connection.
func AppendReset(dst []byte, c ResetCode, reason string) []byte {
	if !utf8.ValidString(reason) {
		reason = strings.ToValidUTF8(reason[:min(len(reason), MaxReason)], "?")
	}
	return append(appendVarint(dst, uint64(c)), cut(reason, MaxReason)...)
}

// ParseReset reads the payload of a RESET record. Any code is accepted; a
// reason that is too long or not UTF-8 is ErrFraming.
func ParseReset(payload []byte) (ResetCode, string, error) {
	code, n := varint(payload)
	if n == 0 {
		return 0, "", framing("broken varint").in("parse RESET")
	}
	reason := payload[n:]
	if len(reason) > MaxReason {
		return 0, "", framing("reason above 256 bytes").in("parse RESET")
	}
	if !utf8.Valid(reason) {
		return 0, "", framing("reason is not UTF-8").in("parse RESET")
	}
	return ResetCode(code), string(reason), nil
}

// cut returns at most limit bytes of valid UTF-8 without splitting a sequence.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
