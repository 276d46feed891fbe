// Package origin goes from the client to the origin server: HTTP/1.1, HTTP/2
// and raw TCP behind one small interface, so that nobody above sees which. It
// follows no redirect, decodes nothing and dials only through the function it
// was given.
package origin

import (
	"context"
	"io"
	"net"
	"time"

	"adit/engine/wire"
)

// A Dial opens a TCP connection to an origin. class separates pools of idle
// connections whose dials were checked under different permits.
type Dial func(ctx context.Context, class uint8, addr string) (net.Conn, error)

// Options configure a Transport.
type Options struct {
	Dial        Dial
	MaxIdle     int           // idle connections per origin; default 64
	IdleTimeout time.Duration // default 60 s
}

// A Request is what is sent to the origin.
type Request struct {
	Class    uint8  // see Dial
	Scheme   string // "http", "https" (HTTP/2 by ALPN) or "h2c"
	Address  string // host:port to dial; its host is the TLS server name
	Method   string
	Host     string              // Host field, :authority
	Path     string              // with query; "*"
	Fields   []wire.Field        // without hop-by-hop fields; may have te: trailers, expect
	Upgrade  string              // protocol to upgrade to, or ""
	Content  io.Reader           // nil: none
	Length   int64               // of Content; -1 unknown
	Trailers func() []wire.Field // after Content's EOF; nil: none

	// Informational is told of every 1xx but 101 before Send returns.
	Informational func(status int, fields []wire.Field) error
}

// A Response is what came.
type Response struct {
	Status   int
	Fields   []wire.Field        // without hop-by-hop fields; on 101 with upgrade
	Length   int64               // content length; -1 unknown
	Content  io.ReadCloser       // never nil; EOF only at the true end
	Trailers func() []wire.Field // after EOF
	Raw      Raw                 // on 101: the connection; Content is then empty

	Connected time.Duration // since Send until the connection was ready; 0 reused
	FirstByte time.Duration // since Send until the first byte of the final head
}

// Raw is a two-way byte stream with half-close.
type Raw interface {
	io.ReadWriteCloser
	CloseWrite() error // FIN; where there is none it closes
	SetReadDeadline(t time.Time) error
}

// A Transport sends requests and keeps idle connections.
type Transport struct { /* unexported */
}

func New(o Options) *Transport { panic("in work") }

// Send sends r and returns the final response head (or 101). An early response
// returns at once, whether or not Content was read to its end. Cancelling ctx ends
// the exchange, also while Content is read. Errors are *engine.Error:
// ReasonDenied (from Dial), ReasonOriginFailed, ReasonTimedOut, ReasonCallerGone
// (ctx). When Send's caller has closed Response.Content nothing reads
// Request.Content any more.
func (t *Transport) Send(ctx context.Context, r *Request) (*Response, error) { panic("in work") }

// DialTCP opens a raw stream.
func (t *Transport) DialTCP(ctx context.Context, class uint8, addr string) (Raw, error) {
	panic("in work")
}

// Close ends idle connections.
func (t *Transport) Close() { panic("in work") }
