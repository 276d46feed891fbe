package wire

// A Type is the type of a record.
type Type uint8

const (
	TypeRequest  Type = 1
	TypeResponse Type = 2
	TypeData     Type = 3
	TypeTrailers Type = 4
	TypeWindow   Type = 5
	TypeReset    Type = 6
	TypeConnect  Type = 7
)

// FlagEnd says that this side sends no more content.
const FlagEnd = 0x01

// A ResetCode is the code of a RESET record.
type ResetCode uint64

const (
	ResetCancelled    ResetCode = 1
	ResetOriginFailed ResetCode = 2
	ResetTimedOut     ResetCode = 3
	ResetRefused      ResetCode = 4
	ResetInternal     ResetCode = 6
	ResetDenied       ResetCode = 7
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
	Target string // host:port
}

// MaxRecordHeader is the most bytes that AppendRecordHeader adds.
const MaxRecordHeader = 2 + 9 + 9

// AppendRecordHeader appends type, flags, exchange and payload length.
func AppendRecordHeader(dst []byte, t Type, end bool, exchange uint64, length int) []byte {
	panic("in work")
}

// NextRecord splits the first record off a message. ErrFraming for an unknown
// flag, a varint that is too long, a length beyond the message, an END where
// the type forbids it, or TRAILERS without it. An unknown type is ErrFraming.
func NextRecord(msg []byte) (r Record, rest []byte, err error) { panic("in work") }

// AppendRequest, AppendResponse, AppendTrailers and AppendConnect append a
// payload. They do not validate: see the Check functions.
func AppendRequest(dst []byte, r *Request) []byte               { panic("in work") }
func AppendResponse(dst []byte, r *Response) []byte             { panic("in work") }
func AppendTrailers(dst []byte, fields []Field) []byte          { panic("in work") }
func AppendConnect(dst []byte, c Connect) []byte                { panic("in work") }
func AppendWindow(dst []byte, credit uint64) []byte             { panic("in work") }
func AppendReset(dst []byte, c ResetCode, reason string) []byte { panic("in work") }

// The parsers copy what they keep: payload may be reused after they return.
// Errors wrap ErrFraming (1002), ErrTooBig (a head beyond MaxHead or MaxFields:
// 1002 too, counted apart) or ErrHTTP (RESET 8).
func ParseRequest(payload []byte) (*Request, error)        { panic("in work") }
func ParseResponse(payload []byte) (*Response, error)      { panic("in work") }
func ParseTrailers(payload []byte) ([]Field, error)        { panic("in work") }
func ParseConnect(payload []byte) (Connect, error)         { panic("in work") }
func ParseWindow(payload []byte) (uint64, error)           { panic("in work") }
func ParseReset(payload []byte) (ResetCode, string, error) { panic("in work") }

// CheckRequest, CheckResponse and CheckTrailers apply to what is about to be
// sent the rules that the parsers apply to what came (ErrHTTP, ErrTooBig).
// upgrade fields are allowed only where the protocol allows them.
func CheckRequest(r *Request) error      { panic("in work") }
func CheckResponse(r *Response) error    { panic("in work") }
func CheckTrailers(fields []Field) error { panic("in work") }

// Carried reports whether a field of that name may stand in a head on the wire:
// it is false for host and for connection-specific fields (protocol.md §2.2)
// other than te and upgrade, whose values decide. Case does not matter.
func Carried(name string) bool { panic("in work") }

// ContentLength returns the value of the content-length field, or -1 without one.
func ContentLength(fields []Field) int64 { panic("in work") }

// Get returns the first value of a field, or "". Case of name does not matter.
func Get(fields []Field, name string) string { panic("in work") }
