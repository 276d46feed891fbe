package wire

import (
	"time"

	"adit/engine"
)

// Welcome is the server's answer to a native greeting.
type Welcome struct {
	Connection   string // "c-17"
	Server       string
	Version      string
	PingInterval time.Duration // clamped to 1–120 s
	MaxExchanges int
	Window       int
	URLs         []string
}

// Hello is a native greeting: the public part and the limits of its writer.
type Hello struct {
	Greeting     engine.Greeting
	MaxExchanges int
	Window       int
}

// Subprotocol is the WebSocket subprotocol of the native protocol.
const Subprotocol = "adit.v1"

func AppendHello(dst []byte, h *Hello) []byte      { panic("in work") }
func ParseHello(text []byte) (*Hello, error)       { panic("in work") }
func AppendWelcome(dst []byte, w *Welcome) []byte  { panic("in work") }
func ParseWelcome(text []byte) (*Welcome, error)   { panic("in work") }
func AppendDrain(dst []byte, reason string) []byte { panic("in work") }

// ParseText reads the type of a later text message; reason is that of a drain.
// Unknown types are no error.
func ParseText(text []byte) (kind, reason string, err error) { panic("in work") }

// Classic greeting: "<id>_<poolsize>", split at the last underscore.
func AppendClassicGreeting(dst []byte, id string, pool int) []byte      { panic("in work") } // sends - for _
func ParseClassicGreeting(text []byte) (id string, pool int, err error) { panic("in work") }

// ClassicRequest and ClassicResponse are wsp's JSON heads.
type ClassicRequest struct {
	Method        string
	URL           string
	Header        map[string][]string
	ContentLength int64
}

type ClassicResponse struct {
	StatusCode    int
	Header        map[string][]string
	ContentLength int64
}

func AppendClassicRequest(dst []byte, r *ClassicRequest) []byte   { panic("in work") }
func ParseClassicRequest(text []byte) (*ClassicRequest, error)    { panic("in work") }
func AppendClassicResponse(dst []byte, r *ClassicResponse) []byte { panic("in work") }
func ParseClassicResponse(text []byte) (*ClassicResponse, error)  { panic("in work") }
