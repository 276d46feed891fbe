package server

import (
	"context"
	"crypto/tls"
	"io"
	"net/netip"
	"testing"
	"time"

	"adit/engine"
	"adit/engine/tunnel"
	"adit/engine/wire"
)

// TestEndOverTLS: callers who are stuck in a handshake, take nothing, send nothing or
// wait for their turn, and a load balancer that says nothing, hold up no end of the
// server: TLS would like to say goodbye to each of them for five seconds.
func TestEndOverTLS(t *testing.T) {
	const each = 8
	for name, end := range map[string]func(s *Server){
		"close": func(s *Server) { s.Close() },
		"shutdown that is cut": func(s *Server) {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			s.Shutdown(ctx)
		},
		"handover that is cut": func(s *Server) {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			s.Handover(ctx)
		},
	} {
		for _, rate := range []int64{0, 64 << 10} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := secure(t, func(in tunnel.Incoming) {
					if in.Request() != nil && in.HasContent() {
						content(in)
						return
					}
					in.WriteResponse(&wire.Response{Status: 200}, false)
					for piece := make([]byte, 64<<10); ; {
						if _, err := in.Write(piece); err != nil {
							return
						}
					}
				}, func(o *Options) { o.Caps.Bandwidth, o.Grace = rate, time.Minute })
				l := *s.s.live() // the client came without
				l.ProxyProtocol = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				s.s.Update(l, engine.Operator{Name: "test"})
				streams := 0
				for range each {
					s.raw("")         // says nothing as a load balancer
					s.raw(proxyBlock) // says nothing in TLS
					for _, send := range []string{
						"GET / HTTP/1.1\r\nHost: " + appHost + "\r\n\r\n",
						"CONNECT echo:1 HTTP/1.1\r\nHost: echo:1\r\n\r\n",
						"POST / HTTP/1.1\r\nHost: " + appHost + "\r\nContent-Length: 1000000\r\n\r\npart",
					} {
						conn := s.raw(proxyBlock)
						small(conn.Conn)
						secret := tls.Client(conn.Conn, &tls.Config{RootCAs: s.authority.Pool, ServerName: appHost})
						if _, err := io.WriteString(secret, send); err != nil {
							t.Fatal(err)
						}
						streams++
					}
				}
				s.await(engine.KindRequestStarted, streams)
				s.eventually("they run", func() bool { return s.s.calls.running() == streams })
				time.Sleep(300 * time.Millisecond) // until they are stuck
				began := time.Now()
				end(s.s)
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}
