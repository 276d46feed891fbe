// Package origin goes from the client to the origin server: HTTP/1.1, HTTP/2
// and raw TCP behind one small interface, so that nobody above sees which. It
// follows no redirect, decodes nothing and dials only through the function it
// was given.
//
// Start here. Plain-HTTP origins, the hot path, are spoken to by http1.go and the
// files beside it. All others, h2c and TLS with HTTP/2 by ALPN, go through
// net/http: send.go performs one exchange, content.go hands the request's content
// over, conn.go is the TCP connection below net/http.
package origin

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"

	"adit/engine/wire"
)

// A Dial opens a TCP connection to an origin. class separates pools of idle
// connections whose dials were checked under different permits.
type Dial func(ctx context.Context, class Class, addr string) (net.Conn, error)

// A Class is a value that == compares, or nil. A transport keeps connections of
// https and h2c of at most [maxClasses] at once; of more, those used first are let
// go.
type Class any

// Options configure a Transport.
type Options struct {
	Dial        Dial
	MaxIdle     int           // idle connections per origin; default 64
	IdleTimeout time.Duration // default 60 s
	HeadTimeout time.Duration // for the final head, since the request was sent; 0 none
	TLS         *tls.Config   // nil: defaults; ALPN is set here
}

// A Request is what is sent to the origin. It belongs to the transport from
// Send until the response's Content is closed, or Join returns.
//
// Content may have a method Buffered() bool that reports whether the next Read
// will not wait: then a short content (4 KiB) of known length that is there goes
// out together with the head and needs no goroutine.
type Request struct {
	Class    Class  // see Dial
	Scheme   string // "http", "https" (HTTP/2 by ALPN) or "h2c"
	Address  string // host:port to dial; its host is the TLS server name
	Method   string
	Host     string              // Host field, :authority
	Path     string              // with query; "*"
	Fields   []wire.Field        // without hop-by-hop fields; may have te: trailers, expect
	Upgrade  string              // protocol to upgrade to, or ""
	Content  io.Reader           // nil: none; an io.Closer is closed if it is not read to its end; may have Buffered
	Length   int64               // of Content; -1 unknown
	Trailers func() []wire.Field // after Content's EOF; nil: none

	// Informational is told of every 1xx but 101 before Send returns. Its error
	// ends the exchange.
	Informational func(status int, fields []wire.Field) error

	content *content     // of the newest attempt through net/http
	upload  *http1Upload // of the http1 that sent it
}

// Join returns when nothing reads Content any more, which it makes so. Whoever
// got an error from Send calls it, once Content's Read is sure to return;
// closing Response.Content does it too.
func (r *Request) Join() {
	if r.content != nil {
		r.content.join()
	}
	if r.upload != nil {
		r.upload.join()
	}
}

// A Response is what came.
type Response struct {
	Status   int
	Fields   []wire.Field        // without hop-by-hop fields; on 101 with upgrade
	Length   int64               // of Content; -1 unknown; 0 after HEAD and on 204 and 304
	Content  io.ReadCloser       // never nil; EOF only at the true end
	Trailers func() []wire.Field // after EOF; nil: there can be none
	Raw      Raw                 // on 101: the connection; Content is then empty

	// Ready says that all of Content has come: no Read will wait. It is false
	// where that is not known.
	Ready bool

	Connected time.Duration // since Send until the connection was ready; 0 reused
	FirstByte time.Duration // since Send until the final head was here
}

// Raw is a two-way byte stream with half-close. Close before CloseWrite aborts
// (RST, where there is TCP), so that a stream that was cut does not look ended.
type Raw interface {
	io.ReadWriteCloser
	CloseWrite() error // FIN; where there is none it closes
	SetReadDeadline(t time.Time) error
}
